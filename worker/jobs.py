"""The story of a ticket: decide, hand the pairs to the callers, publish. What the callers report is the settler's.

`drain` is the RQ job. It takes one short turn and ends; nothing here waits for a desk.
"""

import dataclasses
import functools
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Iterator

from redis.exceptions import RedisError

import logs
from db import limits, tickets
from db.inbox import Counters, InboxDown
from db.postgres import LedgerBusy, LedgerTrouble
from db.redis_why import told
from db.turn import Turn, commit, publish
from worker import calls, decide
from worker.calls import Outcome, Pair, Roster
from worker.decision import Decision, Question, Terms
from worker.desk.base import Desk
from worker.settle import Report
from worker.work import BUSY_MS, Work

log = logging.getLogger("worker.jobs")

LOOKS_S = 0.25  # how long one job goes on looking; then its tenant stands at the tail of the queue

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

    def decision(turn: Turn) -> Decision:
        return decide.decide(turn, work.inbox, Terms(work.rules_of(turn), work.owner, free, due, work.gone))

    with work.patience.wait() as wait_s, work.alone(tenant, wait_s):
        decided = commit(work.drains, work.inbox, tenant, decision, _lock_ms(wait_s))
        if decided is not None:
            hand_over(work, tenant, desk, decided[0])
            publish(decided[1], work.inbox, work.tickets)
            _count(work, tenant, *decided)


def _count(work: Work, tenant: str, decision: Decision, turn: Turn) -> None:
    work.latency.committed(turn)
    work.figures.decisions += 1
    work.figures.reserved += len(decision.reserved)
    if decision.cut:
        work.cut.add(tenant)


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


def hand_over(work: Work, tenant: str, desk: Desk, decision: Decision) -> None:
    """What was decided, to the callers. What they don't take comes back when its lease ends."""
    lag_s = work.rules.lag_s
    for pair in decision.reserved:
        _submit(work, tenant, functools.partial(_finish, work, desk, pair, lag_s))
    for about in decision.looks:
        urgent = about.state == "waiting" or about.suspect is not None
        _submit(work, tenant, functools.partial(calls.look, desk, about), urgent)
    for question in decision.rosters:
        ended = itertools.count(1)
        for room in question.rooms:
            _submit(work, tenant, functools.partial(_roster, desk, question, room, ended), first=True)
    for question in decision.suggestions:
        _submit(work, tenant, functools.partial(calls.suggest, desk, question.class_, question.source))


def _finish(work: Work, desk: Desk, pair: Pair, lag_s: float) -> Outcome:
    work.latency.calls(pair)
    return calls.finish(desk, pair, lag_s)


def _submit(work: Work, tenant: str, call: Callable[[], Report], urgent: bool = True, first: bool = False) -> None:
    if not work.callers.submit(tenant, lambda: work.reports.put((tenant, call())), urgent, first):
        log.warning(logs.line("callers_full", tenant=tenant))


def _roster(desk: Desk, question: Question, room: str, ended: Iterator[int]) -> Roster:
    """`ended` counts the question's rooms that have an answer."""
    report = calls.roster(desk, question.class_, room, question.who, question.channel)
    return dataclasses.replace(report, last=next(ended) == len(question.rooms))


def learn(work: Work, tenant: str) -> None:
    """Housekeeping: the desk's list of unserved rooms."""
    desk = work.desks.of(tenant)
    if desk is not None:
        _submit(work, tenant, functools.partial(calls.unserved, desk), urgent=False)
