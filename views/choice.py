"""Why this agent? Pure: what a round recorded → who was considered at that very moment, and the policy in words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies import POLICIES


@dataclass(frozen=True)
class Considered:
    """One online agent at the moment of the pick, this round's earlier picks counted in. `fits`: the desk names them
    for rooms of this class, as last read."""

    agent: str
    load: int
    limit: int
    fits: bool
    chosen: bool

    @property
    def free(self) -> bool:
        return self.load < self.limit


def considered(decision: Any, named: Collection[str]) -> list[Considered]:
    """The chosen one first, then those with a free seat by their load. `named`: agents of the room's class."""
    rows = [_considered(row, decision, named) for row in decision.candidates]
    return sorted(rows, key=lambda c: (not c.chosen, not c.fits, not c.free, c.load, c.agent))


def _considered(row: dict[str, Any], decision: Any, named: Collection[str]) -> Considered:
    agent = str(row.get("agent", ""))
    chosen = agent == decision.agent
    load = int(row.get("load", 0)) + list(decision.earlier).count(agent)
    return Considered(agent, load, int(row.get("limit", 0)), chosen or agent in named, chosen)


def words(decision: Any, among: Sequence[Considered], crew: Mapping[str, int] | None = None) -> str:
    """The rule that picked, in one sentence. `crew`: how many agents there were, where not all were kept."""
    able = [c for c in among if c.free and c.fits]
    policy = POLICIES.get(decision.policy)
    head = f"{decision.policy}: {len(able)} of {len(among)} online agents had a free seat for it"
    if crew and crew["online"] > len(among):
        free = crew["online"] - crew["full"] - crew["paused"]
        head = f"{decision.policy}: {free} of {crew['online']} online agents had a free seat, the best of them are kept"
    return f"{head}; {policy.why(decision, able)}" if policy else head
