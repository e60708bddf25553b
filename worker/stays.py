"""Ends the stay of a room, and begins the next one where the customer is back.

Before: `settle` and `healing`, which know that it is so; each call is part of their transaction. `stay` is a row of the
block of that name.
"""

import logging
from typing import Any

from db import hooks, line
from db.inbox import GONE, HELD
from db.turn import Turn
from worker.rules import Rules

log = logging.getLogger("worker.settle")


def find(turn: Turn, visit: int, attempt: int) -> Any:
    """The open visit, if nobody has taken it over since; locked."""
    return turn.one("stay", visit=visit, attempt=attempt)


def end(turn: Turn, stay: Any, why: str) -> None:
    """Close the visit; by the highest service known to be closed, where a webhook named one since it opened."""
    service = stay.closed_service if stay.service_closed else None
    ended = turn.one("end_visit", visit=stay.id, attempt=stay.attempt, reason=why, service=service)
    if ended:
        turn.ended(stay.id, ended.handled_s)
    if service is not None or not stay.doubted:  # a stay that perhaps never was says nothing of the last close
        turn.run("remember_close", room=stay.room, with_service=service is not None)
    log.info(turn.line("closed", room=stay.room, agent=stay.agent, why=why))
    turn.move(stay.room, GONE, stay.agent)


def end_seen(turn: Turn, stay: Any, why: str, rules: Rules) -> None:
    """Close the visit because the desk says that the room is resolved. A customer who came back so shortly before that
    the desk may not know of it waits, and it is asked once more."""
    end(turn, stay, why)
    if stay.again_us is not None and rules.surely_s(stay.again_age_s) < rules.lag_s:
        begin(turn, stay, look=True)


def begin(turn: Turn, stay: Any, *, look: bool) -> None:
    """The room waits again, at the time of the webhook that came meanwhile. `look`: the desk is asked first."""
    arrived_us = _arrived_us(turn, stay)
    known = {"look": look, "facts": stay.again_facts, **_base(stay)}
    new = line.NewVisit(stay.room, arrived_us, stay.channel, stay.source, **known)
    line.open_visits(turn, [new])
    turn.rooms[stay.room] = arrived_us


def go_on(turn: Turn, stay: Any, agent: str) -> None:
    """The agent whom the desk names is in the room's next stay already: the visit ends, and they hold the next one."""
    end(turn, stay, "resolved")
    turn.run("know_agents", agents=[agent])
    first = stay.first_comment_id if stay.resolved_comment not in (None, stay.first_comment_id) else None
    place = {"arrived_us": _arrived_us(turn, stay), **_base(stay)}
    new = turn.one("go_on", visit=stay.id, agent=agent, first=first, **place)
    turn.events.append((hooks.ASSIGNED, new.id))
    turn.note(new.id, "began", f"the desk has {agent} in the room, whose stay before has ended")
    turn.move(stay.room, HELD, agent)


def _base(stay: Any) -> dict[str, Any]:
    """The service after which the next stay begins, and whether the webhook that came meanwhile named it."""
    service = stay.closed_service
    return {"base": service, "base_proved": service is not None and stay.again_latest == service}


def _arrived_us(turn: Turn, stay: Any) -> int:
    return stay.again_us or line.next_place(turn)
