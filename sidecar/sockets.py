"""What a socket is for: `/ws/public/<key>` is a customer's way into one session, `/ws` an agent's into all of a tenant.

Before `hub` and `writer`. A customer's socket first gets the present state, then the rows after `?after=`, then what
happens. An agent's says who it is and then hears every open session of its tenant; its first load comes by REST.
"""

import asyncio
import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp import web
from psycopg2.extensions import cursor

import logs
from db import chat, people
from db.announce import News
from db.chat import CHAT, Message, NotTaken, Session
from db.people import PEOPLE
from db.postgres import LedgerDown
from sidecar import places
from sidecar.connection import AWAY, NO_SESSION, TRY_AGAIN, WHO_ARE_YOU, Connection
from sidecar.door import Door
from sidecar.feed import Feed
from sidecar.frames import Frame
from sidecar.hub import ACK, Hub
from sidecar.login import Agent, Login
from sidecar.marks import Marks
from sidecar.presence import Presence
from sidecar.refusals import Refused, not_taken
from sidecar.store import Store
from sidecar.writer import Writer

log = logging.getLogger("sidecar.sockets")

AUTH_S = 5.0
AGENT_RATE, AGENT_BURST = 50.0, 200.0
CUSTOMER_BURST = 3.0  # times the rate
PENDING_MOST = 256  # messages of one socket that are not acknowledged yet
ROWS = 500
ROUNDS_MOST = 50  # of catching up with a room that goes on meanwhile
VALID_EVERY_S = 5.0


@dataclass(frozen=True)
class Parts:
    """What sockets work with; of one sidecar."""

    store: Store
    login: Login
    presence: Presence
    writer: Writer
    marks: Marks
    hub: Hub
    feed: Feed
    door: Door
    customer_rate: float


class State(NamedTuple):
    """A session as its customer's page needs it, all read in one transaction. The view is of `view["last_seq"]`."""

    session: Session
    view: dict[str, Any]
    agent_got: int
    agents_online: int
    line: places.Line

    def place(self) -> dict[str, Any]:
        return self.line.payload(self.session.room, self.view["position"] or 1)


def state(cur: cursor, key: str) -> State | None:
    session = chat.by_key(cur, key)
    if session is None:
        return None
    row = CHAT.one(cur, "session", tenant=session.tenant, room=session.room)
    online = CHAT.one(cur, "agents_online", tenant=session.tenant).online
    return State(session, chat.session_payload(row), row.agent_got, online, places.read(cur, session.tenant, 0))


