"""What a socket is for: `/ws/public/<key>` is a customer's way into one session, `/ws` an agent's into all of a tenant.

Before `hub` and `writer`. A customer's socket first gets the present state, then the rows after `?after=`, then what
happens. An agent's says who it is and then hears every open session of its tenant; its first load comes by REST.
"""

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from aiohttp import web

import logs
from addresses import is_loopback
from db import chat
from db.announce import News
from db.chat import Message, Session
from db.postgres import LedgerTrouble
from sidecar.connection import AWAY, NO_SESSION, POLICY, TRY_AGAIN, WHO_ARE_YOU, Connection
from sidecar.ending import ended
from sidecar.hub import ACK
from sidecar.login import Agent
from sidecar.refusals import Refused, why_not
from sidecar.state import First, first_of, page_of, state_frames
from sidecar.talk import AgentTalk, CustomerTalk, Parts, ack_of

log = logging.getLogger("sidecar.sockets")

K = TypeVar("K")

AUTH_S = 5.0
SOCKETS_A_SESSION = 20  # pages of one customer, in this sidecar
OPENINGS_AT_ONCE = 200  # customers' sockets that ask the database for their beginning; others stand in line for it
UNNAMED_MOST = 500  # agents' sockets of one address that have not logged in yet: they have 5 s for it
FULL_S = 5.0  # until it is worth asking again
WHO = "log in first: send an auth frame with your token within 5 s"
AGENT_RATE, AGENT_BURST = 50.0, 200.0
CUSTOMER_BURST = 3.0  # times the rate
ROUNDS_MOST = 50  # of catching up with a room that goes on meanwhile
VALID_EVERY_S = 5.0


