"""Who serves which room. Pure: waiting rooms, agents' seats, policy → the picks, in the order of the line.

Comes after the inbox was taken into the line; what it answers is then reserved in PostgreSQL, which refuses by
itself what would be one chat too many.

Rooms of one class (a channel) can be served by the same agents. The oldest room of all classes goes first; a class
whose agents are all full lets others pass, and the answer says so.

Refusals of the desk are respected here (H13): a room is not offered to an agent who was refused for it while others may
serve it, and an agent under doubt gets one room.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from policies.policy import Policy, Seats


class Waiting(NamedTuple):
    """One room of the line. `arrived_us` and `visit` order rooms inside a priority."""

    visit: int
    room: str
    class_: str
    arrived_us: int
    priority: int = 0
    queue: str | None = None  # of the rules
    sticky: str | None = None  # who served it last
    waits: bool = False  # for them, while they are online but full

    @property
    def place(self) -> "Place":
        return (-self.priority, self.arrived_us, self.visit)


class Pick(NamedTuple):
    waiting: Waiting
    agent: str
    load_before: int
    limit: int


@dataclass(frozen=True)
class Doubts:
    """What the desk's refusals mean for this decision; pairs are (class, agent).

    out      the agent gets no room of the class
    trial    the agent gets one room, until the desk has accepted them
    tried    agents whose one room is under way
    refused  visit → the agents who were refused for it
    """

    out: Set[tuple[str, str]] = frozenset()
    trial: Set[tuple[str, str]] = frozenset()
    tried: Set[str] = frozenset()
    refused: Mapping[int, Set[str]] = field(default_factory=dict)


NO_DOUBTS = Doubts()


@dataclass(frozen=True)
class QueueLimits:
    """How many chats of one queue an agent may have, inside their own limit.

    most   class → its queue, and the limit there
    taken  (agent, queue) → seats at the start
    """

    most: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    taken: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def shut(self) -> list[tuple[str, str]]:
        """(class, agent) where there is no more."""
        full = [(class_, queue, most) for class_, (queue, most) in self.most.items()]
        return [
            (class_, agent)
            for class_, of, most in full
            for (agent, queue), n in self.taken.items()
            if queue == of and n >= most
        ]


NO_QUEUE_LIMITS = QueueLimits()
Place = tuple[int, int, int]
READ_FIRST = "who may serve an earlier room is read first"


@dataclass(frozen=True)
class Answer:
    picks: list[Pick] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)  # class → why its rooms wait


def choose(
    rooms: Iterable[Waiting],
    seats: Sequence[Seats],
    eligible: Mapping[str, Set[str]],
    policy: Policy,
    most: int,
    suggested: Mapping[str, str] | None = None,
    doubts: Doubts = NO_DOUBTS,
    limits: QueueLimits = NO_QUEUE_LIMITS,
    elsewhere: Sequence[tuple[Place, Set[str]]] = (),
) -> Answer:
    """At most `most` picks. `eligible` maps a class to the agents who are online for it; `suggested` (of a
    policy that asks the desk) maps a class to the desk's candidate, who serves one room of it. A candidate whom the
    desk itself refuses is replaced by the policy's first agent. `elsewhere`: places of rooms that are not among these,
    each with agents who may be theirs: no later room takes them.

    Guarantees: no agent above their limit; of two rooms that one agent could serve, the earlier place is picked
    first; the same input gives the same answer.
    """
    answer = Answer()
    queue = _Line(rooms)
    chooser = _Chooser(seats, eligible, policy, suggested or {}, doubts, limits)
    kept = sorted(elsewhere, key=lambda each: each[0], reverse=True)
    while len(answer.picks) < most and (waiting := queue.oldest()) is not None:
        while kept and kept[-1][0] < waiting.place:
            chooser.keep(kept.pop()[1])
        if chooser.waits_for_one(waiting):
            queue.advance()
            continue
        agent = chooser.agent_for(waiting)
        if agent is None and chooser.serves_others(waiting):
            queue.advance()
            continue
        if agent is None:
            answer.passed_over[waiting.class_] = chooser.why_nobody(waiting)
            queue.skip_class(waiting.class_)
            continue
        answer.picks.append(Pick(waiting, agent.agent, agent.load, agent.limit))
        chooser.seat(agent, waiting.class_)
        queue.advance()
    return answer


def all_full(online: int) -> str:
    """Why rooms wait whose agents are all at their limit."""
    return f"all {online} agents online for it are at their limit" if online else "nobody is online for it"


class _Line:
    """Rooms merged over the classes by place; a class can be left out for the rest."""

    def __init__(self, rooms: Iterable[Waiting]) -> None:
        self._rooms = sorted(rooms, key=lambda waiting: waiting.place)
        self._at = 0
        self._skipped: set[str] = set()

    def oldest(self) -> Waiting | None:
        while self._at < len(self._rooms) and self._rooms[self._at].class_ in self._skipped:
            self._at += 1
        return self._rooms[self._at] if self._at < len(self._rooms) else None

    def advance(self) -> None:
        self._at += 1

    def skip_class(self, class_: str) -> None:
        self._skipped.add(class_)


class _Chooser:
    """For each class a heap of its agents in the policy's order; an entry is stale when its agent has moved on."""

    def __init__(
        self,
        seats: Sequence[Seats],
        eligible: Mapping[str, Set[str]],
        policy: Policy,
        suggested: Mapping[str, str],
        doubts: Doubts,
        limits: QueueLimits,
    ) -> None:
        self._seats = {seat.agent: seat for seat in seats}
        self._eligible = eligible
        self._policy = policy
        self._suggested = dict(suggested)
        self._doubts = doubts
        self._tried = set(doubts.tried)
        self._limits = limits.most
        self._of_queue = dict(limits.taken)
        self._kept: set[str] = set()
        self._open: dict[str, Set[str]] = {}
        self._unpaused: dict[str, Set[str]] = {}
        self._clock = max((seat.idle_since_s for seat in seats), default=0.0)
        self._heaps: dict[str, list[tuple[tuple[float, ...], str]]] = {}

    def keep(self, agents: Set[str]) -> None:
        """They get no more rooms: they may be needed for an earlier one."""
        self._kept |= agents

    def agent_for(self, waiting: Waiting) -> Seats | None:
        class_, refused = waiting.class_, self._refused_for(waiting)
        if (again := self._who_served(waiting)) is not None and self._has_room(again, class_):
            return again
        if self._policy.asks_desk and waiting.queue is None:
            name = self._suggested.get(class_, "")
            agent = self._seats.get(name)
            if agent is None or name not in self._eligible.get(class_, frozenset()):
                return None
            if name not in refused and not self._is_shut(class_, name):
                return agent if agent.free and name not in self._kept else None
        return self._first(class_, refused)

    def waits_for_one(self, waiting: Waiting) -> bool:
        """Whether the room is passed over for the agent who served it last, who is online but full."""
        agent = self._who_served(waiting) if waiting.waits else None
        return agent is not None and not self._has_room(agent, waiting.class_)

    def _who_served(self, waiting: Waiting) -> Seats | None:
        """If they may serve the room, are not paused, and the desk has not refused them for it."""
        agent, class_ = waiting.sticky, waiting.class_
        if agent is None or agent not in self._able(class_) or agent in self._refused_for(waiting):
            return None
        return None if self._is_shut(class_, agent) else self._seats[agent]

    def _has_room(self, seat: Seats, class_: str) -> bool:
        if not seat.free or seat.agent in self._kept:
            return False
        queue, most = self._limits.get(class_, ("", 0))
        return not queue or self._of_queue.get((seat.agent, queue), 0) < most

    def serves_others(self, waiting: Waiting) -> bool:
        """Whether it is only for this room that nobody is left: its class goes on with the next one."""
        return bool(self._refused_for(waiting)) and self._first(waiting.class_, frozenset()) is not None

    def _first(self, class_: str, refused: Set[str]) -> Seats | None:
        """The first in the policy's order who has room and was not refused; no more than those are stepped over."""
        heap, stepped_over, found = self._heap(class_), [], None
        while heap and found is None:
            rank, name = heap[0]
            seat = self._seats[name]
            stale = rank != self._policy.key(seat) or not self._has_room(seat, class_)
            if stale or (name in self._tried and self._is_shut(class_, name)):
                heapq.heappop(heap)
            elif name in refused:
                stepped_over.append(heapq.heappop(heap))
            else:
                found = seat
        for entry in stepped_over:
            heapq.heappush(heap, entry)
        return found

    def _refused_for(self, waiting: Waiting) -> Set[str]:
        """Nobody, once all who may serve the room were refused for it: then it is tried again with each."""
        refused = self._doubts.refused.get(waiting.visit, frozenset())
        return frozenset() if refused and self._able(waiting.class_) <= refused else refused

    def _is_shut(self, class_: str, name: str) -> bool:
        pair = (class_, name)
        return pair in self._doubts.out or (name in self._tried and pair in self._doubts.trial)

    def seat(self, agent: Seats, class_: str) -> None:
        """The agent has one chat more; every class that they serve learns of it."""
        self._clock += 1e-6
        if self._policy.asks_desk:
            self._suggested.pop(class_, None)
        if class_ in self._limits:
            queue = self._limits[class_][0]
            self._of_queue[agent.agent, queue] = self._of_queue.get((agent.agent, queue), 0) + 1
        if (class_, agent.agent) in self._doubts.trial:
            self._tried.add(agent.agent)
        taken = agent._replace(load=agent.load + 1, idle_since_s=self._clock, owed=agent.load == 0)
        self._seats[agent.agent] = taken
        if taken.free:
            for heap_class, heap in self._heaps.items():
                if agent.agent in self._names(heap_class):
                    heapq.heappush(heap, (self._policy.key(taken), agent.agent))

    def why_nobody(self, waiting: Waiting) -> str:
        class_ = waiting.class_
        names = self._eligible.get(class_, frozenset())
        if not names:
            return all_full(0)
        if not self._kept.isdisjoint(names):
            return READ_FIRST
        if self._policy.asks_desk and waiting.queue is None:
            return self._why_not(self._suggested.get(class_), names)
        if out := len(names) - len(self._names(class_)):
            return f"of {len(names)} agents online for it the desk refuses {out}, the others are at their limit"
        return all_full(len(names))

    def _why_not(self, candidate: str | None, names: Set[str]) -> str:
        if candidate is None:
            return "the desk is asked for a candidate"
        if candidate not in names:
            return f"the desk's candidate {candidate} is not online for it"
        return f"the desk's candidate {candidate} has no free seat"

    def _heap(self, class_: str) -> list[tuple[tuple[float, ...], str]]:
        if class_ not in self._heaps:
            heap = [(self._policy.key(self._seats[name]), name) for name in self._names(class_) if name in self._seats]
            heapq.heapify(heap)
            self._heaps[class_] = heap
        return self._heaps[class_]

    def _names(self, class_: str) -> Set[str]:
        """Who may be given rooms of the class now, apart from limits."""
        names = self._eligible.get(class_, frozenset())
        if not self._doubts.out:
            return names
        if class_ not in self._open:
            self._open[class_] = {name for name in names if (class_, name) not in self._doubts.out}
        return self._open[class_]

    def _able(self, class_: str) -> Set[str]:
        """The same without those who are paused: nobody waits for them."""
        if class_ not in self._unpaused:
            names = self._names(class_)
            self._unpaused[class_] = {name for name in names if name in self._seats and self._seats[name].limit > 0}
        return self._unpaused[class_]
