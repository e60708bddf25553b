"""What another version of the rules would change: its queues, and where waiting rooms would go. Pure, but for
`rooms`; for `giliran routing apply` and `reset`, and for `/ops`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import routes
from db.routes import Arrival
from db.rules import Book
from db.views import VIEWS
from routing.model import CHANNEL, Queue, Rules
from routing.route import named

SECTIONS = ("hours", "sticky", "messages", "rules", "topics", "default")


class Move(NamedTuple):
    """Waiting rooms that would go from one queue to another."""

    rooms: int
    old: str
    new: str


@dataclass(frozen=True)
class Plan:
    """`unknown`: what the new rules ask about and of waiting rooms is not known, since the old ones don't."""

    added: list[str]
    removed: list[str]
    changed: dict[str, list[str]]  # queue → its keys that differ
    sections: list[str]  # others that differ
    waiting: int
    moves: list[Move]
    unknown: list[str]


def plan(old: Rules, new: Rules, rooms: Iterable[Any], now: datetime) -> Plan:
    """`rooms`: rows of the block `led`."""
    alike, book = list(rooms), Book(1, new)
    waiting = sum(room.rooms for room in alike)
    moves: Counter[tuple[str, str]] = Counter()
    for room in alike:
        moves[_move(room, book, now)] += room.rooms
    both = [name for name in new.queues if name in old.queues]
    changed = {name: _differing(old.queues[name], new.queues[name]) for name in both}
    return Plan(
        added=[name for name in new.queues if name not in old.queues],
        removed=[name for name in old.queues if name not in new.queues],
        changed={name: keys for name, keys in changed.items() if keys},
        sections=[name for name in SECTIONS if getattr(old, name) != getattr(new, name)],
        waiting=waiting,
        moves=[Move(rooms, *ends) for ends, rooms in moves.most_common() if ends[0] != ends[1]],
        unknown=sorted(set(named(new).as_list()) - set(named(old).as_list())) if waiting else [],
    )


def asks_for_time(rules: Rules) -> bool:
    """Whether rooms that are alike may go to different queues, by their arrival."""
    return any(rule.when.hours for rule in rules.rules)


def _differing(old: Queue, new: Queue) -> list[str]:
    names = (each.name for each in fields(Queue))
    return [name.removesuffix("_s") for name in names if getattr(old, name) != getattr(new, name)]


def _move(room: Any, new: Book, now: datetime) -> tuple[str, str]:
    """As a worker will do it."""
    arrival = Arrival(*(getattr(room, name) for name in Arrival._fields))
    found, of_channel = routes.routed(new, arrival, now), CHANNEL + room.channel
    return room.queue or of_channel, found.queue or of_channel


def rooms_of(cur: cursor, tenant: str, rules: Rules) -> list[Any]:
    """What `plan` needs of the waiting rooms, for these new rules."""
    return VIEWS.all(cur, "led", tenant=tenant, by_time=asks_for_time(rules))


def as_data(found: Plan) -> dict[str, Any]:
    return {
        "queues": {"added": found.added, "removed": found.removed, "changed": found.changed},
        "changed": found.sections,
        "waiting": found.waiting,
        "moves": [{"from": move.old, "to": move.new, "rooms": move.rooms} for move in found.moves],
        "unknown": found.unknown,
    }
