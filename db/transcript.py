"""A chat to keep, as text or as JSON: for its customer, for agents and for the admin tool. Without private notes.

Reads in the caller's transaction, part by part, so that a long chat never stands in the way of others.
"""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

from db import chat, payloads
from db.chat import Message

PARTS_MOST = 40  # of one transcript, 500 messages or 256 KiB each; a chat longer than that is cut, and says so

Transcript = dict[str, Any]


def read(cur: cursor, tenant: str, room: str, parts_most: int | None = PARTS_MOST) -> Transcript | None:
    """The session and its messages as JSON has them, at most so many parts (None: all); None where the tenant has no
    such session."""
    view, session = payloads.session_view(cur, tenant, room), chat.by_room(cur, tenant, room)
    if view is None or session is None:
        return None
    rows: list[Message] = []
    parts, more = 0, True
    while more and (parts_most is None or parts < parts_most):
        part, more = chat.page_after(cur, session, rows[-1].seq if rows else 0)
        rows += part
        parts += 1
    customer = {name: view["customer"][name] for name in ("name", "email")}
    told = ("session_id", "status", "agent", "created_at", "started_at", "ended_at", "ended_by", "rating")
    return {
        **{name: view[name] for name in told},
        "customer": customer,
        "messages": [payloads.payload_of(row) for row in rows],
        "complete": not more,
    }


def as_text(transcript: Transcript) -> str:
    """For people: one line a message, UTC."""
    customer = transcript["customer"]
    head = [f"Chat {transcript['session_id']} with {customer['name']} <{customer['email']}>"]
    head.append(f"Began {_at(transcript['created_at'])}")
    if transcript["ended_at"]:
        head.append(f"Ended {_at(transcript['ended_at'])}")
    if transcript["rating"]:
        head.append(f"Rated {transcript['rating']} of 5")
    cut = [] if transcript["complete"] else ["… (the rest is left out)"]
    return "\n".join([*head, "All times are UTC", "", *map(_line, transcript["messages"]), *cut]) + "\n"


def _line(message: dict[str, Any]) -> str:
    files = [f"[file: {file['name']}, {_size(file['size'])}]" for file in message["attachments"]]
    text = "\n    ".join([*message["body"].splitlines(), *files])
    if message["sender_type"] == "system":
        return f"{_at(message['created_at'])}  * {text}"
    name = message["sender_name"] or message["sender_type"].capitalize()
    if message["sender_type"] == "customer" and message["body"] == chat.WANTS_PERSON:
        return f"{_at(message['created_at'])}  * {name} asked for a person"
    return f"{_at(message['created_at'])}  {name}: {text}"


def _at(iso: str) -> str:
    """`2026-01-31 09:30:00` of `2026-01-31T09:30:00.000Z`."""
    return iso[:19].replace("T", " ")


def _size(number: int) -> str:
    if number < 1000:
        return f"{number} bytes"
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.0f} KB"


def file_name(room: str, kind: str) -> str:
    return f"chat-{room}.{kind}"


FORMATS: Sequence[str] = ("txt", "json")