class Sockets:
    """All sockets of one sidecar."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open: set[Connection] = set()
        self._tokens: dict[Connection, tuple[Agent, str]] = {}
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/public/{key}", self.customer), web.get("/ws", self.agent)]

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch_tokens())

    def counts(self) -> tuple[int, int]:
        """Sockets of customers and of agents."""
        agents = len(self._tokens)
        return len(self._open) - agents, agents

    async def stop(self) -> None:
        """All are told to come back to somebody else."""
        self._stopping = True
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for connection in list(self._open):
            connection.close(AWAY, "this server stops: come back")
        await asyncio.gather(*(connection.closed() for connection in list(self._open)))

    async def customer(self, request: web.Request) -> web.StreamResponse:
        rate = self._parts.customer_rate
        connection = Connection(rate, rate * CUSTOMER_BURST)
        return await self._serve(request, connection, self._customer)

    async def agent(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, Connection(AGENT_RATE, AGENT_BURST), self._agent)

    async def _serve(self, request: web.Request, connection: Connection, serve: Any) -> web.StreamResponse:
        try:
            self._parts.door.check(request)
            if self._stopping:
                raise Refused("unavailable", "this server stops: come back", 1)
        except Refused as refused:
            return refused.response()
        await connection.open(request)
        self._open.add(connection)
        try:
            await serve(request, connection)
        except LedgerDown as error:
            log.warning(logs.line("socket_closed", why=error))
            connection.close(TRY_AGAIN, "the database can't be reached: come back")
        finally:
            self._open.discard(connection)
            await connection.closed()
        return connection.response

    # --- customers

    async def _customer(self, request: web.Request, connection: Connection) -> None:
        parts, key = self._parts, request.match_info["key"]
        session = await parts.store.run(lambda cur: chat.by_key(cur, key))
        if session is None:
            log.warning(logs.line("refused", code="not_found", what="key", address=parts.door.address(request)))
            connection.refuse("not_found", "no such session")
            connection.close(NO_SESSION, "no such session")
            return
        parts.hub.enter(session.tenant, session.room, connection)
        await parts.feed.open(session.tenant)
        talk = CustomerTalk(parts, connection, session)
        resume = asyncio.create_task(self._resume(connection, key, _after(request)))
        try:
            await connection.listen(talk.heard)
        finally:
            resume.cancel()
            parts.hub.leave(session.tenant, session.room, connection)
            await asyncio.gather(resume, return_exceptions=True)
            await parts.feed.close(session.tenant)

    async def _resume(self, connection: Connection, key: str, after: int) -> None:
        """State, then the rows that were missed, then live. What happens meanwhile is fetched, not kept."""
        try:
            first = await self._parts.store.run(lambda cur: _first(cur, key, after))
            if first is None:
                return
            for kind, payload in _state_frames(first.state):
                connection.say(kind, payload)
            await self._send_rest(connection, first)
        except LedgerDown as error:
            log.warning(logs.line("socket_closed", room=None, why=error))
            connection.close(TRY_AGAIN, "the database can't be reached: come back")
        except Exception:
            log.exception(logs.line("resume_failed"))
            connection.close(TRY_AGAIN, "come back")

    async def _send_rest(self, connection: Connection, first: "First") -> None:
        hub, found = self._parts.hub, first.state
        session, got, page = found.session, first.after, first.page
        for _ in range(ROUNDS_MOST):
            for row, news in page:
                self._send(connection, row, news)
                got = row.seq
            await connection.taken()
            is_open = found.view["status"] != "ended"
            if len(page) < ROWS and hub.catch_up(session.tenant, session.room, connection, got, is_open):
                return
            page = await self._parts.store.run(functools.partial(_page, found=found, after=got))
        connection.close(TRY_AGAIN, "come back")

    def _send(self, connection: Connection, row: Message, news: Sequence[News]) -> None:
        """A row of the history; what this socket sent itself meanwhile is acknowledged with it."""
        payload = chat.payload_of(row, with_client_id=row.sender_type == "customer")
        connection.say(chat.NEW, payload)
        for one in news:
            if one.to != "agents" and one.type != chat.NEW:
                connection.say(one.type, one.payload)
        if connection.pending.pop((row.room, row.client_id), None) is not None:
            connection.say(ACK, ack_of(row))

    # --- agents

    async def _agent(self, request: web.Request, connection: Connection) -> None:
        parts = self._parts
        token = await self._token(connection)
        agent = await parts.login.who(token) if token else None
        if agent is None or token is None:
            log.warning(logs.line("refused", code="unauthorized", address=parts.door.address(request)))
            connection.refuse("unauthorized", "log in first: send an auth frame with your token within 5 s")
            connection.close(WHO_ARE_YOU, "unauthorized")
            return
        connection.agent = agent.agent_id
        self._tokens[connection] = (agent, token)
        await parts.feed.open(agent.tenant)
        try:
            await parts.presence.connected(agent, connection)
            await self._arrived(agent, connection)
            await connection.listen(AgentTalk(parts, connection, agent).heard)
        finally:
            del self._tokens[connection]
            parts.hub.unwatch(agent.tenant, connection)
            await parts.feed.close(agent.tenant)
            await _quietly(parts.presence.gone(agent, connection))

    async def _arrived(self, agent: Agent, connection: Connection) -> None:
        """After `auth.ok` every stored row of the tenant's open sessions is heard: what a page loads then has no gap to
        what it hears."""
        hub, feed = self._parts.hub, self._parts.feed
        presence = await self._parts.presence.of(agent)
        about = {"agent_id": agent.agent_id, "name": agent.name, "email": agent.email, "role": agent.role}
        ready = {"agent": {**about, "presence": presence}}
        if hub.watch(agent.tenant, connection):
            connection.say("auth.ok", ready)
            return
        heads = await feed.heads(agent.tenant, hub.heard_of(agent.tenant))
        connection.say("auth.ok", ready)
        hub.know(agent.tenant, heads)
        feed.look_soon()

    async def _token(self, connection: Connection) -> str | None:
        frame = await connection.first(AUTH_S)
        return frame.payload["token"] if frame and frame.type == "auth" else None

    async def _watch_tokens(self) -> None:
        """A revoked or expired token, and a disabled account, end their sockets too."""
        while True:
            await asyncio.sleep(VALID_EVERY_S)
            try:
                await self._end_invalid(dict(self._tokens))
            except LedgerDown as error:
                log.warning(logs.line("tokens_unknown", why=error))
            except Exception:
                log.exception(logs.line("tokens_unknown"))

    async def _end_invalid(self, tokens: dict[Connection, tuple[Agent, str]]) -> None:
        if not tokens:
            return
        digests = {people.token_digest(token) for _, token in tokens.values()}
        rows = await self._parts.store.run(lambda cur: PEOPLE.all(cur, "valid", digests=list(digests)))
        valid = {bytes(row.digest) for row in rows}
        for connection, (_, token) in tokens.items():
            if people.token_digest(token) not in valid:
                connection.refuse("unauthorized", "your login has ended")
                connection.close(WHO_ARE_YOU, "unauthorized")


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
        except LedgerDown:
            client_id = frame.payload.get("client_id")
            self._connection.refuse("unavailable", "the database can't be reached: try again", client_id)

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
    def __init__(self, parts: Parts, connection: Connection, session: Session) -> None:
        super().__init__(parts, connection)
        self._session = session

    async def _send(self, payload: dict[str, Any]) -> None:
        session = self._session
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
        typing = _typing(session.room, payload["is_typing"], "customer", session.customer_name)
        self._parts.feed.tell(session.tenant, [typing], but=self._connection)

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        self._parts.marks.put(self._session.id, f"customer_{kind}", payload["up_to_seq"])

    def _is_told(self, message: Message) -> bool:
        got = self._connection.got
        return not message.fresh if got is None else message.seq <= got


class AgentTalk(Talk):
    def __init__(self, parts: Parts, connection: Connection, agent: Agent) -> None:
        super().__init__(parts, connection)
        self._agent = agent
        self._sessions: dict[str, int] = {}  # room → the session's number, which never changes

    async def _send(self, payload: dict[str, Any]) -> None:
        room, agent = payload["session_id"], self._agent
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
        session = await self._find(room)
        if session is None or (session.agent != agent.agent_id and not agent.is_supervisor):
            self._connection.refuse("not_yours", "this chat has another agent", session_id=room)
            return
        typing = _typing(room, payload["is_typing"], "agent", agent.name)
        typing.payload["agent_id"] = agent.agent_id
        self._parts.feed.tell(agent.tenant, [typing], but=self._connection)

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        """Only what the chat's own agent has read is read."""
        room = payload["session_id"]
        session = await self._find(room)
        if session is None or (session.agent != self._agent.agent_id and not self._agent.is_supervisor):
            self._connection.refuse("not_yours", "this chat has another agent", session_id=room)
        elif session.agent == self._agent.agent_id:
            self._parts.marks.put(session.id, f"agent_{kind}", payload["up_to_seq"])

    async def _number(self, room: str | None, client_id: str) -> int | None:
        session = await self._find(room)
        if session is None:
            self._connection.refuse("not_found", "no such session", client_id, session_id=room)
            return None
        if len(self._sessions) >= PENDING_MOST:
            self._sessions.clear()
        self._sessions[session.room] = session.id
        return session.id

    async def _find(self, room: str | None) -> Session | None:
        if room is None:
            return None
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


