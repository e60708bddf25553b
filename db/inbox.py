"""Redis: the inbox between the receiver and the workers, the tickets, the admin's limit keys, and the caches.

All key names are here. The receiver pushes (`push_call`), a worker takes (`Inbox.take`), commits to PostgreSQL, and
then trims (`Inbox.done`): nothing is removed before it is in the ledger. Everything here may be lost at any moment.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from db.redis_why import why

LUA = Path(__file__).parent / "lua"

TENANTS = "giliran:tenants"
UNSORTED = "giliran:unsorted"
NAMED = "giliran:named"
INSTALLATION = "giliran:installation"
TICKET_SECONDS = 30
LATER, LATER_SECONDS = "later-", 5  # a ticket whose tenant is busy: a worker replaces it once the tenant is free

ARRIVED, RESOLVED = "arrived", "resolved"


class InboxDown(Exception):
    """Redis can't be reached, is loading, is out of memory, or refuses to write. Trying again later can help."""


def key(tenant: str, name: str) -> str:
    return f"giliran:{{{tenant}}}:{name}"


def limit_key(tenant: str | None = None, agent: str | None = None) -> str:
    """The admin's key: global, of a tenant, or of one agent."""
    return ":".join(part for part in ("config:max_agent_chat", tenant, agent) if part)


def digest(secret: str | None) -> str:
    """How a tenant's webhook secret is kept and compared; '' for none."""
    return hashlib.sha256(secret.encode()).hexdigest() if secret else ""


@dataclass(frozen=True)
class Script:
    text: str
    sha: str

    @classmethod
    def named(cls, name: str) -> "Script":
        text = (LUA / f"{name}.lua").read_text()
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ASK = Script.named("ask")
CLAIM = Script.named("claim")


class Entry(NamedTuple):
    """One webhook as the inbox holds it. `at_us`: its arrival, microseconds, the clock of Redis."""

    id: str
    at_us: int
    fields: Mapping[str, str]

    @property
    def came_us(self) -> int:
        """When it came into this inbox."""
        return _arrival_us(self.id)


@dataclass(frozen=True)
class Cursor:
    """How far the ledger has read: in which life of Redis, up to which entry; and its revision."""

    epoch: str
    seen: str
    rev: int


class LimitKeys(NamedTuple):
    """All limits of a tenant. The same values of other agents, or beside another default, are other limits."""

    scopes: Sequence[str]  # of the ledger's copy
    names: Sequence[str]
    digest: str  # of the question


class Named(NamedTuple):
    """What a version of a tenant's rules asks about a customer; JSON, '' where there are none."""

    version: int
    asked: str

    @property
    def text(self) -> str:
        return f"{self.version}:{self.asked}"

    @classmethod
    def read(cls, text: str) -> "Named":
        version, _, asked = text.partition(":")
        return cls(int(version), asked) if version.isascii() and version.isdigit() else cls(0, "")


@dataclass(frozen=True)
class Taken:
    epoch: str
    entries: list[Entry]
    limits: list[str | None] | None  # None: they are those of the ledger's digest
    limits_digest: str


HELD, GONE = "held", "gone"  # where a room stands that does not wait


@dataclass
class Changes:
    """What a commit changed, for the caches.

    rooms   where each stands now: its place in the line, `HELD` or `GONE`; the last word counts
    seats   agent → open ones
    """

    rooms: dict[str, int | str] = field(default_factory=dict, kw_only=True)
    seats: dict[str, int] = field(default_factory=dict, kw_only=True)

    def as_told(self) -> dict[str, list[Any]]:
        """The rooms as done.lua and remind.lua read them."""
        told: dict[str, list[Any]] = {"waiting": [], HELD: [], GONE: []}
        for room, to in self.rooms.items():
            told[to if isinstance(to, str) else "waiting"].append(room if isinstance(to, str) else [room, str(to)])
        return told


def _texts(seats: Mapping[str, int]) -> dict[str, str]:
    return {agent: str(number) for agent, number in seats.items()}


@dataclass(frozen=True)
class Counters:
    """The Redis side of the max-load check. Only `trusted` counters mean anything, and they never veto a seat."""

    trusted: bool
    inbox_size: int
    asked: bool = False  # somebody waits for a look at what is due


@dataclass(frozen=True)
class Glance:
    """What the sweeper sees of one tenant in one look."""

    inbox_size: int
    ticket: str | None
    epoch: str | None
    rev: str | None
    limits: tuple[str | None, ...]


