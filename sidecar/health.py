"""What ops reads: `/healthz` (this process lives), `/readyz` (it can serve chats), `/metrics` (Prometheus)."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from db import processes, redis_why
from db.inbox import Inbox, InboxDown
from db.postgres import LedgerDown, LedgerTrouble, must_write
from db.turn import Turn
from db.upkeep import Upkeep
from meters import Process, Served
from sidecar.files.quota import Quota
from sidecar.live.feed import Feed
from sidecar.live.store import Store
from sidecar.web.answers import Refused, answer
from sidecar.web.lately import Lately
from sidecar.web.strangers import Strangers

READY_S = 3.0
DATABASE_KEPT_S = 0.5
REDIS_EVERY_S = 1.0  # whoever asks more often hears the same
DISK_S = 1.0
PATHS = ("/healthz", "/readyz", "/metrics")
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class Figures:
    """Read at each scrape. `sockets`: of customers and of agents."""

    sockets: Callable[[], tuple[int, int]]
    feed: Feed
    strangers: Strangers
    quota: Quota

    def collect(self) -> list[Metric]:
        family = GaugeMetricFamily("giliran_sidecar_connections", "Open sockets, by who is there", labels=["who"])
        customers, agents = self.sockets()
        family.add_metric(["customer"], customers)
        family.add_metric(["agent"], agents)
        blind = GaugeMetricFamily(
            "giliran_sidecar_feed_age_s", "Seconds since PostgreSQL last said how far the rooms are"
        )
        blind.add_metric([], time.monotonic() - self.feed.looked_at)
        refused = CounterMetricFamily(
            "giliran_sidecar_strangers_refused", "Requests without a login that were refused: unknown keys, too many"
        )
        refused.add_metric([], self.strangers.refused)
        fullest = GaugeMetricFamily(
            "giliran_sidecar_files_fullest_ratio", "Share of FILES_PER_TENANT_MB that the fullest tenant uses"
        )
        fullest.add_metric([], self.quota.fullest)
        return [family, blind, refused, fullest]


class Presence:
    """This sidecar among the processes that run, as Redis is told every few seconds."""

    def __init__(
        self, box: Inbox, version: str, sockets: Callable[[], tuple[int, int]], untrusted: Callable[[], str]
    ) -> None:
        """`untrusted`: the proxy that is not believed, '' for none."""
        self._box, self._sockets, self._untrusted = box, sockets, untrusted
        self._me = processes.about("sidecar", version)

    async def step(self) -> None:
        with contextlib.suppress(InboxDown):
            me = {**self._me, processes.UNTRUSTED: self._untrusted()}
            await asyncio.to_thread(processes.tell, self._box, me, self._load())

    async def leave(self) -> None:
        await asyncio.to_thread(processes.leave, self._box, self._me)

    def _load(self) -> dict[str, float]:
        customers, agents = self._sockets()
        return {"customers": customers, "agents": agents}


class Health:
    def __init__(self, store: Store, box: Upkeep, version: str = "", down: Callable[[], list[str]] = list) -> None:
        """`down`: the background tasks that fail."""
        self._store, self._box, self._down = store, box, down
        self._database: Lately[None, str] = Lately(self._wrong_with_database, DATABASE_KEPT_S, 1)  # anybody may ask
        self._redis, self._redis_at = "", -REDIS_EVERY_S  # what was found last, and when
        self._redis_refuses = False
        self.disk_left: Callable[[], Awaitable[int]] | None = None  # bytes
        self.registry = CollectorRegistry()
        self.registry.register(Process(version))
        self._served = Served(self.registry)
        self._delivery = Histogram(
            "giliran_sidecar_delivery_seconds",
            "From a message's coming to its going out to the others in the room, stored in between",
            buckets=BUCKETS_S,
            registry=self.registry,
        )

        self._gone = Counter(
            "giliran_sidecar_customers_gone",
            "Waiting customers who left the line, or whose chat ended, because no page of theirs was open",
            registry=self.registry,
        )
        self._answers = Counter(
            "giliran_sidecar_answers",
            "Answered requests, health pages excepted",
            labelnames=["route", "status"],
            registry=self.registry,
        )
        self._disk = Gauge(
            "giliran_sidecar_disk_free_bytes", "Left on the disk of GILIRAN_DATA", registry=self.registry
        )

    def committed(self, turn: Turn) -> None:
        """Who was assigned and who ended in it."""
        self._served.note(turn.tenant, turn.waits, turn.handled)

    def counting(self) -> Middleware:
        """Outermost: what every request was answered. A socket counts when it ends, as 101."""

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            resource = request.match_info.route.resource
            route = resource.canonical if resource else ""  # as we wrote it: no text of strangers is a label
            if route not in PATHS:
                self._answers.labels(route, response.status).inc()
            return response

        return counted

    def left(self) -> None:
        """A customer who was gone left the line, or their chat ended."""
        self._gone.inc()

    def delivered(self, came: float) -> None:
        """A message that came over a socket here, at a monotonic time, went out just now."""
        self._delivery.observe(time.monotonic() - came)

    def routes(self) -> list[web.RouteDef]:
        views = (self.healthz, self.readyz, self.metrics)
        return [web.get(path, view) for path, view in zip(PATHS, views, strict=True)]

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        return answer({"status": "alive"})

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        if wrong := await self._database.get(None):
            return Refused("unavailable", wrong, 2).response()
        if down := self._down():
            return Refused("unavailable", f"tasks of this sidecar fail, see its log: {', '.join(down)}", 2).response()
        await self._look_at_redis()
        if self._redis_refuses:
            return Refused("unavailable", self._redis, 2).response()
        return answer({"status": "ready", **({"redis": self._redis} if self._redis else {})})

    async def _wrong_with_database(self, _: None) -> str:
        """Empty: it can be written to."""
        try:
            async with asyncio.timeout(READY_S):
                await self._store.run(must_write)
        except LedgerDown as error:
            return "PostgreSQL is read-only" if "read-only" in str(error) else "the database can't be reached"
        except (LedgerTrouble, TimeoutError):
            return "the database does not answer in time"
        return ""

    async def _look_at_redis(self) -> None:
        """One that is away is no reason to send people elsewhere: chats go on without it. One that is full, read-only
        or closed to us is not what this process should work with."""
        if time.monotonic() - self._redis_at < REDIS_EVERY_S:
            return
        self._redis_at = time.monotonic()
        try:
            await asyncio.to_thread(self._box.try_to_store)
            self._redis, self._redis_refuses = "", False
        except InboxDown as error:
            self._redis, self._redis_refuses = str(error), not redis_why.is_away(error)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        self._disk.set(await self._left_on_disk())
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _left_on_disk(self) -> float:
        """A disk that does not answer holds up no scrape."""
        try:
            async with asyncio.timeout(DISK_S):
                return await self.disk_left() if self.disk_left else math.nan
        except (OSError, TimeoutError):
            return math.nan
