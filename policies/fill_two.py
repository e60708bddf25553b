"""As `least_loaded`, but an agent without a chat gets two rooms in a row, also where the second comes later."""

from collections.abc import Sequence
from typing import Any

from policies import least_loaded
from policies.policy import Policy, Seats


def key(seats: Seats) -> tuple[float, ...]:
    return (-1.0, seats.idle_since_s) if seats.owed else least_loaded.key(seats)


def why(decision: Any, able: Sequence[Any]) -> str:
    owed = any(c.load == 0 and not c.chosen for c in able)
    if decision.load_before == 1 and (owed or list(decision.earlier)[-1:] == [decision.agent]):
        return f"{decision.agent} had no chat, so gets two in a row: this is the second"
    return least_loaded.why(decision, able)


POLICY = Policy("fill_two", key, why, rank="CASE WHEN owed AND load = 1 THEN -1 ELSE load END")
