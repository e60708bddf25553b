"""Definite refusals in PostgreSQL: what each says of its room and its agent. The SQL, with its reasons, is in
`queries/refusals.sql`; callers name the block. All of it runs under the tenant's row lock.
"""

from db.postgres import Statements

REFUSALS = Statements("refusals")
