"""The story of a ticket: decide, hand the pairs to the callers, tell the caches; later settle what the callers report.

`drain` is the RQ job. It makes one short transaction and ends; nothing here waits for a desk.
"""

import dataclasses
import functools
import itertools
import logging
import queue
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from redis.exceptions import RedisError

import logs
from db import limits, line, tickets
from db.inbox import Counters, InboxDown, Told
from db.ledger import LEDGER
from db.line import LINE
from db.postgres import Ledger, LedgerBusy, LedgerTrouble
from db.redis_why import told
from worker import calls, decide, settle
from worker.backlog import BATCH_MOST, Kept
from worker.calls import Held, LookAt, Pair
from worker.decision import LEASE_S, Decision, Question, Reserved
from worker.desk.base import Desk
from worker.later import pause_s
from worker.settle import Report
from worker.work import BUSY_MS, BUSY_NEWS_S, REPORTS_MOST, Work

log = logging.getLogger("worker.jobs")

GATHER_S = 0.01
WAIT_S = 0.2  # for a report, before looking at what else is due
LOOKS_S = 0.25  # how long one job goes on looking; then its tenant stands at the tail of the queue
SETTLERS = 3  # threads: a slow tenant has one of them at most
SETTLE_AGAIN_S = 0.5  # while PostgreSQL is away, give or take half
RENEW_S = LEASE_S / 3  # leases of pairs whose outcome is known and can't be written yet


_work: Work | None = None


def open_for(work: Work) -> None:
    """This process serves tickets from now on; called once at the start."""
    global _work  # noqa: PLW0603 - RQ finds a job by its name and gives it no context
    _work = work


def drain(tenant: str, due: bool = False) -> None:
    """The RQ job: looks at one tenant's line until nothing new has come. Trouble is logged here; the ticket then stays
    out, and the sweeper replaces it."""
    if _work is None:
        raise RuntimeError("drain runs inside `python -m worker` only")
    _work.figures.last_drain_s = time.monotonic()
    try:
        _drain(_work, tenant, due)
    except LedgerBusy as error:
        _work.come_again(tenant, error)
    except (LedgerTrouble, InboxDown, RedisError) as error:
        _work.down.goes_on(told(error))
    else:
        _work.down.over()
        if _work.later.worked(tenant):
            _work.busy.over(tenant)


def _drain(work: Work, tenant: str, due: bool) -> None:
    run = secrets.token_hex(8)
    counters = work.inbox.open_ticket(tenant, run)
    desk = work.desks.of(tenant)
    if desk is None:  # added a moment ago, or removed: the sweeper learns of it, and asks again
        log.warning(logs.line("desk_unknown", tenant=tenant))
        return
    due = due or counters.asked
    if not due and full_by_counters(work, tenant, counters):
        work.figures.skipped_full += 1
    else:
        _look_at_line(work, tenant, desk, due)
    _look_again(work, tenant, desk, run)


def _look_again(work: Work, tenant: str, desk: Desk, run: str) -> None:
    """While webhooks come or somebody asks, one job serves them all: cheaper than a job each. Other tenants' tickets
    go first, and no job runs for long."""
    ends = time.monotonic() + LOOKS_S
    while True:
        word, others = work.inbox.close_ticket(tenant, run, work.tickets.key)
        if word == "closed":
            return
        if others or time.monotonic() > ends:
            tickets.replace(work.tickets, tenant, due=word == "again")
            return
        _look_at_line(work, tenant, desk, due=word == "again")


def _look_at_line(work: Work, tenant: str, desk: Desk, due: bool) -> None:
    free = work.room_for(tenant)
    wait_s, began = work.patience.wait_s(), time.monotonic()
    with work.turn(tenant, wait_s):
        deadline = time.monotonic() + LEASE_S  # taken before the leases are: a frozen process is never late
        try:
            with work.drains.transaction(_lock_ms(wait_s)) as cur:
                decision = decide.decide(
                    cur, work.inbox, tenant, work.rules, work.owner, free, work.gone, due=due, clock=work.clock
                )
        except LedgerBusy:
            work.patience.spend(time.monotonic() - began)
            raise
        if decision is None:
            return
        hand_over(work, tenant, desk, decision, deadline)
        _tell(work, tenant, decision.epoch, decision.seen, decision.cursor.rev + 1, decision.told)
    work.figures.decisions += 1
    work.figures.reserved += len(decision.reserved)
    if decision.cut:
        work.cut.add(tenant)
    if decision.more:
        work.wake(tenant, due=True)


def _lock_ms(wait_s: float) -> int | None:
    """None: the connection's own."""
    return None if wait_s * 1000 >= BUSY_MS else max(1, int(wait_s * 1000))


