"""Which customers have a page open, and what follows for those who have none: they leave the line, and have their old
place again when they come back.

After `sockets` and `sessions`, which say who comes and goes; `turns` changes the line. The truth is in PostgreSQL
(`db/attendance.py`). So a sidecar that dies needs nobody to clean up after it, and pages that stay need no renewal.
"""

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from psycopg2.extensions import cursor

import logs
from db import attendance, payloads, sessions
from db.announce import News
from db.chat import Session
from db.postgres import LedgerBusy, LedgerTrouble
from db.presence import LIFE_S, POLL_S
from db.turn import Turn, TurnRefused
from sidecar.live.parts import Parts

log = logging.getLogger("sidecar.attendance")

WRITE_S = 1.0  # a page that is loaded again was never away
LOOK_S = 5.0
AGAIN_S = 60.0  # all is written again: another sidecar may have taken this one for dead
LOCK_MS = 250
LEAVES_A_LOOK = 50
SYSTEM = "system"


class Attendance:
    """Of one sidecar; belongs to one event loop."""

    def __init__(self, parts: Parts, left: Callable[[], None]) -> None:
        """`left`: told of each who leaves the line."""
        self._parts, self._store, self._tasks, self._left = parts, parts.store, parts.tasks, left
        self._pages: Counter[int] = Counter()  # session → its sockets here
        self._polls: dict[int, float] = {}  # session → until when its page counts that asks from time to time
        self._moved: set[int] = set()
        self._all_at = time.monotonic() + AGAIN_S

    def start(self) -> None:
        self._tasks.start("attendance_write", self._write_what_moved, WRITE_S)
        if self._parts.config.times.gone_s:
            self._tasks.start("attendance_look", self._look, LOOK_S)

    async def stop(self) -> None:
        """The pages of this sidecar are gone at once."""
        await self._tasks.end("attendance_write", "attendance_look")
        try:
            await self._store.run(lambda cur: attendance.go_all(cur, self._parts.sidecar))
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

    # --- written

    async def _write_what_moved(self) -> None:
        now = time.monotonic()
        ended = [session for session, until in self._polls.items() if until <= now]
        for session in ended:
            del self._polls[session]
        self._moved.update(ended)
        if now >= self._all_at:
            self._all_at = now + AGAIN_S
            self._moved |= set(self._pages) | set(self._polls)
            await self._store.run(attendance.see_off, LOCK_MS)
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
            self._parts.tell(tenant, [_news(found)])

    def _write_in(self, cur: cursor, moved: Sequence[int]) -> list[Any]:
        now = time.monotonic()
        for_s = {one: None if one in self._pages else self._polls.get(one, 0.0) - now for one in moved}
        return attendance.write(cur, for_s, self._parts.sidecar)

    # --- who is gone

    async def _look(self) -> None:
        for row in await self._store.run(self._gone):
            await self._leaves(row)

    def _gone(self, cur: cursor, tenant: str | None = None, room: str | None = None) -> list[Any]:
        times = {**self._parts.config.times._asdict(), "life_s": LIFE_S}
        return attendance.gone(cur, LEAVES_A_LOOK, tenant, room, **times)

    async def _leaves(self, row: Any) -> None:
        """Who is busy has its turn at the next look. Whether they are still gone is asked again under the lock."""
        tenant, room = row.tenant, row.room

        def work(turn: Turn) -> str:
            still = self._gone(turn.cur, tenant, room)
            if not still or still[0].is_out != row.is_out:
                return ""
            if row.is_out:
                return "session_ended" if sessions.end(turn, room, SYSTEM, "") else ""
            return "customer_gone" if sessions.leave(turn, room) else ""

        try:
            done = await self._parts.turns.change(tenant, work)
        except TurnRefused:  # the tenant was removed
            return
        except LedgerBusy as error:
            log.warning(logs.line("attendance_busy", tenant=tenant, why=error))
            return
        if done:
            self._left()
            log.info(logs.line(done, tenant=tenant, room=room, why="no page of the customer is open"))


def _news(rows: Iterable[Any]) -> News:
    """Of one tenant, for its agents."""
    told = [{"session_id": row.room, "here": row.here, "seen_at": payloads.iso(row.seen_at)} for row in rows]
    return News(None, "chat.customers.here", {"sessions": told}, "agents")
