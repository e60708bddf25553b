"""What supervisors see, by REST: the same pictures as the page's, for programs. After `views`."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from db import minutes
from db.people import Agent
from sidecar.live.parts import Parts
from sidecar.ops.views import Asked, Views
from sidecar.ops.who import check_tenant, own, supervisor
from sidecar.web import answers
from sidecar.web.answers import Refused, answer, answering, keep_pace
from sidecar.web.pace import Paces
from sidecar.web.requests import whole_number
from views import glance
from views.words import ago_s

RATE, BURST = 10.0, 60.0  # requests of one supervisor
TENANT = "/api/v1/ops/{tenant:[A-Za-z0-9_.@-]{1,64}}"
ROOM = TENANT + "/rooms/{room:[0-9A-Za-z_-]{1,64}}"

Handler = Callable[[Agent, web.Request], Awaitable[web.StreamResponse]]


class OpsDoor:
    """Who asks, and of which tenant; then the handler."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._paces = parts, Paces(RATE, BURST)

    def opens(self, handler: Handler) -> answers.Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            agent = supervisor(await self._parts.visitors.anyone(request))
            keep_pace(self._paces, f"{agent.tenant} {agent.agent_id}", "too many requests")
            await self._check(agent, request.match_info.get("tenant"))
            return await handler(agent, request)

        return answering(answered)

    async def _check(self, agent: Agent, tenant: str | None) -> None:
        """Another's tenant is unknown here, and one that is none: before anything else is said of the request."""
        if tenant is None:
            return
        own(agent, tenant)
        if agent.is_operator and tenant not in await self._parts.store.run(glance.tenants):
            raise Refused("not_found", "no such tenant")


class OpsRest:
    def __init__(self, door: OpsDoor, views: Views) -> None:
        self._door, self._views = door, views

    def routes(self) -> list[web.RouteDef]:
        found: list[tuple[str, Handler]] = [
            ("/api/v1/ops/overview", self.overview),
            ("/api/v1/ops/health", self.health),
            (f"{TENANT}/queue", self.queue),
            (f"{TENANT}/agents", self.agents),
            (ROOM, self.room),
            (f"{TENANT}/decisions", self.decisions),
            (f"{TENANT}/series", self.series),
        ]
        return [web.get(path, self._door.opens(handler)) for path, handler in found]

    async def overview(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        shown = await self._views.read(Asked("now", agent.tenant or None))
        return answer({"tenants": [{**row, "oldest_wait_s": ago_s(row["oldest_at"])} for row in shown.rows.values()]})

    async def health(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        shown = await self._views.read(check_tenant(agent, Asked("health")))
        return answer({**shown.head, "rows": list(shown.rows.values())})

    async def queue(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        given = {"offset": whole_number(request, "cursor"), "limit": whole_number(request, "limit")}
        asked = self._asked("queue", agent, request, queue=_given(request, "queue"), **given)
        shown = await self._views.read(asked._replace(state=_given(request, "state"), q=_given(request, "q")))
        rooms = [_waiting(row) for row in shown.rows.values()]
        following = asked.offset + len(rooms)
        return answer({"rooms": rooms, **_page(shown.head["total"], following)})

    async def agents(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        shown = await self._views.read(self._asked("agents", agent, request))
        return answer({**shown.head, "agents": list(shown.rows.values())})

    async def room(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        shown = await self._views.read(self._asked("room", agent, request, room=request.match_info["room"]))
        if not shown.head["visits"]:
            raise Refused("not_found", "no such room")
        return answer(shown.head)

    async def decisions(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        given = {name: _given(request, name) for name in ("agent", "queue", "policy")}
        shown = await self._views.read(
            self._asked("decisions", agent, request, before=whole_number(request, "before"), **given)
        )
        rows = list(shown.rows.values())
        return answer({"decisions": rows, "next": str(rows[-1]["id"]) if rows else None})

    async def series(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        tenant, range_ = own(agent, request.match_info["tenant"]), request.query.get("range", "1h")
        if range_ not in minutes.STEPS:
            raise Refused("invalid_payload", f"range: must be one of {', '.join(minutes.STEPS)}")
        found = await self._views.series(tenant, range_, _given(request, "queue") or "")
        if request.query.get("format") == "csv":
            saved = {"Content-Disposition": f'attachment; filename="{tenant}-{range_}.csv"'}
            return web.Response(text=minutes.as_csv(found), content_type="text/csv", headers=saved)
        return answer(found)

    def _asked(self, view: str, agent: Agent, request: web.Request, /, **given: Any) -> Asked:
        """Raises `Refused`."""
        return Asked.of({"view": view, "tenant": own(agent, request.match_info["tenant"]), **given})


def _given(request: web.Request, name: str) -> str | None:
    return request.query.get(name, "").replace("\0", "")[:200] or None


def _page(total: int, following: int) -> dict[str, Any]:
    return {"total": total, "next": str(following) if following < total else None}


def _waiting(row: Any) -> dict[str, Any]:
    """As the contract has it: `why` is a sentence, and its code stands beside it."""
    why = row["why"]
    told = {"why": why["message"], "why_code": why["code"], "why_values": why["values"]}
    return {**row, "waiting_s": ago_s(row["since"]), **told}
