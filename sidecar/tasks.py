"""The background loops of one sidecar: each goes on after whatever it raises, and readiness tells which of them fail.

Beside `writer`, `marks`, `feed`, `places`, `team`, `presence`, `sockets` and `attachments`, which have one each or
more; before `health`, which asks.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable

import logs

log = logging.getLogger("sidecar.tasks")

AGAIN_S = 0.1  # after a failure; twice as long after each further one
AGAIN_MOST_S = 3.0
DOWN_S = 15.0  # so long a failure counts; one that waits for work can't prove otherwise
SAID_EVERY_S = 60.0

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


class _Failing:
    def __init__(self) -> None:
        self.number, self.at, self.said_at = 0, 0.0, -SAID_EVERY_S

    def again_s(self) -> float:
        return min(AGAIN_MOST_S, AGAIN_S * 2.0 ** min(self.number - 1, 10)) * random.uniform(0.75, 1.25)


class Tasks:
    """Of one sidecar; belongs to one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failing: dict[str, _Failing] = {}

    def start(self, name: str, step: Step, is_over: Callable[[], bool] = lambda: False) -> "asyncio.Task[None]":
        """`step` again and again, until it is cancelled or `is_over`. What is no bug, a step catches by itself."""
        task = self._running[name] = asyncio.create_task(self._always(name, step, is_over), name=name)
        return task

    async def _always(self, name: str, step: Step, is_over: Callable[[], bool]) -> None:
        while not is_over():
            try:
                await step()
            except Exception:
                await asyncio.sleep(self._failed(name))
            else:
                self._works(name)
        del self._running[name]

    def _failed(self, name: str) -> float:
        """How long to wait before the next try."""
        failing = self._failing.setdefault(name, _Failing())
        now = time.monotonic()
        failing.number, failing.at = failing.number + 1, now
        if now - failing.said_at >= SAID_EVERY_S:
            failing.said_at = now
            log.exception(logs.line("task_failed", task=name, number=failing.number))
        return failing.again_s()

    def _works(self, name: str) -> None:
        if failing := self._failing.pop(name, None):
            log.info(logs.line("task_works", task=name, failures=failing.number))

    def down(self) -> list[str]:
        """Those that failed just now and have not worked since, and those that are gone."""
        now = time.monotonic()
        failing = {name for name, failing in self._failing.items() if now - failing.at < DOWN_S}
        return sorted(failing | {name for name, task in self._running.items() if task.done()})
