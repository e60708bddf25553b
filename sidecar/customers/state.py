"""What a customer's page begins with: the session's state, and the rows that it has not seen. Before `sockets` and
`sessions`, which show it.

The state is of one row of the database, so it knows what all rows up to its `last_seq` mean; what a later row means is
told with the row. So state and events together are what a fresh look would show.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import chat, payloads
from db.announce import News
from db.chat import Message, Session
from sidecar.live import positions


class State(NamedTuple):
    """A session as its customer's page needs it, all read in one transaction. The view is of `view["last_seq"]`."""

    session: Session
    view: dict[str, Any]
    agent_got: int
    line: positions.Line

    @property
    def position(self) -> int | None:
        return (self.view["position"] or 1) if self.view["status"] == "waiting" else None


def state(cur: cursor, key: str, line: positions.Line | None = None) -> State | None:
    """`line`: as it was looked at before, else it is read here."""
    session = chat.by_key(cur, key)
    if session is None:
        return None
    row = payloads.session_row(cur, session.tenant, session.room)
    view = payloads.session_payload(row)
    waits = (session.room,) if view["position"] else ()
    return State(session, view, row.agent_got, line or positions.read(cur, session.tenant, 0, waits))


class Page(NamedTuple):
    rows: list[tuple[Message, list[News]]]
    more: bool


class First(NamedTuple):
    """What a customer's socket begins with: the state, and rows with the news that the state did not know."""

    state: State
    after: int
    page: Page


def first_of(cur: cursor, key: str, after: int, line: positions.Line | None) -> First | None:
    """A place that the room never came to is none: then everything is sent."""
    found = state(cur, key, line)
    if found is None:
        return None
    start = after if after <= found.view["last_seq"] else 0
    return First(found, start, page_of(cur, found, start))


def page_of(cur: cursor, found: State, after: int) -> Page:
    """The next rows; a happening that the state did not know comes with what it means."""
    rows, more = chat.page_after(cur, found.session, after)
    told = [(row, payloads.happened(cur, row) if row.seq > found.view["last_seq"] else []) for row in rows]
    return Page(told, more)


def state_frames(found: State, place: Mapping[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    """`place`: of `chat.queue.position`, of one who waits."""
    view, room = found.view, found.session.room
    told: list[tuple[str, dict[str, Any]]] = []
    agent = view["agent"] or {"name": None}
    about = {"session_id": room, "customer_name": view["customer"]["name"], "agent_name": agent["name"]}
    if place:
        told.append(("chat.queue.position", dict(place)))
    elif view["status"] == "active":
        told.append(("chat.session.assigned", {**about, **view["agent"]}))
        told.append(("chat.agent.joined", {"session_id": room, **view["agent"]}))
    else:
        told.append(("chat.session.ended", {**about, "by": (view["ended_by"] or "").partition(":")[0]}))
        if view["rating"]:
            told.append(("chat.session.rated", {"session_id": room, "rating": view["rating"]}))
    for kind, up_to in (("chat.message.read", view["agent_read"]), ("chat.message.delivered", found.agent_got)):
        if up_to:
            told.append((kind, {"session_id": room, "up_to_seq": up_to, "by": "agent"}))
    return told
