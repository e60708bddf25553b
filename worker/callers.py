"""The pool of desk callers: threads that talk to desks, so that neither a transaction nor an RQ job ever waits for one.

Bounded three ways: threads in all, calls under way for one tenant (a desk that hangs holds up its own tenant only),
tasks queued for one tenant. Tenants take turns; within a tenant, rosters go first, then rooms that wait, then
housekeeping.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import logs

THREADS = 208  # four desks may hang at once, and a fifth tenant is still called for
TENANT_CALLS = 50  # at once for one tenant: 100 freed seats are called for in two turns
TENANT_QUEUE = 1000

Task = Callable[[], None]

log = logging.getLogger("worker.callers")


class _Tenant:
    def __init__(self) -> None:
        self.urgent: deque[Task] = deque()
        self.later: deque[Task] = deque()
        self.calls = 0

    def queued(self) -> int:
        return len(self.urgent) + len(self.later)


class Callers:
    """Start threads as needed, up to `threads`; they end with `close`."""

    def __init__(self, threads: int = THREADS, tenant_calls: int = TENANT_CALLS, queue: int = TENANT_QUEUE) -> None:
        self._most, self._tenant_calls, self._queue = threads, tenant_calls, queue
        self._changed = threading.Condition()
        self._tenants: dict[str, _Tenant] = {}
        self._turns: deque[str] = deque()  # tenants with something queued, next one first
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._rousing = False  # a thread was woken or started, and has not looked for work yet
        self._closing = False

    def room_for(self, tenant: str) -> int:
        """How many more tasks `submit` would take for this tenant now."""
        with self._changed:
            known = self._tenants.get(tenant)
            return 0 if self._closing else self._queue - (known.queued() if known else 0)

    def submit(self, tenant: str, task: Task, urgent: bool = True, first: bool = False) -> bool:
        """`first`: before the tenant's other tasks, since rooms wait for what it brings.

        False, and the task is dropped, where the queue is full or the pool closes: its lease brings it back."""
        with self._changed:
            mine = self._tenants.setdefault(tenant, _Tenant())
            if self._closing or mine.queued() >= self._queue:
                return False
            if not mine.queued():
                self._turns.append(tenant)
            if first:
                mine.urgent.appendleft(task)
            else:
                (mine.urgent if urgent else mine.later).append(task)
            self._rouse()
            return True

    def close(self, within_s: float) -> bool:
        """Take nothing new, finish what is queued; whether all was finished in time."""
        deadline = time.monotonic() + within_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            return self._changed.wait_for(self._finished, max(0.0, deadline - time.monotonic()))

    def _rouse(self) -> None:
        """One more thread, unless one is on its way already: it rouses the next when it has found work. So a burst gets
        all the threads it needs, and calls that end at once don't wake threads for nothing."""
        if self._rousing:
            return
        if self._idle:
            self._rousing = True
            self._changed.notify()
        elif len(self._threads) < self._most:
            self._rousing = True
            self._start()

    def _finished(self) -> bool:
        return not any(tenant.queued() or tenant.calls for tenant in self._tenants.values())

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"caller-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (found := self._next()) is not None:
            tenant, task = found
            try:
                task()
            except Exception:  # a task decides its own errors; what gets here is a bug, and the lease recovers the room
                log.exception(logs.line("caller_bug", tenant=tenant))
            finally:
                self._ended(tenant)

    def _next(self) -> tuple[str, Task] | None:
        with self._changed:
            while True:
                found = self._pick()
                self._rousing = False
                if found is not None:
                    if self._turns:
                        self._rouse()
                    return found
                if self._closing:
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1

    def _pick(self) -> tuple[str, Task] | None:
        for _ in range(len(self._turns)):
            name = self._turns.popleft()
            tenant = self._tenants[name]
            if tenant.calls >= self._tenant_calls:
                self._turns.append(name)
                continue
            task = (tenant.urgent or tenant.later).popleft()
            tenant.calls += 1
            if tenant.queued():
                self._turns.append(name)
            return name, task
        return None

    def _ended(self, name: str) -> None:
        with self._changed:
            self._tenants[name].calls -= 1
            if self._closing:
                self._changed.notify_all()
