"""What happened by the minute: workers write it, charts read it. Every function runs in the caller's transaction; the
SQL is in `queries/minutes.sql`. It is made of the times of visits, so that whoever writes late, or
again, writes the same; only free seats are known at the moment alone.
"""

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.backtest import Seats, Stay
from db.postgres import Statements

MINUTES = Statements("minutes")
TENANTS_MOST = 20  # written in one look
WAITS_MOST = 500  # kept of one minute and queue
MARKS_MOST = 200
USUAL_LEAST = 10  # fewer arrivals than so many say nothing by their absence
PRUNE_MOST = 5000
STEPS: Mapping[str, tuple[int, int]] = {"1h": (3600, 60), "24h": (86_400, 300), "7d": (604_800, 3600)}
COLUMNS = ("at", "waiting", "arrived", "assigned", "abandoned", "wait_p50_s", "wait_p95_s", "seats_taken", "seats_free")
KINDS = {"limit": "limit", "pause": "limit", "resume": "limit", "drain": "drain", "desk down": "desk_down"}
KINDS |= {"desk up": "desk_up", "routing apply": "routing", "routing reset": "routing"}


class Silence(NamedTuple):
    """Nobody has come for so many hours, though in the same hours of the last week so many came a day."""

    hours: int
    usual: int


class Today(NamedTuple):
    """Since midnight. `level`: the share of those served who were served in time; None: nobody was."""

    served: int
    abandoned: int
    level: float | None
    target_s: float
    silence: "Silence | None" = None


def due(cur: cursor) -> list[str]:
    """Tenants, those first that are written least far."""
    return [row.tenant for row in MINUTES.all(cur, "due", most=TENANTS_MOST)]


def write(cur: cursor, tenant: str) -> int:
    """Every whole minute that is not written yet, an hour back at most; how many rows."""
    row = MINUTES.one(cur, "write", tenant=tenant, waits=WAITS_MOST)
    if row is None:
        return 0
    MINUTES.run(cur, "written", tenant=tenant, until=row.until)
    return int(row.rows)


def prune(cur: cursor, tenant: str, keep_days: int) -> int:
    return MINUTES.run(cur, "prune", tenant=tenant, keep_days=keep_days, most=PRUNE_MOST)


def series(cur: cursor, tenant: str, range_: str, queue: str = "") -> dict[str, Any]:
    """Points of equal steps; `range_`: a key of `STEPS`; `queue`: '' for all. Nothing counts 0; its waits are None."""
    range_s, step_s = STEPS[range_]
    rows = MINUTES.all(cur, "series", tenant=tenant, queue=queue, range_s=range_s, step_s=step_s)
    marks = MINUTES.all(cur, "marks", tenant=tenant, range_s=range_s, most=MARKS_MOST)
    queues = [row.queue for row in MINUTES.all(cur, "queues", tenant=tenant, range_s=range_s)]
    points = [row._asdict() for row in rows]
    return {"step_s": step_s, "points": points, "events": [_mark(row) for row in reversed(marks)], "queues": queues}


def _mark(row: Any) -> dict[str, Any]:
    change = f" {row.before} → {row.after}" if row.before is not None or row.after is not None else ""
    return {"at": row.at, "kind": KINDS[row.what], "text": f"{row.what} {row.subject}{change}".strip(), "who": row.who}


def history(cur: cursor, tenant: str, days: float) -> tuple[list[Stay], list[Seats]]:
    """What `backtest` goes through."""
    stays = [Stay(*row) for row in MINUTES.all(cur, "stays", tenant=tenant, days=days)]
    return stays, [Seats(*row) for row in MINUTES.all(cur, "seats", tenant=tenant, days=days)]


def as_csv(found: Mapping[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for point in found["points"]:
        writer.writerow([point["at"].isoformat(), *(point[name] for name in COLUMNS[1:])])
    return out.getvalue()


def today(cur: cursor, tenant: str, since: datetime, target_s: float) -> Today:
    """`since`: when today began."""
    row = MINUTES.one(cur, "today", tenant=tenant, since=since, target_s=target_s)
    level = row.in_time / row.served if row.served else None
    return Today(row.served, row.abandoned, level, target_s, silence(cur, tenant))


def silence(cur: cursor, tenant: str) -> Silence | None:
    """None where somebody came within the hour, or where few ever come at this time."""
    row = MINUTES.one(cur, "silence", tenant=tenant)
    return Silence(row.hours, row.usual) if row and row.hours >= 1 and row.usual >= USUAL_LEAST else None
