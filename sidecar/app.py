"""One sidecar, put together: its parts, its routes, its start and its stop. After `__main__`, which has the settings.

Stop: what was sent is stored and acknowledged, the sockets are told to come back elsewhere, then the rest.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from aiohttp import web

import logs
from db import inbox, tickets
from db.upkeep import Upkeep
from sidecar import door
from sidecar.ai import Model
from sidecar.attachments import Attachments
from sidecar.attendance import Attendance, Times
from sidecar.audience import Gathering
from sidecar.bot import Bot
from sidecar.console import Console, Desk
from sidecar.door import Door
from sidecar.feed import Feed
from sidecar.file_tickets import FileTickets
from sidecar.health import Figures, Health
from sidecar.hub import Hub
from sidecar.listening import Connection, expect
from sidecar.login import Login
from sidecar.marks import Marks
from sidecar.pace import Paces, Repeats
from sidecar.places import Places
from sidecar.presence import PRESENCE_GRACE_S, Presence
from sidecar.quota import Quota
from sidecar.reception import Reception
from sidecar.refusals import Refused, answer
from sidecar.resting import RestingInbox
from sidecar.seats import Seats
from sidecar.sessions import Front, Sessions
from sidecar.shelf import Shelf
from sidecar.site import Demo, Site
from sidecar.sockets import CUSTOMER_BURST, Sockets
from sidecar.store import Store
from sidecar.strangers import Strangers
from sidecar.talk import Parts
from sidecar.tasks import Tasks
from sidecar.team import Team
from sidecar.turns import Turns
from sidecar.writer import Writer

log = logging.getLogger("sidecar.app")

TYPED_S = 2.0  # in which the same of the same person is passed on once
REDIS_S = 1.0  # a wait for Redis, at most: chats go on without it
REDIS_CONNECTIONS = 16
MB = 1024 * 1024
HANDLER_ARGS: dict[str, Any] = {"max_line_size": 16_384, "auto_decompress": False}  # only attackers send packed bodies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SIDECAR: web.AppKey["Sidecar"] = web.AppKey("sidecar")


@dataclass(frozen=True)
class Config:
    """What a sidecar is told at its start. `model`: (base URL, key, name) of a language model for the bot. Without a
    `secret_key` a sidecar counts failed logins on its own."""

    database_url: str
    redis_url: str
    data: Path
    default_limit: int
    retry_s: float
    reassign_s: float = 0.0
    grace_s: float = PRESENCE_GRACE_S
    times: Times = Times()
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[door.Network] = ()
    sessions_a_minute: int = 200
    messages_a_second: int = 20
    uploads_a_minute: int = 20
    upload_most_mb: int = 10
    sockets_an_address: int = 2000
    files_per_tenant_mb: int = 0
    model: tuple[str, str, str] | None = None
    secret_key: str = field(default_factory=secrets.token_urlsafe, repr=False)
    demo: Demo | None = None
    scope: str = ""  # whose events it hears; see db/installation.py


class Sidecar:
    """The parts, in the order in which they need one another. Made inside a running event loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store(config.database_url)
        self.commits = Store(config.database_url, "messages", threads=1)
        self.tasks = Tasks()
        self.health = Health(self.store, Upkeep(inbox.connect(config.redis_url, REDIS_S, 1)), self.tasks.down)
        self.hub = Hub(self.health.delivered, Gathering)
        self.redis = redis.asyncio.Redis.from_url(
            config.redis_url, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S, retry=None
        )
        self.places = Places(self.hub, self.store, self.tasks)
        self.feed = Feed(self.hub, self.store, self.redis, config.scope, self.places.stirred, self.tasks)
        self.writer = Writer(self.commits, self.feed.tell, self.tasks)
        self.marks = Marks(self.store, self.feed.tell, self.tasks)
        self.door = Door(config.allowed_origins, config.trusted_proxies, config.demo is not None)
        self.strangers = Strangers()
        self.messages = Paces(config.messages_a_second, config.messages_a_second * CUSTOMER_BURST)
        self._box = RestingInbox(inbox.connect(config.redis_url, REDIS_S, REDIS_CONNECTIONS))
        queue_client = redis.Redis.from_url(
            config.redis_url, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S, retry=None
        )
        self.turns = Turns(self.store, self._box, tickets.queue(queue_client), self.feed.tell)
        self.seats = Seats(self.turns, self._box, config.default_limit)
        self.login = Login(self.store, config.secret_key)
        self.presence = Presence(
            self.store,
            self.turns,
            self.seats,
            retry_s=config.retry_s,
            reassign_s=config.reassign_s,
            grace_s=config.grace_s,
            tasks=self.tasks,
        )
        self.attendance = Attendance(
            self.store,
            self.turns,
            self.feed.tell,
            self.presence.sidecar,
            config.times,
            self.tasks,
            self.health.left,
        )
        self.team = Team(self.hub, self.store, self._box, config.default_limit, tasks=self.tasks)
        self.shelf = Shelf(config.data / "attachments", config.upload_most_mb * MB)
        self.quota = Quota(self.store, config.files_per_tenant_mb * MB)
        self.bot = Bot(self.store, self.writer.write, Model(*config.model) if config.model else None)
        self.writer.heard = self.bot.heard
        self.sockets = Sockets(self._parts())
        self.attachments = Attachments(
            self.store,
            self.writer.write,
            self.login.who,
            self.attendance.back,
            self.shelf,
            config.uploads_a_minute,
            self.door.subject,
            tasks=self.tasks,
            tickets=FileTickets(config.secret_key),
            strangers=self.strangers,
            quota=self.quota,
        )
        self.health.registry.register(Figures(self.sockets.counts, self.feed, self.strangers, self.quota))

    def _parts(self) -> Parts:
        return Parts(
            store=self.store,
            login=self.login,
            presence=self.presence,
            attendance=self.attendance,
            writer=self.writer,
            marks=self.marks,
            hub=self.hub,
            feed=self.feed,
            places=self.places,
            door=self.door,
            messages=self.messages,
            customer_rate=float(self.config.messages_a_second),
            strangers=self.strangers,
            sockets_an_address=self.config.sockets_an_address,
            typed=Repeats(TYPED_S),
            tasks=self.tasks,
        )

    def routes(self) -> list[web.RouteDef]:
        front = Front(
            store=self.store,
            turns=self.turns,
            attendance=self.attendance,
            places=self.places,
            writer=self.writer,
            marks=self.marks,
            tell=self.feed.tell,
            heard=self.bot.heard,
            door=self.door,
            messages=self.messages,
            sessions_a_minute=self.config.sessions_a_minute,
            secret_key=self.config.secret_key,
            strangers=self.strangers,
        )
        desk = Desk(
            store=self.store,
            login=self.login,
            turns=self.turns,
            seats=self.seats,
            presence=self.presence,
            team=self.team,
            writer=self.writer,
            marks=self.marks,
            tell=self.feed.tell,
            address_of=self.door.subject,
            strangers=self.strangers,
        )
        site = Site(self.store, self.config.demo, self.strangers, self.door.subject)
        reception = Reception(self.store, self.config.upload_most_mb, self.strangers, self.door.subject)
        parts = (Sessions(front), reception, Console(desk), self.attachments, self.sockets, self.health, site)
        return [route for part in parts for route in part.routes()]

    async def start(self) -> None:
        """Raises `LedgerTrouble`."""
        await self.presence.start()
        self.attendance.start()
        self.feed.start()
        self.places.start()
        self.team.start()
        self.marks.start()
        self.sockets.start()
        self.attachments.start()

    async def stop(self) -> None:
        await self.attachments.stop()
        await self.bot.close()
        await self.writer.close()
        await self.sockets.stop()
        await self.marks.stop()
        await self.team.stop()
        await self.places.stop()
        await self.attendance.stop()
        await self.presence.stop()
        await self.feed.stop()
        self.login.close()
        self.shelf.close()
        await self.redis.aclose()
        self.commits.close()
        self.store.close()


def _expecting(route: web.RouteDef) -> web.RouteDef:
    return web.RouteDef(route.method, route.path, route.handler, {**route.kwargs, "expect_handler": expect})


def create_app(config: Config) -> web.Application:
    """To be made inside the event loop that will run it."""
    sidecar = Sidecar(config)
    app = web.Application(
        middlewares=[_said, door.middleware(sidecar.door)],
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
