"""One sidecar, put together of its rooms: its routes, its start and its stop. After `__main__`, which has the settings.

Stop: what was sent is stored and acknowledged, the sockets are told to come back elsewhere, then the rest.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

import logs
from db import inbox, processes
from db.upkeep import Upkeep
from sidecar.agents.side import Agents
from sidecar.bot.ai import Model
from sidecar.bot.bot import Bot
from sidecar.customers.side import Customers
from sidecar.files.side import files_of
from sidecar.health import Figures, Health, Presence
from sidecar.live.parts import REDIS_S, Config, parts_of
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks
from sidecar.ops.side import Ops
from sidecar.web import door
from sidecar.web.answers import Refused, answer
from sidecar.web.listening import Connection, expect
from sidecar.web.site import Site

log = logging.getLogger("sidecar.app")

MB = 1024 * 1024
HANDLER_ARGS: dict[str, Any] = {"max_line_size": 16_384, "auto_decompress": False}  # only attackers send packed bodies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SIDECAR: web.AppKey["Sidecar"] = web.AppKey("sidecar")


class Sidecar:
    """The rooms and what they share. Made inside a running event loop."""

    def __init__(self, config: Config) -> None:
        tasks, store = Tasks(), Store(config.database_url)
        redis = Upkeep(inbox.connect(config.redis_url, REDIS_S, 1))
        self.health = health = Health(store, redis, config.version, tasks.down)
        self.parts = parts = parts_of(config, tasks, store, health.delivered, health.committed)
        self.customers, self.agents, self.files = Customers(parts, health.left), Agents(parts), files_of(parts)
        self.ops = Ops(parts, self.agents.login)
        health.disk_left = self.files.disk_left
        self.bot = Bot(store, parts.writer.write, Model(*config.model) if config.model else None)
        parts.writer.heard = self.bot.heard
        health.registry.register(Figures(parts.sockets.counts, parts.feed, parts.strangers, self.files.quota))
        self._here = Presence(parts.box, config.version, parts.sockets.counts, parts.door.untrusted)
        self._rooms = (self.customers, self.agents, self.ops, self.files, health, Site())

    def routes(self) -> list[web.RouteDef]:
        return [route for room in self._rooms for route in room.routes()]

    async def start(self) -> None:
        """Raises `LedgerTrouble`."""
        await self.agents.start()
        self.ops.start()
        await self._here.step()
        self.parts.tasks.start("here", self._here.step, processes.EVERY_S)
        self.customers.attendance.start()
        self.parts.start()
        self.files.start()

    async def stop(self) -> None:
        await self.files.stop()
        await self.bot.close()
        await self.parts.quiet()
        await self.customers.attendance.stop()
        await self.parts.tasks.end("here")
        await self._here.leave()
        await self.ops.stop()
        await self.agents.stop()
        self.files.close()
        await self.parts.close()


def _expecting(route: web.RouteDef) -> web.RouteDef:
    return web.RouteDef(route.method, route.path, route.handler, {**route.kwargs, "expect_handler": expect})


def create_app(config: Config) -> web.Application:
    """To be made inside the event loop that will run it."""
    sidecar = Sidecar(config)
    app = web.Application(
        middlewares=[sidecar.health.counting(), _said, door.middleware(sidecar.parts.door)],
        client_max_size=MB,
        handler_args=dict(HANDLER_ARGS),
    )
    app[SIDECAR] = sidecar
    app.add_routes(_expecting(route) for route in sidecar.routes())
    app.on_startup.append(lambda _: sidecar.start())
    app.on_shutdown.append(lambda _: sidecar.stop())
    return app


@web.middleware
async def _said(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong is one JSON shape, without a word of what is inside."""
    if isinstance(request.protocol, Connection):
        request.protocol.has_asked()
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _as_json(error)
    except Exception as error:
        if isinstance(error, ConnectionError) and _has_left(request):
            return web.Response(status=408)  # nobody reads it
        log.exception(logs.line("request_failed", path=request.match_info.route.resource))
        return Refused("unavailable", "the request was not served; try again", 2).response()


def _has_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _as_json(error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    code = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}.get(error.status, "invalid_request")
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return answer({"error": {"code": code, "message": error.reason.lower()}}, error.status, allow)
