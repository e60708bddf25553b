"""The chat in PostgreSQL: sessions, and their rows in one gapless order. Every function runs in the caller's
transaction. The SQL, with its reasons, is in `queries/chat.sql`; `payloads` tells both.

A session is named by its room (`session_id` in the API); `Session.id` is the row's number and stays inside.
"""

import hashlib
import json
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import files
from db.files import Attachment, Place
from db.people import Agent
from db.postgres import Statements, columns

CHAT = Statements("chat")
WANTS_PERSON = "/person"  # what the customer's button sends; the pages' word (thread.js)
BOT_GOODBYE = "quiet"  # the bot's last word has this `client_id`
CLASS = "native"  # visits.class and visits.source of our own sessions
NEW = "chat.message.new"
SEND = ("session", "sender_type", "sender_id", "client_id")
MARKS = ("customer_got", "customer_read", "agent_got", "agent_read")
KEY_LIFE_S = 24 * 3600.0  # after a chat's end its key opens it for so long: for the transcript, the rating, a last look
PAGE_ROWS = 500
PAGE_BYTES = 256 * 1024  # of texts in one page: a message has 40 KB at most, and many readers may ask at once


class Session(NamedTuple):
    """The little that a request or a socket needs to know of a session."""

    id: int
    tenant: str
    room: str
    status: str
    agent: str | None
    last_seq: int
    wants_person: bool
    customer_name: str
    gone: bool = False  # out of the line until its customer comes back


class Draft(NamedTuple):
    """A message before it is stored. Make it with `draft`: its `client_id` is never empty, so that writing it twice
    is harmless.

    anywhere  an agent who may write into colleagues' chats (supervisor, admin)
    """

    session: int
    id: str
    sender_type: str
    sender_id: str
    sender_name: str
    client_id: str
    body: str
    event: dict[str, Any] | None = None
    attachments: tuple[Attachment, ...] = ()
    anywhere: bool = False


class Message(NamedTuple):
    """A stored row. `fresh`: stored just now; else the same send was stored before."""

    tenant: str
    room: str
    seq: int
    id: str
    sender_type: str
    sender_id: str
    sender_name: str
    client_id: str
    body: str
    event: dict[str, Any] | None
    created_at: datetime
    attachments: tuple[Attachment, ...] = ()
    fresh: bool = True


class Page(NamedTuple):
    """A piece of a room's rows. `more`: others follow."""

    rows: list[Message]
    more: bool


class NotTaken(NamedTuple):
    """Why a draft was not stored: `session_ended`, `not_yours`, `not_found`, `not_waiting` (a bot came too late, or a
    person was asked for)."""

    code: str


def new_room() -> str:
    return f"s{secrets.token_hex(10)}"


def new_key() -> str:
    """A customer's session key: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """How a session key is kept."""
    return hashlib.sha256(key.encode()).digest()


def draft(
    session: int,
    sender_type: str,
    body: str,
    *,
    sender_id: str = "",
    sender_name: str = "",
    client_id: str | None = None,
    event: dict[str, Any] | None = None,
    attachments: Sequence[Attachment] = (),
    anywhere: bool = False,
) -> Draft:
    """`sender_id`: the agent's id, '' for all others."""
    own = f"m{random.getrandbits(80):020x}"  # no secret: asking the system for each message costs the loop an eighth
    send = (sender_type, sender_id, sender_name, client_id or own, body)
    return Draft(session, own, *send, event, tuple(attachments), anywhere)


def from_customer(session: Session, body: str, client_id: str | None, attachments: Sequence[Attachment] = ()) -> Draft:
    name = session.customer_name
    return draft(session.id, "customer", body, sender_name=name, client_id=client_id, attachments=attachments)


def from_agent(
    session: int, agent: Agent, body: str, client_id: str | None, attachments: Sequence[Attachment] = ()
) -> Draft:
    return draft(
        session,
        "agent",
        body,
        sender_id=agent.agent_id,
        sender_name=agent.name,
        client_id=client_id,
        attachments=attachments,
        anywhere=agent.is_supervisor,
    )


