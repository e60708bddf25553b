"""Where the rules put a room, and what comes next: pure, sentences and data for `why`."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from routing.model import Agents, Step
from routing.reading import span as written
from views import queues
from views.rulebook import Book, Shut
from views.words import ahead, clean, moment


def decided(visit: Any, book: Book) -> Iterator[str]:
    """Nothing where there were no rules. `book`: of the room's latest visit."""
    if not visit.rules_version:
        return
    may_be_topic = book.version != visit.rules_version or book.rules.topics
    if visit.rule is not None:
        yield f"by the rule '{clean(visit.rule)}' of version {visit.rules_version} of the rules"
    elif visit.queue is not None:
        by = "by its topic, or by default" if may_be_topic else "by default"
        yield f"no rule of version {visit.rules_version} fits: {by}"
    else:
        yield f"no rule of version {visit.rules_version} fits, and there is no default: in the queue of its channel"


def ahead_of_it(visit: Any, book: Book, now: datetime, names: Mapping[str, str]) -> Iterator[str]:
    """While it waits: steps, the agent whom it waits for."""
    steps = book.rules.queue(queues.of(visit)).steps
    if steps:
        yield f"step {visit.step} of {len(steps)}{_then(visit, book, now)}"
    if visit.sticky_agent is not None:
        yield _sticky(visit, now, names)


def _then(visit: Any, book: Book, now: datetime) -> str:
    step = _next_step(visit, book)
    if step is None:
        return ", the last one"
    at = _due_at(visit, step)
    comes = f"the next one {ahead(at, now)}" if at else "the next one comes once we open"
    return f"; {comes} (after {written(step.after_s)}): {step_text(step)}"


def _next_step(visit: Any, book: Book) -> Step | None:
    steps = book.rules.queue(queues.of(visit)).steps
    return steps[visit.step] if visit.step < len(steps) else None


def _due_at(visit: Any, step: Step) -> datetime | None:
    """Steps count from the moment at which the room could first be served; None: never."""
    return visit.serve_from + timedelta(seconds=step.after_s) if visit.serve_from else None


def _sticky(visit: Any, now: datetime, names: Mapping[str, str]) -> str:
    name = names.get(visit.sticky_agent, "")
    who = f"{clean(visit.sticky_agent)} ({clean(name, 30)})" if name else clean(visit.sticky_agent)
    if visit.sticky_until is None or visit.sticky_until <= now:
        return f"{who} served it last; it no longer waits for them"
    until = f"{moment(visit.sticky_until)} ({ahead(visit.sticky_until, now)})"
    return f"{who} served it last: if they are online but full, it waits for them until {until}"


def step_text(step: Step) -> str:
    parts = [f"also {agents_text(step.agents)}"] if step.agents else []
    parts += [f"priority {step.priority}"] if step.priority is not None else []
    return ", ".join(parts)


def agents_text(agents: Agents) -> str:
    parts = [_listed("division", agents.divisions), _listed("agent", (*agents.ids, *agents.emails))]
    parts += ["whom the desk names for the room"] if agents.channel else []
    return ", ".join(part for part in parts if part) or "nobody"


def _listed(what: str, names: tuple[str, ...]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(map(clean, names))}" if names else ""


def step_data(step: Step) -> dict[str, Any]:
    return {
        "after_s": step.after_s,
        "served_by": asdict(step.agents) if step.agents else None,
        "priority": step.priority,
    }


def as_data(visit: Any, book: Book, now: datetime, shut: Shut | None) -> dict[str, Any]:
    step = _next_step(visit, book)
    return {
        "queue": queues.of(visit),
        "rule": visit.rule,
        "version": visit.rules_version,
        "priority": visit.priority,
        "step": visit.step,
        "steps": len(book.rules.queue(queues.of(visit)).steps),
        "next_step": {**step_data(step), "due_at": _due_at(visit, step)} if step else None,
        "sticky_agent": visit.sticky_agent,
        "sticky_until": visit.sticky_until,
        "waits_for_sticky": visit.sticky_until is not None and visit.sticky_until > now,
        "outside_hours": shut is not None,
        "opens_at": shut.until if shut else None,
    }
