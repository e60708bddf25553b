"""Whose fault is a refusal: the room's, the agent's or the desk's? Judged here before anybody pays for it (H13).

Comes after `calls`, as a part of settling. A room keeps its place and is tried next with another agent. It is set aside
when two agents who were refused for it were given other rooms since. An agent who is refused for two rooms in a row is
left out for a while. Where all agents of a class are refused alike, it is the desk's trouble. What is written here is
read by `doubts` for the next decision.
"""

import logging
from collections.abc import Sequence
from typing import Any

import logs
from db import hooks
from db.turn import Turn
from worker.calls import Held, Refused
from worker.rules import ALIKE_MOST_S, ASIDE_S, OUT_S, REFUSED_IN_ROW, Rules, backoff_s
from worker.visits import RESOLVED, WAITING

UNKNOWN = "unknown"  # to the desk; beside what visits.py calls a suspect

log = logging.getLogger("worker.refusals")


def take(turn: Turn, refused: Sequence[Refused], rules: Rules) -> None:
    """All refusals of one round of settling."""
    reasons: dict[str, str] = {}
    for report in refused:
        row = _give_back(turn, report)
        if row is None:
            continue
        if report.room not in (WAITING, None):
            doubt_room(turn, row.room, report.room, report.why, rules)
            continue
        _doubt(turn, report, row)
        reasons[row.class_] = report.why
    if reasons:
        _stop_classes(turn, reasons)
        _judge_rooms(turn)


def accept(turn: Turn, held: Sequence[Held]) -> None:
    """Agents whom the desk has given a room: called where any refusal is unjudged."""
    visits = [report.pair.visit for report in held if report.agent == report.pair.agent and not report.unconfirmed]
    for row in turn.all("resume_classes", visits=visits):
        log.warning(turn.line("agents_accepted", class_=row.class_))
    cleared = turn.all("accepted", visits=visits)
    for row in cleared:
        log.info(turn.line("agent_accepted", class_=row.class_, agent=row.agent))
    if cleared:
        _judge_rooms(turn)
        turn.wake = True


def doubt_room(turn: Turn, room: str, seen: str | None, why: str, rules: Rules) -> None:
    """The desk says that the room is not one that waits. One reading is not believed: it is asked again."""
    suspect = {UNKNOWN: UNKNOWN, RESOLVED: RESOLVED}.get(seen or "")
    wait_s = rules.lag_s if suspect else 0.0
    row = turn.one("doubt_room", room=room, suspect=suspect, wait_s=wait_s)
    if row is not None:
        turn.note(row.id, "doubted", f"{seen}: {why}")
        log.warning(turn.line("doubted", room=room, seen=seen, why=why))


def _give_back(turn: Turn, report: Refused) -> Any:
    """To the line, with the old place."""
    pair = report.pair
    row = turn.one("give_back", visit=pair.visit, attempt=pair.attempt)
    if row is None:
        return None
    turn.note(row.id, "refused", f"{pair.agent}: {report.why}")
    log.warning(turn.line("refused", room=row.room, agent=pair.agent, seen=report.room, why=report.why))
    turn.move(row.room, row.arrived_us, row.last_agent)
    return row


def _doubt(turn: Turn, report: Refused, row: Any) -> None:
    pair, class_ = report.pair, row.class_
    why = {"agent": pair.agent, "why": report.why[:200]}
    fresh = turn.one("note", visit=row.id, **why).fresh
    # A room that others were refused for already says little about this agent.
    mine = turn.one("doubt", strike=int(fresh), **why, class_=class_)
    if mine.in_row >= REFUSED_IN_ROW and fresh and not mine.is_out:
        wait_s = OUT_S[min(mine.outs, len(OUT_S) - 1)]
        turn.run("leave_out", agent=pair.agent, wait_s=wait_s, class_=class_)
        turn.run("ask_roster", class_=class_)
        about = {"tenant": turn.tenant, "class_": class_, "agent": pair.agent, "wait_s": wait_s}
        log.warning(logs.line("agent_refused", **about, why=report.why))
    if not turn.one("others", visit=row.id, class_=class_).n:
        turn.run("set_wait", visit=row.id, wait_s=backoff_s(row.refusals))


def _stop_classes(turn: Turn, reasons: dict[str, str]) -> None:
    for row in turn.all("alike", classes=sorted(reasons)):
        why, wait_s = reasons[row.class_], backoff_s(row.tries + 1, ALIKE_MOST_S)
        turn.run("stop_class", why=why[:200], wait_s=wait_s, class_=row.class_)
        log.warning(turn.line("agents_refused", class_=row.class_, wait_s=round(wait_s, 1), why=why))


def _judge_rooms(turn: Turn) -> None:
    for row in turn.all("judge_rooms", wait_s=ASIDE_S):
        turn.note(row.id, "set aside", row.aside)
        turn.events.append((hooks.QUARANTINED, row.id))
        log.warning(turn.line("set_aside", room=row.room, why=row.aside))
