"""`/ws`, an agent's way into all of a tenant. Before `live`, where what is said goes on.

An agent says who they are and then hears every open session of their tenant; a page's first load comes by REST.
"""

import logging
from typing import Any

from aiohttp import web

import logs
from addresses import is_loopback
from db import chat
from db.chat import Message, Session
from db.people import Agent
from db.postgres import LedgerTrouble
from sidecar.agents.login import Login
from sidecar.agents.presence import Presence
from sidecar.live.connection import TRY_AGAIN, WHO_ARE_YOU, Connection
from sidecar.live.frames import Frame
from sidecar.live.parts import Parts
from sidecar.live.talk import PENDING_MOST, Talk, typing_news
from sidecar.web.answers import Refused

log = logging.getLogger("sidecar.sockets")

AUTH_S = 5.0
UNNAMED_MOST = 500  # sockets of one address that have not logged in yet: they have 5 s for it
WHO = "log in first: send an auth frame with your token within 5 s"
RATE, BURST = 50.0, 200.0
VALID_EVERY_S = 5.0


class AgentSockets:
    def __init__(self, parts: Parts, login: Login, presence: Presence) -> None:
        self._parts, self._login, self._presence = parts, login, presence
        self._tokens: dict[Connection, str] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws", self.socket)]

    def start(self) -> None:
        self._parts.tasks.start("tokens", self._end_invalid, VALID_EVERY_S)

    async def stop(self) -> None:
        await self._parts.tasks.end("tokens")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        return await self._parts.sockets.serve(request, Connection(RATE, BURST), self._agent)

    async def _agent(self, request: web.Request, connection: Connection) -> None:
        parts = self._parts
        agent = await self._known(request, connection)
        if agent is None:
            return
        await parts.feed.open(agent.tenant)
        try:
            with parts.sockets.counted("agent"):
                await self._presence.connected(agent, connection)
                await self._arrived(agent, connection)
                await connection.listen(AgentTalk(parts, connection, agent).heard)
        finally:
            del self._tokens[connection]
            parts.hub.unwatch(agent.tenant, connection)
            await parts.feed.close(agent.tenant)
            await _quietly(self._presence.gone(agent, connection))

    async def _known(self, request: web.Request, connection: Connection) -> Agent | None:
        """Who it is; else the socket is told why not, and closed."""
        token = await first_token(self._parts, connection, self._parts.door.subject(request))
        if token is None:
            return None
        try:
            agent = await self._parts.visitors.agent(request, token)
        except Refused as refused:
            known = refused.code != "unauthorized"
            connection.refuse(refused.code, str(refused) if known else WHO)
            in_vain = refused.code in ("unauthorized", "forbidden")
            connection.close(WHO_ARE_YOU if in_vain else TRY_AGAIN, refused.code)
            return None
        connection.agent, self._tokens[connection] = agent.agent_id, token
        return agent

    async def _arrived(self, agent: Agent, connection: Connection) -> None:
        """After `auth.ok` every stored row of the tenant's open sessions is heard: what a page loads then has no gap to
        what it hears."""
        hub, feed = self._parts.hub, self._parts.feed
        connection.muted = True  # until `auth.ok`: what is told before it, is in what the page loads after it
        presence = await self._presence.of(agent)
        about = {"agent_id": agent.agent_id, "name": agent.name, "email": agent.email, "role": agent.role}
        ready = {"agent": {**about, "presence": presence}}
        if hub.watch(agent.tenant, connection):
            connection.greet("auth.ok", ready)
            return
        heads = await feed.heads(agent.tenant, hub.heard_of(agent.tenant))
        connection.greet("auth.ok", ready)
        hub.know(agent.tenant, heads)
        feed.look_soon()

    async def _end_invalid(self) -> None:
        """A revoked or expired token, and a disabled account, end their sockets too."""
        tokens = dict(self._tokens)
        valid = await self._login.valid(tokens.values()) if tokens else set()
        for connection, token in tokens.items():
            if token not in valid:
                connection.refuse("unauthorized", "your login has ended")
                connection.close(WHO_ARE_YOU, "unauthorized")


async def first_token(parts: Parts, connection: Connection, address: str) -> str | None:
    """Empty where none came in time; None: too many others of this address are being waited for."""
    unnamed = ("not logged in", address)
    if parts.sockets.number(unnamed) >= UNNAMED_MOST and not is_loopback(address):
        parts.strangers.say(address, "rate_limited", "logins of sockets")
        connection.close(TRY_AGAIN, "too many at once: come back")
        return None
    with parts.sockets.counted(unnamed):
        frame = await connection.first(AUTH_S)
    return str(frame.payload["token"]) if frame and frame.type == "auth" else ""


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
        self._submit(room, chat.from_agent(number, agent, payload["body"], payload["client_id"]))

    async def _type(self, payload: dict[str, Any]) -> None:
        room, agent = payload["session_id"], self._agent
        if await self._own(room) is None or not self._types(f"{room} {agent.agent_id}", payload["is_typing"]):
            return
        typing = typing_news(room, payload["is_typing"], "agent", agent.name)
        typing.payload["agent_id"] = agent.agent_id
        self._parts.feed.tell(agent.tenant, [typing], but=self._connection)

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        """Only what the chat's own agent has read is read."""
        session = await self._own(payload["session_id"])
        if session is not None and session.agent == self._agent.agent_id:
            self._parts.receipts.put(session.id, f"agent_{kind}", payload["up_to_seq"])

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


async def _quietly(work: Any) -> None:
    """At the end of a socket: where the database is away, the presence runs out by itself."""
    try:
        await work
    except LedgerTrouble as error:
        log.warning(logs.line("presence_not_ended", why=error))
