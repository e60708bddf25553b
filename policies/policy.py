"""What a policy is: how the agents who may serve a room are ordered, and how that is told. Pure; the table is in
`__init__.py`, one module beside this for each policy.

Line, limits, eligible agents and refusals are the same under all policies: none of them can give a seat that there is
not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

LIMIT_MAX = 1000  # chats for one agent; 0 pauses


class Seats(NamedTuple):
    """What an agent can take. `load` counts our open seats and the desk's others; `limit` 0 pauses."""

    agent: str
    load: int
    limit: int
    idle_since_s: float = 0.0  # unix seconds, as the policy's `since` reads it; 0: never
    owed: bool = False  # their only chat is a first one

    @property
    def free(self) -> int:
        return max(0, self.limit - self.load)


@dataclass(frozen=True)
class Policy:
    """The agent with the smallest key is picked; among equals the one with the smaller id.

    key        the order, of agents in memory: whoever is given a room comes later than before, or as early
    rank       the first part of the same order in SQL, over the columns of `agents`; `since` is the second part
    since      when the agent became idle, in SQL: a timestamp, '-infinity' for never
    join       what `since` needs beside the table `agents a`
    why        the rule that picked, in words: from a decision and the agents who were able to serve, as `giliran why`
               has them (`scripts/admin/choice.py`)
    asks_desk  the desk names a candidate, who goes first
    """

    name: str
    key: Callable[[Seats], tuple[float, ...]]
    why: Callable[[Any, Sequence[Any]], str]
    rank: str = "0"
    since: str = "last_assigned_at"
    join: str = ""
    asks_desk: bool = False
