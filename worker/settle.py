"""Writes what desk callers report: seats held, refused or parked, looks judged, rosters, rooms learned, the circuit.

One thread takes everything reported since its last round and writes it in one short transaction for each tenant, so
that a hundred answers cost one commit. A report that comes too late (the visit was closed or claimed by another
meanwhile) changes nothing: every statement names the state and attempt that it is about.
"""

import logging
import random
from collections.abc import Sequence

from psycopg2.extensions import cursor

import logs
from db import line
from db.ledger import LEDGER
from worker import overtaken, refusals, roster, stays
from worker.aftermath import Aftermath, drift, note
from worker.calls import Held, Over, Parked, Refused, Roster, Seen, Suggested, Unserved
from worker.desk.base import DeskTrouble
from worker.healing import heal
from worker.rules import (
    CIRCUIT_FAILURES,
    PARK_MOST_S,
    TAKEN_MOST,
    Rules,
    backoff_s,
)

log = logging.getLogger("worker.settle")

Report = Held | Parked | Refused | Over | Seen | Roster | Suggested | Unserved


def write(
    cur: cursor, tenant: str, reports: Sequence[Report], rules: Rules, troubled: bool, doubted: bool
) -> Aftermath:
    """One tenant's reports, in the caller's transaction, with the tenant's row locked. By that row, `troubled`: the
    desk's last answers were failures; `doubted`: some refusal is not judged yet."""
    after = Aftermath()
    held = [report for report in reports if isinstance(report, Held)]
    _hold(cur, tenant, held, after)
    if doubted:
        refusals.accept(cur, tenant, held, after)
    refused = []
    for report in reports:
        if isinstance(report, Parked | Refused | Over) and overtaken.not_applied(cur, tenant, report, after):
            continue
        if isinstance(report, Parked):
            _park(cur, tenant, report, rules, after)
        elif isinstance(report, Refused):
            refused.append(report)
        elif isinstance(report, Over):
            _over(cur, tenant, report, rules, after)
        elif isinstance(report, Seen):
            heal(cur, tenant, report, rules, after)
        elif isinstance(report, Roster):
            roster.take_roster(cur, tenant, report, rules, doubted, after)
        elif isinstance(report, Suggested):
            roster.take_suggestion(cur, tenant, report, after)
        elif isinstance(report, Unserved):
            roster.learn(cur, tenant, report, rules, after)
    refusals.take(cur, tenant, refused, rules, after)
    _circuit(cur, tenant, reports, troubled, after)
    after.seats.update(line.seats_of(cur, tenant, sorted(after.agents)))
    return after


def _hold(cur: cursor, tenant: str, held: Sequence[Held], after: Aftermath) -> None:
    if not held:
        return
    strangers = sorted({report.agent for report in held if report.agent != report.pair.agent})
    if strangers:
        LEDGER.run(cur, "know_agents", tenant=tenant, agents=strangers)
    rows = LEDGER.all(
        cur,
        "hold",
        tenant=tenant,
        visits=[report.pair.visit for report in held],
        attempts=[report.pair.attempt for report in held],
        agents=[report.agent for report in held],
        firsts=[report.first_comment_id for report in held],
        unconfirmed=[report.unconfirmed for report in held],
    )
    settled = {(row.id, row.attempt): row.marked for row in rows}
    valid = [report for report in held if (report.pair.visit, report.pair.attempt) in settled]
    for report in valid:
        _held(cur, tenant, report, after)
        if settled[report.pair.visit, report.pair.attempt]:
            overtaken.applied(cur, tenant, report, after)
    logs.each(log, [_assigned_line(tenant, report) for report in valid])
    for report in held:
        if (report.pair.visit, report.pair.attempt) not in settled:
            log.info(logs.line("settled_late", tenant=tenant, room=report.pair.room, visit=report.pair.visit))


