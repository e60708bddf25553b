"""By what a decision is made, and what it asks the callers for: pairs to finish, looks, rosters, candidates."""

from collections.abc import Collection
from dataclasses import dataclass, field

from routing.model import Agents
from worker.calls import LookAt, Pair
from worker.rules import Rules

CALLS_MOST = 1000  # of one decision
LEASE_S = 30.0  # at least twice the longest desk call, so that a slow call is not taken for a dead one


@dataclass(frozen=True)
class Terms:
    """owner         the worker
    free_callers  how many calls the pool would take
    due           look also for what time alone has brought: pauses that are over, abandoned reservations, looks
    gone          workers whose lock has been free for a while; None where this moment's locks are to be believed
    """

    rules: Rules
    owner: int
    free_callers: int
    due: bool = True
    gone: Collection[int] | None = None


@dataclass(frozen=True)
class Question:
    """A class whose roster (or suggestion) has to be read. The desk names a roster for a room: `rooms` is the oldest of
    the class, or several where the desk has just been found not to know some."""

    class_: str
    rooms: tuple[str, ...]
    source: str
    who: Agents | None = None  # of a queue of the rules; None: whom the desk names for the room
    channel: str = ""

    @property
    def room(self) -> str:
        """The oldest."""
        return self.rooms[0]


@dataclass
class Decision:
    reserved: list[Pair] = field(default_factory=list)
    looks: list[LookAt] = field(default_factory=list)
    rosters: list[Question] = field(default_factory=list)
    suggestions: list[Question] = field(default_factory=list)
    more: bool = False
    cut: bool = False  # the callers' queue was full: the line is to be looked at again when calls have ended
    most_calls: int = CALLS_MOST

    @property
    def calls(self) -> int:
        """Desk calls that this decision asks for."""
        rosters = sum(len(question.rooms) for question in self.rosters)
        return len(self.reserved) + len(self.looks) + rosters + len(self.suggestions)

    @property
    def calls_left(self) -> int:
        return self.most_calls - self.calls
