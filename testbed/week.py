"""A week of a shop that is made up, and put into a ledger by SQL: visits, sessions with ratings, decisions, minutes.

It stands in for the workers that would have written it: a week can't be waited for. Customers come by chance, more of
them around noon; agents have seats; chats are lognormal; who has no patience leaves. `happened` is what is counted by.
"""

import heapq
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

ZONE = ZoneInfo("Asia/Jakarta")
RULES = '[hours]\ntimezone = "Asia/Jakarta"\nopen = ["mon-sun 00:00-24:00"]\n'
AGENTS = {"ani": "Ani Lestari", "budi": "Budi Santoso", "citra": "Citra Wijaya", "dewi": "Dewi Anggraini"}
QUEUES = {"Orders": 5, "Returns": 3, "Questions": 2}  # of ten customers so many
SEATS = 3  # of each agent
MEAN_S, VARIES = 540.0, 0.7
NIGHT_S, NOON_S = 900.0, 47.0  # between two customers


class Stay(NamedTuple):
    """One visit. `agent` None: nobody had it; `stars` None: not rated."""

    room: str
    queue: str
    agent: str | None
    arrived: datetime
    assigned: datetime | None
    closed: datetime
    stars: int | None


def last_monday(now: datetime) -> datetime:
    """When the last week began that is over."""
    today = now.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday() + 7)


def happened(monday: datetime, days: int = 7, seed: int = 7) -> list[Stay]:
    """By their arrival."""
    luck = random.Random(seed)
    seats = [(0.0, luck.random(), agent) for agent in AGENTS for _ in range(SEATS)]
    heapq.heapify(seats)
    stays: list[Stay] = []
    at = 0.0
    while (at := at + luck.expovariate(1 / _between_s(at))) < days * 86_400:
        free, order, agent = seats[0]
        begins, patience = max(at, free) + luck.uniform(0.2, 1.5), luck.expovariate(1 / 1500)
        queue = luck.choices(list(QUEUES), list(QUEUES.values()))[0]
        room = f"{seed:03}{len(stays):06}"
        if begins - at > patience:
            stays.append(Stay(room, queue, None, _moment(monday, at), None, _moment(monday, at + patience), None))
            continue
        ends = begins + luck.lognormvariate(math.log(MEAN_S) - VARIES**2 / 2, VARIES)
        heapq.heapreplace(seats, (ends, order, agent))
        stars = luck.choices((1, 2, 3, 4, 5), (3, 4, 10, 33, 50))[0] if luck.random() < 0.3 else None
        times = (_moment(monday, at), _moment(monday, begins), _moment(monday, ends))
        stays.append(Stay(room, queue, agent, *times, stars))
    return stays


def _between_s(at_s: float) -> float:
    hour = at_s % 86_400 / 3600
    busy = max(0.0, math.sin((hour - 6) / 15 * math.pi)) if 6 <= hour < 21 else 0.0
    if at_s >= 5 * 86_400:
        busy *= 0.6  # a weekend
    return 1 / (1 / NIGHT_S + busy / NOON_S)


def _moment(monday: datetime, seconds: float) -> datetime:
    return (monday + timedelta(seconds=round(seconds, 3))).astimezone(UTC)


def fill(cur: cursor, tenant: str, stays: Sequence[Stay], name: str = "Toko Senja") -> None:
    """A native tenant with agents, rules and all that happened."""
    cur.execute(
        "INSERT INTO tenants (id, base_url, secret_key, desk, name, rules_version, rules_digest, created_at)"
        " VALUES (%s, '', '', 'native', %s, 1, md5(%s), %s)",
        (tenant, name, RULES, stays[0].arrived - timedelta(hours=1)),
    )
    cur.execute(
        "INSERT INTO rule_files (tenant, version, content, applied_by) VALUES (%s, 1, %s, 'x')", (tenant, RULES)
    )
    _agents(cur, tenant)
    _visits(cur, tenant, stays)
    _sessions(cur, tenant, stays)
    _decisions(cur, tenant, stays)
    _minutes(cur, tenant, stays)
    cur.execute("UPDATE tenants SET minutes_to = date_trunc('minute', clock_timestamp()) WHERE id = %s", (tenant,))