class Inbox:
    """A worker's view. Raises `InboxDown` for all that Redis does wrong. Thread-safe."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.limit_keys: dict[str, LimitKeys] = {}  # by tenant, as last asked for; see worker/decide.py
        names = ("take", "begin", "done", "remind", "close", "sort", "own", "push", "name")
        self._scripts = {name: Script.named(name) for name in names}

    def take(self, tenant: str, ledger: Cursor, most: int, limit_keys: Sequence[str], limits_digest: str = "") -> Taken:
        """Everything after the cursor, oldest first, at most `most`; from the beginning if Redis lost its data since.
        Call it while the tenant's row is locked; the caches are not believed again before `done`."""
        keys = [key(tenant, name) for name in ("epoch", "inbox", "rev")]
        args = [secrets.token_hex(8), ledger.epoch, ledger.seen, str(most), str(ledger.rev + 1)]
        args += [json.dumps(limit_keys), limits_digest]
        epoch, entries, digest_now, limits = self._run("take", keys, args)
        return Taken(epoch, [_entry(row) for row in entries], limits, digest_now)

    def begin(self, tenant: str, rev: int) -> None:
        """A change that takes nothing from the inbox is under way and will make `rev`."""
        self._run("begin", [key(tenant, "rev")], [str(rev)])

    def done(self, tenant: str, epoch: str, last_id: str, rev: int, changes: Changes) -> None:
        """Trim the inbox up to `last_id` ('' for nothing) and tell the caches what the commit changed."""
        keys = [key(tenant, name) for name in ("epoch", "inbox", "rev", "line", "held", "seats")]
        told = {**changes.as_told(), "seats": _texts(changes.seats)}
        self._run("done", keys, [epoch, last_id, str(rev), json.dumps(told)])

    def restore_limits(self, values: Mapping[str, int]) -> None:
        """Put lost admin keys back; one that the admin has set since stays."""
        with self.guarded() as client:
            pipe = client.pipeline(transaction=False)
            for name, value in values.items():
                pipe.set(name, value, nx=True)
            pipe.execute()

    def open_ticket(self, tenant: str, run: str) -> Counters:
        """A job begins to look. Its ticket stays out until `close_ticket`: who comes meanwhile puts no other job in."""
        with self.guarded() as client:
            pipe = client.pipeline(transaction=True)
            pipe.set(key(tenant, "ticket"), f"run-{run}", ex=TICKET_SECONDS, get=True)
            pipe.get(key(tenant, "rev"))
            pipe.xlen(key(tenant, "inbox"))
            before, rev, size = pipe.execute()
        asked = (before or "").startswith("again-")  # of a job that another one has overtaken
        return Counters(not asked and bool(rev) and rev.isdigit(), size, asked)

    def seats(self, tenant: str) -> dict[str, int] | None:
        """Agent → open seats as the cache has them; None where they are not to be believed."""
        with self.guarded() as client:
            pipe = client.pipeline(transaction=True)
            pipe.get(key(tenant, "rev"))
            pipe.hgetall(key(tenant, "seats"))
            rev, seats = pipe.execute()
        if not rev or not rev.isdigit() or not all(n.isdigit() for n in seats.values()):
            return None
        return {agent: int(n) for agent, n in seats.items()}

    def postpone_ticket(self, tenant: str) -> None:
        """The job met a busy tenant: whoever ran it replaces the ticket in a moment, and nobody else puts a job in."""
        with self.guarded() as client:
            client.set(key(tenant, "ticket"), f"{LATER}{secrets.token_hex(8)}", ex=LATER_SECONDS)

    def close_ticket(self, tenant: str, run: str, queue_key: str) -> tuple[str, int]:
        """After a look: `closed`, or why the job has to look again (`more`, `again`: see close.lua); and how many
        jobs wait in the queue."""
        word, waiting = self._run(
            "close", [key(tenant, "ticket"), key(tenant, "inbox"), queue_key], [run, str(TICKET_SECONDS)]
        )
        return word, waiting

    def size(self, tenant: str) -> int:
        """Webhooks that no worker has taken over yet."""
        with self.guarded() as client:
            return int(client.xlen(key(tenant, "inbox")))

    def limit_texts(self, limit_keys: Sequence[str]) -> list[str | None]:
        with self.guarded() as client:
            return list(client.mget(limit_keys))

    def set_limit(self, limit_key: str, value: int | None) -> str | None:
        """The admin's key; None takes it away. What it held before."""
        with self.guarded() as client:
            before = client.getdel(limit_key) if value is None else client.set(limit_key, value, get=True)
        return None if before is None else str(before)

    def glance(self, tenants: Sequence[str], limit_keys: Mapping[str, Sequence[str]]) -> dict[str, Glance]:
        """One pipelined look at all tenants."""
        with self.guarded() as client:
            pipe = client.pipeline(transaction=False)
            for tenant in tenants:
                pipe.xlen(key(tenant, "inbox"))
                pipe.get(key(tenant, "ticket"))
                pipe.get(key(tenant, "epoch"))
                pipe.get(key(tenant, "rev"))
                pipe.mget(limit_keys[tenant])
            found = iter(pipe.execute())
        return {t: Glance(next(found), next(found), next(found), next(found), tuple(next(found))) for t in tenants}

    def publish(self, digests: Mapping[str, str]) -> None:
        """Tell the receivers which tenants exist: tenant → digest of its own webhook secret."""
        with self.guarded() as client:
            pipe = client.pipeline(transaction=True)
            pipe.delete(TENANTS)
            pipe.hset(TENANTS, mapping={**digests, "*": str(len(digests))})
            pipe.execute()

    def published(self) -> dict[str, str] | None:
        """None: nothing was, or Redis has lost it."""
        with self.guarded() as client:
            known: dict[str, str] = client.hgetall(TENANTS)
        return known if known.pop("*", None) is not None else None

    def name(self, tenant: str, named: Named) -> bool:
        """Tell the receivers what a tenant's rules ask about a customer. False: a newer version is told already."""
        return bool(self._run("name", [NAMED], [tenant, str(named.version), named.text]))

    def names(self) -> dict[str, Named]:
        """Tenant → what the receivers were told."""
        with self.guarded() as client:
            return {tenant: Named.read(text) for tenant, text in client.hgetall(NAMED).items()}

    def forget_names(self, tenants: Sequence[str]) -> None:
        with self.guarded() as client:
            client.hdel(NAMED, *tenants)

    def unsorted(self, most: int) -> list[Entry]:
        with self.guarded() as client:
            return [_entry(row) for row in client.xrange(UNSORTED, count=most)]

    def sort(self, entry: Entry, tenant: str) -> None:
        fields = [part for pair in entry.fields.items() for part in pair]
        keys = [UNSORTED, key(tenant, "epoch"), key(tenant, "inbox")]
        self._run("sort", keys, [entry.id, secrets.token_hex(8), *fields])

    def drop_unsorted(self, entry: Entry) -> None:
        with self.guarded() as client:
            client.xdel(UNSORTED, entry.id)

    def cached_rooms(self, tenant: str) -> tuple[dict[str, int], frozenset[str]]:
        """The cached line, room → place, and the held rooms; read in pieces, so that nobody waits for it. What changes
        meanwhile may be seen or not."""
        with self.guarded() as client:
            line = {room: int(place) for room, place in client.zscan_iter(key(tenant, "line"), count=1000)}
            return line, frozenset(client.sscan_iter(key(tenant, "held"), count=1000))

    def remind(self, tenant: str, rev: int, changes: Changes, step: str, mender: str) -> int:
        """Tell the caches again what the ledger says at `rev` of some rooms. Call it while the tenant's row is locked.
        `step`: `first` or `last` of the steps by which `mender` (hex) mends the caches as a whole, or ''. The last one
        tells all open seats, too; after it the caches are believed, if every change since the first was told. How many
        entries were wrong though they passed for true and nothing was under way."""
        keys = [key(tenant, name) for name in ("rev", "inbox", "line", "held", "seats")]
        open_seats = json.dumps(_texts(changes.seats)) if step == "last" else ""
        wrong: int = self._run("remind", keys, [str(rev), json.dumps(changes.as_told()), open_seats, step, mender])
        return wrong

    def _run(self, name: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        script = self._scripts[name]
        with self.guarded() as client:
            try:
                return client.evalsha(script.sha, len(keys), *keys, *args)
            except NoScriptError:  # Redis was restarted or flushed
                return client.eval(script.text, len(keys), *keys, *args)

    def guarded(self) -> "Guarded":
        return Guarded(self._client)


class Guarded:
    """One conversation with Redis; turns everything that it raises into `InboxDown`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __enter__(self) -> Any:  # redis-py types every answer as bytes or text or None
        return self._client

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError):
            raise InboxDown(why(error)) from error


def connect(url: str, timeout_s: float, connections: int, *, text: bool = True, repeats: int = 0) -> redis.Redis:
    """A client whose every wait is bounded. It repeats nothing by itself, or `repeats` times what a broken connection
    has cut off: that may then run twice."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        decode_responses=text,
        encoding_errors="replace",
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=connections,
        timeout=timeout_s,
        retry=Retry(NoBackoff(), repeats, (RedisConnectionError,)),
        health_check_interval=0,
    )
    return redis.Redis(connection_pool=pool)


def _entry(row: tuple[str, Any]) -> Entry:
    entry_id, fields = row
    pairs = fields if isinstance(fields, Mapping) else dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(entry_id, _arrival_us(pairs.get("at", entry_id)), pairs)


def _arrival_us(stream_id: str) -> int:
    """A stream id is milliseconds and a running number; a thousand entries of one millisecond keep their order."""
    ms, _, seq = stream_id.partition("-")
    return int(ms) * 1000 + min(int(seq), 999) if ms.isdigit() and seq.isdigit() else 0
