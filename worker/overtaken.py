"""Answers to assign calls that a webhook overtook: the room was resolved, or its customer was back, while the call was
under way (H14). The visit was only marked then, and its seat stayed taken; what is done depends on the answer.

Before: `settle`, which asks about each answer. After: the desk is asked about the room, wherever it is not sure.
"""

import logging
from typing import Any

from db.turn import Turn
from worker import stays
from worker.calls import Held, Over, Parked, Refused

log = logging.getLogger("worker.settle")


def applied(turn: Turn, report: Held) -> None:
    """The agent is in the room. In the stay that was resolved, by its first comment: then that is over, and the seat is
    free. Else perhaps in the next one: the seat stays taken, and the desk is asked."""
    stay = stays.find(turn, report.pair.visit, report.pair.attempt)
    turn.wake = True
    if report.first_comment_id is not None and report.first_comment_id == stay.resolved_comment:
        _end(turn, stay)


def not_applied(turn: Turn, report: Refused | Parked | Over) -> bool:
    """Whether the visit was marked, and this answer is the end of its call: then nobody refused it and no pair is
    tried again."""
    pair = report.pair
    if isinstance(report, Parked) and (report.unclear or pair.unclear_s is not None):
        return False  # perhaps applied: the same pair again
    stay = stays.find(turn, pair.visit, pair.attempt)
    if stay is None or stay.state != "reserved" or stay.suspect is None:
        return False
    if stay.over or isinstance(report, Over):
        _end(turn, stay)
    else:
        _unseat(turn, stay, report.why)
    return True


def _end(turn: Turn, stay: Any) -> None:
    stays.end(turn, stay, "resolved")
    if stay.again_us is not None:
        stays.begin(turn, stay, look=True)


def _unseat(turn: Turn, stay: Any, why: str) -> None:
    turn.run("unseat", visit=stay.id, attempt=stay.attempt)
    turn.note(stay.id, "not assigned", f"{why}; a webhook said meanwhile: {stay.suspect}")
    log.info(turn.line("not_assigned", room=stay.room, agent=stay.agent, why=why))
    turn.move(stay.room, stay.arrived_us, stay.agent)
