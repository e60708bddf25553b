"""A room's story: its visits, who got it and why, or why it waits. Before `giliran why` and the page of supervisors."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

from db.views import VIEWS
from views import choice, queue, queues, routed, rulebook, team
from views.queue import Line
from views.rulebook import Book
from views.source import Source
from views.words import from_us


@dataclass(frozen=True)
class Story:
    """One room of one tenant. `line`: read where the room waits; `book`: the rules that its latest visit went by;
    `named`: class → agents who may serve it."""

    tenant: str
    room: str
    now: datetime
    visits: list[Any]  # latest first
    of: int  # how many there are
    decisions: Mapping[int, list[Any]]  # by visit
    events: Mapping[int, list[Any]]
    named: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]  # agent → name
    remembered: Any
    line: Line | None
    book: Book


def read(source: Source, cur: cursor, tenant: str, room: str, most: int | None) -> Story:
    visits = VIEWS.all(cur, "visits", tenant=tenant, room=room, most=most)
    ids = [visit.id for visit in visits]
    waits = bool(visits) and visits[0].state == "waiting"
    classes = queue.classes(cur, tenant, visits, rulebook.in_force(cur, tenant))
    return Story(
        tenant=tenant,
        room=room,
        now=VIEWS.one(cur, "now").at,
        visits=visits,
        of=visits[0].of if visits else 0,
        decisions=_by_visit(VIEWS.all(cur, "decisions", visits=ids)),
        events=_by_visit(VIEWS.all(cur, "events", visits=ids)),
        named={name: of.named for name, of in classes.items()},
        names={row.id: row.name for row in VIEWS.all(cur, "names", tenant=tenant)},
        remembered=VIEWS.one(cur, "remembered", tenant=tenant, room=room),
        line=queue.read(source, cur, tenant, 1, room) if waits else None,
        book=rulebook.version(cur, tenant, visits[0].rules_version if visits else 0),
    )


def _by_visit(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.visit].append(row)
    return found


def as_data(story: Story) -> dict[str, Any]:
    waiting = story.line.waiting if story.line else []
    return {
        "tenant": story.tenant,
        "room": story.room,
        "at": story.now,
        "state": story.visits[0].state if story.visits else None,
        "closed_service": story.remembered.closed_service if story.remembered else None,
        "waiting": queue.waiting_data(story.line, waiting[0]) if story.line and waiting else None,
        "routing": _routing(story),
        "agents": _able(story.line) if story.line else [],
        "visits": [_visit_data(story, visit) for visit in story.visits],
        "visits_kept": story.of,
    }


def _routing(story: Story) -> dict[str, Any] | None:
    """What the rules say of a room that waits."""
    if not story.line or not story.line.waiting:
        return None
    of = story.line.classes[story.line.waiting[0].class_]
    found = routed.as_data(story.visits[0], story.book, story.now, story.line.desk.shut)
    return {**found, "limit": of.limit, "missing": of.missing}


def _able(line: Line) -> list[dict[str, Any]]:
    names = [name for of in line.classes.values() for name in of.online]
    return [team.as_data(line.team[name]) for name in names if name in line.team]


def _visit_data(story: Story, visit: Any) -> dict[str, Any]:
    decisions = [_decision_data(story, visit, decision) for decision in story.decisions.get(visit.id, [])]
    events = [{"at": e.at, "what": e.what, "detail": e.detail} for e in story.events.get(visit.id, [])]
    columns = {name: value for name, value in visit._asdict().items() if name != "of"}
    columns["queue"] = queues.of(visit)
    return {**columns, "arrived_at": from_us(visit.arrived_us), "decisions": decisions, "events": events}


def _decision_data(story: Story, visit: Any, decision: Any) -> dict[str, Any]:
    among = choice.considered(decision, story.named.get(visit.class_, ()))
    return {
        "id": decision.id,
        "at": decision.at,
        "agent": decision.agent,
        "load_before": decision.load_before,
        "limit": decision.seat_limit,
        "policy": decision.policy,
        "why": choice.words(decision, among, decision.crew),
        "considered": [asdict(one) for one in among],
        "agents": decision.crew,
        "earlier_picks": decision.earlier,
    }
