"""The sidecar's way to PostgreSQL: blocking work on a few threads, so that the event loop never waits.

Each thread has a connection of its own; what is asked for while all are busy stands in line.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from psycopg2.extensions import cursor

from db.postgres import Ledger, LedgerDown

T = TypeVar("T")
THREADS = 8
WAITING_MOST = 5000  # pieces of work in line; beyond it the database is taken for down


class Store:
    def __init__(self, database_url: str, name: str = "sidecar", threads: int = THREADS) -> None:
        self._url, self._name = database_url, name
        self._threads = ThreadPoolExecutor(threads, f"store {name}")
        self._own = threading.local()
        self._ledgers: list[Ledger] = []
        self._waiting = 0

    async def run(self, work: Callable[[cursor], T], lock_ms: int | None = None) -> T:
        """`work` in one transaction (perhaps twice, see `Ledger.do`): committed when this returns, rolled back when it
        raises. Raises `LedgerTrouble`: where it is not `LedgerBusy`, its commit may have happened. `lock_ms`: how long
        it may wait for a lock, where many wait behind it."""
        return await self.call(lambda ledger: ledger.do(work, lock_ms))

    async def call(self, work: Callable[[Ledger], T]) -> T:
        """`work` on a thread, with the thread's ledger. Not stopped by a cancelled caller."""
        if self._waiting >= WAITING_MOST:
            raise LedgerDown("too much is waiting for the database")
        try:
            future = self._threads.submit(self._with_ledger, work)
        except RuntimeError:  # closed: somebody's request outlived the others
            raise LedgerDown("this process stops") from None
        self._waiting += 1
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        finally:
            self._waiting -= 1

    def _with_ledger(self, work: Callable[[Ledger], T]) -> T:
        ledger = getattr(self._own, "ledger", None)
        if ledger is None:
            ledger = self._own.ledger = Ledger(self._url, self._name)
            self._ledgers.append(ledger)
        return work(ledger)

    def close(self) -> None:
        """What is under way is finished; nothing runs after this."""
        self._threads.shutdown(wait=True)
        for ledger in self._ledgers:
            ledger.close()
