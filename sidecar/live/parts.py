"""What the rooms of one sidecar share, put together from what a sidecar is told at its start. After `app`, before the
rooms; what only one room needs, that room makes for itself.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import redis
import redis.asyncio

from db import inbox, people, tickets
from db.people import Agent
from sidecar.live.audience import Gathering
from sidecar.live.feed import Feed
from sidecar.live.hub import Hub
from sidecar.live.positions import Positions
from sidecar.live.receipts import Receipts
from sidecar.live.resting import RestingInbox
from sidecar.live.sockets import Sockets
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks
from sidecar.live.turns import Note, Tell, Turns
from sidecar.live.visitors import Visitors
from sidecar.live.writer import Writer
from sidecar.web.door import Door, Network
from sidecar.web.pace import Paces, Repeats
from sidecar.web.strangers import Strangers

PRESENCE_GRACE_S = 30.0  # until unanswered chats of an agent who went away stand in the line again
TYPED_S = 2.0  # in which the same of the same person is passed on once
CUSTOMER_BURST = 3.0  # times the rate
REDIS_S = 1.0  # a wait for Redis, at most: chats go on without it
REDIS_CONNECTIONS = 16


class Times(NamedTuple):
    """`gone_s`: without a page for so long a waiting customer leaves the line; 0: never. More than `LIFE_S`, for which
    a sidecar counts as alive. `return_s`: so much longer they have their place again when they come back, then the chat
    ends."""

    gone_s: float = 600.0
    return_s: float = 3600.0


@dataclass(frozen=True)
class Demo:
    """What everybody may know of a demo, its password too: its chats are nobody's."""

    tenant: str
    password: str
    simulator_url: str


@dataclass(frozen=True)
class Config:
    """What a sidecar is told at its start. `model`: (base URL, key, name) of a language model for the bot. Without a
    `secret_key` a sidecar counts failed logins on its own."""

    database_url: str
    redis_url: str
    data: Path
    default_limit: int
    retry_s: float
    policy: str = "least_loaded"
    target_s: float = 60.0  # who is served within it, is served in time
    believe_s: float = 10.0  # how old a roster may be when a seat is given on its word
    reassign_s: float = 0.0
    grace_s: float = PRESENCE_GRACE_S
    times: Times = Times()
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[Network] = ()
    sessions_a_minute: int = 200
    messages_a_second: int = 20
    uploads_a_minute: int = 20
    upload_most_mb: int = 10
    sockets_an_address: int = 2000
    files_per_tenant_mb: int = 0
    model: tuple[str, str, str] | None = None
    secret_key: str = field(default_factory=secrets.token_urlsafe, repr=False)
    demo: Demo | None = None
    version: str = ""
    scope: str = ""  # whose events it hears; see db/installation.py


@dataclass(frozen=True)
class Parts:
    """`tell`: after the commit, everybody in the room. `messages`: of customers, by room, however many sockets, and
    over HTTP too."""

    config: Config
    sidecar: str  # this one's name among all of them
    tasks: Tasks
    store: Store
    redis: redis.asyncio.Redis
    box: RestingInbox
    turns: Turns
    hub: Hub
    feed: Feed
    tell: Tell
    positions: Positions
    writer: Writer
    receipts: Receipts
    door: Door
    strangers: Strangers
    visitors: Visitors
    sockets: Sockets
    messages: Paces
    typed: Repeats

    def start(self) -> None:
        self.feed.start()
        self.positions.start()
        self.receipts.start()

    async def quiet(self) -> None:
        """What was sent is stored and acknowledged; the sockets are told to come back elsewhere."""
        await self.writer.close()
        await self.sockets.stop()
        await self.receipts.stop()
        await self.positions.stop()

    async def close(self) -> None:
        await self.feed.stop()
        await self.redis.aclose()
        self.writer.store.close()
        self.store.close()


def parts_of(config: Config, tasks: Tasks, store: Store, delivered: Callable[[float], None], note: Note) -> Parts:
    """Made inside a running event loop. `delivered`: as the hub has it; `note`: as `Turns` has it."""
    waits: dict[str, Any] = {"socket_timeout": REDIS_S, "socket_connect_timeout": REDIS_S, "retry": None}
    client = redis.asyncio.Redis.from_url(config.redis_url, **waits)
    box = RestingInbox(inbox.connect(config.redis_url, REDIS_S, REDIS_CONNECTIONS))
    queue = tickets.queue(redis.Redis.from_url(config.redis_url, **waits))
    hub = Hub(delivered, Gathering)
    positions = Positions(hub, store, tasks)
    feed = Feed(hub, store, client, config.scope, positions.stirred, tasks)
    door = Door(config.allowed_origins, config.trusted_proxies, config.demo is not None)
    strangers = Strangers()

    async def who(token: str) -> Agent | None:
        return await store.run(lambda cur: people.who(cur, token))

    return Parts(
        config=config,
        sidecar=secrets.token_hex(8),
        tasks=tasks,
        store=store,
        redis=client,
        box=box,
        turns=Turns(store, box, queue, feed.tell, note),
        hub=hub,
        feed=feed,
        tell=feed.tell,
        positions=positions,
        writer=Writer(Store(config.database_url, "messages", threads=1), feed.tell, tasks),
        receipts=Receipts(store, feed.tell, tasks),
        door=door,
        strangers=strangers,
        visitors=Visitors(store, strangers, who, door.subject),
        sockets=Sockets(door, strangers, config.sockets_an_address),
        messages=Paces(config.messages_a_second, config.messages_a_second * CUSTOMER_BURST),
        typed=Repeats(TYPED_S),
    )
