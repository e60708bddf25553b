"""The story of a ticket: decide, hand the pairs to the callers, tell the caches; later settle what the callers report.

`drain` is the RQ job. It makes one short transaction and ends; nothing here waits for a desk.
"""

import functools
import logging
import queue
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import rq
from redis.exceptions import RedisError

import logs
from db import limits, line, tickets
from db.inbox import Counters, Inbox, InboxDown, Told
from db.line import LINE
from db.postgres import Ledger, LedgerDown
from worker import calls, decide, settle
from worker.callers import Callers
from worker.calls import Held, LookAt, Pair
from worker.decision import LEASE_S, Decision, Question, Reserved
from worker.desk.base import Desk
from worker.desks import Desks
from worker.rules import Rules
from worker.settle import Report

log = logging.getLogger("worker.jobs")

REPORTS_MOST = 10_000  # reports waiting to be settled; callers wait when it is full
SETTLE_BATCH = 500
GATHER_S = 0.01
LOOKS_S = 0.25  # how long one job goes on looking; then its tenant stands at the tail of the queue
SETTLE_TRIES_S = 10.0  # how long a batch is tried while PostgreSQL is away; then leases bring its rooms back


@dataclass
class Figures:
    """Counts since the start, for /metrics; written by one thread each."""

    decisions: int = 0
    reserved: int = 0
    settled: int = 0
    skipped_full: int = 0
    foreign_jobs: int = 0
    last_drain_s: float = field(default_factory=time.monotonic)


class Work:
    """Everything that one worker process shares between its threads."""

    def __init__(
        self, database_url: str, inbox: Inbox, ticket_queue: rq.Queue, rules: Rules, desks: Desks, owner: int
    ) -> None:
        self.database_url = database_url
        self.inbox = inbox
        self.tickets = ticket_queue
        self.rules = rules
        self.desks = desks
        self.owner = owner
        self.callers = Callers()
        self.reports: queue.Queue[tuple[str, Report]] = queue.Queue(REPORTS_MOST)
        self.figures = Figures()
        self.redis_trouble: Callable[[], str | None] = lambda: None  # why Redis can't be used, if it can't
        self.drains = Ledger(database_url, "drain")
        self.cut: set[str] = set()  # tenants whose last decision found the callers' queue full
        self._turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._limits_seen: dict[str, tuple[str | None, ...]] = {}

    def turn(self, tenant: str) -> threading.Lock:
        """Held over a commit and the telling of the caches, so that this process tells them in order."""
        return self._turns[tenant]

    def limits_changed(self, tenant: str, texts: tuple[str | None, ...]) -> bool:
        """Whether these texts differ from those of the last call: the ledger's copy may be old then."""
        known, self._limits_seen[tenant] = self._limits_seen.get(tenant), texts
        return known != texts

    def wake(self, tenant: str, due: bool = False) -> None:
        """Ask for a look at the line. Redis away: the sweeper asks again."""
        try:
            tickets.ask(self.tickets, tenant, due)
        except RedisError as error:
            log.warning(logs.line("ticket_failed", tenant=tenant, why=error))


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
    except (LedgerDown, InboxDown) as error:
        log.error(logs.line("drain_failed", tenant=tenant, why=error))


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
    free = work.callers.room_for(tenant)
    with work.turn(tenant):
        deadline = time.monotonic() + LEASE_S  # taken before the leases are: a frozen process is never late
        with work.drains.transaction() as cur:
            decision = decide.decide(cur, work.inbox, tenant, work.rules, work.owner, free, due)
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


def full_by_counters(work: Work, tenant: str, counters: Counters) -> bool:
    """The max-load check against the Redis counters: nothing came in and everybody is full, so a transaction would
    change nothing. Only counters known to equal the ledger's count; anything else goes on to PostgreSQL."""
    if not counters.trusted or counters.inbox_size or not counters.seats:
        return False
    agents = sorted(counters.seats)
    scopes = limits.scopes(agents, [])
    texts = work.inbox.limit_texts([limits.key_of(tenant, scope) for scope in scopes])
    if work.limits_changed(tenant, tuple(texts)):
        return False
    in_force = limits.read(dict(zip(scopes, texts, strict=True)), {}, work.rules.default_limit)
    return all(counters.seats[agent] >= in_force.of(agent) for agent in agents)


def hand_over(work: Work, tenant: str, desk: Desk, decision: Decision, deadline: float) -> None:
    """What was decided, to the callers. What they don't take comes back when its lease ends."""
    for reserved in decision.reserved:
        _submit(work, tenant, functools.partial(_finish, work, tenant, desk, _pair(reserved, deadline)))
    for about in decision.looks:
        urgent = about.state == "waiting" or about.suspect is not None
        _submit(work, tenant, functools.partial(_look, work, tenant, desk, about), urgent)
    for question in decision.rosters:
        _submit(work, tenant, functools.partial(_roster, work, tenant, desk, question), first=True)
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


def _roster(work: Work, tenant: str, desk: Desk, question: Question) -> None:
    work.reports.put((tenant, calls.roster(desk, question.class_, question.room)))


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
    """The thread that writes reports. Stops when told and the queue is empty."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ledger = Ledger(work.database_url, "settle")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        self._stop.set()
        self._thread.join(within_s)

    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not (self._stop.is_set() and self._work.reports.empty()):
            for tenant, reports in self._next().items():
                self._settle(tenant, reports)

    def _next(self) -> dict[str, list[Report]]:
        """Everything reported by now, by tenant; waits a moment for the first. Seats taken, which nobody waits for,
        are gathered a little longer: a commit for many costs the line less than one each."""
        found: dict[str, list[Report]] = defaultdict(list)
        try:
            tenant, report = self._work.reports.get(timeout=0.2)
            found[tenant].append(report)
            if isinstance(report, Held):
                self._stop.wait(GATHER_S)
            for _ in range(SETTLE_BATCH):
                tenant, report = self._work.reports.get_nowait()
                found[tenant].append(report)
        except queue.Empty:
            pass
        return found

    def _settle(self, tenant: str, reports: Sequence[Report]) -> None:
        deadline = time.monotonic() + SETTLE_TRIES_S
        while True:
            try:
                self._write(tenant, reports)
                return
            except LedgerDown as error:
                log.error(logs.line("settle_failed", tenant=tenant, reports=len(reports), why=error))
                if time.monotonic() > deadline:
                    return
                self._stop.wait(0.2)
            except Exception:  # one report that can't be written must not stop the others
                log.exception(logs.line("settle_bug", tenant=tenant, reports=len(reports)))
                if len(reports) > 1:
                    for report in reports:
                        self._settle(tenant, [report])
                return

    def _write(self, tenant: str, reports: Sequence[Report]) -> None:
        work = self._work
        with work.turn(tenant):
            with self._ledger.transaction() as cur:
                row = line.lock(cur, tenant)
                if row is None:
                    return
                after = settle.write(cur, tenant, reports, work.rules, row.troubled, row.doubted)
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
