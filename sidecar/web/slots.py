"""So many at once for each subject; who comes next waits its turn, and too many are refused. Before uploads and
logins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NoSlot(Exception):
    """As many as may wait are waiting."""


class Slots:
    """Of one event loop. Knows only the subjects that are here now."""

    def __init__(self, at_once: int, here_most: int) -> None:
        """`here_most`: of a subject, those that wait included."""
        self._at_once, self._here_most = at_once, here_most
        self._here: dict[str, int] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def one(self, subject: str) -> AsyncIterator[None]:
        """In the order of coming. Raises `NoSlot`; the deadline is the caller's."""
        here = self._here.get(subject, 0)
        if here >= self._here_most:
            raise NoSlot
        self._here[subject] = here + 1
        turn = self._turns.setdefault(subject, asyncio.Semaphore(self._at_once))
        try:
            async with turn:
                yield
        finally:
            self._here[subject] -= 1
            if not self._here[subject]:
                del self._here[subject], self._turns[subject]
