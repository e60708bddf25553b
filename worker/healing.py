"""Writes what a look at the desk means for a visit: it is fine, over, somebody else's, or waits again.

The judging is pure (`looks`); here its verdict reaches the ledger, and each kind of drift that it heals is counted.
"""

import logging
from typing import Any

from db import hooks
from db.inbox import HELD
from db.turn import Drift, Turn
from worker import stays
from worker.calls import Seen
from worker.looks import Verdict, judge
from worker.rules import ASIDE_S, Rules

log = logging.getLogger("worker.healing")


def heal(turn: Turn, seen: Seen, rules: Rules) -> None:
    """Write what a look at the desk means, if nothing happened to the visit meanwhile."""
    about = seen.about
    stay = stays.find(turn, about.visit, about.attempt)
    if stay is None or (stay.state, stay.suspect) != (about.state, about.suspect):
        # Something happened meanwhile that this reading does not know.
        turn.wake |= turn.run("look_anew", visit=about.visit) > 0
        return
    verdict = judge(seen, rules.lag_s)
    words = {"room": stay.room, "state": stay.state, "seen": seen.what, "verdict": verdict.what}
    log.info(turn.line("looked", **words))
    if stay.over and seen.agents and verdict.what in ("fine", "adopt"):
        _go_on(turn, stay, verdict.agent or _named(stay, seen))
    elif verdict.what == "fine":
        _confirm(turn, stay, seen)
    elif verdict.what == "again":
        again = {"wait_s": verdict.wait_s, "suspect": verdict.suspect, "count": int(verdict.counts)}
        turn.run("look_again", visit=stay.id, **again)
    else:
        _change(turn, stay, verdict, rules)


def _named(stay: Any, seen: Seen) -> str:
    return stay.agent if stay.agent in seen.agents else min(seen.agents)


def _go_on(turn: Turn, stay: Any, agent: str) -> None:
    stays.go_on(turn, stay, agent)
    log.info(turn.line("next_stay", room=stay.room, agent=agent, was=stay.agent))


def _confirm(turn: Turn, stay: Any, seen: Seen) -> None:
    turn.run("seen_fine", visit=stay.id, confirmed=stay.agent in seen.agents)
    if stay.suspect is None and stay.state == "waiting" and stay.service_closed:
        # It waits, as its webhook said: so what that called the newest service is.
        turn.run("lower_service", visit=stay.id)
    turn.wake |= stay.state == "waiting"


def _change(turn: Turn, stay: Any, verdict: Verdict, rules: Rules) -> None:
    turn.note(stay.id, verdict.what, verdict.why)
    if verdict.what == "close":
        if not stay.service_closed and not stay.doubted:  # no webhook had told of it
            turn.drift(Drift.MISSED_RESOLVE)
        stays.end_seen(turn, stay, verdict.why, rules)
    elif verdict.what == "forget":
        stays.end(turn, stay, verdict.why)
        turn.drift(Drift.UNKNOWN_ROOM)
    elif verdict.what == "release":
        _release(turn, stay, verdict.why)
    elif verdict.what == "adopt" and verdict.agent:
        _adopt(turn, stay, verdict.agent)
    elif verdict.what == "aside":
        turn.run("set_aside", visit=stay.id, reason=verdict.why, wait_s=ASIDE_S)
        turn.events.append((hooks.QUARANTINED, stay.id))
        log.warning(turn.line("set_aside", room=stay.room, why=verdict.why))


def _release(turn: Turn, stay: Any, why: str) -> None:
    """The room waits at the desk though we hold it: the agent left it, or its service ended and it is back."""
    if stay.service_closed:
        stays.end(turn, stay, "resolve missed")
        stays.begin(turn, stay, look=False)
        return
    turn.run("release", visit=stay.id)
    turn.drift(Drift.AGENT_LEFT)
    log.warning(turn.line("released", room=stay.room, agent=stay.agent, why=why))
    turn.move(stay.room, stay.arrived_us, stay.agent)


def _adopt(turn: Turn, stay: Any, agent: str) -> None:
    turn.run("know_agents", agents=[agent])
    turn.run("adopt", visit=stay.id, agent=agent)
    turn.events.append((hooks.ASSIGNED, stay.id))
    turn.drift(Drift.REASSIGNED_BY_HAND if stay.state == "held" else Drift.ASSIGNED_BY_HAND)
    log.warning(turn.line("adopted", room=stay.room, agent=agent, was=stay.agent))
    turn.move(stay.room, HELD, agent, stay.agent)
