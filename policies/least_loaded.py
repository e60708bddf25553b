"""The agent with the fewest chats; among equals the one who was served longest ago. The default."""

from collections.abc import Sequence
from typing import Any

from policies.policy import Policy, Seats


def key(seats: Seats) -> tuple[float, ...]:
    return (float(seats.load), seats.idle_since_s)


def why(decision: Any, able: Sequence[Any]) -> str:
    others = [c for c in able if not c.chosen]
    fewest = f"{decision.agent} had the fewest chats ({decision.load_before})"
    if any(c.load < decision.load_before for c in others):
        return f"{fewest} of those whom the desk named for it then"
    equal = sum(c.load == decision.load_before for c in others)
    return f"{fewest} and, of {equal + 1} with as few, was served longest ago" if equal else fewest


POLICY = Policy("least_loaded", key, why, rank="load")
