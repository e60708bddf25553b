"""Where the rules put a room: its queue, who may serve it now, when that changes. Pure, but for who served it last.

Comes wherever a visit is opened (`line.open_visits`), and again where rules or time move a room (`worker/follow.py`).
A visit's `class` is the group of rooms that the same agents may serve: without rules its channel, with rules a queue,
its step, and the channel where the queue is served by whom the desk names for a room.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from db.rules import Book
from db.turn import Turn
from routing import facts as fact
from routing import team
from routing.facts import Facts
from routing.model import CHANNEL, Rules
from routing.route import route, serve_start
from routing.texts import comparable

DAY = timedelta(days=1)
OLDEST = timedelta(days=7)  # an arrival before is a clock's mistake: the time of the routing counts


class Arrival(NamedTuple):
    """One room to be routed. `facts`: of the webhook that brought it, as kept; None: not known. `queue`: where it was
    before, if it waited already."""

    room: str
    channel: str
    source: str
    arrived_us: int
    facts: Mapping[str, Any] | None = None
    queue: str | None = None
    rule: str | None = None


class Routed(NamedTuple):
    """The columns of a visit that routing decides."""

    class_: str
    queue: str | None = None
    rule: str | None = None
    rules_version: int = 0
    step: int = 0
    priority: int = 0
    base_priority: int = 0
    serve_from: datetime | None = None
    change_at: datetime | None = None
    sticky_agent: str | None = None
    sticky_until: datetime | None = None


class Standing(NamedTuple):
    """What time changes of a room's place."""

    class_: str
    step: int
    priority: int
    change_at: datetime | None


def now_of(turn: Turn) -> datetime:
    """PostgreSQL's clock, as the turn's lock saw it."""
    return datetime.fromtimestamp(turn.row.now_s, UTC)


def of_all(turn: Turn, book: Book, arrivals: Sequence[Arrival]) -> list[Routed]:
    """In the same order. The rooms wait, or are about to."""
    served_by = _served_by(turn, book.rules, arrivals)
    now = now_of(turn)
    return [routed(book, arrival, now, served_by.get(arrival.room)) for arrival in arrivals]


def _served_by(turn: Turn, rules: Rules | None, arrivals: Sequence[Arrival]) -> dict[str, str]:
    if rules is None or rules.sticky is None or not arrivals:
        return {}
    rooms = sorted({arrival.room for arrival in arrivals})
    rows = turn.all("served_by", rooms=rooms, within_s=rules.sticky.within_s)
    return {row.room: row.agent for row in rows}


def routed(book: Book, arrival: Arrival, now: datetime, served_by: str | None = None) -> Routed:
    if book.rules is None:
        return Routed(arrival.channel, rules_version=book.version)
    rules, arrived = book.rules, _arrived(arrival.arrived_us, now)
    queue, rule, priority, start = _decided(rules, arrival, arrived)
    sticky_until = start + timedelta(seconds=rules.sticky.wait_s) if rules.sticky and start and served_by else None
    place = standing(book, queue, arrival.channel, priority, start, sticky_until, now)
    return Routed(
        place.class_,
        queue,
        rule,
        book.version,
        place.step,
        place.priority,
        priority,
        start,
        place.change_at,
        served_by,
        sticky_until,
    )


def standing(
    book: Book,
    queue: str | None,
    channel: str,
    base_priority: int,
    serve_from: datetime | None,
    sticky_until: datetime | None,
    now: datetime,
) -> Standing:
    """Where a room stands at a moment."""
    if queue is None or book.rules is None:
        return Standing(class_of(book, queue, 0, channel), 0, base_priority, _next([sticky_until], now))
    of = book.rules.queue(queue)
    step = of.step_at((now - serve_from).total_seconds()) if serve_from else 0
    coming = [serve_from + timedelta(seconds=each.after_s) for each in of.steps[step:]] if serve_from else []
    class_ = class_of(book, queue, step, channel)
    return Standing(class_, step, of.priority_at(base_priority, step), _next([*coming, sticky_until], now))


def class_of(book: Book, queue: str | None, step: int, channel: str) -> str:
    """No channel's class looks like a queue's, and no version's like another's: who may serve it is read anew."""
    if book.rules is None:
        return channel
    if queue is None:
        return f"{CHANNEL}{channel}"
    own = f"/{channel}" if team.who(book.rules, queue, step).channel else ""
    return f"{book.version}/{queue}/{step}{own}"


def _decided(rules: Rules, arrival: Arrival, arrived: datetime) -> tuple[str | None, str | None, int, datetime | None]:
    """Queue, rule, priority, and from when it can be served. A room whose facts are not known any more stays in its
    queue, if that is still there."""
    if arrival.facts is None and arrival.queue in rules.queues:
        queue = rules.queue(str(arrival.queue))
        led = (r.priority for r in rules.rules if (r.name, r.queue) == (arrival.rule, queue.name))
        priority = next(led, None)
        return queue.name, arrival.rule, queue.priority if priority is None else priority, serve_start(rules, arrived)
    found = route(_facts(arrival), rules, arrived)
    queue_name = None if found.queue.startswith(CHANNEL) else found.queue
    return queue_name, found.rule, found.priority, found.serve_from


def _facts(arrival: Arrival) -> Facts:
    if arrival.facts is not None:
        return fact.of_data(arrival.facts)
    has_channel = arrival.channel != arrival.source
    channel = comparable(arrival.channel) if has_channel else None
    return Facts(source=comparable(arrival.source), channel_id=channel)


def _arrived(arrived_us: int, now: datetime) -> datetime:
    """By Redis's clock, which may be wrong: never after now, nor long before."""
    since = now.timestamp() - arrived_us / 1e6
    return now - timedelta(seconds=since) if 0 <= since <= OLDEST.total_seconds() else now


def _next(moments: Sequence[datetime | None], now: datetime) -> datetime | None:
    """The next of them; a day ahead at most, since clocks step."""
    coming = [moment for moment in moments if moment is not None and moment > now]
    return min(*coming, now + DAY) if coming else None
