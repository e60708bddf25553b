"""The ledger in PostgreSQL: the line, its seats, looks, rosters, refusals, circuits, drift, figures. The SQL, with its
reasons, is in `queries/line.sql`, `routing.sql`, `ledger.sql` and `refusals.sql`; callers name the block.
"""

from typing import Any

from psycopg2.extensions import cursor

from db.postgres import Statements

LEDGER = Statements("line", "routing", "ledger", "refusals")
NATIVE_DESK = "native"  # `tenants.desk` of our own chat
ROSTER_LEAST_S = 1.0  # a desk that is never late is believed for so long: to read a roster and decide takes a time too
WORKER_LOCK_CLASS = 7_461_921  # advisory locks (class, worker id): held while the worker lives


def roster_s(lag_s: float) -> float:
    """How old a roster may be when a seat is given on its word."""
    return max(lag_s, ROSTER_LEAST_S)


def lock(cur: cursor, tenant: str) -> Any:
    """The tenant's row, locked until the transaction ends; None where there is no such tenant."""
    return LEDGER.one(cur, "lock", tenant=tenant)
