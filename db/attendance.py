"""Which customers have a page open, in PostgreSQL: a row for each customer and sidecar that has a page of theirs, which
counts while that sidecar lives. After `sessions`, where who is gone leaves the queue; the SQL is in
`queries/attendance.sql`. Every function runs in the caller's transaction.
"""

from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import cursor

from db.postgres import Statements

ATTENDANCE = Statements("attendance")


def write(cur: cursor, for_s: Mapping[int, float | None], sidecar: str) -> list[Any]:
    """Of these sessions, whose page there is open: None for as long as the sidecar lives, else for so many seconds; 0
    or less: for none. Gives (tenant, room, here, seen_at) of those that are open, by tenant."""
    here = [one for one, left_s in for_s.items() if left_s is None or left_s > 0]
    away = sorted(set(for_s).difference(here))
    if here:
        ATTENDANCE.run(cur, "is_back", sessions=here)
        ATTENDANCE.run(cur, "come", sessions=here, for_s=[for_s[one] for one in here], sidecar=sidecar)
    if away:
        ATTENDANCE.run(cur, "go", sessions=away, sidecar=sidecar)
    return ATTENDANCE.all(cur, "shown", sessions=list(for_s))


def see_off(cur: cursor) -> None:
    """The pages of sidecars that will soon be forgotten."""
    ATTENDANCE.run(cur, "go_all", sidecar="")


def go_all(cur: cursor, sidecar: str) -> None:
    """It stops: no page is open there."""
    ATTENDANCE.run(cur, "go_all", sidecar=sidecar)
    ATTENDANCE.run(cur, "forget", sidecar=sidecar)


def gone(cur: cursor, most: int, tenant: str | None = None, room: str | None = None, **times: float) -> list[Any]:
    """(tenant, room, is_out) of customers who wait without a page for too long. `times`: gone_s, return_s, life_s."""
    return ATTENDANCE.all(cur, "gone", tenant=tenant, room=room, most=most, **times)
