"""What one socket says, frame by frame. After `connection`, which read it; before `writer`, `marks` and `feed`.

Messages go to the writer in the order of their coming. Their acknowledgements come back through the hub, in their place
among what the socket hears.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from db import chat
from db.announce import News
from db.chat import Message, NotTaken, Session
from db.postgres import LedgerTrouble
from sidecar.attendance import Attendance
from sidecar.connection import Connection
from sidecar.door import Door
from sidecar.feed import Feed
from sidecar.frames import Frame
from sidecar.hub import ACK, Hub
from sidecar.login import Agent, Login
from sidecar.marks import Marks
from sidecar.pace import Paces, Repeats
from sidecar.places import Places
from sidecar.presence import Presence
from sidecar.refusals import not_taken, why_not
from sidecar.store import Store
from sidecar.strangers import Strangers
from sidecar.tasks import Tasks
from sidecar.writer import Writer

PENDING_MOST = 256  # messages of one socket that are not acknowledged yet


@dataclass(frozen=True)
class Parts:
    """What sockets work with; of one sidecar."""

    store: Store
    login: Login
    presence: Presence
    attendance: Attendance
    writer: Writer
    marks: Marks
    hub: Hub
    feed: Feed
    places: Places
    door: Door
    messages: Paces  # of customers, by room: however many sockets, and over HTTP too
    customer_rate: float
    strangers: Strangers
    sockets_an_address: int
    typed: Repeats
    tasks: Tasks


class Talk:
    """What one socket says. `_session` finds the session that a frame is about, or answers with an error."""

    def __init__(self, parts: Parts, connection: Connection) -> None:
        self._parts, self._connection = parts, connection

    async def heard(self, frame: Frame) -> None:
        try:
            if frame.type == "chat.message.send":
                await self._send(frame.payload)
            elif frame.type == "chat.typing":
                await self._type(frame.payload)
            elif frame.type in ("chat.message.read", "chat.message.delivered"):
                await self._mark(frame.payload, "read" if frame.type == "chat.message.read" else "got")
            elif frame.type == "ping":
                self._connection.say("pong", {})
            else:
                self._connection.refuse("invalid_payload", f"{frame.type}: not now")
        except LedgerTrouble as error:
            client_id = frame.payload.get("client_id")
            self._connection.refuse("unavailable", f"{why_not(error)}: try again", client_id)

    def _types(self, who: str, is_typing: bool) -> bool:
        """Whether that is news: all agents of the tenant would hear each repetition, of twenty pages perhaps."""
        now = self._connection.came
        is_news = self._parts.typed.is_news(who, is_typing, now)
        if is_news:
            self._parts.typed.say(who, is_typing, now)
        return is_news

    async def _send(self, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _type(self, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        raise NotImplementedError

    def _submit(self, room: str, draft: chat.Draft) -> None:
        """In the order of coming. The acknowledgement comes from the hub, in its place; see `_answered`."""
        connection, own = self._connection, (room, draft.client_id)
        if own in connection.pending:
            return  # it is under way: one answer will do
        if len(connection.pending) >= PENDING_MOST:
            connection.refuse("rate_limited", "too many messages are not stored yet", draft.client_id)
            return
        connection.pending[own] = connection.came
        self._parts.writer.submit(draft).add_done_callback(lambda future: self._answered(room, draft, future))

    def _answered(self, room: str, draft: chat.Draft, future: "asyncio.Future[Message | NotTaken]") -> None:
        connection = self._connection
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            connection.pending.pop((room, draft.client_id), None)
            connection.refuse("unavailable", "not stored: try again", draft.client_id, session_id=room)
            return
        answer = future.result()
        if isinstance(answer, NotTaken):
            connection.pending.pop((room, draft.client_id), None)
            connection.refuse(answer.code, str(not_taken(answer)), draft.client_id, session_id=room)
        elif self._is_told(answer) and connection.pending.pop((room, draft.client_id), None) is not None:
            connection.say(ACK, ack_of(answer))

    def _is_told(self, message: Message) -> bool:
        """Its place among what this socket hears has gone by, or will not come."""
        raise NotImplementedError


class CustomerTalk(Talk):
    """Its frames need no `session_id`; one that names another session is about nothing that is known here."""

    def __init__(self, parts: Parts, connection: Connection, session: Session, after: int) -> None:
        """`after`: what the page has seen before it came."""
        super().__init__(parts, connection)
        self._session, self._after = session, after

    async def heard(self, frame: Frame) -> None:
        named = frame.payload.get("session_id")
        if named is None or named == self._session.room:
            await super().heard(frame)
        else:
            client_id = frame.payload.get("client_id")
            self._connection.refuse("not_found", "no such session", client_id, session_id=named)

    async def _send(self, payload: dict[str, Any]) -> None:
        session = self._session
        self._parts.typed.forget(f"{session.room} customer")  # who hears the message takes the typing to be over
        wait_s = self._parts.messages.take(session.room, self._connection.came)
        if wait_s:
            self._connection.refuse(
                "rate_limited", "too many messages", payload["client_id"], retry_after=round(wait_s, 2)
            )
            return
        draft = chat.draft(
            session.id,
            "customer",
            payload["body"],
            sender_name=session.customer_name,
            client_id=payload["client_id"],
        )
        self._submit(session.room, draft)

    async def _type(self, payload: dict[str, Any]) -> None:
        session = self._session
        if not self._types(f"{session.room} customer", payload["is_typing"]):
            return
        typing = _typing(session.room, payload["is_typing"], "customer", session.customer_name)
        self._parts.feed.tell(session.tenant, [typing], but=self._connection)

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        self._parts.marks.put(self._session.id, f"customer_{kind}", payload["up_to_seq"])

    def _is_told(self, message: Message) -> bool:
        """While the history is being sent, a row that is still to come brings its acknowledgement with it."""
        got, history = self._connection.got, self._connection.history
        return message.seq <= (max(self._after, history) if got is None else got)


class AgentTalk(Talk):
    def __init__(self, parts: Parts, connection: Connection, agent: Agent) -> None:
        super().__init__(parts, connection)
        self._agent = agent
        self._sessions: dict[str, int] = {}  # room → the session's number, which never changes

    async def _send(self, payload: dict[str, Any]) -> None:
        room, agent = payload["session_id"], self._agent
        self._parts.typed.forget(f"{room} {agent.agent_id}")
        number = self._sessions.get(room) or await self._number(room, payload["client_id"])
        if number is None:
            return
        draft = chat.draft(
            number,
            "agent",
            payload["body"],
            sender_id=agent.agent_id,
            sender_name=agent.name,
            client_id=payload["client_id"],
            anywhere=agent.is_supervisor,
        )
        self._submit(room, draft)

    async def _type(self, payload: dict[str, Any]) -> None:
        room, agent = payload["session_id"], self._agent
        if await self._own(room) is None or not self._types(f"{room} {agent.agent_id}", payload["is_typing"]):
            return
        typing = _typing(room, payload["is_typing"], "agent", agent.name)
        typing.payload["agent_id"] = agent.agent_id
        self._parts.feed.tell(agent.tenant, [typing], but=self._connection)

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        """Only what the chat's own agent has read is read."""
        session = await self._own(payload["session_id"])
        if session is not None and session.agent == self._agent.agent_id:
            self._parts.marks.put(session.id, f"agent_{kind}", payload["up_to_seq"])

    async def heard(self, frame: Frame) -> None:
        if "session_id" in frame.payload and frame.payload["session_id"] is None:
            client_id = frame.payload.get("client_id")
            self._connection.refuse("invalid_payload", "session_id: must be the id of a session", client_id)
        else:
            await super().heard(frame)

    async def _own(self, room: str) -> Session | None:
        """A session in which the agent may act; else they are told why not."""
        session = await self._find(room)
        if session is None:
            self._connection.refuse("not_found", "no such session", session_id=room)
        elif session.agent != self._agent.agent_id and not self._agent.is_supervisor:
            self._connection.refuse("not_yours", "this chat has another agent", session_id=room)
            return None
        return session

    async def _number(self, room: str, client_id: str) -> int | None:
        session = await self._find(room)
        if session is None:
            self._connection.refuse("not_found", "no such session", client_id, session_id=room)
            return None
        if len(self._sessions) >= PENDING_MOST:
            self._sessions.clear()
        self._sessions[session.room] = session.id
        return session.id

    async def _find(self, room: str) -> Session | None:
        tenant = self._agent.tenant
        return await self._parts.store.run(lambda cur: chat.by_room(cur, tenant, room))

    def _is_told(self, message: Message) -> bool:
        got = self._parts.hub.got(message.tenant, message.room)
        return got is None or message.seq <= got


def ack_of(message: Message) -> dict[str, Any]:
    return {
        "session_id": message.room,
        "client_id": message.client_id,
        "id": message.id,
        "seq": message.seq,
        "created_at": chat.iso(message.created_at),
    }


def _typing(room: str, is_typing: bool, by: str, name: str) -> News:
    payload = {"session_id": room, "is_typing": is_typing, "by": by, "name": name}
    return News(room, "chat.typing", payload)
