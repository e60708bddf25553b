"""What deciding and settling go by: the settings, and the bounds that are ours. Seconds are seconds."""

import random
from dataclasses import dataclass

from db.ledger import roster_s
from policies.policy import Policy

REFUSED_IN_ROW = 2  # rooms refused for an agent, with none given between, before they are left out
ALIKE_MOST_S = 15.0  # between two rooms that are tried while all agents of a class are refused alike
OUT_S = (10.0, 30.0, 120.0, 300.0)  # for so long, longer each time; then one room shows whether they are accepted again
TAKEN_MOST = 3  # "room taken" by nobody, before the same
ASIDE_S = 300.0  # until a room that was set aside gets one more try by itself
CIRCUIT_FAILURES = 5  # desk failures in a row, with no success between, that open the circuit
PAUSE_MOST_S = 30.0  # of a desk that fails
PARK_MOST_S = 4.0  # of one pair, while the desk answers others
PROBE_S = 15.0  # how long the answer to a probe is waited for before the next one; its answer ends the wait
UPSTREAM_ASK_S = 1.0  # between two candidates asked for, where the last one was full


@dataclass(frozen=True)
class Rules:
    """The settings that settling and deciding follow; seconds."""

    policy: Policy
    default_limit: int
    lag_s: float
    retry_s: float
    idle_s: float
    keep_days: int
    keep_chats_days: int = 0  # 0: for ever
    step_s: float = 0.0  # PostgreSQL's clock was stepped a moment ago: ages may be so much too great; see `clock`

    def surely_s(self, age_s: float) -> float:
        """How old by PostgreSQL's clock → how old at least."""
        return max(0.0, age_s - self.step_s)

    @property
    def roster_s(self) -> float:
        """How old a roster may be when a seat is given on its word."""
        return roster_s(self.lag_s)


def backoff_s(failures: int, most_s: float = PAUSE_MOST_S) -> float:
    """Half a second, doubling, with jitter: who failed together does not come back together."""
    return min(most_s, 0.5 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
