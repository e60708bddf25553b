"""A few connections to PostgreSQL for many callers: the native desks of a worker share them; so do its hooks."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import cursor

from db.postgres import Ledger, LedgerBusy

MOST = 8
LOCK_MS = 250  # all tenants share these connections; whose session is locked comes again
WAIT_S = 5.0  # for a free one; with the longest transaction after it still less than CALL_SECONDS


class AllBusy(LedgerBusy):
    """No connection got free in time: nothing was sent."""


class Connections:
    """May be shared by all threads. A connection is opened when first needed, and again after it broke."""

    def __init__(self, database_url: str, most: int = MOST, wait_s: float = WAIT_S, name: str = "native desk") -> None:
        self._wait_s = wait_s
        self._free: queue.LifoQueue[Ledger] = queue.LifoQueue()
        for _ in range(most):
            self._free.put(Ledger(database_url, name, lock_ms=LOCK_MS))

    @contextmanager
    def transaction(self) -> Iterator[cursor]:
        """As `Ledger.transaction`. Raises `AllBusy`, `LedgerTrouble`."""
        try:
            ledger = self._free.get(timeout=self._wait_s)
        except queue.Empty:
            raise AllBusy("all connections are busy") from None
        try:
            with ledger.transaction() as cur:
                yield cur
        finally:
            self._free.put(ledger)

    def close(self) -> None:
        """Those that nobody uses."""
        while not self._free.empty():
            self._free.get().close()
