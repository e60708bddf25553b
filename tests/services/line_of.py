"""One tenant's line over a real ledger and a real inbox, moved by hand: the steps of a worker without its threads.

line = Line(database_url, redis_url)
line.roster("ani", "budi")               # the desk named them, both are online
line.arrive("r1")                        # the receiver's script
decision = line.decide()                 # one ticket: the transaction, then the caches
line.settle(*line.held(decision))        # the desk said yes
"""

import dataclasses
import functools
import itertools
import keyword
import secrets
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import psycopg2
import redis

from db import inbox, push, tickets
from db.inbox import ARRIVED, RESOLVED, Changes, Inbox, digest, key
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.postgres import Ledger
from db.push import PUSH, Pushed, Sender, Webhook
from db.turn import Turn, commit, publish
from policies import POLICIES
from worker import decide, settle
from worker.calls import Held, LookAt, Pair, Roster, Seen
from worker.clock import Clock
from worker.decision import Decision, Terms
from worker.desk.base import RosterAgent
from worker.desk.registry import Desks
from worker.jobs import Work
from worker.rules import Rules
from worker.settle import Report

T = TypeVar("T")
TENANT = "toko"
FOREVER = 1e12  # a deadline that no test reaches
_owners = itertools.count(1)


class Line:
    def __init__(
        self,
        database_url: str,
        redis_url: str,
        tenant: str = TENANT,
        *,
        policy: str = "least_loaded",
        limit: int = 2,
        lag_s: float = 5.0,
        retry_s: float = 30.0,
        idle_s: float = 60.0,
    ) -> None:
        self.tenant = tenant
        self.database_url, self.redis_url = database_url, redis_url
        self.rules = Rules(POLICIES[policy], limit, lag_s, retry_s, idle_s, keep_days=90)
        self.redis = inbox.connect(redis_url, 5.0, 8)
        self.inbox = Inbox(self.redis)
        self.ledger = _ledger_of(database_url)
        self.owner = next(_owners)
        self.turns: dict[int, Turn] = {}  # of its decisions, by their ids
        self._watch = _watch_of(database_url)
        self.run("INSERT INTO tenants (id, base_url, secret_key) VALUES (%s, 'http://desk', 'x')", tenant)
        self.publish()
        self.live()

    def close(self) -> None:
        self.die()
        self.redis.close()

    def live(self) -> None:
        """This worker's advisory lock is held: its reservations are its own business."""
        self.rows("SELECT pg_advisory_lock(%s, %s)", WORKER_LOCK_CLASS, self.owner)

    def die(self) -> None:
        """As after kill -9, when the server has ended the worker's session: the lock is free."""
        self.rows("SELECT pg_advisory_unlock(%s, %s)", WORKER_LOCK_CLASS, self.owner)

    def publish(self) -> None:
        """The receivers know the tenants (again)."""
        self.inbox.publish({row.id: row.webhook_digest for row in self.rows("SELECT id, webhook_digest FROM tenants")})

    def lose_redis(self, *, published: bool = True) -> None:
        """All that this test's Redis knew is gone; `published`: the sweeper has told the receivers again already."""
        self.redis.flushdb()
        if published:
            self.publish()

    # --- what comes in

    def arrive(self, room: str, latest: int | None = None, class_: str = "", source: str = "") -> Pushed:
        latest_text = "" if latest is None else str(latest)
        return self.push(Webhook(ARRIVED, room, class_, source, latest=latest_text))

    def resolve(self, room: str, service: int | None = None, first: str = "") -> Pushed:
        service_text = "" if service is None else str(service)
        return self.push(Webhook(RESOLVED, room, service=service_text, first_comment_id=first))

    def push(self, webhook: Webhook, sender: Sender | None = None) -> Pushed:
        """What the receiver does."""
        keys, args, job_id = push.push_call(webhook, sender or self.sender())
        return push.pushed(self.redis.eval(PUSH.text, len(keys), *keys, *args), job_id)

    def arrive_all(self, rooms: Sequence[str], class_: str = "") -> None:
        self.redis.script_load(PUSH.text)
        pipe = self.redis.pipeline(transaction=False)
        for room in rooms:
            keys, args, _ = push.push_call(Webhook(ARRIVED, room, class_), self.sender())
            pipe.evalsha(PUSH.sha, len(keys), *keys, *args)
        pipe.execute()

    def raw(self, entry_id: str = "*", **fields: Any) -> str:
        """An inbox entry that no receiver of ours would write."""
        self.redis.set(key(self.tenant, "epoch"), secrets.token_hex(8), nx=True)
        return self.redis.xadd(key(self.tenant, "inbox"), {"kind": ARRIVED, "tenant": self.tenant, **fields}, entry_id)

    def sender(self, secret: str | None = None) -> Sender:
        return Sender(self.tenant, True, secret is None, digest(secret))

    # --- what a worker does

    def decide(
        self, free: int = 400, *, tell: bool = True, owner: int | None = None, clock: Clock | None = None
    ) -> Decision:
        """One ticket. `tell=False`: the worker died after its commit."""
        made, turn = self.turn(lambda turn: self.decision(turn, free, owner or self.owner, clock))
        self.turns[id(made)] = turn
        if tell:
            self.tell(made)
        return made

    def decision(
        self, turn: Turn, free: int = 400, owner: int = 1, clock: Clock | None = None, gone: Any = None
    ) -> Decision:
        rules = clock.held_against(self.rules, turn.row.now_s, turn.began_s) if clock else self.rules
        return decide.decide(turn, self.inbox, Terms(rules, owner, free, gone=gone))

    def turn(self, work: Callable[[Turn], T]) -> tuple[T, Turn]:
        """One turn, committed; nobody is told of it."""
        done = commit(self.ledger, self.inbox, self.tenant, work)
        assert done is not None
        return done

    def tell(self, made: Decision) -> None:
        self._publish(self.turns[id(made)])

    def _publish(self, turn: Turn) -> None:
        """The caches learn of it. Nobody is woken: that would need a queue."""
        publish(dataclasses.replace(turn, wake=False), self.inbox, None)  # type: ignore[arg-type]

    def drain(self) -> list[Decision]:
        """Tickets until one finds nothing more."""
        made = [self.decide()]
        while made[-1].more:
            made.append(self.decide())
        return made

    def settle(self, *reports: Report) -> Turn:
        """One round of the settler; what it changed."""
        if not reports:
            return Turn(None, self.tenant)  # type: ignore[arg-type]
        _, turn = self.turn(lambda turn: settle.write(turn, reports, self.rules))
        self._publish(turn)
        return turn

    def roster(self, *agents: str | RosterAgent, class_: str = "", took_s: float = 0.0) -> Turn:
        """The desk named them for a class; those given by name are online with as many chats as we know of."""
        rostered = tuple(self._rostered(agent) for agent in agents)
        return self.settle(Roster(class_, "any", agents=rostered, took_s=took_s))

    def _rostered(self, agent: str | RosterAgent) -> RosterAgent:
        return agent if isinstance(agent, RosterAgent) else RosterAgent(agent, agent, True, self.seats().get(agent, 0))

    def held(self, made: Decision, first: str | None = None) -> list[Held]:
        """The desk's yes to all that was reserved."""
        return [Held(pair, pair.agent, first) for pair in self.pairs(made)]

    def pairs(self, made: Decision) -> list[Pair]:
        """What was reserved, with a deadline that no test reaches."""
        return [pair._replace(deadline=FOREVER) for pair in made.reserved]

    def serve(self, *rooms: str, first: str | None = None) -> Decision:
        """Rooms arrive and are held."""
        for room in rooms:
            self.arrive(room)
        made = self.decide()
        self.settle(*self.held(made, first))
        return made

    def look(self, made: Decision, what: str, *agents: str) -> Turn:
        """The desk's answer to everything that the decision wanted to be looked at."""
        return self.settle(*(Seen(about, what, agents) for about in made.looks))

    def claim_looks(self) -> list[LookAt]:
        with self.ledger.transaction() as cur:
            claim = {"tenant": self.tenant, "owner": self.owner, "lock_class": WORKER_LOCK_CLASS, "gone": None}
            return [LookAt(*row) for row in LEDGER.all(cur, "claim_looks", most=50, lease_s=60, **claim)]

    def work(self, desk: Any = None) -> Work:
        """A worker's shared state, no thread running; its desks are `desk`."""
        desks = Desks(make=lambda row: desk)
        queue = tickets.queue(redis.Redis.from_url(self.redis_url))
        return Work(self.database_url, self.inbox, queue, self.rules, desks, self.owner)

    # --- what a test sees and arranges

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with self._watch.cursor() as cur:
            cur.execute(sql, values or None)
            row = _row_of(tuple(column.name for column in cur.description))
            return [row(*values) for values in cur.fetchall()]

    def one(self, sql: str, *values: Any) -> Any:
        return self.rows(sql, *values)[0]

    def run(self, sql: str, *values: Any) -> None:
        with self._watch.cursor() as cur:
            cur.execute(sql, values or None)

    def visit(self, room: str) -> Any:
        """The room's latest visit."""
        sql = "SELECT * FROM visits WHERE tenant = %s AND room = %s ORDER BY id DESC LIMIT 1"
        found = self.rows(sql, self.tenant, room)
        return found[0] if found else None

    def stays(self, room: str) -> list[str]:
        """The states of all visits of a room, oldest first."""
        sql = "SELECT state FROM visits WHERE tenant = %s AND room = %s ORDER BY id"
        return [row.state for row in self.rows(sql, self.tenant, room)]

    def states(self) -> dict[str, str]:
        """Room → state of its open visit."""
        sql = "SELECT room, state FROM visits WHERE tenant = %s AND state <> 'closed' ORDER BY room"
        return {row.room: row.state for row in self.rows(sql, self.tenant)}

    def seats(self) -> dict[str, int]:
        """Agent → seats in use, counted."""
        sql = "SELECT agent, count(*)::integer AS n FROM visits WHERE tenant = %s AND agent IS NOT NULL GROUP BY 1"
        return {row.agent: row.n for row in self.rows(sql, self.tenant)}

    def agent(self, name: str) -> Any:
        return self.one("SELECT * FROM agents WHERE tenant = %s AND id = %s", self.tenant, name)

    def reserved_order(self) -> list[str]:
        """Rooms in the order of reserving."""
        sql = "SELECT v.room FROM decisions d JOIN visits v ON v.id = d.visit WHERE d.tenant = %s ORDER BY d.id"
        return [row.room for row in self.rows(sql, self.tenant)]

    def remembered(self, room: str) -> tuple[int | None, bool | None] | None:
        sql = "SELECT closed_service, closed_with_service FROM rooms WHERE tenant = %s AND id = %s"
        found = self.rows(sql, self.tenant, room)
        return tuple(found[0]) if found else None

    def refused(self) -> list[str]:
        return [
            row.reason for row in self.rows("SELECT reason FROM refused WHERE tenant = %s ORDER BY id", self.tenant)
        ]

    def drift(self) -> dict[str, int]:
        return {r.kind: r.healed for r in self.rows("SELECT kind, healed FROM drifts WHERE tenant = %s", self.tenant)}

    def events(self, room: str) -> list[str]:
        sql = (
            "SELECT e.what FROM events e JOIN visits v ON v.id = e.visit"
            " WHERE v.tenant = %s AND v.room = %s ORDER BY e.id"
        )
        return [row.what for row in self.rows(sql, self.tenant, room)]

    def tenant_row(self) -> Any:
        return self.one("SELECT *, paused_until > clock_timestamp() AS paused FROM tenants WHERE id = %s", self.tenant)

    def ended_pause(self) -> None:
        """The desk's pause is over."""
        self.run("UPDATE tenants SET paused_until = '-infinity' WHERE id = %s", self.tenant)

    def aged(self, seconds: float, room: str | None = None) -> None:
        """As if what happened to the visits (of one room) had happened so much earlier; due times come nearer too."""
        times = (
            "opened_at",
            "reserved_at",
            "settled_at",
            "looked_at",
            "lease_until",
            "unclear_at",
            "retry_at",
            "look_at",
        )
        sets = ", ".join(f"{name} = {name} - %(ago)s * interval '1 second'" for name in (*times, "closed_at"))
        with self._watch.cursor() as cur:
            values = {"ago": seconds, "tenant": self.tenant, "room": room}
            where = "tenant = %(tenant)s AND (%(room)s::text IS NULL OR room = %(room)s)"
            cur.execute(f"UPDATE visits SET {sets} WHERE {where}", values)

    def caches(self) -> dict[str, Any]:
        """What Redis believes."""
        name = self.tenant
        return {
            "line": self.redis.zrange(key(name, "line"), 0, -1),
            "held": sorted(self.redis.smembers(key(name, "held"))),
            "seats": self.redis.hgetall(key(name, "seats")),
            "rev": self.redis.get(key(name, "rev")),
        }

    def inbox_size(self) -> int:
        return self.redis.xlen(key(self.tenant, "inbox"))


@functools.cache
def _row_of(columns: tuple[str, ...]) -> Any:
    """A column `class` is the attribute `class_`."""
    return namedtuple("Row", [f"{name}_" if keyword.iskeyword(name) else name for name in columns])


def remind(box: Inbox, rev: int, rooms: dict[str, int | str], seats: dict[str, int]) -> int:
    """The caches are mended in two steps, and believed."""
    wrong = box.remind(TENANT, rev, Changes(rooms=rooms), "first", "a1")
    return wrong + box.remind(TENANT, rev, Changes(seats=seats), "last", "a1")


# Connections are kept from test to test: opening them would take longer than most tests. They end with the database.


@functools.cache
def _watch_of(database_url: str) -> Any:
    connection = psycopg2.connect(database_url, application_name="test")
    connection.autocommit = True
    return connection


@functools.cache
def _ledger_of(database_url: str) -> Ledger:
    return Ledger(database_url, "test")


@contextmanager
def line_of(database_url: str, redis_url: str, tenant: str = TENANT, **rules: Any) -> Iterator[Line]:
    with closing(Line(database_url, redis_url, tenant, **rules)) as made:
        yield made
