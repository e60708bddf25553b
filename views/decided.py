"""Decisions, newest first: who got which room, and who else was considered."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.views import VIEWS
from views import choice, queues
from views.choice import Considered
from views.shown import Shown
from views.words import from_us

MOST = 100
ROUNDS_MOST = 2000  # rounds that are looked through
CANDIDATES_MOST = 4  # told of one decision; the story of its room has all


class Asked(NamedTuple):
    agent: str | None = None
    queue: str | None = None
    policy: str | None = None
    before: int | None = None


def read(cur: cursor, tenant: str, asked: Asked, most: int = MOST) -> Shown:
    values = asked._replace(queue=asked.queue.lower() if asked.queue else None)._asdict()
    found = VIEWS.all(cur, "stream", tenant=tenant, most=most, rounds=ROUNDS_MOST, **values)
    names = {row.id: row.name for row in VIEWS.all(cur, "names", tenant=tenant)}
    classes = sorted({row.class_ for row in found if row.class_ is not None})
    named = {row.class_: tuple(row.named) for row in VIEWS.all(cur, "classes", tenant=tenant, classes=classes)}
    rows = {str(row.id): _row(row, names, named.get(row.class_, ())) for row in found}
    return Shown({}, list(rows), rows)


def _row(row: Any, names: Mapping[str, str], named: Collection[str]) -> dict[str, Any]:
    among = choice.considered(row, named)
    waited_s = (row.at - from_us(row.arrived_us)).total_seconds() if row.arrived_us is not None else None
    return {
        "id": row.id,
        "at": row.at,
        "room": row.room,
        "visit": row.visit,
        "agent": row.agent,
        "name": names.get(row.agent) or row.agent,
        "queue": queues.of(row) if row.class_ is not None else None,
        "policy": row.policy,
        "waited_s": None if waited_s is None else round(max(0.0, waited_s), 3),
        "load_before": row.load_before,
        "limit": row.seat_limit,
        "why": choice.words(row, among, row.crew),
        "considered": len(among),
        "able": sum(each.free and each.fits for each in among),
        "candidates": [candidate(each, names) for each in among[:CANDIDATES_MOST]],
    }


def candidate(one: Considered, names: Mapping[str, str]) -> dict[str, Any]:
    """`why`: not chosen, as a code."""
    return {
        "agent": one.agent,
        "name": names.get(one.agent) or one.agent,
        "load": one.load,
        "limit": one.limit,
        "free": one.free,
        "fits": one.fits,
        "chosen": one.chosen,
        "why": _why_not(one),
    }


def _why_not(one: Considered) -> str:
    if one.chosen:
        return "chosen"
    if not one.fits:
        return "other_queue"
    return "later_in_order" if one.free else "full"
