"""A decision of a large team reads the agents who come first only: it chooses as if it had read all of them."""

import dataclasses
import json
import random
import re

import pytest
from psycopg2.extensions import cursor

from db.inbox import Inbox, limit_key
from db.line import candidates_sql
from policies import POLICIES
from policies.policy import Seats
from tests.services.line_of import TENANT, Line, line_of
from tests.variants import first_of
from worker.choose import Waiting, choose
from worker.desk.base import RosterAgent
from worker.seating import SEATS_BATCH

CLASSES = ["a", "b", "c"]
OURS = [name for name, policy in POLICIES.items() if not policy.asks_desk]
KINDS = ["any", "idle team", "all full", "few free"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", OURS)
@pytest.mark.parametrize("seed", first_of(range(2)))
def test_it_chooses_as_if_it_had_read_everybody(
    database_url: str, redis_url: str, policy: str, kind: str, seed: int
) -> None:
    dice = random.Random(f"{policy} {kind} {seed}")
    with line_of(database_url, redis_url, policy=policy, limit=2, lag_s=3600.0) as line:
        _fill(line, dice, kind)
        for _ in range(3):
            expected = _chosen_among_all(line, policy)
            made = line.decide(free=1000)
            assert [(reserved.room, reserved.agent) for reserved in made.reserved] == expected
            line.settle(*line.held(made))
            _change(line, dice)


OLD = """INSERT INTO visits (tenant, room, class, source, arrived_us, state, closed_at, reason, last_agent)
SELECT %s, 'old' || n, 'a', 's', n, 'closed', clock_timestamp() - n * interval '10 s', 'resolved', 'a0'
  FROM generate_series(1, 20000) n"""
VISITS_READ = re.compile(r"Removed by Filter: (\d+)|on visits.*actual.*rows=(\d+)")


@pytest.mark.parametrize("policy", OURS)
def test_no_policy_reads_the_history_of_the_tenant(database_url: str, redis_url: str, policy: str) -> None:
    """Candidates are read under the tenant's lock: closed visits may be years old, and very many."""
    with line_of(database_url, redis_url, policy=policy) as line:
        line.roster(*(RosterAgent(f"a{n}", f"a{n}", True, 0) for n in range(20)), class_="a")
        line.decide()  # now they have limits, and seats
        with line.ledger.transaction() as cur:
            cur.execute(OLD, (TENANT,))
            cur.execute("ANALYZE visits")
        with line.ledger.transaction() as cur:
            plan = explained(cur, policy)
        read = [int(number) for row in plan for found in VISITS_READ.findall(row) for number in found if number]
        assert sum(read) < 500, plan


def explained(cur: cursor, policy: str) -> list[str]:
    values = {
        "tenant": TENANT,
        "classes": ["a"],
        "most": 10,
        "everybody": False,
        "also": [],
        "shut_classes": [],
        "shut_agents": [],
    }
    cur.execute(f"EXPLAIN ANALYZE {candidates_sql(POLICIES[policy])}", values)
    return [row[0] for row in cur.fetchall()]


def _fill(line: Line, dice: random.Random, kind: str) -> None:
    agents = [f"a{n}" for n in range(dice.choice([1, 30, 90, 250]))]
    least = {"all full": 2, "few free": 2}.get(kind, 0)
    for class_ in CLASSES:
        named = [agent for agent in agents if dice.random() < 0.6]
        roster = [RosterAgent(agent, agent, dice.random() < 0.9, 0) for agent in named]
        line.roster(*roster, class_=class_)
    known = [row.id for row in line.rows("SELECT id FROM agents WHERE tenant = %s", TENANT)]
    loads = {agent: 0 if kind == "idle team" else dice.randint(least, 2) for agent in known}
    for agent in dice.sample(known, min(len(known), 4)) if kind == "few free" else []:
        loads[agent] = dice.randint(0, 1)
    rows = [(agent, dice.choice(CLASSES), seat) for agent, load in loads.items() for seat in range(load)]
    line.run(
        "INSERT INTO visits (tenant, room, class, arrived_us, state, agent, last_agent, reserved_at, settled_at)"
        " SELECT %s, h.agent || '-' || h.seat, h.class, 1, 'held', h.agent, h.agent, now(), now()"
        " FROM jsonb_to_recordset(%s::jsonb) AS h(agent text, class text, seat integer)",
        TENANT,
        json.dumps([{"agent": a, "class": c, "seat": s} for a, c, s in rows]),
    )
    line.run(
        "UPDATE agents SET owed = random() < 0.3, foreign_est = CASE WHEN random() < 0.1 THEN 1 ELSE 0 END,"
        " last_assigned_at = CASE WHEN random() < 0.3 THEN '-infinity' ELSE now() - random() * interval '1 h' END"
    )
    _change(line, dice)


def _change(line: Line, dice: random.Random) -> None:
    """More rooms; limits that the admin sets; a chat that ends."""
    for number in range(dice.choice([0, 1, 30, 200])):
        line.arrive(f"r{dice.random()}-{number}", class_=dice.choice(CLASSES))
    known = [row.id for row in line.rows("SELECT id FROM agents WHERE tenant = %s ORDER BY id", TENANT)]
    for agent in dice.sample(known, min(len(known), 5)):
        key = limit_key(TENANT, agent)
        _ = line.redis.delete(key) if dice.random() < 0.3 else line.redis.set(key, dice.choice([0, 1, 3, 5]))
    line.run(
        "UPDATE visits SET state = 'closed', agent = NULL, reason = 'x', closed_at = now() WHERE id IN"
        " (SELECT id FROM visits WHERE state = 'held' ORDER BY id LIMIT %s)",
        dice.choice([0, 1, 3]),
    )


def _chosen_among_all(line: Line, policy: str) -> list[tuple[str, str]]:
    """By the ledger and the admin's keys as they are, once the inbox is in the line."""
    line.decide(free=0)
    limits = {agent: _limit(line, agent) for agent in _ids(line)}
    join = POLICIES[policy].join.replace("%(tenant)s", repr(TENANT))
    seats = [
        Seats(row.id, row.load, limits[row.id], row.idle_since_s, row.owed)
        for row in line.rows(
            "SELECT id, load, owed AND load = 1 AS owed,"
            f" greatest(0, extract(epoch FROM {POLICIES[policy].since})::float8) AS idle_since_s"
            f" FROM agents a {join} WHERE tenant = %s AND available",
            TENANT,
        )
    ]
    named = line.rows("SELECT class, agent FROM eligible WHERE tenant = %s", TENANT)
    online = {seat.agent for seat in seats}
    eligible = {c: {row.agent for row in named if row.class_ == c and row.agent in online} for c in CLASSES}
    rooms = line.rows(
        "SELECT id, room, class, arrived_us, priority FROM visits WHERE tenant = %s AND state = 'waiting'", TENANT
    )
    waiting = [Waiting(row.id, row.room, row.class_, row.arrived_us, row.priority) for row in rooms]
    most = min(SEATS_BATCH, sum(seat.free for seat in seats))
    return [(pick.waiting.room, pick.agent) for pick in choose(waiting, seats, eligible, POLICIES[policy], most).picks]


# --- the limits, of which a decision reads the digest


def test_limits_are_read_again_only_when_one_has_changed(line: Line) -> None:
    line.roster("ani", "budi")
    line.drain()
    line.decide()
    before = _marked(line)
    line.decide()
    assert _marked(line) == before
    for value, limit in (("7", 7), ("x", 2), ("0", 0), (None, 2)):
        _ = line.redis.set(limit_key(TENANT, "ani"), value) if value else line.redis.delete(limit_key(TENANT, "ani"))
        line.decide()
        assert (line.agent("ani").max_load, line.agent("budi").max_load) == (limit, 2)
        assert (_marked(line) == before) is (value is None)


def test_an_agent_who_is_new_has_the_limit_that_was_there_before(line: Line) -> None:
    line.redis.set(limit_key(TENANT, "budi"), "1")
    line.roster("ani")
    line.serve("r1")
    line.roster("ani", "budi")
    line.serve("r2", "r3", "r4")
    assert line.seats() == {"ani": 2, "budi": 1}


def test_another_worker_with_another_default_reads_the_limits_by_its_own(line: Line) -> None:
    line.roster("ani")
    line.decide()
    line.rules, line.inbox = dataclasses.replace(line.rules, default_limit=5), Inbox(line.redis)
    line.decide()
    assert line.agent("ani").max_load == 5


def test_workers_who_know_different_agents_agree_on_the_digest(line: Line) -> None:
    line.roster("ani", "budi")
    line.decide()
    line.run("DELETE FROM agents WHERE id = 'budi'")
    one, other = line.inbox, Inbox(line.redis)
    for inbox in (other, one, other):  # the first one finds that nobody else asks for this agent's key
        line.inbox = inbox
        line.decide(tell=False)
    assert other.limit_keys[TENANT].digest == one.limit_keys[TENANT].digest


def _marked(line: Line) -> str:
    return str(line.tenant_row().limits_digest)


# --- rosters, which mostly say what the last one said


def test_a_roster_that_says_what_the_last_one_said_writes_no_agent(line: Line) -> None:
    line.roster("ani", "budi")
    before = line.rows("SELECT id, xmin::text FROM agents ORDER BY id")
    assert not line.roster("ani", "budi").agents
    assert line.rows("SELECT id, xmin::text FROM agents ORDER BY id") == before


def test_who_is_new_gone_or_changed_is_told_to_the_caches(line: Line) -> None:
    line.roster("ani", "budi")
    after = line.roster("ani", RosterAgent("budi", "Budi", False, 0), "citra")
    assert after.agents == {"budi", "citra"}
    assert set(line.caches()["seats"]) == {"ani", "budi", "citra"}


def _limit(line: Line, agent: str) -> int:
    return int(line.redis.get(limit_key(TENANT, agent)) or 2)


def _ids(line: Line) -> list[str]:
    return [row.id for row in line.rows("SELECT id FROM agents WHERE tenant = %s", TENANT)]
