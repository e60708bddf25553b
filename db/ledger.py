"""The ledger in PostgreSQL: the line, its seats, looks, rosters, refusals, circuits, drift, figures. The SQL, with its
reasons, is in `queries/line.sql`, `routing.sql`, `ledger.sql` and `refusals.sql`; callers name the block.
"""

from typing import Any

from psycopg2.extensions import cursor

from db.postgres import Statements

LEDGER = Statements("line", "routing", "ledger", "refusals")
NATIVE_DESK = "native"  # `tenants.desk` of our own chat
WORKER_LOCK_CLASS = 7_461_921  # advisory locks (class, worker id): held while the worker lives


def lock(cur: cursor, tenant: str) -> Any:
    """The tenant's row, locked until the transaction ends; None where there is no such tenant."""
    return LEDGER.one(cur, "lock", tenant=tenant)
