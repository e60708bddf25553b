"""A slow judge of the order of service under rules: waiting rooms, seats, clock → who gets which agent, and why not.

It knows only the words of the docs. Rooms go by priority, then by arrival. A room is passed over only outside the
hours, while it waits for the agent who served it last, or when nobody who may serve it has a seat; each time the
reason is said. What the worker chooses is held against it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from routing.model import Rules
from routing.route import serve_start

MAX_PICKS = 1_000_000
OUTSIDE_HOURS, FOR_STICKY, NO_SEAT, NOBODY = "outside_hours", "waits_for_agent", "no_seat", "nobody_may_serve"


class Room(NamedTuple):
    """`served_by`: who served it last, within the rules' time. `channel`: the desk's own queue of the room."""

    visit: int
    queue: str
    arrived: datetime
    serve_from: datetime | None  # as it was routed; None: never
    priority: int = 0  # as it was routed; steps lift it
    served_by: str | None = None
    channel: str = ""


class Seat(NamedTuple):
    """An agent who is online. `of_queue`: how many of their chats came from which queue."""

    agent: str
    load: int
    limit: int
    of_queue: Mapping[str, int] = {}
    idle_since_s: float = 0.0

    def is_free_for(self, queue: str, queue_limit: int | None) -> bool:
        return self.load < self.limit and (queue_limit is None or self.of_queue.get(queue, 0) < queue_limit)


class Passed(NamedTuple):
    """Why a room waits. `until`: when that changes by itself; `agent`: whom it waits for."""

    reason: str
    until: datetime | None = None
    agent: str | None = None


class Turn(NamedTuple):
    room: Room
    agent: str


class Group(NamedTuple):
    """Rooms that the same agents may serve."""

    queue: str
    step: int
    channel: str


@dataclass(frozen=True)
class Order:
    turns: list[Turn] = field(default_factory=list)
    passed_over: dict[int, Passed] = field(default_factory=dict)  # visit → why


Team = Callable[[Group], Set[str]]
Choose = Callable[[Sequence[Seat]], Seat]


class Place(NamedTuple):
    """Where a room stands at this moment."""

    room: Room
    step: int
    priority: int
    sticky_until: datetime | None

    @property
    def rank(self) -> tuple[int, datetime, int]:
        return (-self.priority, self.room.arrived, self.room.visit)

    @property
    def group(self) -> Group:
        return Group(self.room.queue, self.step, self.room.channel)


def places(rooms: Iterable[Room], rules: Rules, now: datetime) -> list[Place]:
    """In order. Steps count from the moment at which the room could first be served."""
    return sorted((_place(room, rules, now) for room in rooms), key=lambda place: place.rank)


def order(
    rooms: Iterable[Room],
    rules: Rules,
    now: datetime,
    team: Team,
    seats: Iterable[Seat],
    choose: Choose | None = None,
    most: int = MAX_PICKS,
) -> Order:
    """At most `most` turns. `team` says who may serve a group; `choose` picks among those with a free seat, the one
    with the fewest chats if it is not given. Who is not in `seats` is not online."""
    lined = places(rooms, rules, now)
    if closed := _outside(rules, now):
        return Order(passed_over={place.room.visit: closed for place in lined})
    found, seating = Order(), _Seating(rules, team, seats, choose or least_loaded)
    for place in lined:
        if len(found.turns) == most:
            break
        agent = seating.agent_for(place, now)
        if isinstance(agent, Passed):
            found.passed_over[place.room.visit] = agent
        else:
            seating.seat(agent, place.room.queue)
            found.turns.append(Turn(place.room, agent))
    return found


def least_loaded(seats: Sequence[Seat]) -> Seat:
    return min(seats, key=lambda seat: (seat.load, seat.idle_since_s, seat.agent))


def _outside(rules: Rules, now: datetime) -> Passed | None:
    start = serve_start(rules, now)
    return None if start == now else Passed(OUTSIDE_HOURS, start)


def _place(room: Room, rules: Rules, now: datetime) -> Place:
    queue, start = rules.queue(room.queue), room.serve_from
    step = queue.step_at((now - start).total_seconds()) if start is not None else 0
    wait_s = rules.sticky.wait_s if rules.sticky else 0
    sticky_until = start + timedelta(seconds=wait_s) if start is not None and rules.sticky else None
    return Place(room, step, queue.priority_at(room.priority, step), sticky_until)


class _Seating:
    """The seats while turns are given. A group that has run out of seats stays so: seats only become fewer."""

    def __init__(self, rules: Rules, team: Team, seats: Iterable[Seat], choose: Choose) -> None:
        self._rules, self._team, self._choose = rules, team, choose
        self._seats = {seat.agent: seat for seat in seats}
        self._teams: dict[Group, list[str]] = {}
        self._out: dict[Group, Passed] = {}
        self._clock = max((seat.idle_since_s for seat in self._seats.values()), default=0.0)

    def agent_for(self, place: Place, now: datetime) -> str | Passed:
        if (sticky := self._sticky(place, now)) is not None:
            return sticky
        group = place.group
        if group not in self._out:
            free = [self._seats[name] for name in self._online(group) if self._is_free(name, group.queue)]
            if free:
                return self._choose(free).agent
            self._out[group] = Passed(NO_SEAT if self._online(group) else NOBODY)
        return self._out[group]

    def seat(self, agent: str, queue: str) -> None:
        self._clock += 1e-6
        seat = self._seats[agent]
        of_queue = {**seat.of_queue, queue: seat.of_queue.get(queue, 0) + 1}
        self._seats[agent] = seat._replace(load=seat.load + 1, of_queue=of_queue, idle_since_s=self._clock)

    def _sticky(self, place: Place, now: datetime) -> str | Passed | None:
        """Who served the room last, if they may serve it and are online and not paused."""
        agent = place.room.served_by
        if agent is None or place.sticky_until is None or agent not in self._online(place.group):
            return None
        if self._is_free(agent, place.room.queue):
            return agent
        if now < place.sticky_until and self._seats[agent].limit > 0:
            return Passed(FOR_STICKY, place.sticky_until, agent)
        return None

    def _online(self, group: Group) -> list[str]:
        if group not in self._teams:
            self._teams[group] = sorted(name for name in self._team(group) if name in self._seats)
        return self._teams[group]

    def _is_free(self, agent: str, queue: str) -> bool:
        return self._seats[agent].is_free_for(queue, self._rules.queue(queue).limit)


def reason(passed: Passed) -> str:
    """For a person, as `why` says it."""
    at = passed.until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if passed.until else None
    if passed.reason == OUTSIDE_HOURS:
        return f"outside the hours until {at}" if at else "outside the hours, and they have no next opening"
    if passed.reason == FOR_STICKY:
        return f"waits for {passed.agent}, who served it last and is full, until {at}"
    if passed.reason == NO_SEAT:
        return "all who may serve it and are online are at their limit"
    return "nobody who may serve it is online"
