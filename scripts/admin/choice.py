"""Why this agent? Pure: what a round recorded → who was considered at that very moment, and the policy in words."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    rule = _RULES.get(decision.policy)
    head = f"{decision.policy}: {len(able)} of {len(among)} online agents had a free seat for it"
    if crew and crew["online"] > len(among):
        free = crew["online"] - crew["full"] - crew["paused"]
        head = f"{decision.policy}: {free} of {crew['online']} online agents had a free seat, the best of them are kept"
    return f"{head}; {rule(decision, able)}" if rule else head


def _least_loaded(decision: Any, able: Iterable[Considered]) -> str:
    others = [c for c in able if not c.chosen]
    fewest = f"{decision.agent} had the fewest chats ({decision.load_before})"
    if any(c.load < decision.load_before for c in others):
        return f"{fewest} of those whom the desk named for it then"
    equal = sum(c.load == decision.load_before for c in others)
    return f"{fewest} and, of {equal + 1} with as few, was served longest ago" if equal else fewest


def _fill_two(decision: Any, able: Iterable[Considered]) -> str:
    owed = any(c.load == 0 and not c.chosen for c in able)
    if decision.load_before == 1 and (owed or list(decision.earlier)[-1:] == [decision.agent]):
        return f"{decision.agent} had no chat, so gets two in a row: this is the second"
    return _least_loaded(decision, able)


def _round_robin(decision: Any, able: Iterable[Considered]) -> str:
    return f"{decision.agent} was served longest ago"


def _upstream(decision: Any, able: Iterable[Considered]) -> str:
    return f"{decision.agent} is whom the desk named, and had a free seat"


_RULES = {
    "least_loaded": _least_loaded,
    "fill_two": _fill_two,
    "round_robin": _round_robin,
    "upstream": _upstream,
}
