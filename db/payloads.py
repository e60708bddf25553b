"""How the chat is told: rows and sessions as REST and sockets show them. After `chat`, which reads and writes them."""

from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import cursor

from db import files
from db.announce import News
from db.chat import CHAT, NEW, Message

AS_THEY_ARE = (
    *("status", "position", "ended_by", "last_seq", "agent_read", "customer_read", "customer_got", "unread"),
    *("answered", "rating", "rating_comment", "queue", "topic"),
)
MOMENTS = ("gone_at", "created_at", "started_at", "ended_at")
EVENTS = ("started", "assigned", "transferred", "released", "left", "returned", "ended")


def iso(at: datetime | None) -> str | None:
    """`2026-01-31T09:30:00.000Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z" if at else None


def payload_of(message: Message, with_client_id: bool = False) -> dict[str, Any]:
    """A row as REST and `chat.message.new` show it. The `client_id` is for its own sender only."""
    payload: dict[str, Any] = {
        "session_id": message.room,
        "id": message.id,
        "seq": message.seq,
        "body": message.body,
        "sender_type": message.sender_type,
        "sender_id": message.sender_id,
        "sender_name": message.sender_name,
        "created_at": iso(message.created_at),
        "attachments": [files.shown(file) for file in message.attachments],
    }
    if message.event:
        payload["event"] = message.event
    if with_client_id and message.client_id != message.id:
        payload["client_id"] = message.client_id
    return payload


def news_of(message: Message) -> News:
    """A row as it is told; sidecars take the `client_id` out for all but its sender. A happening: see `happened`."""
    return News(message.room, NEW, payload_of(message, with_client_id=True), "room", message.seq)


def happened(cur: cursor, message: Message) -> list[News]:
    """All that is to be told of a row: of a happening, the row and what the contract calls it, with the session for
    agents. Ask in the transaction that made it, or later."""
    told = [news_of(message)]
    event = message.event or {}
    if event.get("type") not in EVENTS:
        return told
    about = {"session_id": message.room, **{name: value for name, value in event.items() if name != "type"}}
    kind = f"chat.session.{event['type']}"
    session = session_payload(session_row(cur, message.tenant, message.room))
    about["customer_name"] = session["customer"]["name"]
    about["agent_name"] = session["agent"]["name"] if session["agent"] else None
    told.append(News(message.room, kind, about, "customer", message.seq))
    told.append(News(message.room, kind, {**about, "session": session}, "agents", message.seq))
    if event["type"] in ("assigned", "transferred"):
        joined = {"session_id": message.room, "agent_id": event["agent_id"], "name": event["name"]}
        told.append(News(message.room, "chat.agent.joined", joined, "room", message.seq))
    return told


def session_view(cur: cursor, tenant: str, room: str) -> dict[str, Any] | None:
    """The session as agents see it."""
    row = session_row(cur, tenant, room)
    return session_payload(row) if row else None


def session_row(cur: cursor, tenant: str, room: str) -> Any:
    """The same as a row."""
    return CHAT.one(cur, "session", tenant=tenant, room=room)


def session_payload(row: Any) -> dict[str, Any]:
    """A row with the columns of block `session`, as agents see it."""
    last = {
        "seq": row.last_message_seq,
        "body": row.last_message_body,
        "sender_type": row.last_message_sender,
        "created_at": iso(row.last_message_at),
    }
    return {
        "session_id": row.room,
        **{name: getattr(row, name) for name in AS_THEY_ARE},
        **{name: iso(getattr(row, name)) for name in MOMENTS},
        "customer": customer_payload(row) | {"here": row.customer_here, "seen_at": iso(row.seen_at)},
        "agent": {"agent_id": row.agent, "name": row.agent_name} if row.agent else None,
        "last_message": last if row.last_message_seq else None,
    }


def customer_payload(row: Any) -> dict[str, Any]:
    """Of a row with the columns `customer` and `customer_…`."""
    named = {name: getattr(row, f"customer_{name}") for name in ("name", "email", "proved")}
    return {"id": row.customer, **named}