class Sockets:
    """All sockets of one sidecar."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open: set[Connection] = set()
        self._rooms: Counter[tuple[str, str]] = Counter()  # (tenant, room) → its customer's sockets
        self._addresses: Counter[str] = Counter()  # → its sockets
        self._unnamed: Counter[str] = Counter()  # → those that have not said yet whose they are
        self._tokens: dict[Connection, tuple[Agent, str]] = {}
        self._stopping = False
        self._openings = asyncio.Semaphore(OPENINGS_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/public/{key}", self.customer), web.get("/ws", self.agent)]

    def start(self) -> None:
        self._task = self._parts.tasks.start("tokens", self._watch_tokens)

    def counts(self) -> tuple[int, int]:
        """Sockets of customers and of agents."""
        return self._rooms.total(), len(self._tokens)

    async def stop(self) -> None:
        """All are told to come back to somebody else."""
        self._stopping = True
        if self._task:
            await ended(self._task)
        for connection in list(self._open):
            connection.close(AWAY, "this server stops: come back")
        await asyncio.gather(*(connection.closed() for connection in list(self._open)))

    async def customer(self, request: web.Request) -> web.StreamResponse:
        rate = self._parts.customer_rate
        connection = Connection(rate, rate * CUSTOMER_BURST)
        return await self._serve(request, connection, self._customer, request.match_info["key"])

    async def agent(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, Connection(AGENT_RATE, AGENT_BURST), self._agent)

    async def _serve(
        self, request: web.Request, connection: Connection, serve: Any, key: str = ""
    ) -> web.StreamResponse:
        parts, address = self._parts, self._parts.door.subject(request)
        try:
            parts.door.check(request)
            if request.headers.get("Upgrade", "").lower() != "websocket":
                raise Refused("upgrade_required", "this is the address of a WebSocket")
            if self._stopping:
                raise Refused("unavailable", "this server stops: come back", 1)
            if key:
                parts.strangers.check(address, key)
            self._enter(address)
        except Refused as refused:
            return refused.response()
        try:
            return await self._open_for(request, connection, serve)
        finally:
            _one_less(self._addresses, address)

    def _enter(self, address: str) -> None:
        """Raises `Refused`."""
        if self._addresses[address] >= self._parts.sockets_an_address and not is_loopback(address):
            self._parts.strangers.say(address, "rate_limited", "sockets")
            raise Refused("rate_limited", "too many open connections from your network", FULL_S)
        self._addresses[address] += 1

    async def _open_for(self, request: web.Request, connection: Connection, serve: Any) -> web.StreamResponse:
        await connection.open(request)
        self._open.add(connection)
        try:
            await serve(request, connection)
        except LedgerTrouble as error:
            log.warning(logs.line("socket_closed", why=error))
            connection.close(TRY_AGAIN, f"{why_not(error)}: come back")
        finally:
            self._open.discard(connection)
            await connection.closed()
        return connection.response

    # --- customers

    async def _customer(self, request: web.Request, connection: Connection) -> None:
        parts, key = self._parts, request.match_info["key"]
        try:
            async with self._openings:
                session = await parts.strangers.session(parts.door.subject(request), parts.store, key)
        except Refused as refused:
            connection.refuse(refused.code, str(refused))
            connection.close(NO_SESSION if refused.code == "not_found" else TRY_AGAIN, str(refused))
            return
        await parts.attendance.back(session)
        place = session.tenant, session.room
        if self._rooms[place] >= SOCKETS_A_SESSION:
            connection.refuse("rate_limited", "this chat is open on too many pages")
            connection.close(POLICY, "too many pages")
            return
        self._rooms[place] += 1
        try:
            await self._live(connection, session, key, _after(request))
        finally:
            _one_less(self._rooms, place)

    async def _live(self, connection: Connection, session: Session, key: str, after: int) -> None:
        parts = self._parts
        parts.hub.enter(session.tenant, session.room, connection)
        parts.attendance.came(session)
        await parts.feed.open(session.tenant)
        talk = CustomerTalk(parts, connection, session, after)
        resume = asyncio.create_task(self._resume(connection, session, key, after))
        try:
            await connection.listen(talk.heard)
        finally:
            parts.hub.leave(session.tenant, session.room, connection)
            parts.attendance.went(session)
            await ended(resume)
            await parts.feed.close(session.tenant)

    async def _resume(self, connection: Connection, session: Session, key: str, after: int) -> None:
        """State, then the rows that were missed, then live. What happens meanwhile is fetched, not kept."""
        try:
            async with self._openings:
                line = self._parts.places.line(session.tenant)
                first = await self._parts.store.run(lambda cur: first_of(cur, key, after, line))
            if first is None:  # forgotten a moment ago
                connection.close(NO_SESSION, "no such session")
                return
            found = first.state
            place = self._parts.places.place(found.line, session.room, found.position) if found.position else None
            for kind, payload in state_frames(found, place):
                connection.say(kind, payload)
            if place:
                self._parts.places.begun(session.tenant, place)
            await self._send_rest(connection, first)
        except LedgerTrouble as error:
            log.warning(logs.line("socket_closed", room=None, why=error))
            connection.close(TRY_AGAIN, f"{why_not(error)}: come back")
        except Exception:
            log.exception(logs.line("resume_failed"))
            connection.close(TRY_AGAIN, "come back")

    async def _send_rest(self, connection: Connection, first: First) -> None:
        hub, found = self._parts.hub, first.state
        session, got, page = found.session, first.after, first.page
        for _ in range(ROUNDS_MOST):
            for row, news in page.rows:
                self._send(connection, row, news)
                got = connection.history = row.seq
            await connection.taken()
            is_open = found.view["status"] != "ended"
            if not page.more and hub.catch_up(session.tenant, session.room, connection, got, is_open):
                return
            page = await self._parts.store.run(functools.partial(page_of, found=found, after=got))
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
        parts, address = self._parts, self._parts.door.subject(request)
        token = await self._token(connection, address)
        if token is None:
            return
        try:
            agent = await parts.strangers.agent(address, parts.login.who, token)
        except Refused as refused:
            known = refused.code != "unauthorized"
            connection.refuse(refused.code, str(refused) if known else WHO)
            connection.close(TRY_AGAIN if known else WHO_ARE_YOU, refused.code)
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
        connection.muted = True  # until `auth.ok`: what is told before it, is in what the page loads after it
        presence = await self._parts.presence.of(agent)
        about = {"agent_id": agent.agent_id, "name": agent.name, "email": agent.email, "role": agent.role}
        ready = {"agent": {**about, "presence": presence}}
        if hub.watch(agent.tenant, connection):
            connection.greet("auth.ok", ready)
            return
        heads = await feed.heads(agent.tenant, hub.heard_of(agent.tenant))
        connection.greet("auth.ok", ready)
        hub.know(agent.tenant, heads)
        feed.look_soon()

    async def _token(self, connection: Connection, address: str) -> str | None:
        """Empty where none came in time; None: too many others of this address are being waited for."""
        if self._unnamed[address] >= UNNAMED_MOST and not is_loopback(address):
            self._parts.strangers.say(address, "rate_limited", "logins of sockets")
            connection.close(TRY_AGAIN, "too many at once: come back")
            return None
        self._unnamed[address] += 1
        try:
            frame = await connection.first(AUTH_S)
        finally:
            _one_less(self._unnamed, address)
        return str(frame.payload["token"]) if frame and frame.type == "auth" else ""

    async def _watch_tokens(self) -> None:
        """A revoked or expired token, and a disabled account, end their sockets too."""
        await asyncio.sleep(VALID_EVERY_S)
        try:
            await self._end_invalid(dict(self._tokens))
        except LedgerTrouble as error:
            log.warning(logs.line("tokens_unknown", why=error))

    async def _end_invalid(self, tokens: dict[Connection, tuple[Agent, str]]) -> None:
        if not tokens:
            return
        valid = await self._parts.login.valid(token for _, token in tokens.values())
        for connection, (_, token) in tokens.items():
            if token not in valid:
                connection.refuse("unauthorized", "your login has ended")
                connection.close(WHO_ARE_YOU, "unauthorized")


def _one_less(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


def _after(request: web.Request) -> int:
    value = request.query.get("after", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else 0


async def _quietly(work: Any) -> None:
    """At the end of a socket: where the database is away, the presence runs out by itself."""
    try:
        await work
    except LedgerTrouble as error:
        log.warning(logs.line("presence_not_ended", why=error))
