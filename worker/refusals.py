"""Whose fault is a refusal: the room's, the agent's or the desk's? Judged here before anybody pays for it (H13).

Comes after `calls`, as a part of settling. A room keeps its place and is tried next with another agent. It is set aside
when two agents who were refused for it were given other rooms since. An agent who is refused for two rooms in a row is
left out for a while. Where all agents of a class are refused alike, it is the desk's trouble. What is written here is
read by `doubts` for the next decision.
"""

import logging
from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

import logs
from db.ledger import LEDGER
from db.refusals import REFUSALS
from worker.aftermath import Aftermath, note
from worker.calls import Held, Refused
from worker.rules import ALIKE_MOST_S, ASIDE_S, OUT_S, REFUSED_IN_ROW, Rules, backoff_s
from worker.visits import RESOLVED, WAITING

UNKNOWN = "unknown"  # to the desk; beside what visits.py calls a suspect

log = logging.getLogger("worker.refusals")


def take(cur: cursor, tenant: str, refused: Sequence[Refused], rules: Rules, after: Aftermath) -> None:
    """All refusals of one round of settling."""
    reasons: dict[str, str] = {}
    for report in refused:
        row = _give_back(cur, tenant, report, after)
        if row is None:
            continue
        if report.room not in (WAITING, None):
            doubt_room(cur, tenant, row.room, report.room, report.why, rules)
            continue
        _doubt(cur, tenant, report, row)
        reasons[row.class_] = report.why
    if reasons:
        _stop_classes(cur, tenant, reasons)
        _judge_rooms(cur, tenant)


def accept(cur: cursor, tenant: str, held: Sequence[Held], after: Aftermath) -> None:
    """Agents whom the desk has given a room: called where any refusal is unjudged."""
    visits = [report.pair.visit for report in held if report.agent == report.pair.agent and not report.unconfirmed]
    for row in REFUSALS.all(cur, "resume_classes", tenant=tenant, visits=visits):
        log.warning(logs.line("agents_accepted", tenant=tenant, class_=row.class_))
    cleared = REFUSALS.all(cur, "accepted", tenant=tenant, visits=visits)
    for row in cleared:
        log.info(logs.line("agent_accepted", tenant=tenant, class_=row.class_, agent=row.agent))
    if cleared:
        _judge_rooms(cur, tenant)
        after.wake = True


def doubt_room(cur: cursor, tenant: str, room: str, seen: str | None, why: str, rules: Rules) -> None:
    """The desk says that the room is not one that waits. One reading is not believed: it is asked again."""
    suspect = {UNKNOWN: UNKNOWN, RESOLVED: RESOLVED}.get(seen or "")
    wait_s = rules.lag_s if suspect else 0.0
    row = LEDGER.one(cur, "doubt_room", tenant=tenant, room=room, suspect=suspect, wait_s=wait_s)
    if row is not None:
        note(cur, row.id, "doubted", f"{seen}: {why}")
        log.warning(logs.line("doubted", tenant=tenant, room=room, seen=seen, why=why))


def _give_back(cur: cursor, tenant: str, report: Refused, after: Aftermath) -> Any:
    """To the line, with the old place."""
    pair = report.pair
    row = LEDGER.one(cur, "give_back", tenant=tenant, visit=pair.visit, attempt=pair.attempt)
    if row is None:
        return None
    note(cur, row.id, "refused", f"{pair.agent}: {report.why}")
    log.warning(logs.line("refused", tenant=tenant, room=row.room, agent=pair.agent, seen=report.room, why=report.why))
    after.waiting[row.room] = row.arrived_us
    after.agents.add(row.last_agent)
    after.wake = True
    return row


def _doubt(cur: cursor, tenant: str, report: Refused, row: Any) -> None:
    pair, class_ = report.pair, {"class": row.class_}
    why = {"tenant": tenant, "agent": pair.agent, "why": report.why[:200]}
    fresh = REFUSALS.one(cur, "note", visit=row.id, **why).fresh
    # A room that others were refused for already says little about this agent.
    mine = REFUSALS.one(cur, "doubt", strike=int(fresh), **why, **class_)
    if mine.in_row >= REFUSED_IN_ROW and fresh and not mine.is_out:
        wait_s = OUT_S[min(mine.outs, len(OUT_S) - 1)]
        REFUSALS.run(cur, "leave_out", tenant=tenant, agent=pair.agent, wait_s=wait_s, **class_)
        REFUSALS.run(cur, "ask_roster", tenant=tenant, **class_)
        about = {"tenant": tenant, "class_": row.class_, "agent": pair.agent, "wait_s": wait_s}
        log.warning(logs.line("agent_refused", **about, why=report.why))
    if not REFUSALS.one(cur, "others", tenant=tenant, visit=row.id, **class_).n:
        LEDGER.run(cur, "set_wait", visit=row.id, wait_s=backoff_s(row.refusals))


def _stop_classes(cur: cursor, tenant: str, reasons: dict[str, str]) -> None:
    for row in REFUSALS.all(cur, "alike", tenant=tenant, classes=sorted(reasons)):
        why, wait_s = reasons[row.class_], backoff_s(row.tries + 1, ALIKE_MOST_S)
        REFUSALS.run(cur, "stop_class", tenant=tenant, why=why[:200], wait_s=wait_s, **{"class": row.class_})
        log.warning(logs.line("agents_refused", tenant=tenant, class_=row.class_, wait_s=round(wait_s, 1), why=why))


def _judge_rooms(cur: cursor, tenant: str) -> None:
    for row in REFUSALS.all(cur, "judge_rooms", tenant=tenant, wait_s=ASIDE_S):
        note(cur, row.id, "set aside", row.aside)
        log.warning(logs.line("set_aside", tenant=tenant, room=row.room, why=row.aside))
