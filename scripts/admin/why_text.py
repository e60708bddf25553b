"""How a room's story looks: pure, from the ledger's rows to text or data."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from scripts.admin import crew, line_text
from scripts.admin.table import table
from views import choice, queues, routed
from views.queue import Line
from views.story import Story
from views.words import age, ahead, clean, counted, from_us, moment, ordinal, span

CANDIDATES_MOST = 8
OVERTAKEN = {
    "resolved": "; resolved meanwhile, and its seat is free when that is answered",
    "waiting": "; its customer came back meanwhile, and the desk is asked about it when that is answered",
}


def text(story: Story) -> str:
    parts = [_title(story)]
    parts += [_visit(story, visit) for visit in story.visits]
    if story.of > len(story.visits):
        parts.append(f"… and {counted(story.of - len(story.visits), 'earlier visit')} (see --visits)")
    return "\n\n".join(parts)


def _title(story: Story) -> str:
    head = click.style(f"room {clean(story.room, 64)} of {clean(story.tenant)}", bold=True)
    if not story.visits:
        service = story.remembered.closed_service if story.remembered else None
        told = f"; its last known service, {service}, is closed" if service is not None else ""
        return f"{head}: no visit is kept{told}"
    return f"{head}: {_state(story, story.visits[0])}"


def _state(story: Story, visit: Any) -> str:
    if visit.state == "waiting" and story.line and story.line.waiting:
        row = story.line.waiting[0]
        return f"waiting, {ordinal(row.position)} of {row.of} in line"
    if visit.state == "reserved":
        return f"reserved for {_agent(story, visit.agent)}, {_reserved(story, visit)}"
    if visit.state == "held":
        doubt = " (the desk does not name them)" if visit.unconfirmed else ""
        return f"held by {_agent(story, visit.agent)}{doubt}"
    return f"{visit.state}" + (f", {clean(visit.reason)}" if visit.reason else "")


def _reserved(story: Story, visit: Any) -> str:
    return _call(story, visit) + OVERTAKEN.get(visit.suspect or "", "")


def _call(story: Story, visit: Any) -> str:
    if visit.parked:
        unclear = ", the last answer was unclear" if visit.unclear_at else ""
        return f"the same assign is tried again {ahead(visit.lease_until, story.now)}{unclear}"
    return f"the desk is being asked (attempt {visit.attempt})"


def _agent(story: Story, agent: str | None) -> str:
    name = story.names.get(agent or "", "")
    return f"{clean(agent)} ({clean(name, 30)})" if name else clean(agent)


def _visit(story: Story, visit: Any) -> str:
    title = click.style(f"visit {visit.id}", bold=True)
    queue = f", {'' if visit.queue is None else 'queue '}{queues.shown(queues.of(visit))}"
    learned = ", learned from the desk's list" if visit.learned else ""
    priority = f", priority {visit.priority}" if visit.priority else ""
    arrived = from_us(visit.arrived_us)
    lines = [f"{title}  arrived {moment(arrived)} ({age(arrived, story.now)}){queue}{priority}{learned}"]
    lines += [f"  {words}" for words in routed.decided(visit, story.book)]
    if visit.state == "waiting" and story.line:
        lines += [f"  {words}" for words in routed.ahead_of_it(visit, story.book, story.now, story.names)]
        lines += _waits(story, story.line)
    for _, told in sorted(_told(story, visit), key=lambda at_told: at_told[0]):
        lines.append(told)
    return "\n".join(lines)


def _waits(story: Story, line: Line) -> list[str]:
    """Why it still waits, and who could serve it."""
    if not line.waiting:
        return []
    row = line.waiting[0]
    of = line.classes[row.class_]
    lines = [f"  why it waits: {click.style(line_text.why(line, row), fg='yellow')}"]
    again = f", again {ahead(of.due_at, line.now)}" if of.due_at else ""
    lines += [f"  {clean(words, 200)}" for words in of.missing]
    asked = f"asked for {age(of.read_at, line.now)}" if of.read_at else "not asked for yet"
    lines.append(f"  agents who may serve it, {asked}{again}:")
    team = [line.team[name] for name in of.online if name in line.team]
    team.sort(key=lambda member: (-member.free, member.load, member.id))
    lines.append(crew.text(team[:CANDIDATES_MOST], line.now, "    ") if team else "    nobody is online")
    if len(team) > CANDIDATES_MOST:
        lines.append(f"    … and {len(team) - CANDIDATES_MOST} more online")
    return lines


def _told(story: Story, visit: Any) -> Iterable[tuple[datetime, str]]:
    """Everything that happened to the visit, with its time."""
    yield visit.opened_at, _at(story, visit.opened_at, "stands in the line")
    for decision in story.decisions.get(visit.id, []):
        yield decision.at, _decision(story, visit, decision)
    for event in story.events.get(visit.id, []):
        yield event.at, _at(story, event.at, f"{clean(event.what)}: {_detail(story, event.detail)}")
    if visit.settled_at is not None:
        yield visit.settled_at, _at(story, visit.settled_at, f"{_agent(story, visit.last_agent)} has it")
    if visit.closed_at is not None:
        service = f", service {visit.service_id}" if visit.service_id is not None else ""
        yield visit.closed_at, _at(story, visit.closed_at, f"closed: {clean(visit.reason)}{service}")


def _detail(story: Story, detail: str) -> str:
    """It may begin with an agent's id, whose name says more."""
    agent, colon, rest = detail.partition(": ")
    if colon and agent in story.names:
        return f"{_agent(story, agent)}: {clean(rest, 200)}"
    return clean(detail, 200)


def _at(story: Story, at: datetime, what: str) -> str:
    return f"  {moment(at)} ({age(at, story.now)})  {what}"


def _decision(story: Story, visit: Any, decision: Any) -> str:
    among = choice.considered(decision, story.named.get(visit.class_, ()))
    waited = span((decision.at - from_us(visit.arrived_us)).total_seconds())
    why = clean(choice.words(decision, among, decision.crew), 300)
    what = f"reserved for {_agent(story, decision.agent)} after {waited}: {why}"
    lines = [_at(story, decision.at, what)]
    rows = [_candidate(story, c) for c in among[:CANDIDATES_MOST]]
    if rows:
        lines.append(table(("CONSIDERED", "LOAD", "LIMIT", ""), rows, "      "))
    if len(among) > CANDIDATES_MOST:
        lines.append(f"      … and {len(among) - CANDIDATES_MOST} more (--json has all)")
    if decision.earlier:
        lines.append(f"      counted in: {counted(len(decision.earlier), 'earlier room')} of the same round")
    return "\n".join(lines)


def _candidate(story: Story, one: choice.Considered) -> tuple[str, int, int, str]:
    if one.chosen:
        word = "chosen"
    elif not one.fits:
        word = "may not serve its queue"
    else:
        word = "" if one.free else "full"
    return _agent(story, one.agent), one.load, one.limit, word
