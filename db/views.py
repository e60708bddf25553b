"""What people see of the ledger. The SQL is in `queries/views.sql`; `views/` names the block."""

from db.postgres import Statements

VIEWS = Statements("views")
