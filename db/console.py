"""What agents look at in PostgreSQL beside the chat itself: lists, search, notes, canned replies, colleagues. Every
function runs in the caller's transaction and sees one tenant. The SQL is in `queries/console.sql`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import cursor

from db import payloads
from db.postgres import Statements
from db.search import CLOSES, OPENS, Asked, asked, snippet

CONSOLE = Statements("console")
VISITS_MOST = 20  # earlier sessions shown beside one
OPEN = ("waiting", "active")


def sessions(
    cur: cursor,
    tenant: str,
    most: int,
    *,
    statuses: Sequence[str] | None = None,
    agent: str | None = None,
    q: str | None = None,
    before: int | None = None,
    customer: int | None = None,
    rooms: Sequence[str] | None = None,
) -> list[Any]:
    """Rows for `payloads.session_payload`, newest first. `q`: part of the customer's name or e-mail, or a session's id;
    `before`: the number (`id`) of the last row of the page before."""
    return CONSOLE.all(
        cur,
        "sessions",
        tenant=tenant,
        most=most,
        statuses=None if statuses is None else list(statuses),
        agent=agent,
        q=f"%{escaped(q)}%" if q else None,
        room=q,
        before=before,
        customer=customer,
        rooms=None if rooms is None else list(rooms),
    )


def queue(cur: cursor, tenant: str, most: int) -> tuple[list[dict[str, Any]], int]:
    """The waiting sessions as agents see them, in the order of the line, and how many wait, with those behind them."""
    line = CONSOLE.all(cur, "line", tenant=tenant, most=most)
    if not line:
        return [], 0
    rows = sessions(cur, tenant, most, rooms=[row.room for row in line])
    known = {row.room: payloads.session_payload(row) for row in rows if row.status == "waiting"}
    shown = [known[row.room] for row in line if row.room in known]  # others have just left it
    return shown, line[0].waiting - len(line) + len(shown)


def earlier(cur: cursor, tenant: str, customer: int, room: str) -> list[dict[str, Any]]:
    """The customer's other sessions, newest first."""
    rows = sessions(cur, tenant, VISITS_MOST + 1, customer=customer)
    return [payloads.session_payload(row) for row in rows if row.room != room][:VISITS_MOST]


def notes(cur: cursor, tenant: str, room: str) -> list[dict[str, Any]]:
    return [_note(row) for row in CONSOLE.all(cur, "notes", tenant=tenant, room=room)]


def count_notes(cur: cursor, tenant: str, room: str) -> int:
    number: int = CONSOLE.one(cur, "count_notes", tenant=tenant, room=room).n
    return number


def add_note(cur: cursor, tenant: str, room: str, agent: str, agent_name: str, body: str) -> dict[str, Any] | None:
    """None where the tenant has no such session."""
    values = {"agent": agent, "agent_name": agent_name, "body": body}
    row = CONSOLE.one(cur, "add_note", tenant=tenant, room=room, **values)
    return _note(row) if row else None


def search(cur: cursor, tenant: str, q: str, most: int) -> tuple[list[dict[str, Any]], bool]:
    """Messages with these words (as in a web search: "a phrase", or, -not), also in the names of their files, newest
    first, and whether there are more. The last word may be the beginning of one."""
    wanted = asked(q)
    rows = CONSOLE.all(cur, "search", tenant=tenant, query=wanted.query, open=wanted.is_open, most=most + 1)
    return [_found(row, wanted) for row in rows[:most]], len(rows) > most


def canned(cur: cursor, tenant: str) -> list[dict[str, str]]:
    return [row._asdict() for row in CONSOLE.all(cur, "canned", tenant=tenant)]


def replace_canned(cur: cursor, tenant: str, replies: Mapping[str, str]) -> None:
    """These instead of all there were."""
    CONSOLE.run(cur, "drop_canned", tenant=tenant)
    if replies:
        values = {"shortcuts": list(replies), "bodies": list(replies.values())}
        CONSOLE.run(cur, "put_canned", tenant=tenant, **values)


def agents(cur: cursor, tenant: str) -> list[Any]:
    """(agent, name, email, role, disabled, load, presence)"""
    return CONSOLE.all(cur, "agents", tenant=tenant)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _note(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "agent_id": row.agent,
        "agent_name": row.agent_name,
        "body": row.body,
        "created_at": payloads.iso(row.created_at),
    }


def _found(row: Any, wanted: Asked) -> dict[str, Any]:
    return {
        "session_id": row.room,
        "customer": payloads.customer_payload(row),
        "message": {
            "id": row.id,
            "seq": row.seq,
            "body": row.body,
            "sender_type": row.sender_type,
            "sender_name": row.sender_name,
            "created_at": payloads.iso(row.created_at),
        },
        "snippet": snippet(row.body, wanted) if row.file is None else f"{OPENS}{row.file}{CLOSES}",
    }
