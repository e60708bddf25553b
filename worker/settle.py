"""Writes what desk callers report: seats held, refused or parked, looks judged, rosters, rooms learned, the circuit.

One thread takes everything reported since its last round and writes it in one short transaction for each tenant, so
that a hundred answers cost one commit. A report that comes too late (the visit was closed or claimed by another
meanwhile) changes nothing: every statement names the state and attempt that it is about.
"""

import logging
import random
from collections.abc import Sequence

import logs
from db import audit, hooks
from db.inbox import HELD
from db.postgres import columns
from db.turn import Drift, Turn
from worker import overtaken, refusals, roster, stays
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


def write(turn: Turn, reports: Sequence[Report], rules: Rules) -> None:
    """One tenant's reports. By the row, `troubled`: the desk's last answers were failures; `doubted`: some refusal is
    not judged yet."""
    held = [report for report in reports if isinstance(report, Held)]
    _hold(turn, held)
    if turn.row.doubted:
        refusals.accept(turn, held)
    refused = []
    for report in reports:
        if isinstance(report, Parked | Refused | Over) and overtaken.not_applied(turn, report):
            continue
        if isinstance(report, Parked):
            _park(turn, report, rules)
        elif isinstance(report, Refused):
            refused.append(report)
        elif isinstance(report, Over):
            _over(turn, report, rules)
        elif isinstance(report, Seen):
            heal(turn, report, rules)
        elif isinstance(report, Roster):
            roster.take_roster(turn, report, rules)
        elif isinstance(report, Suggested):
            roster.take_suggestion(turn, report)
        elif isinstance(report, Unserved):
            roster.learn(turn, report, rules)
    refusals.take(turn, refused, rules)
    _circuit(turn, reports)


def _hold(turn: Turn, held: Sequence[Held]) -> None:
    if not held:
        return
    strangers = sorted({report.agent for report in held if report.agent != report.pair.agent})
    if strangers:
        turn.run("know_agents", agents=strangers)
    rows = turn.all(
        "hold",
        visits=[report.pair.visit for report in held],
        attempts=[report.pair.attempt for report in held],
        **columns(held, ("agent", "first_comment_id", "unconfirmed")),
    )
    turn.waits += [(row.queue, row.waited_s) for row in rows]
    turn.events += [(hooks.ASSIGNED, row.id) for row in rows]
    settled = {(row.id, row.attempt): row.marked for row in rows}
    valid = [report for report in held if (report.pair.visit, report.pair.attempt) in settled]
    for report in valid:
        _held(turn, report)
        if settled[report.pair.visit, report.pair.attempt]:
            overtaken.applied(turn, report)
    logs.each(log, [_assigned_line(turn, report) for report in valid])
    for report in held:
        if (report.pair.visit, report.pair.attempt) not in settled:
            log.info(turn.line("settled_late", room=report.pair.room, visit=report.pair.visit))


def _assigned_line(turn: Turn, report: Held) -> str:
    pair = report.pair
    return turn.line("assigned", room=pair.room, agent=report.agent, attempt=pair.attempt)


def _held(turn: Turn, report: Held) -> None:
    """In the plain case the caches were told when the seat was reserved."""
    pair = report.pair
    if report.agent != pair.agent:
        turn.note(pair.visit, "adopted", f"the desk has {report.agent} in the room, not {pair.agent}")
        turn.drift(Drift.ASSIGNED_BY_HAND)
        turn.move(pair.room, HELD, pair.agent, report.agent)
    elif report.unconfirmed:
        turn.note(pair.visit, "unconfirmed", "served by somebody whom the desk does not name")
    elif pair.attempt > 1:
        turn.note(pair.visit, "finished", f"at attempt {pair.attempt}")


def _park(turn: Turn, report: Parked, rules: Rules) -> None:
    pair, trouble = report.pair, report.trouble
    wait_s = max(
        report.wait_s, backoff_s(pair.attempt, PARK_MOST_S), (trouble.retry_after_s or 0.0) if trouble else 0.0
    )
    key = {"visit": pair.visit, "attempt": pair.attempt}
    row = turn.one("park", wait_s=wait_s, unclear=report.unclear, taken=int(report.taken), **key)
    if row is None:
        return
    turn.note(pair.visit, "parked", report.why)
    log.warning(turn.line("parked", room=pair.room, agent=pair.agent, wait_s=round(wait_s, 1), why=report.why))
    if row.tries >= TAKEN_MOST:
        refusals.take(turn, [Refused(pair, report.why)], rules)


def _over(turn: Turn, report: Over, rules: Rules) -> None:
    pair = report.pair
    stay = stays.find(turn, pair.visit, pair.attempt)
    if stay is not None and stay.state == "reserved":
        stays.end_seen(turn, stay, report.why, rules)


PROGRAM = "giliran"  # who did it, where nobody did it by hand


def _circuit(turn: Turn, reports: Sequence[Report]) -> None:
    """Trouble of the desk counts against the desk, never against a room; one success in a round is proof of life."""
    troubles = [t for report in reports if isinstance(t := getattr(report, "trouble", None), DeskTrouble)]
    failures = 0
    if len(troubles) < len(reports):
        if turn.row.troubled:
            _works(turn)
    else:
        row = turn.one("desk_fails", failures=len(troubles), trouble=troubles[-1].what[:200])
        failures = row.desk_failures
        if failures - len(troubles) < CIRCUIT_FAILURES <= failures:
            audit.write(turn.cur, turn.tenant, PROGRAM, "desk down", troubles[-1].what)
            turn.events.append((hooks.PAUSED, None))
    pause_s = _pause_s(troubles, failures)
    if pause_s > 0:
        turn.run("desk_pauses", wait_s=pause_s)
        log.warning(turn.line("desk_paused", wait_s=round(pause_s, 1), why=troubles[-1].what))


def _works(turn: Turn) -> None:
    row = turn.one("desk_works", open=CIRCUIT_FAILURES)
    if row is not None and row.failures >= CIRCUIT_FAILURES:
        turn.run("unpark")
        audit.write(turn.cur, turn.tenant, PROGRAM, "desk up")
        turn.events.append((hooks.RECOVERED, None))
        log.warning(turn.line("desk_works", after_failures=row.failures))
        turn.wake = True


def _pause_s(troubles: Sequence[DeskTrouble], failures: int) -> float:
    asked = max((t.retry_after_s or 0.0 for t in troubles), default=0.0)
    if asked:
        return asked + random.uniform(0.0, 0.5)
    if failures >= CIRCUIT_FAILURES or (failures and any(t.permanent for t in troubles)):
        return backoff_s(max(1, failures - CIRCUIT_FAILURES + 2))
    return 0.0
