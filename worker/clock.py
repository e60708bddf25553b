"""Has PostgreSQL's clock been stepped a moment ago? Then nothing is taken for older than it surely is (H18).

Beside `decide` and `settle`: each transaction of a tenant reads that clock, and it is held against this process's own,
which only rises.
"""

import math
import threading
import time
from dataclasses import replace

from worker.rules import Rules

BACK_S = 2e9  # more than seconds_since() says of what seems to lie in the future: nothing is old
SLACK_S = 0.2  # between the two clocks, for whatever is no step
SLEW = 0.001  # how fast a clock that is being set right may run away from ours


class Clock:
    """Of one process, for all its threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._least, self._most, self._seen_at = -math.inf, math.inf, time.monotonic()  # the database's minus ours
        self._steps: list[tuple[float, float]] = []  # when each was noticed, and its seconds

    def held_against(self, rules: Rules, now_s: float, began: float) -> Rules:
        """The rules to judge ages by in a transaction: for the desk's lag after a step they say by how much an age may
        be too great. `now_s`: the database's unix time, read since `began` (this process's monotonic clock)."""
        step_s = self._step_s(now_s, began, rules.lag_s)
        return replace(rules, step_s=step_s) if step_s else rules

    def _step_s(self, now_s: float, began: float, lag_s: float) -> float:
        ended = time.monotonic()
        with self._turn:
            self._compare(now_s - ended, now_s - began, ended)
            self._steps = [(at, step) for at, step in self._steps if ended - at <= lag_s]
            return sum(step for _, step in self._steps)

    def _compare(self, least: float, most: float, at: float) -> None:
        slack = SLACK_S + SLEW * (at - self._seen_at)
        if least > self._most + slack:
            self._steps.append((at, most - self._least))
        elif most < self._least - slack:
            self._steps.append((at, BACK_S))
        else:  # the same offset: the closest of what is known of it
            least, most = max(least, self._least - slack), min(most, self._most + slack)
        self._least, self._most, self._seen_at = least, most, at
