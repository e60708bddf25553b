"""Answers to assign calls that a webhook overtook: the room was resolved, or its customer was back, while the call was
under way (H14). The visit was only marked then, and its seat stayed taken; what is done depends on the answer.

Before: `settle`, which asks about each answer. After: the desk is asked about the room, wherever it is not sure.
"""

import logging
from typing import Any

from psycopg2.extensions import cursor

import logs
from db.ledger import LEDGER
from worker import stays
from worker.aftermath import Aftermath, note
from worker.calls import Held, Over, Parked, Refused

log = logging.getLogger("worker.settle")


def applied(cur: cursor, tenant: str, report: Held, after: Aftermath) -> None:
    """The agent is in the room. In the stay that was resolved, by its first comment: then that is over, and the seat is
    free. Else perhaps in the next one: the seat stays taken, and the desk is asked."""
    stay = stays.find(cur, tenant, report.pair.visit, report.pair.attempt)
    after.wake = True
    if report.first_comment_id is not None and report.first_comment_id == stay.resolved_comment:
        _end(cur, tenant, stay, after)


def not_applied(cur: cursor, tenant: str, report: Refused | Parked | Over, after: Aftermath) -> bool:
    """Whether the visit was marked, and this answer is the end of its call: then nobody refused it and no pair is
    tried again."""
    pair = report.pair
    if isinstance(report, Parked) and (report.unclear or pair.unclear_s is not None):
        return False  # perhaps applied: the same pair again
    stay = stays.find(cur, tenant, pair.visit, pair.attempt)
    if stay is None or stay.state != "reserved" or stay.suspect is None:
        return False
    if stay.over or isinstance(report, Over):
        _end(cur, tenant, stay, after)
    else:
        _unseat(cur, tenant, stay, report.why, after)
    return True


def _end(cur: cursor, tenant: str, stay: Any, after: Aftermath) -> None:
    stays.end(cur, tenant, stay, "resolved", after)
    if stay.again_us is not None:
        stays.begin(cur, tenant, stay, after, look=True)


def _unseat(cur: cursor, tenant: str, stay: Any, why: str, after: Aftermath) -> None:
    LEDGER.run(cur, "unseat", visit=stay.id, attempt=stay.attempt)
    note(cur, stay.id, "not assigned", f"{why}; a webhook said meanwhile: {stay.suspect}")
    log.info(logs.line("not_assigned", tenant=tenant, room=stay.room, agent=stay.agent, why=why))
    after.waiting[stay.room] = stay.arrived_us
    after.agents.add(stay.agent)
    after.wake = True
