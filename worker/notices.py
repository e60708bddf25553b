"""Tells customers who wait what the rules have for them: their place, or when we open. A thread of each worker.

Beside the path of a room, never in it: it takes no lock of a tenant, and its calls have a pool of their own, so that a
bot that hangs delays no assign. A text is written down, then claimed, then sent: whoever dies in between sends nothing
twice, and what was claimed and not sent is not sent later.
"""

import functools
import logging
import threading
from datetime import UTC, datetime
from typing import Any, NamedTuple

import logs
from db import rules
from db.ledger import LEDGER
from db.postgres import Ledger, LedgerTrouble, columns
from db.waits import Pace, standing, wait
from routing import messages
from routing.messages import CLOSED, Sent
from routing.model import Rules
from routing.route import serve_start
from worker.callers import Callers
from worker.desk.base import DeskError
from worker.work import BUSY_MS, Work

log = logging.getLogger("worker.notices")

LOOK_S = 1.0
LEAST_S = 2.0  # who came a moment ago is perhaps being given to somebody
OLD_S = 60.0  # a text that could not be sent for so long says nothing true any more
MOST = 100  # texts of one tenant in one look
NOT_NEEDED = "not needed any more"
BOT_THREADS, BOT_CALLS, BOT_QUEUE = 8, 2, 100  # in all, of one tenant at once, waiting for one tenant


class Notice(NamedTuple):
    """One text to be sent. `position`: the place that it tells."""

    visit: int
    kind: str
    nth: int
    position: int
    body: str


class Notices:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._ledger = Ledger(work.database_url, "notices", lock_ms=BUSY_MS)
        self._outcomes = Ledger(work.database_url, "notices", lock_ms=BUSY_MS)
        self._writing = threading.Lock()
        self._callers = Callers(BOT_THREADS, BOT_CALLS, BOT_QUEUE)
        self._stop = threading.Event()
        self._outage = logs.Outages(log, "notices_failed", "notices_work")
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)
        self._callers.close(within_s)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            for tenant in self._tenants():
                self.look(tenant)
        self._ledger.close()

    def _tenants(self) -> list[str]:
        try:
            with self._ledger.transaction() as cur:
                return rules.with_messages(cur)
        except LedgerTrouble as error:
            self._outage.go_on(error, "")
            return []

    def look(self, tenant: str) -> None:
        """One look at one tenant; what is in its way stops no other."""
        try:
            with self._ledger.transaction() as cur:
                write(cur, tenant)
            with self._ledger.transaction() as cur:
                most = min(MOST, self._callers.room_for(tenant))
                claimed = LEDGER.all(cur, "claim_notices", tenant=tenant, most=most, old_s=OLD_S)
        except LedgerTrouble as error:
            self._outage.go_on(error, tenant)
            return
        self._outage.over(tenant)
        for row in claimed:
            if row.wanted:
                self._callers.submit(tenant, functools.partial(self._send, tenant, row))

    def _send(self, tenant: str, row: Any) -> None:
        desk = self._work.desks.of(tenant)
        if desk is None:
            return
        if not self._still_waits(tenant, row):
            self._note(tenant, row, NOT_NEEDED)
            return
        try:
            desk.say(row.room, row.body)
        except DeskError as error:
            outcome = error.what
            log.warning(logs.line("customer_not_told", tenant=tenant, room=row.room, what=row.kind, why=error.what))
        else:
            outcome = "sent"
            log.info(logs.line("customer_told", tenant=tenant, room=row.room, what=row.kind))
        self._note(tenant, row, outcome)

    def _still_waits(self, tenant: str, row: Any) -> bool:
        """It may have stood behind others for a while. Where that can't be said, nothing is sent."""
        try:
            with self._writing, self._outcomes.transaction() as cur:
                return bool(LEDGER.one(cur, "still_waits", tenant=tenant, visit=row.visit).waits)
        except LedgerTrouble as error:
            log.warning(logs.line("notices_failed", tenant=tenant, why=error))
            return False

    def _note(self, tenant: str, row: Any, outcome: str) -> None:
        try:
            with self._writing, self._outcomes.transaction() as cur:
                LEDGER.run(cur, "told", visit=row.visit, kind=row.kind, nth=row.nth, outcome=outcome[:200])
        except LedgerTrouble as error:  # it is known to be claimed, which is what counts
            log.warning(logs.line("notices_failed", tenant=tenant, why=error))


def write(cur: Any, tenant: str) -> int:
    """What is due now, written down once whoever else does it at the same moment; how many texts."""
    book, now_s = rules.of(cur, tenant)
    if book.rules is None:
        return 0
    rows = _rows(cur, tenant, book.rules, datetime.fromtimestamp(now_s, UTC))
    return LEDGER.run(cur, "add_notices", tenant=tenant, **columns(rows, Notice._fields)) if rows else 0


def _rows(cur: Any, tenant: str, of: Rules, now: datetime) -> list[Notice]:
    opens = serve_start(of, now)
    shut = opens != now
    again_s = of.messages.again_every_s or 1e9
    waiting = LEDGER.all(cur, "to_tell", tenant=tenant, shut=shut, again_s=again_s, least_s=LEAST_S, most=MOST)
    pace = LEDGER.one(cur, "desk_pace", tenant=tenant) if waiting and not shut else None
    return [found for row in waiting if (found := _notice(row, of, now, opens, pace)) is not None]


def _notice(row: Any, of: Rules, now: datetime, opens: datetime | None, pace: Any) -> Notice | None:
    sent = Sent(row.told_closed, row.told_at, row.told_position)
    kind = messages.due(of.messages, sent, row.position, opens != now, now)
    if kind is None:
        return None
    nth = 0 if kind == CLOSED or row.nth is None else row.nth + 1
    return Notice(row.visit, kind, nth, row.position, _text(kind, row, of, now, opens, pace))


def _text(kind: str, row: Any, of: Rules, now: datetime, opens: datetime | None, pace: Any) -> str:
    template = of.messages.closed if kind == CLOSED else of.messages.queued
    assert template is not None, "`due` names what the file has"
    language = messages.language_of(template, row.language)
    known = Pace(pace.online, pace.seats, pace.free, tuple(pace.lengths)) if pace else None
    expected = standing(wait(row.position, known)) if known else None
    zone = of.hours.zone if of.hours else "UTC"
    return messages.message(
        template,
        language,
        row.position,
        expected.about if expected else None,
        messages.opening(opens, now, zone, language) if kind == CLOSED else None,
    )
