"""Whose turn it is: the transactions under a tenant's row lock that start a session, give it to an agent, and end it.

After the handlers of REST, before the worker, which serves the line that these leave. Lock order: tenants → agents →
visits → sessions. `change` is the step that all share: the lock, the work, and after the commit the sockets, the caches
and the ticket.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from psycopg2.extensions import cursor
from redis.exceptions import RedisError
from rq import Queue

import logs
from db import chat, line, tickets
from db.announce import News
from db.chat import CHAT
from db.inbox import InboxDown, Told
from db.line import LINE, NewVisit
from db.postgres import Ledger, LedgerBusy
from sidecar.resting import RestingInbox
from sidecar.store import Store

log = logging.getLogger("sidecar.turns")

T = TypeVar("T")
AT_ONCE = 2  # changes of one tenant that have a thread: their order is that of its row's lock anyway
LOCK_MS = 250  # how long one try waits for a lock, with its thread
AGAIN_S = 0.4  # until the next try, without a thread; give or take half
BUSY_S = 3.0  # tries of one change
OPEN_OF_CUSTOMER = 300  # chats that one e-mail may have open, and one address: a call centre behind it has many
OPEN_OF_ORIGIN = 2000
GATE_S = 30.0  # how long a change waits for those before it, without a thread
Tell = Callable[[str, Sequence[News]], None]
May = Callable[[Any], bool]


class TurnRefused(Exception):
    """`code` as in the contract: not_found, already_taken, at_max_load, session_ended, forbidden; and too_many_open."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Change:
    """What a transaction changed, filled by its work: for the caches, the line and the sockets."""

    waiting: dict[str, int] = field(default_factory=dict)  # room → arrived_us: stands in the line (again)
    held: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)  # whose seats may have changed
    news: list[News] = field(default_factory=list)
    wake: bool = False  # somebody may be served now

    def is_seen(self) -> bool:
        return bool(self.waiting or self.held or self.gone or self.agents)


class Who(NamedTuple):
    """Begins a chat; see `Turns.start`."""

    email: str
    name: str
    proved: bool
    origin: bytes | None
    language: str | None


class Started(NamedTuple):
    room: str
    key: str
    customer: int
    position: int


class After(NamedTuple):
    """For the caches: what to tell them, and the revision that the commit made. `told` None: nothing."""

    epoch: str
    rev: int
    told: Told | None


class Turns:
    """Of one sidecar. Every method raises `LedgerTrouble`; chats go on while Redis is away."""

    def __init__(self, store: Store, inbox: RestingInbox, queue: Queue, tell: Tell) -> None:
        """`inbox` and `queue` on clients with short timeouts; `tell` as `Feed.tell`."""
        self._store, self._inbox, self._queue, self._tell = store, inbox, queue, tell
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def change(self, tenant: str, work: Callable[[cursor, Change], T]) -> T:
        """`work` in one transaction, with the tenant's row locked. Raises `TurnRefused` where there is no tenant."""
        result, change, after = await self._in_turn(tenant, lambda ledger: self._locked(ledger, tenant, work))
        if change.news:
            self._tell(tenant, change.news)
        if after.told or change.wake:
            await self._store.call(lambda _: self._spread(tenant, change, after))
        return result

    async def _in_turn(self, tenant: str, work: Callable[[Ledger], T]) -> T:
        """A tenant takes few of the threads, whoever has it locked: the others wait here. Raises `LedgerBusy` where
        that lasts."""
        gate = self._gates[tenant]
        try:
            async with asyncio.timeout(GATE_S):
                await gate.acquire()
        except TimeoutError:
            raise LedgerBusy("too many wait for the same tenant") from None
        try:
            until = time.monotonic() + BUSY_S
            while True:
                try:
                    return await self._store.call(work)
                except LedgerBusy:
                    if time.monotonic() > until:
                        raise
                await asyncio.sleep(AGAIN_S * random.uniform(0.5, 1.5))
        finally:
            gate.release()

    def _locked(self, ledger: Ledger, tenant: str, work: Callable[[cursor, Change], T]) -> tuple[T, Change, After]:
        def locked(cur: cursor) -> tuple[T, Change, After]:
            row = line.lock(cur, tenant)
            if row is None:
                raise TurnRefused("not_found", "no such tenant")
            change = Change()
            result = work(cur, change)
            told = self._begun(cur, tenant, row.rev + 1, change) if change.is_seen() else None
            return result, change, After(row.epoch, row.rev + 1, told)

        return ledger.do(locked, LOCK_MS)

    def _begun(self, cur: cursor, tenant: str, rev: int, change: Change) -> Told:
        """The caches are not believed from before the commit until they are told."""
        LINE.run(cur, "bump", tenant=tenant)
        seats = line.seats_of(cur, tenant, sorted(change.agents))
        try:
            self._inbox.begin(tenant, rev)
        except InboxDown as error:  # the next change, or the sweep, finds that the caches missed one
            log.warning(logs.line("caches_not_told", tenant=tenant, why=error))
        return Told(list(change.waiting.items()), sorted(change.held), sorted(change.gone), seats)

    def _spread(self, tenant: str, change: Change, after: After) -> None:
        """After the commit. Where it fails, the sweep does the same a moment later."""
        try:
            if after.told:
                self._inbox.done(tenant, after.epoch, "", after.rev, after.told)
            if change.wake and not self._inbox.rests:
                tickets.ask(self._queue, tenant, due=True)
        except InboxDown as error:
            log.warning(logs.line("caches_not_told", tenant=tenant, why=error))
        except RedisError as error:
            self._inbox.heard(error)
            log.warning(logs.line("caches_not_told", tenant=tenant, why=type(error).__name__))

    # --- customers

    async def start(
        self,
        tenant: str,
        email: str,
        name: str,
        message: str | None,
        proved: bool = False,
        origin: bytes | None = None,
        language: str | None = None,
    ) -> Started:
        """A session that waits: committed, with its place in the line, when this returns. `proved`: by a userHash.
        `language`: `en` or `id`, of the page. `origin`: a digest of the address; raises `TurnRefused` (too_many_open)
        where it, or the e-mail, has so many."""
        who = Who(email, name, proved, origin, language)
        started: Started = await self.change(tenant, lambda cur, change: _start(cur, change, tenant, who, message))
        log.info(logs.line("session_started", tenant=tenant, room=started.room, position=started.position))
        return started

    async def end(self, tenant: str, room: str, by: str, name: str, may: May = lambda session: True) -> None:
        """`by`: `customer`, `agent:<id>` or `system`; `name` is shown. Ending what has ended changes nothing. `may`:
        asked with the session's status and agent, once nobody can change them."""
        if await self.change(tenant, lambda cur, change: end_in(cur, change, tenant, room, by, name, may)):
            log.info(logs.line("session_ended", tenant=tenant, room=room, by=by))


