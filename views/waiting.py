"""The rooms that wait, in the order in which they will be served, each with why it still waits: a window of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.views import VIEWS
from views import expected, queue, queues
from views.queue import Line
from views.shown import Shown
from views.source import Source
from views.words import from_us

ROWS_MOST = 200


class Asked(NamedTuple):
    """Which rooms. `queue` as people name it; `state`: one of `queue.STATES`; `text`: see `queue.read`."""

    queue: str | None = None
    state: str | None = None
    text: str | None = None
    skip: int = 0
    most: int = 100


def read(source: Source, cur: cursor, tenant: str, asked: Asked) -> Shown:
    names = queues.asked(asked.queue) if asked.queue else None
    most = min(asked.most, ROWS_MOST)
    which: dict[str, Any] = {"queues": names, "state": asked.state, "text": asked.text, "skip": asked.skip}
    line = queue.read(source, cur, tenant, most, **which)
    rows = of_line(cur, line)
    groups = [{"name": row.queue, "waiting": row.waiting} for row in VIEWS.all(cur, "waiting_queues", tenant=tenant)]
    head = {"total": line.matching, "waiting": line.counts.waiting, "skip": asked.skip, "queues": groups}
    return Shown(head, list(rows), rows)


def of_line(cur: cursor, line: Line) -> dict[str, dict[str, Any]]:
    """By room, in order."""
    rooms = [row.room for row in line.waiting]
    names = {row.room: row.name for row in VIEWS.all(cur, "customers_of", tenant=line.tenant, rooms=rooms)}
    pace = expected.pace(cur, line.tenant, line.team)
    return {row.room: _row(line, row, names, pace) for row in line.waiting}


def _row(line: Line, row: Any, names: Mapping[str, str], pace: expected.Pace) -> dict[str, Any]:
    return {
        "room": row.room,
        "visit": row.id,
        "place": row.position,
        "queue": queues.of(row),
        "since": from_us(row.arrived_us),
        **expected.as_data(row.position, pace, line.desk.shut is not None or line.desk.draining),
        "state": queue.state_of(row),
        "priority": row.priority,
        "step": row.step,
        "customer": names.get(row.room),
        "why": queue.reason(line, row).as_data(),
    }
