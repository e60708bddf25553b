"""A tenant's turn: lock → work → begin → commit → publish → wake, written once. Whoever changes rooms or seats does it
here: the worker's jobs, its settler, the sidecar.

    commit    one transaction under the lock of the tenant's row, in which `work` fills in what it changed
    publish   after the commit: the caches, then whoever can serve now. Where it fails, the sweep does the same later

Lock order: tenants → agents → visits → sessions. `LedgerBusy` concerns this tenant alone, `LedgerDown` everybody; in
both cases nothing that `work` asked for may be done.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from psycopg2.extensions import cursor
from rq import Queue

import logs
from db import hooks, tickets
from db.announce import News
from db.inbox import Changes, Inbox, InboxDown
from db.ledger import LEDGER, lock
from db.postgres import Ledger

log = logging.getLogger("db.turn")

T = TypeVar("T")
DETAIL_MAX = 200


class TurnRefused(Exception):
    """What `work` asked for can't be. `code` as in the chat's contract: not_found, already_taken, at_max_load,
    session_ended, forbidden; and too_many_open."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Drift(StrEnum):
    """Differences between the desk and the ledger, or the caches and the ledger, that were healed."""

    AGENT_LEFT = "agent_left"
    ASSIGNED_BY_HAND = "assigned_by_hand"
    CACHE = "cache"
    MISSED_ARRIVAL = "missed_arrival"
    MISSED_RESOLVE = "missed_resolve"
    REASSIGNED_BY_HAND = "reassigned_by_hand"
    UNKNOWN_ROOM = "unknown_room"


@dataclass
class Turn(Changes):
    """What the work of a turn stands on, and what it changed.

    row      the tenant's, as locked; `began_s`: this process's monotonic clock, before the lock
    agents   whose seats may have changed
    news     for the sockets of our own chat
    wake     somebody may be served now
    taken    the last entry of the inbox that this turn takes over, in which life of Redis; '': none
    waits    of rooms that were assigned in it: (queue, seconds since the arrival); `handled`: of assigned ones that
             ended, seconds since then. For /metrics, after the commit
    events   for the tenant's hooks: what happened, to which visit (None: to the desk), written as the turn leaves it
    begun    the caches are not believed until they were told of this turn
    """

    cur: cursor
    tenant: str
    row: Any = None
    began_s: float = 0.0
    agents: set[str] = field(default_factory=set)
    news: list[News] = field(default_factory=list)
    wake: bool = False
    taken: str = ""
    epoch: str = ""
    waits: list[tuple[str, float]] = field(default_factory=list)
    handled: list[float] = field(default_factory=list)
    events: list[tuple[str, int | None]] = field(default_factory=list)
    begun: bool = False

    @property
    def rev(self) -> int:
        """The revision of the tenant that this turn makes."""
        return int(self.row.rev) + 1

    def all(self, block: str, **values: Any) -> list[Any]:
        return LEDGER.all(self.cur, block, tenant=self.tenant, **values)

    def one(self, block: str, **values: Any) -> Any:
        return LEDGER.one(self.cur, block, tenant=self.tenant, **values)

    def run(self, block: str, **values: Any) -> int:
        return LEDGER.run(self.cur, block, tenant=self.tenant, **values)

    def line(self, action: str, **ids: Any) -> str:
        """One for the log."""
        return logs.line(action, tenant=self.tenant, **ids)

    def move(self, room: str, to: int | str, *agents: str | None) -> None:
        """The room stands there now; these agents have a seat more or less; somebody may be served."""
        self.rooms[room] = to
        self.agents.update(agent for agent in agents if agent)
        self.wake = True

    def ended(self, visit: int, handled_s: float | None) -> None:
        """It was assigned for so long; None: nobody had it."""
        self.events.append((hooks.RESOLVED, visit))
        if handled_s is not None:
            self.handled.append(handled_s)

    def note(self, visit: int, what: str, detail: str) -> None:
        """A line of the visit's story."""
        self.run("event", visit=visit, what=what, detail=detail[:DETAIL_MAX])

    def drift(self, kind: Drift, n: int = 1) -> None:
        self.run("count_drift", kind=kind, n=n)


def commit(
    ledger: Ledger, inbox: Inbox, tenant: str, work: Callable[[Turn], T], lock_ms: int | None = None
) -> tuple[T, Turn] | None:
    """What `work` gives and the turn, committed; None where there is no such tenant. Where the connection was lost
    before the commit, `work` is done once more, in a turn of its own. Raises `LedgerTrouble`."""

    def in_transaction(cur: cursor) -> tuple[T, Turn] | None:
        began_s = time.monotonic()
        row = lock(cur, tenant)
        if row is None:
            return None
        turn = Turn(cur, tenant, row, began_s, epoch=row.epoch)
        result = work(turn)
        if turn.events and row.hooked:
            hooks.write(cur, tenant, turn.events)
        _begin(turn, inbox)
        return result, turn

    return ledger.do(in_transaction, lock_ms)


def _begin(turn: Turn, inbox: Inbox) -> None:
    """From before the commit until they are told, the caches are not believed. A decision has begun already, when it
    read the inbox."""
    if agents := turn.agents - turn.seats.keys():
        turn.seats.update({row.id: row.open_seats for row in turn.all("seats_of", agents=sorted(agents))})
    if turn.begun or not (turn.rooms or turn.agents):
        return
    turn.begun = True
    turn.run("bump")
    try:
        inbox.begin(turn.tenant, turn.rev)
    except InboxDown as error:  # the next turn, or the sweep, finds that the caches missed one
        log.warning(turn.line("caches_not_told", why=error))


def publish(turn: Turn, inbox: Inbox, queue: Queue) -> None:
    """After the commit. Several of one process tell in the order of their commits, or the caches are doubted."""
    if turn.begun:
        try:
            inbox.done(turn.tenant, turn.epoch, turn.taken, turn.rev, turn)
        except InboxDown as error:
            log.warning(turn.line("caches_not_told", why=error))
    if turn.wake:
        wake(inbox, queue, turn.tenant, due=True)


def wake(inbox: Inbox, queue: Queue, tenant: str, due: bool = False) -> None:
    """Ask for a look at the line. Redis away: the sweeper asks again."""
    try:
        with inbox.guarded():
            tickets.ask(queue, tenant, due)
    except InboxDown as error:
        log.warning(logs.line("ticket_failed", tenant=tenant, why=error))
