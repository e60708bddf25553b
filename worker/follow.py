"""Keeps waiting rooms where the rules put them: after a new version, when a step comes, outside the hours.

The second thing of a decision, after the inbox was taken over and before anybody is seated. A room's place in time
never changes here.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from db import routes, rules
from db.postgres import columns
from db.routes import Arrival, Routed, Standing
from db.rules import Book
from db.turn import Turn
from routing.route import serve_start

MOST = 500  # rooms of one decision; for more it asks for another
DAY = timedelta(days=1)


def follow(turn: Turn) -> tuple[Book, bool]:
    """The rules in force, and whether there is more to do: then another decision is needed."""
    book = rules.in_force(turn)
    if not book.version:
        return book, False
    more = turn.row.rerouting and _reroute(turn, book)
    return book, _let_time_tell(turn, book) or more


def is_shut(turn: Turn, book: Book) -> bool:
    """Whether rooms have to wait for the tenant's hours. The row then says when to look again."""
    now = routes.now_of(turn)
    opens = serve_start(book.rules, now) if book.rules else now
    until = None if opens == now else min(opens or now + DAY, now + DAY)
    if (until is None) != (turn.row.shut_until is None) or (until and turn.row.shut_until != until):
        turn.run("shut", until=until)
    return until is not None


def route_again(turn: Turn, visits: Sequence[int]) -> None:
    """Waiting rooms of which something else is known now."""
    book = rules.in_force(turn)
    if visits and book.rules:
        _move(turn, book, turn.all("of_visits", visits=list(visits)))


def _reroute(turn: Turn, book: Book) -> bool:
    rows = turn.all("to_reroute", version=book.version, most=MOST)
    _move(turn, book, rows)
    if len(rows) == MOST:
        return True
    turn.run("rerouted")
    return False


def _move(turn: Turn, book: Book, rows: Sequence[Any]) -> None:
    if not rows:
        return
    arrivals = [
        Arrival(row.room, row.channel, row.source, row.arrived_us, row.facts, row.queue, row.rule) for row in rows
    ]
    places = routes.of_all(turn, book, arrivals)
    turn.run("reroute", visits=[row.id for row in rows], **columns(places, Routed._fields))
    moved = [
        (row.id, row.queue, place.queue) for row, place in zip(rows, places, strict=True) if row.queue != place.queue
    ]
    _note(turn, "rerouted", {visit: f"from {_name(old)} to {_name(new)}" for visit, old, new in moved})


def _name(queue: str | None) -> str:
    return "the channel's queue" if queue is None else f"queue {queue}"


def _note(turn: Turn, what: str, details: Mapping[int, str]) -> None:
    if details:
        turn.run("events", what=what, visits=list(details), details=list(details.values()))


def drop_old_classes(turn: Turn) -> None:
    """Those of other versions of the rules in which nobody waits any more, once a class of this version was read. Whom
    only they named is online as last read, until their own queue is read, or the next prune."""
    book = rules.in_force(turn)
    old = turn.all("old_classes", ruled=book.rules is not None, version=str(book.version)) if book.version else []
    if old:
        turn.run("prune_rosters", classes=[row.class_ for row in old])
        turn.run("drop_doubts", classes=[row.class_ for row in old])


def _let_time_tell(turn: Turn, book: Book) -> bool:
    """Steps that have come, and waits for one agent that are over."""
    rows = turn.all("changes", most=MOST)
    strange = [row.id for row in rows if row.rules_version != book.version]
    if strange:  # they were being assigned, or served, while the rules changed
        _move(turn, book, turn.all("of_visits", visits=strange))
    due = [row for row in rows if row.rules_version == book.version]
    if due:
        places = [_standing(turn, book, row) for row in due]
        turn.run("change", visits=[row.id for row in due], **columns(places, Standing._fields))
        lifted = {row.id: place.step for row, place in zip(due, places, strict=True) if row.step != place.step}
        _note(turn, "step", {visit: f"step {step} of its queue" for visit, step in lifted.items()})
    return len(rows) == MOST


def _standing(turn: Turn, book: Book, row: Any) -> Standing:
    now = routes.now_of(turn)
    return routes.standing(book, row.queue, row.channel, row.base_priority, row.serve_from, row.sticky_until, now)
