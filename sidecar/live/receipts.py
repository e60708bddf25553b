"""How far a room was delivered and read, written in groups. After `connection` and REST, before `feed`.

A mark only rises, so many of them become one, and losing the last ones in a crash costs nobody a message.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import logs
from db import chat
from db.announce import News
from db.chat import MARKS
from db.postgres import LedgerTrouble
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks

log = logging.getLogger("sidecar.marks")

EVERY_S = 0.1

Tell = Callable[[str, Sequence[News]], None]


class Receipts:
    """Of one sidecar; belongs to one event loop."""

    def __init__(self, store: Store, tell: Tell, tasks: Tasks | None = None) -> None:
        self._store, self._tell, self._tasks = store, tell, tasks or Tasks()
        self._waiting: dict[int, dict[str, int]] = {}
        self._came = asyncio.Event()

    def start(self) -> None:
        self._tasks.start("marks", self._step)

    async def stop(self) -> None:
        await self._tasks.end("marks")
        try:
            await self._write()
        except Exception:
            log.exception(logs.line("marks_failed"))

    def put(self, session: int, kind: str, up_to_seq: int) -> None:
        """`kind`: customer_got (delivered to a page of the customer), customer_read, agent_got, agent_read."""
        marks = self._waiting.setdefault(session, dict.fromkeys(MARKS, 0))
        marks[kind] = max(marks[kind], up_to_seq)
        self._came.set()

    async def _step(self) -> None:
        await self._came.wait()
        await asyncio.sleep(EVERY_S)
        self._came.clear()
        await self._write()

    async def _write(self) -> None:
        """Where it fails, later marks rise above these."""
        batch, self._waiting = self._waiting, {}
        if not batch:
            return
        try:
            rows, busy = await self._store.run(lambda cur: chat.mark(cur, batch))
        except LedgerTrouble as error:
            log.warning(logs.line("marks_lost", number=len(batch), why=error))
            return
        for row in rows:
            self._tell(row.tenant, list(_news(row)))
        for session in busy:
            for kind, up_to_seq in batch[session].items():
                self.put(session, kind, up_to_seq)


def _news(row: Any) -> list[News]:
    """Only what has risen is told; what was read was delivered."""
    told = []
    for by in ("customer", "agent"):
        got, read = getattr(row, f"{by}_got"), getattr(row, f"{by}_read")
        if read > getattr(row, f"{by}_read_before"):
            told.append(_mark("chat.message.read", row.room, read, by))
        elif got > getattr(row, f"{by}_got_before"):
            told.append(_mark("chat.message.delivered", row.room, got, by))
    return told


def _mark(kind: str, room: str, up_to_seq: int, by: str) -> News:
    return News(room, kind, {"session_id": room, "up_to_seq": up_to_seq, "by": by}, "room")
