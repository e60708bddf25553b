"""What one decision asks for: seats reserved, looks, rosters, candidates; handed to the callers and to the caches."""

from dataclasses import dataclass, field
from typing import NamedTuple

from db.inbox import Cursor, Told
from worker.calls import LookAt

CALLS_MOST = 1000  # of one decision
LEASE_S = 30.0  # at least twice the longest desk call, so that a slow call is not taken for a dead one


class Reserved(NamedTuple):
    visit: int
    attempt: int
    room: str
    agent: str
    unclear_s: float | None = None


@dataclass(frozen=True)
class Question:
    """A class whose roster (or suggestion) has to be read. The desk names a roster for a room: `rooms` is the oldest of
    the class, or several where the desk has just been found not to know some."""

    class_: str
    rooms: tuple[str, ...]
    source: str

    @property
    def room(self) -> str:
        """The oldest."""
        return self.rooms[0]


@dataclass
class Decision:
    """What was decided, for the callers, the caches and the next ticket."""

    cursor: Cursor
    epoch: str = ""
    seen: str = "0-0"
    reserved: list[Reserved] = field(default_factory=list)
    looks: list[LookAt] = field(default_factory=list)
    rosters: list[Question] = field(default_factory=list)
    suggestions: list[Question] = field(default_factory=list)
    seats: dict[str, int] = field(default_factory=dict)  # open ones of the agents who got or lost a chat
    told: Told = field(default_factory=Told)
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
