"""Which customers have a page open, and what follows for those who have none: they leave the line, and have their old
place again when they come back.

Beside `presence`, which does the same for agents; `sockets` and `sessions` say who comes and goes, `turns` changes the
line. The truth is in PostgreSQL: a row for each customer and sidecar that has a page of theirs, which counts while that
sidecar lives. So a sidecar that dies needs nobody to clean up after it, and pages that stay need no renewal.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

import logs
from db import chat, line
from db.announce import News
from db.chat import CHAT, Session
from db.line import NewVisit
from db.postgres import LedgerBusy, LedgerTrouble, Statements
from db.turn import Turn
from sidecar.presence import LIFE_S, POLL_S
from sidecar.store import Store
from sidecar.tasks import Tasks
from sidecar.turns import Tell, TurnRefused, Turns, close_visit, end_in

log = logging.getLogger("sidecar.attendance")

ATTENDANCE = Statements("attendance")
WRITE_S = 1.0  # a page that is loaded again was never away
LOOK_S = 5.0
AGAIN_S = 60.0  # all is written again: another sidecar may have taken this one for dead
LOCK_MS = 250
LEAVES_A_LOOK = 50
SYSTEM = "system"


class Times(NamedTuple):
    """`gone_s`: without a page for so long a waiting customer leaves the line; 0: never. More than `LIFE_S`, for which
    a sidecar counts as alive. `return_s`: so much longer they have their place again when they come back, then the chat
    ends."""

    gone_s: float = 600.0
    return_s: float = 3600.0


class Attendance:
    """Of one sidecar; belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        turns: Turns,
        tell: Tell,
        sidecar: str,
        times: Times,
        tasks: Tasks,
        left: Callable[[], None] = lambda: None,
    ) -> None:
        """`sidecar`: as `Presence` has it, who beats. `left`: told of each who leaves the line."""
        self._store, self._turns, self._tell = store, turns, tell
        self._sidecar, self._times, self._left = sidecar, times, left
        self._pages: Counter[int] = Counter()  # session → its sockets here
        self._polls: dict[int, float] = {}  # session → until when its page counts that asks from time to time
        self._moved: set[int] = set()
        self._all_at = time.monotonic() + AGAIN_S
        self._loops, self._tasks = tasks, list[asyncio.Task[None]]()
        self._ends = asyncio.Event()

    def start(self) -> None:
        self._tasks.append(self._loops.start("attendance_write", self._write_soon, self._ends.is_set))
        if self._times.gone_s:
            self._tasks.append(self._loops.start("attendance_look", self._look_soon, self._ends.is_set))

    async def stop(self) -> None:
        """The pages of this sidecar are gone at once."""
        self._ends.set()  # not cancelled: what is under way on a thread would write pages in again
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._store.run(self._go_all)
        except LedgerTrouble as error:  # they count until this sidecar's life is over
            log.warning(logs.line("attendance_not_ended", why=error))

    # --- pages

    def came(self, session: Session) -> None:
        """A socket more: from now on it tells, and not what is asked beside it."""
        self._polls.pop(session.id, None)
        self._pages[session.id] += 1
        self._moved.add(session.id)

    def went(self, session: Session) -> None:
        self._pages[session.id] -= 1
        if self._pages[session.id] <= 0:
            del self._pages[session.id]
            self._moved.add(session.id)

    def polled(self, session: Session) -> None:
        """A page that no socket reaches has asked."""
        now = time.monotonic()
        if session.id not in self._pages and self._polls.get(session.id, 0.0) < now + POLL_S / 2:
            self._polls[session.id] = now + POLL_S
            self._moved.add(session.id)

    async def back(self, session: Session) -> bool:
        """The customer is here: into the line again, at the old place, if they had left it. Whether they had."""
        if not session.gone:
            return False
        tenant, room = session.tenant, session.room
        done = await self._turns.change(tenant, lambda turn: come_back(turn, room))
        if done:
            log.info(logs.line("customer_returned", tenant=tenant, room=room))
        return done

    # --- written

    async def _write_soon(self) -> None:
        if await self._is_over(WRITE_S):
            return
        try:
            await self._write_what_moved()
        except LedgerTrouble as error:
            log.warning(logs.line("attendance_not_written", why=error))

    async def _write_what_moved(self) -> None:
        now = time.monotonic()
        ended = [session for session, until in self._polls.items() if until <= now]
        for session in ended:
            del self._polls[session]
        self._moved.update(ended)
        if now >= self._all_at:
            self._all_at = now + AGAIN_S
            self._moved |= set(self._pages) | set(self._polls)
            await self._store.run(lambda cur: ATTENDANCE.run(cur, "go_all", sidecar=""), LOCK_MS)
        if self._moved:
            await self._write()

    async def _write(self) -> None:
        moved, self._moved = self._moved, set()
        try:
            rows = await self._store.run(functools.partial(self._write_in, moved=sorted(moved)), LOCK_MS)
        except LedgerTrouble:
            self._moved |= moved
            raise
        for tenant, found in groupby(rows, key=lambda row: row.tenant):
            self._tell(tenant, [_news(found)])

    def _write_in(self, cur: cursor, moved: Sequence[int]) -> list[Any]:
        now = time.monotonic()
        for_s = {one: None if one in self._pages else self._polls.get(one, 0.0) - now for one in moved}
        here = [one for one, left_s in for_s.items() if left_s is None or left_s > 0]
        away = sorted(set(moved).difference(here))
        if here:
            ATTENDANCE.run(cur, "is_back", sessions=here)
            ATTENDANCE.run(cur, "come", sessions=here, for_s=[for_s[one] for one in here], sidecar=self._sidecar)
        if away:
            ATTENDANCE.run(cur, "go", sessions=away, sidecar=self._sidecar)
        return ATTENDANCE.all(cur, "shown", sessions=list(moved))

    async def _is_over(self, wait_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._ends.wait()
        return self._ends.is_set()

    def _go_all(self, cur: cursor) -> None:
        ATTENDANCE.run(cur, "go_all", sidecar=self._sidecar)
        ATTENDANCE.run(cur, "forget", sidecar=self._sidecar)

    # --- who is gone

    async def _look_soon(self) -> None:
        if await self._is_over(LOOK_S):
            return
        try:
            for row in await self._store.run(self._gone):
                await self._leaves(row)
        except LedgerTrouble as error:
            log.warning(logs.line("attendance_unknown", why=error))

    def _gone(self, cur: cursor, tenant: str | None = None, room: str | None = None) -> list[Any]:
        times = {**self._times._asdict(), "life_s": LIFE_S, "most": LEAVES_A_LOOK}
        return ATTENDANCE.all(cur, "gone", tenant=tenant, room=room, **times)

    async def _leaves(self, row: Any) -> None:
        """Who is busy has its turn at the next look. Whether they are still gone is asked again under the lock."""
        tenant, room = row.tenant, row.room

        def work(turn: Turn) -> str:
            still = self._gone(turn.cur, tenant, room)
            if not still or still[0].is_out != row.is_out:
                return ""
            if row.is_out:
                return "session_ended" if end_in(turn, room, SYSTEM, "") else ""
            return "customer_gone" if leave(turn, room) else ""

        try:
            done = await self._turns.change(tenant, work)
        except TurnRefused:  # the tenant was removed
            return
        except LedgerBusy as error:
            log.warning(logs.line("attendance_busy", tenant=tenant, why=error))
            return
        if done:
            self._left()
            log.info(logs.line(done, tenant=tenant, room=room, why="no page of the customer is open"))


def leave(turn: Turn, room: str) -> bool:
    """Out of the line; whether it stood there. One that is being given to an agent stays;
    so does one that was left as a message for later, where its sidecar died before it could say so."""
    cur, tenant = turn.cur, turn.tenant
    visit = CHAT.one(cur, "lock_visit", tenant=tenant, room=room)
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    if session is None or session.status != "waiting" or visit is None or visit.state != "waiting":
        return False
    if ATTENDANCE.run(cur, "keep_place", session=session.id):
        return False
    close_visit(turn, visit, "the customer is gone")
    ATTENDANCE.run(cur, "leave_line", session=session.id)
    name = session.customer_name
    event = chat.add_event(cur, tenant, room, {"type": "left", "name": name}, f"{name} went away and left the line")
    turn.news += chat.happened(cur, event)
    return True


def come_back(turn: Turn, room: str) -> bool:
    """Into the line again, at the old place; whether they were out of it."""
    cur, tenant = turn.cur, turn.tenant
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    if session is None or session.gone_at is None:
        return False
    place = ATTENDANCE.one(cur, "old_place", tenant=tenant, room=room)
    arrived_us = place.arrived_us if place else line.next_place(turn)
    line.open_visits(turn, [NewVisit(room, arrived_us, chat.CLASS, chat.CLASS, base_proved=True)])
    ATTENDANCE.run(cur, "come_back", session=session.id)
    name = session.customer_name
    event = {"type": "returned", "name": name}
    turn.news += chat.happened(cur, chat.add_event(cur, tenant, room, event, f"{name} is back, at the old place"))
    turn.move(room, arrived_us)
    return True


def _news(rows: Iterable[Any]) -> News:
    """Of one tenant, for its agents."""
    told = [{"session_id": row.room, "here": row.here, "seen_at": chat.iso(row.seen_at)} for row in rows]
    return News(None, "chat.customers.here", {"sessions": told}, "agents")
