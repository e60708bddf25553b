"""What the admin tool asks of PostgreSQL. The SQL is in `queries/admin.sql`; callers name the block."""

from db.postgres import Statements

ADMIN = Statements("admin")
