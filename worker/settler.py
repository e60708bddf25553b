"""The settler: threads that write what the callers report, a tenant's in their order.

Before: the callers' queue. After: what `settle` writes is committed, the caches are told, and whoever can be served is.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Sequence

import logs
from db.ledger import LEDGER
from db.postgres import Ledger, LedgerBusy, LedgerTrouble
from db.turn import commit, publish
from worker import settle
from worker.backlog import BATCH_MOST, Kept
from worker.calls import Held, Pair
from worker.decision import LEASE_S
from worker.later import pause_s
from worker.settle import Report
from worker.work import BUSY_MS, BUSY_NEWS_S, REPORTS_MOST, Work

log = logging.getLogger("worker.jobs")

GATHER_S = 0.01
WAIT_S = 0.2  # for a report, before looking at what else is due
SETTLERS = 3  # threads: a slow tenant has one of them at most
SETTLE_AGAIN_S = 0.5  # while PostgreSQL is away, give or take half
RENEW_S = LEASE_S / 3  # leases of pairs whose outcome is known and can't be written yet


class Settler:
    """The threads that write reports, a tenant's in their order. A tenant that is locked or slow holds up its own only.
    They stop when told and nothing is left, or when the time is up: leases then bring the rooms back."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._backlog = work.backlog
        self._stop = threading.Event()
        self._ends_at = float("inf")
        self._taking = threading.Lock()
        self._renewed: dict[str, float] = {}
        self._busy = logs.Outages(log, "settle_busy", "settle_free", BUSY_NEWS_S)
        self._down = logs.Outages(log, "settle_failed", "settle_works")
        self._threads = [threading.Thread(target=self._run, name=f"settler-{n}", daemon=True) for n in range(SETTLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float) -> None:
        self._ends_at = time.monotonic() + within_s
        self._stop.set()
        for thread in self._threads:
            thread.join(max(0.0, self._ends_at - time.monotonic()) + GATHER_S)
        if left := len(self._backlog) + self._work.reports.qsize():
            log.error(logs.line("reports_left", number=left))

    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    @property
    def waiting(self) -> int:
        """Reports that could not be written yet."""
        return len(self._backlog)

    def _run(self) -> None:
        ledger = Ledger(self._work.database_url, "settle", lock_ms=BUSY_MS)
        while not self._is_over():
            found = self._backlog.take(time.monotonic()) or self._await()
            if found:
                self._settle(ledger, *found)
        ledger.close()

    def _is_over(self) -> bool:
        if not self._stop.is_set():
            return False
        nothing = self._work.reports.empty() and self._backlog.is_empty()
        return nothing or time.monotonic() > self._ends_at

    def _await(self) -> tuple[str, list[Kept]] | None:
        """One thread waits for reports; the others stand behind it, or wait until a tenant's pause is over."""
        if not self._taking.acquire(timeout=self._wait_s()):
            return None
        try:
            self._gather()
        finally:
            self._taking.release()
        return self._backlog.take(time.monotonic())

    def _wait_s(self) -> float:
        return self._backlog.wait_s(time.monotonic(), WAIT_S)

    def _gather(self) -> None:
        """Everything reported by now; waits a moment for the first. Seats taken, which nobody waits for, are gathered a
        little longer: a commit for many costs the line less than one each."""
        if len(self._backlog) >= REPORTS_MOST:  # now callers wait, whose queue is bounded
            time.sleep(max(GATHER_S, self._wait_s()))
            return
        try:
            tenant, report = self._work.reports.get(timeout=self._wait_s())
            self._keep(tenant, report)
            if isinstance(report, Held):
                time.sleep(GATHER_S)
            for _ in range(BATCH_MOST):
                self._keep(*self._work.reports.get_nowait())
        except queue.Empty:
            pass

    def _keep(self, tenant: str, report: Report) -> None:
        if not self._backlog.add(tenant, report, time.monotonic()):
            log.error(logs.line("report_dropped", tenant=tenant, why="too many wait"))

    def _settle(self, ledger: Ledger, tenant: str, batch: list[Kept]) -> None:
        try:
            self._write(ledger, tenant, [kept.report for kept in batch])
        except LedgerTrouble as error:
            self._put_off(ledger, tenant, batch, error)
        except Exception:  # one report that can't be written must not stop the others
            log.exception(logs.line("settle_bug", tenant=tenant, reports=len(batch)))
            if len(batch) > 1:
                self._settle_singly(ledger, tenant, batch)
            else:
                self._backlog.done(tenant)
        else:
            self._down.over()
            self._busy.over(tenant)
            self._backlog.done(tenant)

    def _settle_singly(self, ledger: Ledger, tenant: str, batch: list[Kept]) -> None:
        for number, kept in enumerate(batch):
            try:
                self._write(ledger, tenant, [kept.report])
            except LedgerTrouble as error:
                self._put_off(ledger, tenant, batch[number:], error)
                return
            except Exception:
                log.exception(logs.line("settle_bug", tenant=tenant, reports=1))
        self._backlog.done(tenant)

    def _put_off(self, ledger: Ledger, tenant: str, batch: list[Kept], error: LedgerTrouble) -> None:
        now, busy = time.monotonic(), isinstance(error, LedgerBusy)
        if busy:
            self._busy.go_on(error, tenant)
            pause = pause_s(self._backlog.failures(tenant))
        else:
            self._down.go_on(error)
            pause = SETTLE_AGAIN_S * random.uniform(0.5, 1.5)
            self._backlog.pause(now + pause)
        for kept in self._backlog.again(tenant, batch, now, pause):
            log.error(logs.line("report_dropped", tenant=tenant, why="it waited for too long", what=kept.report))
        if busy:
            self._renew(ledger, tenant, [kept.pair for kept in batch if kept.pair], now)

    def _renew(self, ledger: Ledger, tenant: str, pairs: list[Pair], now: float) -> None:
        """What became of these pairs is known: nobody has to find it out again because it can't be written yet."""
        ends = min((pair.deadline for pair in pairs), default=now + LEASE_S)
        if ends - now > LEASE_S - RENEW_S or now - self._renewed.get(tenant, -RENEW_S) < RENEW_S:
            return
        self._renewed[tenant] = now
        values = {"visits": [pair.visit for pair in pairs], "attempts": [pair.attempt for pair in pairs]}
        try:
            with ledger.transaction() as cur:
                LEDGER.run(cur, "renew_leases", tenant=tenant, lease_s=LEASE_S, **values)
        except LedgerTrouble as error:
            log.warning(logs.line("leases_not_renewed", tenant=tenant, pairs=len(pairs), why=error))

    def _write(self, ledger: Ledger, tenant: str, reports: Sequence[Report]) -> None:
        work = self._work
        with work.alone(tenant, BUSY_MS / 1000):
            written = commit(ledger, work.inbox, tenant, lambda turn: settle.write(turn, reports, work.rules_of(turn)))
            if written is None:
                return
            _, turn = written
            turn.wake |= tenant in work.cut
            work.cut.discard(tenant)
            publish(turn, work.inbox, work.tickets)
        work.figures.settled += len(reports)
        work.latency.committed(turn)
