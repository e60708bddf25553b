"""The agent whom the desk suggests, where they have a free seat. One whom the desk itself refuses is replaced by the
least loaded."""

from collections.abc import Sequence
from typing import Any

from policies import least_loaded
from policies.policy import Policy


def why(decision: Any, able: Sequence[Any]) -> str:
    return f"{decision.agent} is whom the desk named, and had a free seat"


POLICY = Policy("upstream", least_loaded.key, why, rank="load", asks_desk=True)