# --- sessions


def tenants(cur: cursor) -> list[Any]:
    """(id, name, color) of the tenants with our own desk."""
    return CHAT.all(cur, "tenants")


def by_key(cur: cursor, key: str) -> Session | None:
    row = CHAT.one(cur, "by_key", digest=digest(key), key_life_s=KEY_LIFE_S)
    return Session(*row) if row else None


def by_room(cur: cursor, tenant: str, room: str) -> Session | None:
    row = CHAT.one(cur, "by_room", tenant=tenant, room=room)
    return Session(*row) if row else None


def proof_key(cur: cursor, tenant: str) -> str | None:
    """With which the site that embeds the widget vouches for an e-mail address."""
    row = CHAT.one(cur, "identity_secret", tenant=tenant)
    secret: str | None = row.identity_secret
    return secret


def rate(cur: cursor, session: int, rating: int, comment: str | None) -> Any:
    """(tenant, room, rating, rating_comment)"""
    return CHAT.one(cur, "rate", session=session, rating=rating, comment=comment)


def mark(cur: cursor, marks: Mapping[int, Mapping[str, int]]) -> tuple[list[Any], set[int]]:
    """How far sessions were delivered and read, by `MARKS`. Gives the rows of which something has risen, as they are
    now, with what they were; and the sessions that somebody has locked, whose turn comes later."""
    busy = locked_by_others(cur, marks)
    sessions = sorted(set(marks) - busy)
    values = {kind: [marks[session][kind] for session in sessions] for kind in MARKS}
    return CHAT.all(cur, "mark", sessions=sessions, **values), busy


# --- how far rooms are


def heads(cur: cursor, tenant: str, rooms: Sequence[str]) -> list[Any]:
    """(tenant, room, last_seq, ended) of the open rooms of a tenant, and of these."""
    return CHAT.all(cur, "heads", tenant=tenant, rooms=list(rooms))


def ahead(cur: cursor, tenants: Sequence[str], heard: Sequence[tuple[str, str, int]]) -> list[Any]:
    """The same of rooms that are further than (tenant, room, seq), and of the tenants' open rooms beside them."""
    known_tenants, rooms, afters = (" ".join(str(place[n]) for place in heard) for n in range(3))
    values = {"known_tenants": known_tenants, "rooms": rooms, "afters": afters}
    return CHAT.all(cur, "ahead", tenants=list(tenants), **values)


# --- rows


def add_messages(cur: cursor, drafts: Sequence[Draft]) -> list[Message | NotTaken]:
    """Store all drafts at once, in their order; the answers in the same order. A send that was stored before answers
    with its first row."""
    locked = {row.id: row for row in CHAT.all(cur, "lock_sessions", sessions=sorted({d.session for d in drafts}))}
    refusals = [_refusal(locked.get(d.session), d) for d in drafts]
    stored = _add(cur, _known_or_allowed(cur, drafts, refusals))
    answers: list[Message | NotTaken] = []
    for one, refusal in zip(drafts, refusals, strict=True):
        row = stored.get(_send(one))
        answers.append(_message(locked[one.session], one, row) if row else NotTaken(refusal or "not_found"))
    _attach(cur, drafts, answers)
    return answers


def locked_by_others(cur: cursor, sessions: Iterable[int]) -> set[int]:
    """Takes the locks of all the others, without waiting for anybody."""
    rows = CHAT.all(cur, "lock_free_sessions", sessions=sorted(set(sessions)))
    return {row.id for row in rows if not row.free}


def add_event(cur: cursor, tenant: str, room: str, event: dict[str, Any], body: str) -> Message:
    """A happening as a row of the room: `event` has a `type` (one of `EVENTS`, wants_person, or notice: what
    the rules say to who waits), `body` says it in plain English; a notice is its text. Tell it with `happened`."""
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    answer = add_messages(cur, [draft(session.id, "system", body, event=event)])[0]
    assert isinstance(answer, Message)
    return answer


