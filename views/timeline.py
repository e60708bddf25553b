"""A room's life on one time line: pure, from its story. For the page of supervisors."""

from collections.abc import Iterator
from typing import Any

from views import choice, queue, queues
from views.decided import candidate
from views.story import Story
from views.words import clean, from_us

KINDS = {
    "refused": "refused",
    "set aside": "refused",
    "doubted": "verified",
    "looked at": "verified",
    "adopted": "moved",
    "transferred": "moved",
    "released": "moved",
    "picked": "assigned",
    "assigned by hand": "assigned",
    "parked": "called",
    "finished": "called",
    "told": "told",
}


def as_data(story: Story) -> dict[str, Any]:
    """`GET /api/v1/ops/{tenant}/rooms/{room}`, without what `giliran why --json` says beside it."""
    latest = story.visits[0] if story.visits else None
    return {
        "tenant": story.tenant,
        "room": story.room,
        "state": latest.state if latest else None,
        "agent": latest.agent if latest else None,
        "agent_name": story.names.get(latest.agent or "", "") if latest else "",
        "visits": [_visit(story, visit) for visit in story.visits],
        "visits_kept": story.of,
    }


def _visit(story: Story, visit: Any) -> dict[str, Any]:
    return {
        "visit": visit.id,
        "arrived_at": from_us(visit.arrived_us),
        "queue": queues.of(visit),
        "rule": visit.rule,
        "rules_version": visit.rules_version,
        "priority": visit.priority,
        "state": visit.state,
        "agent": visit.last_agent,
        "agent_name": story.names.get(visit.last_agent or "", ""),
        "reason": visit.reason,
        "timeline": sorted(_told(story, visit), key=lambda each: each["at"]),
    }


def _told(story: Story, visit: Any) -> Iterator[dict[str, Any]]:
    yield _entry(visit.opened_at, "arrived", "stands in the queue", queue=queues.of(visit), learned=visit.learned)
    for decision in story.decisions.get(visit.id, []):
        yield _decision(story, visit, decision)
    for event in story.events.get(visit.id, []):
        text = clean(f"{event.what}: {event.detail}" if event.detail else event.what, 240)
        values = {"what": event.what, "detail": clean(event.detail, 240)}
        yield _entry(event.at, KINDS.get(event.what, "other"), text, **values)
    if visit.settled_at is not None:
        name = story.names.get(visit.last_agent or "", "") or clean(visit.last_agent)
        yield _entry(visit.settled_at, "assigned", f"{name} has it", agent=visit.last_agent, name=name)
    if visit.closed_at is not None:
        yield _entry(visit.closed_at, "closed", f"closed: {clean(visit.reason)}", reason=visit.reason)


def _decision(story: Story, visit: Any, decision: Any) -> dict[str, Any]:
    among = choice.considered(decision, story.named.get(visit.class_, ()))
    name = story.names.get(decision.agent, "") or decision.agent
    entry = _entry(
        decision.at,
        "decision",
        f"reserved for {clean(name)}: {choice.words(decision, among, decision.crew)}",
        agent=decision.agent,
        name=name,
        policy=decision.policy,
        limit=decision.seat_limit,
        load_before=decision.load_before,
    )
    return {**entry, "candidates": [candidate(each, story.names) for each in among]}


def _entry(at: Any, kind: str, text: str, **values: Any) -> dict[str, Any]:
    return {"at": at, "kind": kind, "text": text, "values": values}


def why_now(story: Story) -> dict[str, Any] | None:
    """Of a room that waits: as in the queue."""
    line = story.line
    return queue.reason(line, line.waiting[0]).as_data() if line and line.waiting else None
