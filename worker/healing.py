"""Writes what a look at the desk means for a visit: it is fine, over, somebody else's, or waits again.

The judging is pure (`looks`); here its verdict reaches the ledger, and each kind of drift that it heals is counted.
"""

import logging
from typing import Any

from psycopg2.extensions import cursor

import logs
from db import line
from db.ledger import LEDGER
from worker.aftermath import Aftermath, closed, drift, note
from worker.calls import LookAt, Seen
from worker.looks import Verdict, judge
from worker.rules import ASIDE_S, Rules

log = logging.getLogger("worker.healing")


def heal(cur: cursor, tenant: str, seen: Seen, rules: Rules, after: Aftermath) -> None:
    """Write what a look at the desk means, if nothing happened to the visit meanwhile."""
    about = seen.about
    names = {"visit": about.visit, "state": about.state, "attempt": about.attempt, "suspect": about.suspect}
    row = LEDGER.one(cur, "same_visit", tenant=tenant, **names)
    if row is None:  # something happened meanwhile that this reading does not know
        after.wake |= LEDGER.run(cur, "look_anew", tenant=tenant, visit=about.visit) > 0
        return
    verdict = judge(seen, rules.lag_s)
    log.info(
        logs.line("looked", tenant=tenant, room=about.room, state=about.state, seen=seen.what, verdict=verdict.what)
    )
    if verdict.what == "fine":
        LEDGER.run(cur, "seen_fine", visit=about.visit, confirmed=about.agent in seen.agents)
        after.wake |= about.state == "waiting"
    elif verdict.what == "again":
        again = {"wait_s": verdict.wait_s, "suspect": verdict.suspect, "count": int(verdict.counts)}
        LEDGER.run(cur, "look_again", visit=about.visit, **again)
    else:
        _change(cur, tenant, about, row, verdict, after)


def _change(cur: cursor, tenant: str, about: LookAt, row: Any, verdict: Verdict, after: Aftermath) -> None:
    note(cur, about.visit, verdict.what, verdict.why)
    if verdict.what == "close":
        _close_seen(cur, tenant, about, row, verdict.why, after)
    elif verdict.what == "release":
        _release(cur, tenant, about, row, verdict.why, after)
    elif verdict.what == "adopt" and verdict.agent:
        _adopt(cur, tenant, about, verdict.agent, after)
    elif verdict.what == "aside":
        LEDGER.run(cur, "set_aside", visit=about.visit, reason=verdict.why, wait_s=ASIDE_S)
        log.warning(logs.line("set_aside", tenant=tenant, room=about.room, why=verdict.why))


def _close_seen(cur: cursor, tenant: str, about: LookAt, row: Any, why: str, after: Aftermath) -> None:
    """A webhook had named the service (it is the room's highest closed one), or its resolve never came."""
    service = row.closed_service if row.service_closed else None
    LEDGER.run(cur, "end_visit", visit=about.visit, reason=why, service=service)
    LEDGER.run(cur, "remember_close", tenant=tenant, room=about.room, with_service=service is not None)
    if service is None:
        drift(cur, tenant, "missed_resolve")
    closed(tenant, about.room, about.agent, why, after)


def _release(cur: cursor, tenant: str, about: LookAt, row: Any, why: str, after: Aftermath) -> None:
    """The room waits at the desk though we hold it: the agent left it, or its service ended and it is back."""
    if row.service_closed:
        _close_seen(cur, tenant, about, row, "resolve missed", after)
        arrived_us = row.again_us or int(LEDGER.one(cur, "now").now_s * 1e6)
        line.open_visits(
            cur,
            tenant,
            [line.NewVisit(about.room, arrived_us, row.class_, row.source, base=row.closed_service)],
        )
        after.gone.discard(about.room)
        after.waiting[about.room] = arrived_us
        return
    LEDGER.run(cur, "release", visit=about.visit)
    drift(cur, tenant, "agent_left")
    log.warning(logs.line("released", tenant=tenant, room=about.room, agent=about.agent, why=why))
    after.waiting[about.room] = row.arrived_us
    if about.agent:
        after.agents.add(about.agent)
    after.wake = True


def _adopt(cur: cursor, tenant: str, about: LookAt, agent: str, after: Aftermath) -> None:
    LEDGER.run(cur, "know_agents", tenant=tenant, agents=[agent])
    LEDGER.run(cur, "adopt", visit=about.visit, agent=agent)
    drift(cur, tenant, "reassigned_by_hand" if about.state == "held" else "assigned_by_hand")
    log.warning(logs.line("adopted", tenant=tenant, room=about.room, agent=agent, was=about.agent))
    after.held.add(about.room)
    after.agents |= {name for name in (agent, about.agent) if name}
    after.wake = True