def page_after(cur: cursor, session: Session, after: int, most: int = PAGE_ROWS) -> Page:
    """The rows of one room with a higher seq, in order: at most so many, and none beyond `PAGE_BYTES`."""
    rows = CHAT.all(cur, "rows_after", session=session.id, after=after, most=most, most_bytes=PAGE_BYTES)
    return Page([_of_row(session.tenant, session.room, row) for row in rows], bool(rows) and rows[-1].more)


def rows_of_rooms(cur: cursor, wanted: Iterable[tuple[str, str, int]], most: int = 500) -> list[Message]:
    """The same for several rooms: (tenant, room, after)."""
    asked = list(wanted)
    tenants, rooms, afters = ([place[n] for place in asked] for n in range(3))
    rows = CHAT.all(cur, "rows_of_rooms", tenants=tenants, rooms=rooms, afters=afters, most=most)
    return [_of_row(row.tenant, row.room, row) for row in rows]


def _refusal(session: Any, one: Draft) -> str | None:
    if session is None:
        return "not_found"
    if one.sender_type == "system":
        return None
    if session.status == "ended":
        return "session_ended"
    if one.sender_type == "bot" and not _hears_bot(session, one):
        return "not_waiting"
    if one.sender_type == "agent" and not one.anywhere and session.agent != one.sender_id:
        return "not_yours"
    return None


def _hears_bot(session: Any, one: Draft) -> bool:
    """It may have been under way when a person was asked for: then only its last word counts."""
    return session.status == "waiting" and (not session.wants_person or one.client_id == BOT_GOODBYE)


def _known_or_allowed(cur: cursor, drafts: Sequence[Draft], refusals: Sequence[str | None]) -> list[Draft]:
    """What is refused now may be stored already: then the answer of that time is repeated."""
    allowed = [one for one, refusal in zip(drafts, refusals, strict=True) if refusal is None]
    refused = [one for one, refusal in zip(drafts, refusals, strict=True) if refusal is not None]
    if not refused:
        return allowed
    known = {tuple(row) for row in CHAT.all(cur, "known", **columns(refused, SEND))}
    return allowed + [one for one in refused if _send(one) in known]


def _send(one: Any) -> tuple[int, str, str, str]:
    """What makes a send the same one, in a draft and in a row."""
    return one.session, one.sender_type, one.sender_id, one.client_id


def _add(cur: cursor, drafts: Sequence[Draft]) -> dict[tuple[int, str, str, str], Any]:
    if not drafts:
        return {}
    events = [json.dumps(one.event) if one.event else None for one in drafts]
    rows = CHAT.all(cur, "add", events=events, **columns(drafts, (*SEND, "id", "sender_name", "body")))
    return {_send(row): row for row in rows}


def _message(session: Any, one: Draft, row: Any) -> Message:
    fresh = row.fresh and row.id == one.id  # the second of two equal sends in one batch is not
    said = (one.sender_type, one.sender_id, one.sender_name, one.client_id)
    text, at = row.body, row.created_at  # of the first send
    return Message(session.tenant, session.room, row.seq, row.id, *said, text, one.event, at, one.attachments, fresh)


def _attach(cur: cursor, drafts: Sequence[Draft], answers: Sequence[Message | NotTaken]) -> None:
    fresh = [(d, a) for d, a in zip(drafts, answers, strict=True) if isinstance(a, Message) and a.fresh]
    files.put(cur, [(file, Place(a.tenant, d.session, a.seq)) for d, a in fresh for file in d.attachments])


def _of_row(tenant: str, room: str, row: Any) -> Message:
    said = (row.sender_type, row.sender_id, row.sender_name, row.client_id or row.id)
    attachments = tuple(Attachment(**file) for file in row.attachments or ())
    return Message(tenant, room, row.seq, row.id, *said, row.body, row.event, row.created_at, attachments, fresh=False)
