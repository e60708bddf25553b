"""The agent who was served longest ago, whatever they have."""

from collections.abc import Sequence
from typing import Any

from policies.policy import Policy, Seats


def key(seats: Seats) -> tuple[float, ...]:
    return (seats.idle_since_s,)


def why(decision: Any, able: Sequence[Any]) -> str:
    return f"{decision.agent} was served longest ago"


POLICY = Policy("round_robin", key, why)
