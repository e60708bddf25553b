"""Attachments in PostgreSQL for who serves and sweeps the files; their rows are written with the message (db/chat.py).
Every function runs in the caller's transaction. The SQL is in `queries/files.sql`.
"""

from collections.abc import Sequence

from psycopg2.extensions import cursor

from db.chat import Attachment, digest
from db.postgres import Statements

FILES = Statements("files")


def for_customer(cur: cursor, own: str, key: str) -> Attachment | None:
    """None: no such file, or it is not of the session that this key opens."""
    row = FILES.one(cur, "for_customer", id=own, digest=digest(key))
    return Attachment(*row) if row else None


def for_agent(cur: cursor, own: str, tenant: str) -> Attachment | None:
    """None: no such file, or it is another tenant's."""
    row = FILES.one(cur, "for_agent", id=own, tenant=tenant)
    return Attachment(*row) if row else None


def known(cur: cursor, ids: Sequence[str]) -> set[str]:
    """Those that have a row."""
    return {row.id for row in FILES.all(cur, "known", ids=list(ids))}
