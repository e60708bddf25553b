"""Ends the stay of a room, and begins the next one where the customer is back.

Before: `settle` and `healing`, which know that it is so; each call is part of their transaction. `stay` is a row of the
block of that name.
"""

from typing import Any

from psycopg2.extensions import cursor

from db import line
from db.ledger import LEDGER
from worker.aftermath import Aftermath, closed, note
from worker.rules import Rules


def find(cur: cursor, tenant: str, visit: int, attempt: int) -> Any:
    """The open visit, if nobody has taken it over since; locked."""
    return LEDGER.one(cur, "stay", tenant=tenant, visit=visit, attempt=attempt)


def end(cur: cursor, tenant: str, stay: Any, why: str, after: Aftermath) -> None:
    """Close the visit; by the highest service known to be closed, where a webhook named one since it opened."""
    service = stay.closed_service if stay.service_closed else None
    LEDGER.run(cur, "end_visit", visit=stay.id, attempt=stay.attempt, reason=why, service=service)
    if service is not None or not stay.doubted:  # a stay that perhaps never was says nothing of the last close
        LEDGER.run(cur, "remember_close", tenant=tenant, room=stay.room, with_service=service is not None)
    closed(tenant, stay.room, stay.agent, why, after)


def end_seen(cur: cursor, tenant: str, stay: Any, why: str, rules: Rules, after: Aftermath) -> None:
    """Close the visit because the desk says that the room is resolved. A customer who came back so shortly before that
    the desk may not know of it waits, and it is asked once more."""
    end(cur, tenant, stay, why, after)
    if stay.again_us is not None and rules.surely_s(stay.again_age_s) < rules.lag_s:
        begin(cur, tenant, stay, after, look=True)


def begin(cur: cursor, tenant: str, stay: Any, after: Aftermath, *, look: bool) -> None:
    """The room waits again, at the time of the webhook that came meanwhile. `look`: the desk is asked first."""
    arrived_us = _arrived_us(cur, tenant, stay)
    new = line.NewVisit(stay.room, arrived_us, stay.class_, stay.source, look=look, **_base(stay))
    line.open_visits(cur, tenant, [new])
    after.gone.discard(stay.room)
    after.waiting[stay.room] = arrived_us


def go_on(cur: cursor, tenant: str, stay: Any, agent: str, after: Aftermath) -> None:
    """The agent whom the desk names is in the room's next stay already: the visit ends, and they hold the next one."""
    end(cur, tenant, stay, "resolved", after)
    LEDGER.run(cur, "know_agents", tenant=tenant, agents=[agent])
    first = stay.first_comment_id if stay.resolved_comment not in (None, stay.first_comment_id) else None
    new = LEDGER.one(
        cur,
        "go_on",
        visit=stay.id,
        tenant=tenant,
        agent=agent,
        first=first,
        arrived_us=_arrived_us(cur, tenant, stay),
        **_base(stay),
    )
    note(cur, new.id, "began", f"the desk has {agent} in the room, whose stay before has ended")
    after.gone.discard(stay.room)
    after.held.add(stay.room)
    after.agents.add(agent)


def _base(stay: Any) -> dict[str, Any]:
    """The service after which the next stay begins, and whether the webhook that came meanwhile named it."""
    service = stay.closed_service
    return {"base": service, "base_proved": service is not None and stay.again_latest == service}


def _arrived_us(cur: cursor, tenant: str, stay: Any) -> int:
    return stay.again_us or line.next_place(cur, tenant)
