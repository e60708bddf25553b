"""`/ws/ops`, a supervisor's way to live views. Before `watches`. Who looks here is not online for it."""

from typing import Any

from aiohttp import web

from db.people import Agent
from db.postgres import LedgerTrouble
from sidecar.agents.login import Login
from sidecar.agents.sockets import WHO, first_token
from sidecar.live.connection import TRY_AGAIN, WHO_ARE_YOU, Connection
from sidecar.live.frames import Frame
from sidecar.live.parts import Parts
from sidecar.ops.views import Asked
from sidecar.ops.watches import WATCHES_MOST, Watch, Watches
from sidecar.ops.who import check_tenant, supervisor
from sidecar.web.answers import Refused, why_not

RATE, BURST = 10.0, 60.0
VALID_EVERY_S = 5.0
SOCKETS_MOST = 20  # of one person: each may watch views that nobody else watches


class OpsSockets:
    def __init__(self, parts: Parts, login: Login, watches: Watches) -> None:
        self._parts, self._login, self._watches = parts, login, watches
        self._tokens: dict[Connection, str] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/ops", self.socket)]

    def start(self) -> None:
        self._parts.tasks.start("ops_tokens", self._end_invalid, VALID_EVERY_S)

    async def stop(self) -> None:
        await self._parts.tasks.end("ops_tokens")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        return await self._parts.sockets.serve(request, Connection(RATE, BURST), self._serve)

    async def _serve(self, request: web.Request, connection: Connection) -> None:
        agent = await self._known(request, connection)
        if agent is None:
            return
        page = Page(self._watches, connection, agent)
        try:
            with self._parts.sockets.counted("supervisor", _who(agent)):
                connection.say("auth.ok", {"agent": about(agent)})
                await connection.listen(page.heard)
        finally:
            del self._tokens[connection]
            page.close()

    async def _known(self, request: web.Request, connection: Connection) -> Agent | None:
        token = await first_token(self._parts, connection, self._parts.door.subject(request))
        if token is None:
            return None
        try:
            agent = supervisor(await self._parts.visitors.anyone(request, token))
            if self._parts.sockets.number(_who(agent)) >= SOCKETS_MOST:
                raise Refused("rate_limited", f"{SOCKETS_MOST} open pages of one person are the most")
        except Refused as refused:
            unknown = refused.code == "unauthorized"
            connection.refuse(refused.code, WHO if unknown else str(refused))
            connection.close(WHO_ARE_YOU if unknown or refused.code == "forbidden" else TRY_AGAIN, refused.code)
            return None
        connection.agent, self._tokens[connection] = agent.agent_id, token
        return agent

    async def _end_invalid(self) -> None:
        tokens = dict(self._tokens)
        valid = await self._login.valid(tokens.values()) if tokens else set()
        for connection, token in tokens.items():
            if token not in valid:
                connection.refuse("unauthorized", "your login has ended")
                connection.close(WHO_ARE_YOU, "unauthorized")


def _who(agent: Agent) -> tuple[str, str, str]:
    return "supervisor", agent.tenant, agent.agent_id


def about(agent: Agent) -> dict[str, Any]:
    who = {"agent_id": agent.agent_id, "name": agent.name, "email": agent.email, "role": agent.role}
    return {**who, "tenant_id": agent.tenant or None}


class Page:
    """One socket's watches."""

    def __init__(self, watches: Watches, connection: Connection, agent: Agent) -> None:
        self._all, self._connection, self._agent = watches, connection, agent
        self._own: dict[str, Watch] = {}

    def close(self) -> None:
        self._all.drop(self._own.values())

    async def heard(self, frame: Frame) -> None:
        name = frame.payload.get("watch")
        try:
            if frame.type == "ops.watch":
                await self._watch(str(name), frame.payload)
            elif frame.type == "ops.unwatch":
                self._unwatch(str(name))
            elif frame.type == "ping":
                self._connection.say("pong", {})
            else:
                self._connection.refuse("invalid_payload", f"{frame.type}: not here")
        except Refused as refused:
            self._connection.refuse(refused.code, str(refused), watch=name)
        except LedgerTrouble as error:
            self._connection.refuse("unavailable", f"{why_not(error)}: try again", watch=name)

    async def _watch(self, name: str, payload: dict[str, Any]) -> None:
        asked = check_tenant(self._agent, Asked.of(payload))
        self._unwatch(name)
        if len(self._own) >= WATCHES_MOST:
            raise Refused("rate_limited", f"a page may watch {WATCHES_MOST} views")
        watch = Watch(self._connection, name)
        await self._all.add(watch, asked)
        self._own[name] = watch

    def _unwatch(self, name: str) -> None:
        if watch := self._own.pop(name, None):
            self._all.drop([watch])
