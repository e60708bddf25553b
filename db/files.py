"""Attachments in PostgreSQL: their rows, written with the message (db/chat.py), for who serves and sweeps the files.
Every function runs in the caller's transaction. The SQL is in `queries/files.sql`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor

from db.postgres import Statements

FILES = Statements("files")


class Attachment(NamedTuple):
    """A stored file. `type` is by its content."""

    id: str
    name: str
    type: str
    size: int


class Place(NamedTuple):
    """The message that an attachment belongs to."""

    tenant: str
    session: int
    seq: int


def put(cur: cursor, files: Sequence[tuple[Attachment, Place]]) -> None:
    if not files:
        return
    FILES.run(
        cur,
        "put",
        ids=[file.id for file, _ in files],
        tenants=[place.tenant for _, place in files],
        sessions=[place.session for _, place in files],
        seqs=[place.seq for _, place in files],
        names=[file.name for file, _ in files],
        types=[file.type for file, _ in files],
        sizes=[file.size for file, _ in files],
    )


def for_customer(cur: cursor, own: str, key_digest: bytes) -> Attachment | None:
    """None: no such file, or it is not of the session that this key opens."""
    row = FILES.one(cur, "for_customer", id=own, digest=key_digest)
    return Attachment(*row) if row else None


def for_agent(cur: cursor, own: str, tenant: str) -> Attachment | None:
    """None: no such file, or it is another tenant's."""
    row = FILES.one(cur, "for_agent", id=own, tenant=tenant)
    return Attachment(*row) if row else None


def known(cur: cursor, ids: Sequence[str]) -> set[str]:
    """Those that have a row."""
    return {row.id for row in FILES.all(cur, "known", ids=list(ids))}
