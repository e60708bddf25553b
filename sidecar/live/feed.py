"""From the database and from other processes to the sockets here: `tell`, Redis, and what Redis lost.

Before it: whoever committed something (`writer`, `turns`, workers). After it: `hub`. What happens in this process goes
to its own sockets at once and to all others through Redis, which may lose it: stored rows are found again by looking
how far each room is in PostgreSQL, every two seconds and after each (re)subscription.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence

from psycopg2.extensions import cursor
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

import logs
from db import announce, chat, payloads
from db.announce import News
from sidecar.live.hub import Ear, Head, Hub
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks

log = logging.getLogger("sidecar.feed")

LOOK_EVERY_S = 2.0
GAP_S = 0.03  # a gap mostly closes by itself: two processes publish in another order than they committed
AGAIN_S = 0.5
SILENT_S = 5.0  # then Redis is asked whether it is still there; silent twice, it is connected to anew
PUBLISH_MOST = 50_000  # news in line for a Redis that does not answer; beyond it they are dropped, and found later
ROWS_MOST = 500
STIRRING = frozenset({"line", "chat.presence"})  # places and waits may be others now

Stirred = Callable[[str], None]


class Feed:
    """Of one sidecar; belongs to one event loop."""

    def __init__(
        self,
        hub: Hub,
        store: Store,
        redis: Redis,
        scope: str,
        stirred: Stirred = lambda tenant: None,
        tasks: Tasks | None = None,
    ) -> None:
        """`redis`: a client that answers in bytes. `scope`: whose events are heard. `stirred`: told of each tenant
        whose line or presence has moved."""
        self._hub, self._store, self._redis, self._scope, self._stirred = hub, store, redis, scope, stirred
        self._tasks = tasks or Tasks()
        self.origin = secrets.token_hex(8)
        self._own = self.origin.encode()
        self._sockets: Counter[str] = Counter()
        self._tenant_of: dict[bytes, str] = {}
        self._pubsub: PubSub | None = None
        self._subscribing = asyncio.Lock()  # two at once would open two connections, and one would never be read
        self._out: list[tuple[str, Sequence[News]]] = []
        self._something_out, self._all_out, self._gap = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._all_out.set()
        self._steps = {"feed_publish": self._publish, "feed_listen": self._listen, "feed_look": self._look}
        self._compared_at = -LOOK_EVERY_S
        self.looked_at = time.monotonic()  # when the database was last asked with success

    def start(self) -> None:
        for name, step in self._steps.items():
            self._tasks.start(name, step)

    async def stop(self) -> None:
        """What was told is published first, if Redis takes it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._all_out.wait()
        await self._tasks.end(*self._steps)

    # --- what happens here

    def tell(self, tenant: str, news: Sequence[News], but: Ear | None = None) -> None:
        """After the commit, to everybody: here at once, elsewhere through Redis. `but`: who did it, and needs not hear
        of it."""
        if len(self._out) < PUBLISH_MOST:
            self._out.append((tenant, news))
            self._all_out.clear()
            self._something_out.set()
        self._hear(tenant, news, but)

    def _hear(self, tenant: str, news: Sequence[News], but: Ear | None = None) -> None:
        self._hub.hear(tenant, news, but)
        if any(one.type in STIRRING or one.type.startswith("chat.session.") for one in news):
            self._stirred(tenant)
        if self._hub.missing():
            self._gap.set()

    async def _publish(self) -> None:
        """All that has gathered, in one round trip."""
        await self._something_out.wait()
        batch, self._out = self._out, []
        self._something_out.clear()
        pipe = self._redis.pipeline(transaction=False)
        for tenant, news in batch:
            pipe.publish(self._channel(tenant), announce.packed(news, self.origin))
        try:
            await pipe.execute()
        except (RedisError, OSError) as error:
            log.warning(logs.line("news_lost", number=len(batch), why=type(error).__name__))
        if not self._out:
            self._all_out.set()

    # --- what happens elsewhere

    def _channel(self, tenant: str) -> str:
        return announce.channel(tenant, self._scope)

    async def open(self, tenant: str) -> None:
        """A socket of the tenant is here."""
        self._sockets[tenant] += 1
        if self._sockets[tenant] == 1:
            self._tenant_of[self._channel(tenant).encode()] = tenant
            await self._subscribe(self._channel(tenant))

    async def close(self, tenant: str) -> None:
        self._sockets[tenant] -= 1
        if self._sockets[tenant] <= 0:
            del self._sockets[tenant]
            self._tenant_of.pop(self._channel(tenant).encode(), None)
            await self._unsubscribe(tenant)

    async def _subscribe(self, channel: str) -> None:
        """Where it fails, the next connection brings it."""
        with contextlib.suppress(RedisError, OSError):
            async with self._subscribing:
                if self._pubsub and channel.encode() in self._tenant_of:
                    await self._pubsub.subscribe(channel)

    async def _unsubscribe(self, tenant: str) -> None:
        """Unless a socket of the tenant came meanwhile."""
        with contextlib.suppress(RedisError, OSError):
            async with self._subscribing:
                if self._pubsub and tenant not in self._sockets:
                    await self._pubsub.unsubscribe(self._channel(tenant))

    async def _listen(self) -> None:
        """One connection's life."""
        pubsub = self._redis.pubsub()
        try:
            async with self._subscribing:
                self._pubsub = pubsub  # who comes from here on waits, and subscribes by itself
                await pubsub.subscribe(f"giliran:sidecar:{self.origin}", *(name.decode() for name in self._tenant_of))
            silent = 0
            while silent < 2:
                message = await pubsub.get_message(timeout=SILENT_S)
                silent = 0 if message else silent + 1
                if message is None:
                    await pubsub.ping()
                elif message["type"] == "subscribe":
                    self._compared_at = -LOOK_EVERY_S  # what was said before it is looked for
                    self._gap.set()
                elif message["type"] == "message":
                    self._heard(message["channel"], message["data"])
        except (RedisError, OSError) as error:
            log.warning(logs.line("feed_interrupted", why=type(error).__name__))
            await asyncio.sleep(AGAIN_S)
        finally:
            self._pubsub = None
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()

    def _heard(self, channel: bytes, data: bytes) -> None:
        tenant = self._tenant_of.get(channel)
        if tenant is None or data.startswith(self._own):
            return
        try:
            news = announce.unpacked(data)
        except (ValueError, TypeError):
            log.warning(logs.line("news_unreadable", tenant=tenant))
            return
        self._hear(tenant, news)

    # --- what got lost

    async def _look(self) -> None:
        """Every two seconds at all, and soon at what is known to be missing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._compared_at + LOOK_EVERY_S - time.monotonic())):
                await self._gap.wait()  # wait_for may lose a cancellation (Python 3.11)
        if self._gap.is_set():
            await asyncio.sleep(GAP_S)
        self._gap.clear()
        if time.monotonic() - self._compared_at >= LOOK_EVERY_S:
            await self._compare()
        while wanted := self._hub.missing():
            await self._fetch(wanted[:ROWS_MOST])
        self.looked_at = time.monotonic()

    async def _compare(self) -> None:
        self._compared_at = time.monotonic()
        tenants, places = self._hub.heard()
        if not tenants and not places:
            return
        rows = await self._store.run(lambda cur: chat.ahead(cur, tenants, places))
        self._hub.compare([Head(*row) for row in rows])

    async def heads(self, tenant: str, rooms: list[str]) -> list[Head]:
        """How far the open rooms of a tenant, and these rooms, are. Raises `LedgerTrouble`."""
        rows = await self._store.run(lambda cur: chat.heads(cur, tenant, rooms))
        return [Head(*row) for row in rows]

    async def _fetch(self, wanted: list[tuple[str, str, int]]) -> None:
        found = await self._store.run(lambda cur: _told_of(cur, wanted))
        before = {(tenant, room): after for tenant, room, after in wanted}
        for tenant, news in found:
            self._hear(tenant, news)
        after = {(tenant, room): seq for tenant, room, seq in self._hub.missing()}
        stuck = [place for place, seq in before.items() if after.get(place) == seq]
        if stuck:  # announced, but not (any more) in the database: nothing to wait for
            self._hub.give_up(stuck)
            log.error(logs.line("rows_missing", rooms=len(stuck), first=stuck[0][1]))

    def look_soon(self) -> None:
        """Rows may be missing."""
        self._gap.set()


def _told_of(cur: cursor, wanted: list[tuple[str, str, int]]) -> list[tuple[str, list[News]]]:
    return [(row.tenant, payloads.happened(cur, row)) for row in chat.rows_of_rooms(cur, wanted, ROWS_MOST)]
