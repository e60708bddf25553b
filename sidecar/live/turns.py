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
from typing import TypeVar

from rq import Queue

import logs
from db import sessions
from db.announce import News
from db.chat import Session
from db.postgres import Ledger, LedgerBusy
from db.sessions import May, Started, Who
from db.turn import Turn, TurnRefused, commit, publish
from sidecar.live.resting import RestingInbox
from sidecar.live.store import Store

log = logging.getLogger("sidecar.turns")

T = TypeVar("T")
AT_ONCE = 2  # changes of one tenant that have a thread: their order is that of its row's lock anyway
LOCK_MS = 250  # how long one try waits for a lock, with its thread
AGAIN_S = 0.4  # until the next try, without a thread; give or take half
BUSY_S = 3.0  # tries of one change
GATE_S = 30.0  # how long a change waits for those before it, without a thread
Tell = Callable[[str, Sequence[News]], None]
Note = Callable[[Turn], None]


class Turns:
    """Of one sidecar. Every method raises `LedgerTrouble`; chats go on while Redis is away."""

    def __init__(
        self, store: Store, inbox: RestingInbox, queue: Queue, tell: Tell, note: Note = lambda turn: None
    ) -> None:
        """`inbox` and `queue` on clients with short timeouts; `tell` as `Feed.tell`; `note`: each committed turn."""
        self._store, self._inbox, self._queue, self._tell, self._note = store, inbox, queue, tell, note
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def change(self, tenant: str, work: Callable[[Turn], T]) -> T:
        """`work` in one turn of the tenant. Raises `TurnRefused` where there is no tenant."""
        done = await self._in_turn(tenant, lambda ledger: commit(ledger, self._inbox, tenant, work, LOCK_MS))
        if done is None:
            raise TurnRefused("not_found", "no such tenant")
        result, turn = done
        self._note(turn)
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

    async def start(self, tenant: str, who: Who, message: str | None) -> Started:
        """A session that waits: committed, with its place in the line, when this returns. Raises `TurnRefused`
        (too_many_open) where the origin, or the e-mail, has so many."""
        started = await self.change(tenant, lambda turn: sessions.start(turn, who, message))
        log.info(logs.line("session_started", tenant=tenant, room=started.room, position=started.position))
        return started

    async def come_back(self, session: Session) -> bool:
        """The customer is here: into the line again, at the old place, if they had left it. Whether they had."""
        if not session.gone:
            return False
        tenant, room = session.tenant, session.room
        done = await self.change(tenant, lambda turn: sessions.come_back(turn, room))
        if done:
            log.info(logs.line("customer_returned", tenant=tenant, room=room))
        return done

    async def end(self, tenant: str, room: str, by: str, name: str, may: May = lambda session: True) -> None:
        """`by`: `customer`, `agent:<id>` or `system`; `name` is shown. Ending what has ended changes nothing. `may`:
        asked with the session's status and agent, once nobody can change them."""
        if await self.change(tenant, lambda turn: sessions.end(turn, room, by, name, may)):
            log.info(logs.line("session_ended", tenant=tenant, room=room, by=by))
