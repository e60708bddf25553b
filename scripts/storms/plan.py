"""What a storm will do and when, from its seed alone: the same seed, seconds and acts make the same plan. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from scripts.storms.acts import ACTS

GAP_S = (0.2, 1.5)  # between the begins of two acts
REST_S = 2.0  # before what an act had to itself is used again
LAST_END_S = 1.0  # all acts are over so long before the storm is
BURST = (0.05, 0.5)  # share of the customers who come at once at the beginning
GROUP_GAP_S = 0.8  # on average, between two groups of the others
NEIGHBOUR_GAP_S = (0.2, 0.8)  # between two customers of the second tenant


@dataclass(frozen=True)
class Step:
    """One deed at one moment. `number`: of its act in this plan; 0 belongs to the customers who simply come."""

    at_s: float
    number: int
    act: str
    deed: str
    how: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(seed: int, seconds: float, names: Sequence[str], rooms: int) -> list[Step]:
    """By time. Customers are drawn apart from the acts: fewer acts leave them as they are."""
    steps = [
        *_acts(Random(f"acts {seed}"), seconds, sorted(names)),
        *_customers(Random(f"rooms {seed}"), seconds, rooms),
    ]
    return sorted(steps, key=lambda step: step.at_s)


def chat_s(seed: int) -> float:
    """How much longer than a second a chat of the first tenant may be. Short ones move the line, long ones stand above
    limits for long."""
    return Random(f"chats {seed}").choice((1.0, 4.0, 12.0))


def _acts(chance: Random, seconds: float, names: Sequence[str]) -> list[Step]:
    steps: list[Step] = []
    busy: dict[str, float] = {}
    at_s, number = 0.5, 0
    while at_s < seconds - LAST_END_S:
        free = [name for name in names if busy.get(ACTS[name].uses or "", 0) <= at_s]
        if free:
            name, number = chance.choice(free), number + 1
            parts = ACTS[name].script(chance, seconds - LAST_END_S - at_s)
            steps += [Step(round(at_s + after_s, 2), number, name, deed, how) for after_s, deed, how in parts]
            if uses := ACTS[name].uses:
                busy[uses] = steps[-1].at_s + REST_S
        at_s += chance.uniform(*GAP_S)
    return steps


def _customers(chance: Random, seconds: float, rooms: int) -> list[Step]:
    """Some as a burst, the others in small groups all through the storm; beside them those of the second tenant."""
    burst = max(1, int(rooms * chance.uniform(*BURST)))
    times = sorted(round(chance.uniform(0.5, seconds), 2) for _ in range(max(1, int(seconds / GROUP_GAP_S))))
    shares = [chance.random() for _ in times]
    counts = [round((rooms - burst) * share / sum(shares)) for share in shares]
    steps = [Step(0.0, 0, "", "customers", {"count": burst})]
    steps += [Step(at_s, 0, "", "customers", {"count": n}) for at_s, n in zip(times, counts, strict=True) if n]
    at_s = 0.3
    while at_s < seconds:
        steps.append(Step(round(at_s, 2), 0, "", "a neighbour's customer"))
        at_s += chance.uniform(*NEIGHBOUR_GAP_S)
    return steps
