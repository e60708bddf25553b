"""Writes what a look at the desk means for a visit: it is fine, over, somebody else's, or waits again.

The judging is pure (`looks`); here its verdict reaches the ledger, and each kind of drift that it heals is counted.
"""

import logging
from typing import Any

from psycopg2.extensions import cursor

import logs
from db.ledger import LEDGER
from worker import stays
from worker.aftermath import Aftermath, drift, note
from worker.calls import LookAt, Seen
from worker.looks import Verdict, judge
from worker.rules import ASIDE_S, Rules

log = logging.getLogger("worker.healing")


def heal(cur: cursor, tenant: str, seen: Seen, rules: Rules, after: Aftermath) -> None:
    """Write what a look at the desk means, if nothing happened to the visit meanwhile."""
    about = seen.about
    row = stays.find(cur, tenant, about.visit, about.attempt)
    if row is None or (row.state, row.suspect) != (about.state, about.suspect):
        # Something happened meanwhile that this reading does not know.
        after.wake |= LEDGER.run(cur, "look_anew", tenant=tenant, visit=about.visit) > 0
        return
    verdict = judge(seen, rules.lag_s)
    log.info(
        logs.line("looked", tenant=tenant, room=about.room, state=about.state, seen=seen.what, verdict=verdict.what)
    )
    if row.over and seen.agents and verdict.what in ("fine", "adopt"):
        _go_on(cur, tenant, row, verdict.agent or _named(row, seen), after)
    elif verdict.what == "fine":
        LEDGER.run(cur, "seen_fine", visit=about.visit, confirmed=about.agent in seen.agents)
        if about.suspect is None and about.state == "waiting" and row.service_closed:
            # It waits, as its webhook said: so what that called the newest service is.
            LEDGER.run(cur, "lower_service", tenant=tenant, visit=about.visit)
        after.wake |= about.state == "waiting"
    elif verdict.what == "again":
        again = {"wait_s": verdict.wait_s, "suspect": verdict.suspect, "count": int(verdict.counts)}
        LEDGER.run(cur, "look_again", visit=about.visit, **again)
    else:
        _change(cur, tenant, about, row, verdict, rules, after)


def _named(stay: Any, seen: Seen) -> str:
    return stay.agent if stay.agent in seen.agents else min(seen.agents)


def _go_on(cur: cursor, tenant: str, stay: Any, agent: str, after: Aftermath) -> None:
    stays.go_on(cur, tenant, stay, agent, after)
    log.info(logs.line("next_stay", tenant=tenant, room=stay.room, agent=agent, was=stay.agent))


def _change(
    cur: cursor, tenant: str, about: LookAt, row: Any, verdict: Verdict, rules: Rules, after: Aftermath
) -> None:
    note(cur, about.visit, verdict.what, verdict.why)
    if verdict.what == "close":
        if not row.service_closed and not row.doubted:  # no webhook had told of it
            drift(cur, tenant, "missed_resolve")
        stays.end_seen(cur, tenant, row, verdict.why, rules, after)
    elif verdict.what == "forget":
        stays.end(cur, tenant, row, verdict.why, after)
        drift(cur, tenant, "unknown_room")
    elif verdict.what == "release":
        _release(cur, tenant, about, row, verdict.why, after)
    elif verdict.what == "adopt" and verdict.agent:
        _adopt(cur, tenant, about, verdict.agent, after)
    elif verdict.what == "aside":
        LEDGER.run(cur, "set_aside", visit=about.visit, reason=verdict.why, wait_s=ASIDE_S)
        log.warning(logs.line("set_aside", tenant=tenant, room=about.room, why=verdict.why))


def _release(cur: cursor, tenant: str, about: LookAt, row: Any, why: str, after: Aftermath) -> None:
    """The room waits at the desk though we hold it: the agent left it, or its service ended and it is back."""
    if row.service_closed:
        stays.end(cur, tenant, row, "resolve missed", after)
        stays.begin(cur, tenant, row, after, look=False)
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
