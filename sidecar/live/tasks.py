"""The background tasks of one sidecar, all in one loop: each goes on after whatever it raises, and readiness tells
which of them fail.

Beside `writer`, `receipts`, `feed`, `positions` and what other rooms do in the background; before `health`, which asks.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable

import logs
from db.postgres import LedgerTrouble

log = logging.getLogger("sidecar.tasks")

AGAIN_S = 0.1  # after a failure; twice as long after each further one
AGAIN_MOST_S = 3.0
AWAY_AGAIN_S = 0.5  # where the database was away or busy
DOWN_S = 15.0  # so long a failure counts; one that waits for work can't prove otherwise
SAID_EVERY_S = 60.0
CANCEL_AGAIN_S = 0.05

Step = Callable[[], Awaitable[None]]


async def for_each(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """One whose work fails holds up no other; the last failure is raised in the end."""
    failure: Exception | None = None
    for name in names:
        try:
            await work(name)
        except Exception as error:
            failure = error
    if failure:
        raise failure


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Returns when all have ended; what they raised is theirs to log. One cancellation is not enough on Python 3.11:
    `asyncio.wait_for`, with which redis-py sends each command, loses one that comes just as the wait is over
    (github.com/python/cpython/issues/86296)."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


class _Loop:
    """One task: `step` again and again, and how it fails. `since`: the first failure in a row."""

    def __init__(self, name: str, step: Step, every_s: float) -> None:
        self.name, self._step, self.every_s = name, step, every_s
        self.ends = asyncio.Event()
        self._failures, self._since, self._failed_at, self._said_at = 0, 0.0, 0.0, -SAID_EVERY_S
        self._is_bug = False
        self.task = asyncio.create_task(self._run(), name=name)

    async def _run(self) -> None:
        pause_s = self.every_s
        while not await self._ends_within(pause_s):
            try:
                await self._step()
            except Exception as error:
                pause_s = self._failed(error)
            else:
                pause_s = self.every_s
                self._works()

    async def _ends_within(self, pause_s: float) -> bool:
        if pause_s and not self.ends.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.ends.wait()
        return self.ends.is_set()

    def _failed(self, error: Exception) -> float:
        """How long to wait before the next try."""
        now = self._failed_at = time.monotonic()
        self._since = self._since if self._failures else now
        self._failures += 1
        self._is_bug = not isinstance(error, LedgerTrouble)
        if now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            self._say(error)
        again_s = min(AGAIN_MOST_S, AGAIN_S * 2.0 ** min(self._failures - 1, 10)) if self._is_bug else AWAY_AGAIN_S
        return again_s * random.uniform(0.75, 1.25)

    def _say(self, error: Exception) -> None:
        if self._is_bug:
            log.exception(logs.line("task_failed", task=self.name, number=self._failures))
        else:
            log.warning(logs.line("task_delayed", task=self.name, why=error))

    def _works(self) -> None:
        if self._failures:
            log.info(logs.line("task_works", task=self.name, failures=self._failures))
        self._failures, self._said_at = 0, -SAID_EVERY_S

    def is_down(self) -> bool:
        """It failed just now and has not worked since, or is gone. That the database is away is no fault of a task, and
        told apart: it counts where it lasts."""
        if self.task.done():
            return not self.ends.is_set()
        if not self._failures or time.monotonic() - self._failed_at >= DOWN_S:
            return False
        return self._is_bug or self._failed_at - self._since >= DOWN_S


class Tasks:
    """Of one sidecar; belongs to one event loop."""

    def __init__(self) -> None:
        self._loops: dict[str, _Loop] = {}

    def start(self, name: str, step: Step, every_s: float = 0.0) -> "asyncio.Task[None]":
        """`step` again and again, `every_s` after the last one where given; else it waits for work by itself."""
        loop = self._loops[name] = _Loop(name, step, every_s)
        return loop.task

    async def end(self, *names: str) -> None:
        """Returns when these have ended. A step that waits for work is cancelled; one that comes every few seconds ends
        first: what is under way on a thread would be written after the end."""
        loops = [loop for name in names if (loop := self._loops.get(name))]
        for loop in loops:
            loop.ends.set()
        await ended(*(loop.task for loop in loops if not loop.every_s))
        await asyncio.gather(*(loop.task for loop in loops), return_exceptions=True)

    def finish(self, name: str) -> None:
        """The step that asks for it is the last one."""
        self._loops[name].ends.set()

    def down(self) -> list[str]:
        """Those that keep failing, and those that are gone."""
        return sorted(name for name, loop in self._loops.items() if loop.is_down())
