"""Events out in PostgreSQL: a tenant's hooks, and the outbox of what their receivers are still to be told.

Before: `turn` writes what happened in the transaction that did it. After: a worker posts it (`worker/hooks/loop.py`).
Every function runs in the caller's transaction; the SQL is in `queries/hooks.sql`.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import cursor

from db.postgres import Statements

HOOKS = Statements("hooks")

ASSIGNED = "visit.assigned"
RESOLVED = "visit.resolved"
MISSED = "target.missed"
PAUSED = "desk.paused"
RECOVERED = "desk.recovered"
QUARANTINED = "room.quarantined"
KINDS = (ASSIGNED, RESOLVED, MISSED, PAUSED, RECOVERED, QUARANTINED)
TEST = "hook.test"  # asked for by hand, of one hook

SECRET_PREFIX = "whsec_"  # noqa: S105 - of Standard Webhooks
SECRET_BYTES = 32
OF_TENANT_MOST = 5
WAITING_MOST = 10_000  # events of one hook; the oldest of more are dropped
PRUNE_MOST = 10_000
MISSES_MOST = 500


def write(cur: cursor, tenant: str, happened: Sequence[tuple[str, int | None]]) -> None:
    """(kind, visit), in order; None: of the desk. Nothing where no hook gets them."""
    kinds, visits = zip(*happened, strict=True)
    HOOKS.run(cur, "write", tenant=tenant, kinds=list(kinds), visits=list(visits))


def miss_targets(cur: cursor, tenant: str, targets: Mapping[str, int], target_s: int) -> int:
    """Writes which visits have waited for longer than their queue's target, once each; how many. `target_s`: of a queue
    without one."""
    queues = {"queues": list(targets), "targets": list(targets.values())}
    rows = HOOKS.all(cur, "miss_targets", tenant=tenant, target_s=target_s, most=MISSES_MOST, **queues)
    if rows:
        write(cur, tenant, [(MISSED, row.id) for row in rows])
    return len(rows)


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def add(cur: cursor, tenant: str, url: str, secret: str, events: Sequence[str]) -> int | None:
    """Its number; None where the tenant has this URL, or as many hooks as it may."""
    values = {"url": url, "secret": secret, "events": list(events)}
    row = HOOKS.one(cur, "add", tenant=tenant, most=OF_TENANT_MOST, **values)
    return int(row.id) if row else None


def all_of(cur: cursor, tenant: str | None) -> list[Any]:
    """Without their secrets. None: of all tenants."""
    return HOOKS.all(cur, "hooks", tenant=tenant)
