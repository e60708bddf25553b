"""The ledger in PostgreSQL beside the line: seats settled, looks, rosters, circuits, drift, figures. The SQL, with its
reasons, is in `queries/ledger.sql`; callers name the block.
"""

from db.postgres import Statements

LEDGER = Statements("ledger")
WORKER_LOCK_CLASS = 7_461_921  # advisory locks (class, worker id): held while the worker lives
