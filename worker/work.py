"""What the threads of one worker process share: the queue, the pool, tenants' turns, and how long to wait for one.

Before: `__main__` makes it. After: jobs, settler and sweeper work with it.
"""

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import rq
from redis.exceptions import RedisError

import logs
from db import tickets
from db.inbox import Inbox, InboxDown
from db.ledger import LEDGER
from db.postgres import Ledger, LedgerBusy, LedgerTrouble
from db.redis_why import why
from db.turn import Turn, wake
from worker.backlog import Backlog
from worker.callers import Callers
from worker.clock import Clock
from worker.desk.registry import Desks
from worker.latency import Latency
from worker.later import Later
from worker.rules import Rules
from worker.settle import Report

log = logging.getLogger("worker.jobs")

REPORTS_MOST = 10_000  # reports waiting to be settled; callers wait when it is full
BUSY_MS = 50  # how long a job, or the settler, waits for one tenant's lock; most are held for less
BUSY_NEWS_S = 2.0  # a tenant that is busy for less is no news
BUSY_SHARE = 0.1  # of a job thread's time that may go into such waits in vain; then it does not wait at all


@dataclass
class Figures:
    """Counts since the start, for /metrics; written by one thread each."""

    decisions: int = 0
    reserved: int = 0
    settled: int = 0
    skipped_full: int = 0
    foreign_jobs: int = 0


class Work:
    """Everything that one worker process shares between its threads."""

    def __init__(
        self,
        database_url: str,
        inbox: Inbox,
        ticket_queue: rq.Queue,
        rules: Rules,
        desks: Desks,
        owner: int,
        latency: Latency | None = None,
    ) -> None:
        """`latency`: also what the desks report to, if they do."""
        self.database_url = database_url
        self.inbox = inbox
        self.tickets = ticket_queue
        self.rules = rules
        self.desks = desks
        self.owner = owner
        self.callers = Callers()
        self.clock = Clock()
        self.reports: queue.Queue[tuple[str, Report]] = queue.Queue(REPORTS_MOST)
        self.backlog = Backlog()
        self.figures = Figures()
        self.latency = latency or Latency()
        self.redis_trouble: Callable[[], str | None] = lambda: None  # why Redis can't be used, if it can't
        self._probes = Ledger(database_url, "probe", lock_ms=BUSY_MS)
        self.drains = Ledger(database_url, "drain", lock_ms=BUSY_MS)
        self.patience = Patience()
        self.later = Later(self.free, self.replace)
        self.busy = logs.Outages(log, "tenant_busy", "tenant_free", BUSY_NEWS_S)
        self.down = logs.Outage(log, "drain_failed", "drain_works")
        self.gone: frozenset[int] | None = None  # workers known to be dead; None: by their locks of this moment
        self.cut: set[str] = set()  # tenants whose last decision found the callers' queue full
        self._turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._limits_seen: dict[str, tuple[str | None, ...]] = {}

    @contextmanager
    def alone(self, tenant: str, within_s: float) -> Iterator[None]:
        """Held over a commit and the telling of the caches, so that this process tells them in order. Raises
        `LedgerBusy` where another thread has it for longer."""
        lock = self._turns[tenant]
        if not lock.acquire(timeout=within_s):
            raise LedgerBusy("another thread of this worker writes for the tenant")
        try:
            yield
        finally:
            lock.release()

    def rules_of(self, turn: Turn) -> Rules:
        """What ages are judged by in this turn: PostgreSQL's clock may have been stepped."""
        return self.clock.held_against(self.rules, turn.row.now_s, turn.began_s)

    def room_for(self, tenant: str) -> int:
        """How many calls a decision may ask for: what the callers take, less what is not written yet of the calls
        before. A line that is given away faster than its ledger can be told would lose what became of its rooms."""
        return max(0, self.callers.room_for(tenant) - self.backlog.of(tenant))

    def limits_changed(self, tenant: str, texts: tuple[str | None, ...]) -> bool:
        """Whether these texts differ from those of the last call: the ledger's copy may be old then."""
        known, self._limits_seen[tenant] = self._limits_seen.get(tenant), texts
        return known != texts

    def wake(self, tenant: str, due: bool = False) -> None:
        wake(self.inbox, self.tickets, tenant, due)

    def replace(self, tenant: str) -> None:
        """Another ticket in place of the one that met a busy tenant."""
        try:
            tickets.replace(self.tickets, tenant)
        except RedisError as error:
            log.warning(logs.line("ticket_failed", tenant=tenant, why=why(error)))

    def free(self, tenants: list[str]) -> set[str]:
        """Those whose row nobody has locked. Where that can't be said, all: whoever comes finds out."""
        try:
            with self._probes.transaction() as cur:
                return {row.id for row in LEDGER.all(cur, "free_tenants", tenants=tenants)}
        except LedgerTrouble:
            return set(tenants)

    def come_again(self, tenant: str, why: LedgerBusy) -> None:
        """The tenant is locked or slow: its ticket stays out for a moment, and no other tenant waits for it."""
        self.busy.go_on(why, tenant)
        try:
            self.inbox.postpone_ticket(tenant)
        except InboxDown as error:
            log.warning(logs.line("ticket_failed", tenant=tenant, why=error))
        self.later.again(tenant)


class Patience:
    """How long the one thread that serves all tenants may wait for one of them: as long as such waits in vain take
    little of its time."""

    def __init__(self) -> None:
        self._left_s, self._at = BUSY_MS / 1000, time.monotonic()

    @contextmanager
    def wait(self) -> Iterator[float]:
        """For how many seconds; what was in vain counts."""
        began = time.monotonic()
        self._left_s = min(2 * BUSY_MS / 1000, self._left_s + (began - self._at) * BUSY_SHARE)
        self._at = began
        try:
            yield max(0.0, min(BUSY_MS / 1000, self._left_s))
        except LedgerBusy:
            self._left_s = max(-1.0, self._left_s - (time.monotonic() - began))
            raise
