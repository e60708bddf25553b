"""The line in PostgreSQL: what one decision of a tenant reads and writes. Every function runs in the caller's
transaction, after `lock`. The SQL, with its reasons, is in `queries/line.sql`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.postgres import Statements

LINE = Statements("line")


class NewVisit(NamedTuple):
    """A visit to be written. `reason` set: it opened and closed inside one batch."""

    room: str
    arrived_us: int
    class_: str = ""
    source: str = ""
    learned: bool = False
    base: int | None = None
    base_proved: bool = False
    look: bool = False
    suspect: str | None = None
    service: int | None = None
    reason: str | None = None


class Seat(NamedTuple):
    """One reservation to be made."""

    visit: int
    agent: str
    load_before: int
    limit: int


def lock(cur: cursor, tenant: str) -> Any:
    """The tenant's row, locked until the transaction ends; None where there is no such tenant."""
    return LINE.one(cur, "lock", tenant=tenant)


def next_place(cur: cursor, tenant: str) -> int:
    """A place behind all that were given: microseconds by PostgreSQL's clock, or one more than the last."""
    return int(LINE.one(cur, "next_place", tenant=tenant).last_place_us)


def recall(cur: cursor, tenant: str, rooms: Sequence[str], lag_s: float) -> list[Any]:
    return LINE.all(cur, "recall", tenant=tenant, rooms=list(rooms), lag_s=lag_s)


def remember(cur: cursor, tenant: str, rooms: Sequence[tuple[str, int | None, bool | None]]) -> None:
    """Write what is known of rooms: (room, highest closed service, whether the last close named one)."""
    ordered = sorted(rooms)
    LINE.run(
        cur,
        "remember",
        tenant=tenant,
        rooms=[room for room, _, _ in ordered],
        services=[service for _, service, _ in ordered],
        withs=[named for _, _, named in ordered],
    )


def close(cur: cursor, tenant: str, visits: Sequence[tuple[int, int | None, str]], *, exact: bool = False) -> list[Any]:
    """Close visits: (visit, service, reason). Gives (id, room, last_agent) of those that were closed; not one whose
    assign call may still be applied. `exact`: of our own chat, whose session ends in this transaction."""
    return LINE.all(
        cur,
        "close",
        tenant=tenant,
        visits=[visit for visit, _, _ in visits],
        services=[service for _, service, _ in visits],
        reasons=[reason for _, _, reason in visits],
        exact=exact,
    )


def open_visits(cur: cursor, tenant: str, new: Sequence[NewVisit], learned_wait_s: float = 0.0) -> list[Any]:
    """Gives (id, room, state), in the order given."""
    return LINE.all(
        cur,
        "open",
        tenant=tenant,
        rooms=[n.room for n in new],
        classes=[n.class_ for n in new],
        sources=[n.source for n in new],
        learned=[n.learned for n in new],
        learned_wait_s=learned_wait_s,
        arrived=[n.arrived_us for n in new],
        bases=[n.base for n in new],
        proved=[n.base_proved for n in new],
        looks=[n.look for n in new],
        suspects=[n.suspect for n in new],
        services=[n.service for n in new],
        reasons=[n.reason for n in new],
    )


def refuse(cur: cursor, tenant: str, entry: str, reason: str) -> None:
    LINE.run(cur, "refuse", tenant=tenant, entry=entry, reason=reason)


def reserve(cur: cursor, tenant: str, seats: Sequence[Seat], owner: int, lease_s: float) -> dict[int, int]:
    """Take the seats. Gives visit → attempt of those that were waiting. The seat guard raises CheckViolation."""
    rows = LINE.all(
        cur,
        "reserve",
        tenant=tenant,
        owner=owner,
        lease_s=lease_s,
        visits=[seat.visit for seat in seats],
        agents=[seat.agent for seat in seats],
        limits=[seat.limit for seat in seats],
    )
    return {row.id: row.attempt for row in rows}


def record(
    cur: cursor,
    tenant: str,
    policy: str,
    candidates: Sequence[Mapping[str, Any]],
    crew: Mapping[str, int],
    passed_over: Mapping[str, str],
    seats: Sequence[Seat],
) -> dict[str, int]:
    """Why these seats: the candidates at the start of the round and how many agents there were, then the picks in
    order. Gives agent → open seats."""
    rows = LINE.all(
        cur,
        "record",
        tenant=tenant,
        policy=policy,
        candidates=json.dumps(list(candidates)),
        crew=json.dumps(dict(crew)),
        passed_over=json.dumps(dict(passed_over)),
        visits=[seat.visit for seat in seats],
        agents=[seat.agent for seat in seats],
        loads=[seat.load_before for seat in seats],
        limits=[seat.limit for seat in seats],
    )
    return {row.id: row.open_seats for row in rows}


def seats_of(cur: cursor, tenant: str, agents: Sequence[str]) -> dict[str, int]:
    """Open seats of these agents, as the ledger counts them."""
    if not agents:
        return {}
    return {row.id: row.open_seats for row in LINE.all(cur, "seats_of", tenant=tenant, agents=list(agents))}
