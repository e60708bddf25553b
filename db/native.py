"""What the worker's native desk asks of PostgreSQL. The SQL is in `queries/native.sql`; callers name the block."""

from db.postgres import Statements

NATIVE = Statements("native")
