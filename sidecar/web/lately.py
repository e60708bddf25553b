"""Answers that may be a moment old: each is made once, however many ask meanwhile. Before PostgreSQL, for what anybody
may ask as often as they like."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lately(Generic[K, V]):
    """Of one event loop. An answer is kept `kept_s` from when it was begun, of `most` keys; a failure is not kept."""

    def __init__(self, make: Callable[[K], Awaitable[V]], kept_s: float, most: int) -> None:
        self._make, self._kept_s, self._most = make, kept_s, most
        self._begun: dict[K, tuple[float, asyncio.Task[V]]] = {}

    async def get(self, key: K) -> V:
        """Raises what making it raised."""
        begun_at, task = self._begun.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() - begun_at >= self._kept_s):
            task = self._begin(key)
        return await asyncio.shield(task)  # others wait for it too

    def __len__(self) -> int:
        return len(self._begun)

    def _begin(self, key: K) -> asyncio.Task[V]:
        self._begun.pop(key, None)
        if len(self._begun) >= self._most:
            del self._begun[next(iter(self._begun))]  # the oldest
        task = asyncio.ensure_future(self._made(key))
        self._begun[key] = (time.monotonic(), task)
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def _made(self, key: K) -> V:
        return await self._make(key)

    def _ended(self, key: K, task: asyncio.Task[V]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if failed and self._begun.get(key, (0.0, None))[1] is task:
            del self._begun[key]
