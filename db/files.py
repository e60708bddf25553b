"""Attachments in PostgreSQL: their rows, written with the message (db/chat.py), for who serves and sweeps the files.
Every function runs in the caller's transaction. The SQL is in `queries/files.sql`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.postgres import Statements, columns

FILES = Statements("files")
PUT = ("id", "name", "type", "size", "preview_width", "preview_height")


class Attachment(NamedTuple):
    """A stored file. `type` is by its content. The size of a picture's preview is None where none was made yet, and 0
    where none can be made."""

    id: str
    name: str
    type: str
    size: int
    preview_width: int | None = None
    preview_height: int | None = None


class Place(NamedTuple):
    """The message that an attachment belongs to."""

    tenant: str
    session: int
    seq: int


def put(cur: cursor, files: Sequence[tuple[Attachment, Place]]) -> None:
    if not files:
        return
    values = {**columns([file for file, _ in files], PUT), **columns([place for _, place in files], Place._fields)}
    FILES.run(cur, "put", **values)


def shown(file: Attachment) -> dict[str, Any]:
    """A file as the API tells it. Its preview's width and height are null where it is made when it is asked for."""
    url = f"/api/v1/files/{file.id}"
    told = {"id": file.id, "name": file.name, "type": file.type, "size": file.size, "url": url, "preview": None}
    if may_be_shown(file):
        told["preview"] = {"url": f"{url}/preview", "width": file.preview_width, "height": file.preview_height}
    return told


def may_be_shown(file: Attachment) -> bool:
    """A picture that a page may have; everything else is for saving."""
    return file.type.startswith("image/") and file.preview_width != 0


def of_session(cur: cursor, session: int) -> tuple[int, int]:
    """How many files a chat has, and their bytes."""
    row = FILES.one(cur, "of_session", session=session)
    return row.files, row.bytes


def of_tenant(cur: cursor, tenant: str) -> int:
    """The bytes of all files of a tenant, without previews."""
    size: int = FILES.one(cur, "of_tenant", tenant=tenant).bytes
    return size


def of_tenants(cur: cursor) -> dict[str, int]:
    return {row.tenant: row.bytes for row in FILES.all(cur, "of_tenants")}


def set_preview(cur: cursor, own: str, width: int, height: int) -> None:
    FILES.run(cur, "set_preview", id=own, width=width, height=height)


def of_chat(cur: cursor, own: str, session: int) -> Attachment | None:
    """None: no such file, or it is not of this session."""
    row = FILES.one(cur, "of_chat", id=own, session=session)
    return Attachment(*row) if row else None


def by_id(cur: cursor, own: str) -> Attachment | None:
    """For who has a ticket for it."""
    row = FILES.one(cur, "by_id", id=own)
    return Attachment(*row) if row else None


def among(cur: cursor, session: int, ids: Sequence[str]) -> list[str]:
    """Those that are files of this session."""
    return [row.id for row in FILES.all(cur, "among", session=session, ids=list(ids))]


def for_agent(cur: cursor, own: str, tenant: str) -> Attachment | None:
    """None: no such file, or it is another tenant's."""
    row = FILES.one(cur, "for_agent", id=own, tenant=tenant)
    return Attachment(*row) if row else None


def known(cur: cursor, ids: Sequence[str]) -> set[str]:
    """Those that have a row."""
    return {row.id for row in FILES.all(cur, "known", ids=list(ids))}
