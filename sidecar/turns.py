"""Whose turn it is: starts a session, gives it to an agent, and ends it, each in one turn of its tenant (`db/turn.py`).

After the handlers of REST, before the worker, which serves the line that these leave. What many turns of a sidecar must
not do to one another stands here: a tenant that is locked takes few of the threads, and the sockets are told first.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from rq import Queue

import logs
from db import chat, line
from db.announce import News
from db.chat import CHAT
from db.inbox import GONE
from db.line import NewVisit
from db.postgres import Ledger, LedgerBusy
from db.turn import Turn, commit, publish
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


class Turns:
    """Of one sidecar. Every method raises `LedgerTrouble`; chats go on while Redis is away."""

    def __init__(self, store: Store, inbox: RestingInbox, queue: Queue, tell: Tell) -> None:
        """`inbox` and `queue` on clients with short timeouts; `tell` as `Feed.tell`."""
        self._store, self._inbox, self._queue, self._tell = store, inbox, queue, tell
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def change(self, tenant: str, work: Callable[[Turn], T]) -> T:
        """`work` in one turn of the tenant. Raises `TurnRefused` where there is no tenant."""
        done = await self._in_turn(tenant, lambda ledger: commit(ledger, self._inbox, tenant, work, LOCK_MS))
        if done is None:
            raise TurnRefused("not_found", "no such tenant")
        result, turn = done
        if turn.news:
            self._tell(tenant, turn.news)
        if turn.begun or turn.wake:
            await self._store.call(lambda _: publish(turn, self._inbox, self._queue))
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
        started: Started = await self.change(tenant, lambda turn: _start(turn, who, message))
        log.info(logs.line("session_started", tenant=tenant, room=started.room, position=started.position))
        return started

    async def end(self, tenant: str, room: str, by: str, name: str, may: May = lambda session: True) -> None:
        """`by`: `customer`, `agent:<id>` or `system`; `name` is shown. Ending what has ended changes nothing. `may`:
        asked with the session's status and agent, once nobody can change them."""
        if await self.change(tenant, lambda turn: end_in(turn, room, by, name, may)):
            log.info(logs.line("session_ended", tenant=tenant, room=room, by=by))


def _start(turn: Turn, who: Who, message: str | None) -> Started:
    cur, tenant = turn.cur, turn.tenant
    email, name, proved, origin, language = who
    are_open = CHAT.one(cur, "open_ones", tenant=tenant, email=email, origin=origin)
    if are_open.of_customer >= OPEN_OF_CUSTOMER or are_open.of_origin >= OPEN_OF_ORIGIN:
        raise TurnRefused("too_many_open", "too many chats are open")
    room, key = chat.new_room(), chat.new_key()
    arrived_us = line.next_place(turn)
    line.open_visits(turn, [NewVisit(room, arrived_us, chat.CLASS, chat.CLASS, base_proved=True)])
    session, customer = chat.open_session(cur, tenant, room, key, email, name, proved)
    CHAT.run(cur, "set_beginning", session=session, origin=origin, language=language)
    event = chat.add_event(cur, tenant, room, {"type": "started", "name": name}, f"{name} started the chat")
    rows = []
    if message:
        rows = chat.add_messages(cur, [chat.draft(session, "customer", message, sender_name=name)])
    turn.move(room, arrived_us)
    turn.news += chat.happened(cur, event)
    turn.news += [chat.news_of(row) for row in rows if isinstance(row, chat.Message)]
    view = chat.session_view(cur, tenant, room)
    return Started(room, key, customer, view["position"] if view else 1)


def end_in(turn: Turn, room: str, by: str, name: str, may: May = lambda session: True) -> bool:
    """Whether it was open until now."""
    cur, tenant = turn.cur, turn.tenant
    visit = CHAT.one(cur, "lock_visit", tenant=tenant, room=room)
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    if session is None:
        raise TurnRefused("not_found", "no such session")
    if session.status == "ended":
        return False
    if not may(session):
        raise TurnRefused("forbidden", "this chat has another agent")
    if visit is not None:
        close_visit(turn, visit, f"ended by {by.replace(':', ' ')}")
    CHAT.run(cur, "end_session", session=session.id, by=by)
    agent_id = by.partition(":")[2] or None
    event = {"type": "ended", "by": by.partition(":")[0], "agent_id": agent_id, "name": name}
    said = f"{name} ended the chat" if name else "the chat ended: the customer did not come back"
    message = chat.add_event(cur, tenant, room, event, said)
    turn.news += chat.happened(cur, message)
    return True


def close_visit(turn: Turn, visit: Any, reason: str) -> None:
    """The visit ends and its seat is free. The reason stands in the visit itself."""
    for row in line.close(turn, [(visit.id, None, reason)], exact=True):
        turn.move(row.room, GONE, row.last_agent)