def _after(request: web.Request) -> int:
    value = request.query.get("after", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else 0


class First(NamedTuple):
    """What a customer's socket begins with: the state, and rows with the news that the state did not know."""

    state: State
    after: int
    page: list[tuple[Message, list[News]]]


def _first(cur: cursor, key: str, after: int) -> First | None:
    """A place that the room never came to is none: then everything is sent."""
    found = state(cur, key)
    if found is None:
        return None
    start = after if after <= found.view["last_seq"] else 0
    return First(found, start, _page(cur, found, start))


def _page(cur: cursor, found: State, after: int) -> list[tuple[Message, list[News]]]:
    """The next rows; a happening that the state did not know comes with what it means."""
    rows = chat.rows_after(cur, found.session, after, ROWS)
    return [(row, chat.happened(cur, row) if row.seq > found.view["last_seq"] else []) for row in rows]


def _state_frames(found: State) -> list[tuple[str, dict[str, Any]]]:
    view, room = found.view, found.session.room
    told: list[tuple[str, dict[str, Any]]] = []
    about = {"session_id": room, "customer_name": view["customer"]["name"]}
    if view["status"] == "waiting":
        told.append(("chat.queue.position", found.place()))
    elif view["status"] == "active":
        told.append(("chat.session.assigned", {**about, **view["agent"]}))
        told.append(("chat.agent.joined", {"session_id": room, **view["agent"]}))
    else:
        told.append(("chat.session.ended", {**about, "by": (view["ended_by"] or "").partition(":")[0]}))
    for kind, up_to in (("chat.message.read", view["agent_read"]), ("chat.message.delivered", found.agent_got)):
        if up_to:
            told.append((kind, {"session_id": room, "up_to_seq": up_to, "by": "agent"}))
    return told


async def _quietly(work: Any) -> None:
    """At the end of a socket: where the database is away, the presence runs out by itself."""
    try:
        await work
    except LedgerDown as error:
        log.warning(logs.line("presence_not_ended", why=error))