def _agents(cur: cursor, tenant: str) -> None:
    rows = [(tenant, each, f"{each}@example.com", name) for each, name in AGENTS.items()]
    execute_values(cur, "INSERT INTO agents (tenant, id, name) VALUES %s", [(row[0], row[1], row[3]) for row in rows])
    made = "INSERT INTO accounts (tenant, agent, email, name, password_hash) VALUES %s"
    execute_values(cur, made, [(*row, "x") for row in rows])


def _visits(cur: cursor, tenant: str, stays: Sequence[Stay]) -> None:
    rows = [
        (tenant, s.room, s.queue, s.queue, round(s.arrived.timestamp() * 1e6), "closed", s.agent, s.arrived, s.assigned)
        + (s.assigned, s.closed, "resolved" if s.agent else "customer gone")
        for s in stays
    ]
    columns = "tenant, room, class, queue, arrived_us, state, last_agent, opened_at, reserved_at, settled_at, closed_at"
    execute_values(cur, f"INSERT INTO visits ({columns}, reason) VALUES %s", rows, page_size=1000)


def _sessions(cur: cursor, tenant: str, stays: Sequence[Stay]) -> None:
    cur.execute("INSERT INTO customers (tenant, email, name) VALUES (%s, 'x@example.com', 'X') RETURNING id", (tenant,))
    row = cur.fetchone()
    assert row
    rows = [
        (
            tenant,
            s.room,
            f"{tenant}{s.room}".encode(),
            row[0],
            "ended",
            s.agent,
            s.arrived,
            s.assigned,
            s.closed,
            s.stars,
        )
        + ("X", "id")
        for s in stays
    ]
    columns = "tenant, room, key_digest, customer, status, agent, created_at, started_at, ended_at, rating"
    execute_values(cur, f"INSERT INTO sessions ({columns}, customer_name, language) VALUES %s", rows, page_size=1000)


def _decisions(cur: cursor, tenant: str, stays: Sequence[Stay]) -> None:
    """One for each seat, a moment before it was assigned."""
    rows = [(tenant, s.assigned, s.room) for s in stays if s.assigned]
    execute_values(
        cur,
        "WITH x (tenant, at, room) AS (VALUES %s), made AS ("
        " INSERT INTO rounds (tenant, at, policy, candidates, passed_over) SELECT tenant, at - interval '50 ms',"
        " 'longest_idle', '[]', jsonb_build_object('room', room) FROM x RETURNING id, passed_over ->> 'room' AS room)"
        " INSERT INTO decisions (tenant, round, visit, agent, load_before, seat_limit)"
        f" SELECT v.tenant, made.id, v.id, v.last_agent, 0, {SEATS} FROM made JOIN visits v USING (room)",
        rows,
        page_size=len(rows) + 1,
    )


def _minutes(cur: cursor, tenant: str, stays: Sequence[Stay]) -> None:
    """What the expected wait is tested with: the seats at the end of each minute."""
    marks = [(s.assigned, 1) for s in stays if s.assigned] + [(s.closed, -1) for s in stays if s.assigned]
    marks.sort(reverse=True)
    rows: list[tuple[object, ...]] = []
    at, taken = stays[0].arrived.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0), 0
    while marks:
        over = at + timedelta(minutes=1)
        while marks and marks[-1][0] < over:
            taken += marks.pop()[1]
        rows.append((tenant, at, "", 0, 0, 0, 0, 0, [], taken, SEATS * len(AGENTS) - taken))
        at = over
    execute_values(cur, "INSERT INTO minutes VALUES %s", rows, "(%s,%s,%s,%s,%s,%s,%s,%s,%s::real[],%s,%s)", 1000)
