"""Asks again for tenants that were busy: a thread that wakes each of them after a pause of its own, with jitter.

The job that met a locked tenant ends at once and leaves the tenant here, so that no other tenant's wakeup waits.
"""

import random
import threading
import time
from collections.abc import Callable

FIRST_S = 0.05
MOST_S = 1.0
PROBE_S = 0.2  # until a locked tenant is asked about again, give or take half
TOGETHER_S = 0.1  # those whose time comes so soon are asked about in the same question


def pause_s(failures: int, most_s: float = MOST_S) -> float:
    """Doubling from the first failure on, with jitter."""
    return min(most_s, FIRST_S * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)


class Later:
    def __init__(self, free: Callable[[list[str]], set[str]], wake: Callable[[str], None]) -> None:
        """`free`: which of these tenants nobody has locked at the moment, in one question; only those are woken."""
        self._free, self._wake = free, wake
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    def again(self, tenant: str) -> None:
        """Wake it after a pause, longer each time until `worked`."""
        with self._changed:
            failures = self._failures[tenant] = self._failures.get(tenant, -1) + 1
            self._due[tenant] = time.monotonic() + pause_s(failures)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="later", daemon=True)
                self._thread.start()
            self._changed.notify()

    def worked(self, tenant: str) -> bool:
        """It is not busy any more; whether it was."""
        if tenant not in self._failures:  # the way of nearly every job, without the lock
            return False
        with self._changed:
            self._due.pop(tenant, None)
            return self._failures.pop(tenant, None) is not None

    def _run(self) -> None:
        while True:
            due = self._next()
            free = self._free(due)
            self._put_back([tenant for tenant in due if tenant not in free])
            for tenant in due:
                if tenant in free:
                    self._wake(tenant)

    def _next(self) -> list[str]:
        with self._changed:
            while not self._due or min(self._due.values()) > time.monotonic():
                self._changed.wait(min(self._due.values()) - time.monotonic() if self._due else None)
            now = time.monotonic()
            due = [tenant for tenant, at in self._due.items() if at <= now + TOGETHER_S]
            for tenant in due:
                del self._due[tenant]
            return due

    def _put_back(self, tenants: list[str]) -> None:
        with self._changed:
            now = time.monotonic()
            for tenant in tenants:
                if tenant in self._failures:
                    self._due.setdefault(tenant, now + PROBE_S * random.uniform(0.5, 1.5))