def _start(cur: cursor, change: Change, tenant: str, who: Who, message: str | None) -> Started:
    email, name, proved, origin, language = who
    are_open = CHAT.one(cur, "open_ones", tenant=tenant, email=email, origin=origin)
    if are_open.of_customer >= OPEN_OF_CUSTOMER or are_open.of_origin >= OPEN_OF_ORIGIN:
        raise TurnRefused("too_many_open", "too many chats are open")
    room, key = chat.new_room(), chat.new_key()
    arrived_us = line.next_place(cur, tenant)
    line.open_visits(cur, tenant, [NewVisit(room, arrived_us, chat.CLASS, chat.CLASS, base_proved=True)])
    session, customer = chat.open_session(cur, tenant, room, key, email, name, proved)
    CHAT.run(cur, "set_beginning", session=session, origin=origin, language=language)
    event = chat.add_event(cur, tenant, room, {"type": "started", "name": name}, f"{name} started the chat")
    rows = []
    if message:
        rows = chat.add_messages(cur, [chat.draft(session, "customer", message, sender_name=name)])
    change.waiting[room] = arrived_us
    change.wake = True
    change.news += chat.happened(cur, event)
    change.news += [chat.news_of(row) for row in rows if isinstance(row, chat.Message)]
    view = chat.session_view(cur, tenant, room)
    return Started(room, key, customer, view["position"] if view else 1)


def end_in(
    cur: cursor, change: Change, tenant: str, room: str, by: str, name: str, may: May = lambda session: True
) -> bool:
    """Inside `Turns.change`; whether it was open until now."""
    visit = CHAT.one(cur, "lock_visit", tenant=tenant, room=room)
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    if session is None:
        raise TurnRefused("not_found", "no such session")
    if session.status == "ended":
        return False
    if not may(session):
        raise TurnRefused("forbidden", "this chat has another agent")
    if visit is not None:
        close_visit(cur, change, tenant, visit, f"ended by {by.replace(':', ' ')}")
    CHAT.run(cur, "end_session", session=session.id, by=by)
    agent_id = by.partition(":")[2] or None
    event = {"type": "ended", "by": by.partition(":")[0], "agent_id": agent_id, "name": name}
    said = f"{name} ended the chat" if name else "the chat ended: the customer did not come back"
    message = chat.add_event(cur, tenant, room, event, said)
    change.news += chat.happened(cur, message)
    return True


def close_visit(cur: cursor, change: Change, tenant: str, visit: Any, reason: str) -> None:
    """The visit ends and its seat is free. The reason stands in the visit itself."""
    for row in line.close(cur, tenant, [(visit.id, None, reason)], exact=True):
        change.gone.add(row.room)
        change.wake = True
        if row.last_agent:
            change.agents.add(row.last_agent)
