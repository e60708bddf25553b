"""Reads one tenant's line, for `line` and `why`. What it means is in `waits`, how it looks in `line_text`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

from db import inbox
from db.admin import ADMIN
from db.ledger import WORKER_LOCK_CLASS
from scripts.admin import crew
from scripts.admin.crew import Member
from scripts.admin.installation import Installation
from scripts.admin.waits import Class, Desk
from worker.rules import ROSTER_LEAST_S


@dataclass(frozen=True)
class Line:
    """`waiting` are rows of the block `waiting`, in order, the first ones; `counts` and `drifts` of theirs."""

    tenant: str
    now: datetime
    desk: Desk
    counts: Any
    waiting: list[Any]
    classes: Mapping[str, Class]
    team: Mapping[str, Member]
    drifts: list[Any]


def read(installation: Installation, cur: cursor, tenant: str, most: int | None, room: str | None = None) -> Line:
    """`most` None: all that wait; `room`: only this one, with its place."""
    counts = ADMIN.one(cur, "counts", tenant=tenant)
    waiting = ADMIN.all(cur, "waiting", tenant=tenant, room=room, most=most)
    return Line(
        tenant=tenant,
        now=ADMIN.one(cur, "now").at,
        desk=_desk(installation, cur, tenant, counts),
        counts=counts,
        waiting=waiting,
        classes=classes(cur, tenant, {row.class_ for row in waiting}),
        team={member.id: member for member in crew.read(installation, cur, tenant)},
        drifts=ADMIN.all(cur, "drifts", tenant=tenant),
    )


def classes(cur: cursor, tenant: str, names: Iterable[str]) -> dict[str, Class]:
    rows = ADMIN.all(cur, "classes", tenant=tenant, classes=sorted(names))
    return {
        row.class_: Class(row.class_, row.read_at, row.due_at, row.suggested, tuple(row.online), tuple(row.named))
        for row in rows
    }


def _desk(installation: Installation, cur: cursor, tenant: str, counts: Any) -> Desk:
    away = installation.redis_away()
    return Desk(
        failures=counts.desk_failures,
        trouble=counts.desk_trouble,
        paused_until=counts.paused_until,
        workers=workers(cur),
        inbox=0 if away else installation.redis.xlen(inbox.key(tenant, "inbox")),
        redis_away=away,
        policy=installation.settings.allocation_policy,
        believe_s=max(installation.settings.desk_lag_seconds, ROSTER_LEAST_S),
    )


def workers(cur: cursor) -> int:
    """How many worker processes live."""
    return ADMIN.one(cur, "workers", lock_class=WORKER_LOCK_CLASS).alive