def full_by_counters(work: Work, tenant: str, counters: Counters) -> bool:
    """The max-load check against the Redis counters: nothing came in and everybody is full, so a transaction would
    change nothing. Only counters known to equal the ledger's count; anything else goes on to PostgreSQL."""
    if not counters.trusted or counters.inbox_size:
        return False
    seats = work.inbox.seats(tenant)
    if not seats:
        return False
    scopes = limits.scopes(seats, [])
    texts = work.inbox.limit_texts([limits.key_of(tenant, scope) for scope in scopes])
    if work.limits_changed(tenant, tuple(texts)):
        return False
    in_force = limits.read(dict(zip(scopes, texts, strict=True)), {}, work.rules.default_limit)
    return all(number >= in_force.of(agent) for agent, number in seats.items())


def hand_over(work: Work, tenant: str, desk: Desk, decision: Decision, deadline: float) -> None:
    """What was decided, to the callers. What they don't take comes back when its lease ends."""
    for reserved in decision.reserved:
        _submit(work, tenant, functools.partial(_finish, work, tenant, desk, _pair(reserved, deadline)))
    for about in decision.looks:
        urgent = about.state == "waiting" or about.suspect is not None
        _submit(work, tenant, functools.partial(_look, work, tenant, desk, about), urgent)
    for question in decision.rosters:
        ended = itertools.count(1)
        for room in question.rooms:
            _submit(work, tenant, functools.partial(_roster, work, tenant, desk, question, room, ended), first=True)
    for question in decision.suggestions:
        _submit(work, tenant, functools.partial(_suggest, work, tenant, desk, question))


def _pair(reserved: Reserved, deadline: float) -> Pair:
    return Pair(reserved.visit, reserved.attempt, reserved.room, reserved.agent, deadline, reserved.unclear_s)


def _submit(work: Work, tenant: str, task: Callable[[], None], urgent: bool = True, first: bool = False) -> None:
    if not work.callers.submit(tenant, task, urgent, first):
        log.warning(logs.line("callers_full", tenant=tenant))


def _finish(work: Work, tenant: str, desk: Desk, pair: Pair) -> None:
    work.reports.put((tenant, calls.finish(desk, pair, work.rules.lag_s)))


def _look(work: Work, tenant: str, desk: Desk, about: LookAt) -> None:
    work.reports.put((tenant, calls.look(desk, about)))


def _roster(work: Work, tenant: str, desk: Desk, question: Question, room: str, ended: Iterator[int]) -> None:
    """`ended` counts the question's rooms that have an answer."""
    report = calls.roster(desk, question.class_, room)
    work.reports.put((tenant, dataclasses.replace(report, last=next(ended) == len(question.rooms))))


def _suggest(work: Work, tenant: str, desk: Desk, question: Question) -> None:
    work.reports.put((tenant, calls.suggest(desk, question.class_, question.source)))


def learn(work: Work, tenant: str) -> None:
    """Housekeeping: the desk's list of unserved rooms."""
    desk = work.desks.of(tenant)
    if desk is not None:
        task = lambda: work.reports.put((tenant, calls.unserved(desk)))  # noqa: E731
        _submit(work, tenant, task, urgent=False)


def _tell(work: Work, tenant: str, epoch: str, last_id: str, rev: int, told: Told) -> None:
    """After a commit. Lost: the inbox is trimmed next time, and the sweep rewrites the caches."""
    try:
        work.inbox.done(tenant, epoch, last_id, rev, told)
    except InboxDown as error:
        log.warning(logs.line("caches_not_told", tenant=tenant, why=error))


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
        with work.turn(tenant, BUSY_MS / 1000):
            with ledger.transaction() as cur:
                began = time.monotonic()
                row = line.lock(cur, tenant)
                if row is None:
                    return
                rules = work.clock.held_against(work.rules, row.now_s, began)
                after = settle.write(cur, tenant, reports, rules, row.troubled, row.doubted)
                if after.is_seen():
                    LINE.run(cur, "bump", tenant=tenant)
                    self._begin(tenant, row.rev + 1)
            if after.is_seen():
                _tell(work, tenant, row.epoch, "", row.rev + 1, after.told())
        work.figures.settled += len(reports)
        if after.wake or tenant in work.cut:
            work.cut.discard(tenant)
            work.wake(tenant, due=True)

    def _begin(self, tenant: str, rev: int) -> None:
        try:
            self._work.inbox.begin(tenant, rev)
        except InboxDown as error:
            log.warning(logs.line("caches_not_told", tenant=tenant, why=error))