def _assigned_line(tenant: str, report: Held) -> str:
    pair = report.pair
    return logs.line("assigned", tenant=tenant, room=pair.room, agent=report.agent, attempt=pair.attempt)


def _held(cur: cursor, tenant: str, report: Held, after: Aftermath) -> None:
    """In the plain case the caches were told when the seat was reserved."""
    pair = report.pair
    if report.agent != pair.agent:
        after.held.add(pair.room)
        note(cur, pair.visit, "adopted", f"the desk has {report.agent} in the room, not {pair.agent}")
        drift(cur, tenant, "assigned_by_hand")
        after.agents |= {pair.agent, report.agent}
        after.wake = True
    elif report.unconfirmed:
        note(cur, pair.visit, "unconfirmed", "served by somebody whom the desk does not name")
    elif pair.attempt > 1:
        note(cur, pair.visit, "finished", f"at attempt {pair.attempt}")


def _park(cur: cursor, tenant: str, report: Parked, rules: Rules, after: Aftermath) -> None:
    pair, trouble = report.pair, report.trouble
    wait_s = max(
        report.wait_s, backoff_s(pair.attempt, PARK_MOST_S), (trouble.retry_after_s or 0.0) if trouble else 0.0
    )
    key = {"tenant": tenant, "visit": pair.visit, "attempt": pair.attempt}
    row = LEDGER.one(cur, "park", wait_s=wait_s, unclear=report.unclear, taken=int(report.taken), **key)
    if row is None:
        return
    note(cur, pair.visit, "parked", report.why)
    log.warning(
        logs.line("parked", tenant=tenant, room=pair.room, agent=pair.agent, wait_s=round(wait_s, 1), why=report.why)
    )
    if row.tries >= TAKEN_MOST:
        refusals.take(cur, tenant, [Refused(pair, report.why)], rules, after)


def _over(cur: cursor, tenant: str, report: Over, rules: Rules, after: Aftermath) -> None:
    pair = report.pair
    stay = stays.find(cur, tenant, pair.visit, pair.attempt)
    if stay is not None and stay.state == "reserved":
        stays.end_seen(cur, tenant, stay, report.why, rules, after)


def _circuit(cur: cursor, tenant: str, reports: Sequence[Report], troubled: bool, after: Aftermath) -> None:
    """Trouble of the desk counts against the desk, never against a room; one success in a round is proof of life."""
    troubles = [t for report in reports if isinstance(t := getattr(report, "trouble", None), DeskTrouble)]
    failures = 0
    if len(troubles) < len(reports):
        if troubled:
            _works(cur, tenant, after)
    else:
        row = LEDGER.one(cur, "desk_fails", tenant=tenant, failures=len(troubles), trouble=troubles[-1].what[:200])
        failures = row.desk_failures
    pause_s = _pause_s(troubles, failures)
    if pause_s > 0:
        LEDGER.run(cur, "desk_pauses", tenant=tenant, wait_s=pause_s)
        log.warning(logs.line("desk_paused", tenant=tenant, wait_s=round(pause_s, 1), why=troubles[-1].what))


def _works(cur: cursor, tenant: str, after: Aftermath) -> None:
    row = LEDGER.one(cur, "desk_works", tenant=tenant, open=CIRCUIT_FAILURES)
    if row is not None and row.failures >= CIRCUIT_FAILURES:
        LEDGER.run(cur, "unpark", tenant=tenant)
        log.warning(logs.line("desk_works", tenant=tenant, after_failures=row.failures))
        after.wake = True


def _pause_s(troubles: Sequence[DeskTrouble], failures: int) -> float:
    asked = max((t.retry_after_s or 0.0 for t in troubles), default=0.0)
    if asked:
        return asked + random.uniform(0.0, 0.5)
    if failures >= CIRCUIT_FAILURES or (failures and any(t.permanent for t in troubles)):
        return backoff_s(max(1, failures - CIRCUIT_FAILURES + 2))
    return 0.0
