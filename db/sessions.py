"""Sessions of our own chat and their place in the queue: begun, left, taken up again, ended. Each function that has a
`Turn` is the work of one, under the tenant's lock. After `turn`; the SQL is in `queries/sessions.sql`.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import chat, line, payloads, rules
from db.chat import CHAT
from db.inbox import GONE
from db.line import NewVisit
from db.postgres import Statements
from db.turn import Turn, TurnRefused
from routing import facts as fact
from routing.route import named

SESSIONS = Statements("sessions")
OPEN_OF_CUSTOMER = 300  # chats that one e-mail may have open, and one address: a call centre behind it has many
OPEN_OF_ORIGIN = 2000

May = Callable[[Any], bool]


class Who(NamedTuple):
    """Begins a chat; see `start`.

    proved      by a userHash
    origin      a digest of the address
    language    `en` or `id`, of the page
    topic       as the rules label it, by language
    properties  as they were given; `vouched`: the site's own server has signed them
    """

    email: str
    name: str
    proved: bool = False
    origin: bytes | None = None
    language: str | None = None
    topic: Mapping[str, str] | None = None
    properties: Mapping[str, Any] = MappingProxyType({})
    vouched: bool = False


class Started(NamedTuple):
    room: str
    key: str
    customer: int
    position: int


def start(turn: Turn, who: Who, message: str | None) -> Started:
    """A session that waits. Raises `TurnRefused` (too_many_open)."""
    cur, tenant = turn.cur, turn.tenant
    are_open = SESSIONS.one(cur, "open_ones", tenant=tenant, email=who.email, origin=who.origin)
    if are_open.of_customer >= OPEN_OF_CUSTOMER or are_open.of_origin >= OPEN_OF_ORIGIN:
        raise TurnRefused("too_many_open", "too many chats are open")
    room, key = chat.new_room(), chat.new_key()
    session, customer = open_session(cur, tenant, room, key, who.email, who.name, who.proved)
    _keep_beginning(turn, who, session, customer)
    arrived_us = _enter(turn, room, line.next_place(turn))
    event = {"type": "started", "name": who.name}
    started = chat.add_event(cur, tenant, room, event, f"{who.name} started the chat")
    first = [chat.draft(session, "customer", message, sender_name=who.name)] if message else []
    rows = chat.add_messages(cur, first)
    turn.move(room, arrived_us)
    turn.news += payloads.happened(cur, started)
    turn.news += [payloads.news_of(row) for row in rows if isinstance(row, chat.Message)]
    view = payloads.session_view(cur, tenant, room)
    return Started(room, key, customer, view["position"] if view else 1)


def _keep_beginning(turn: Turn, who: Who, session: int, customer: int) -> None:
    """Also what the rules in force ask about, and nothing beyond."""
    facts = _facts(turn, who, customer)
    topic = who.topic if facts else None
    values = {name: json.dumps(found) if found else None for name, found in (("facts", facts), ("topic", topic))}
    SESSIONS.run(turn.cur, "set_beginning", session=session, origin=who.origin, language=who.language, **values)


def _facts(turn: Turn, who: Who, customer: int) -> dict[str, Any] | None:
    book = rules.in_force(turn)
    if book.rules is None:
        return None
    asked = named(book.rules)
    topic = next(iter(who.topic.values())) if who.topic else None
    told = {"name": who.name, "email": who.email, "language": who.language, "topic": topic, "returning": None}
    if fact.RETURNING in asked.fields:
        told["returning"] = SESSIONS.one(turn.cur, "was_served", customer=customer).served
    return fact.as_data(fact.of_chat({**told, "properties": who.properties}, asked, who.vouched))


def open_session(cur: cursor, tenant: str, room: str, key: str, email: str, name: str, proved: bool = False) -> Any:
    """A new waiting session of a customer: (session, customer), both numbers. Its visit is the caller's."""
    customer = SESSIONS.one(cur, "put_customer", tenant=tenant, email=email, name=name, proved=proved).id
    values = {"room": room, "digest": chat.digest(key), "customer": customer, "name": name}
    return SESSIONS.one(cur, "open_session", tenant=tenant, **values).id, customer


def end(turn: Turn, room: str, by: str, name: str, may: May = lambda session: True) -> bool:
    """Whether it was open until now. `by`, `name` and `may`: as `Turns.end` has them."""
    visit, session = locked(turn, room)
    if session is None:
        raise TurnRefused("not_found", "no such session")
    if session.status == "ended":
        return False
    if not may(session):
        raise TurnRefused("forbidden", "this chat has another agent")
    if visit is not None:
        _close(turn, visit, f"ended by {by.replace(':', ' ')}")
    SESSIONS.run(turn.cur, "end_session", session=session.id, by=by)
    kind, _, agent_id = by.partition(":")
    said = f"{name} ended the chat" if name else "the chat ended: the customer did not come back"
    tell(turn, room, {"type": "ended", "by": kind, "agent_id": agent_id or None, "name": name}, said)
    return True


def leave(turn: Turn, room: str) -> bool:
    """Out of the line; whether it stood there. One that is being given to an agent stays; so does one that was left as
    a message for later, where its sidecar died before it could say so."""
    visit, session = locked(turn, room)
    if session is None or session.status != "waiting" or visit is None or visit.state != "waiting":
        return False
    if SESSIONS.run(turn.cur, "keep_place", session=session.id):
        return False
    _close(turn, visit, "the customer is gone")
    SESSIONS.run(turn.cur, "leave_line", session=session.id)
    name = session.customer_name
    tell(turn, room, {"type": "left", "name": name}, f"{name} went away and left the line")
    return True


def come_back(turn: Turn, room: str) -> bool:
    """Into the line again, at the old place; whether they were out of it."""
    cur, tenant = turn.cur, turn.tenant
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    if session is None or session.gone_at is None:
        return False
    place = SESSIONS.one(cur, "old_place", tenant=tenant, room=room)
    arrived_us = _enter(turn, room, place.arrived_us if place else line.next_place(turn))
    SESSIONS.run(cur, "come_back", session=session.id)
    name = session.customer_name
    tell(turn, room, {"type": "returned", "name": name}, f"{name} is back, at the old place")
    turn.move(room, arrived_us)
    return True


def locked(turn: Turn, room: str) -> tuple[Any, Any]:
    """The session's open visit and the session, None where there is none, locked in this order."""
    visit = SESSIONS.one(turn.cur, "lock_visit", tenant=turn.tenant, room=room)
    return visit, CHAT.one(turn.cur, "lock_room", tenant=turn.tenant, room=room)


def tell(turn: Turn, room: str, event: dict[str, Any], body: str) -> None:
    """A happening, as a row of the room and as news; see `chat.add_event`."""
    turn.news += payloads.happened(turn.cur, chat.add_event(turn.cur, turn.tenant, room, event, body))


def _enter(turn: Turn, room: str, arrived_us: int) -> int:
    line.open_visits(turn, [NewVisit(room, arrived_us, chat.CLASS, chat.CLASS, base_proved=True)])
    return arrived_us


def _close(turn: Turn, visit: Any, reason: str) -> None:
    """The visit ends and its seat is free. The reason stands in the visit itself."""
    for row in line.close(turn, [(visit.id, None, reason)], exact=True):
        turn.move(row.room, GONE, row.last_agent)
        turn.ended(row.id, row.handled_s)
