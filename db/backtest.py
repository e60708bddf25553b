"""How often was the truth inside what would have been told? Pure: visits and seats of a time → a figure.

Each visit that waited is put back to the moment of its arrival: who waited before it, how many seats there were, how
long the last chats had taken. What `waits.wait` says of that is held against how long it really waited.
"""

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from db.waits import Pace, wait

CLOSINGS_KEPT = 50  # as in `last_lengths`
AT_ONCE_S = 5.0  # who waits for less did not wait


class Stay(NamedTuple):
    """One visit. `settled` None: no agent ever had it; `closed` None: it is not over."""

    opened: datetime
    settled: datetime | None
    closed: datetime | None


class Seats(NamedTuple):
    """Of the agents online, from this moment on."""

    at: datetime
    taken: int
    free: int


class Result(NamedTuple):
    """told      visits that would have been told a range; `served`: all that waited and were served
    within    share of the told whose wait was inside; None: nobody was told
    error_s   mean difference of the wait from the figure in the middle
    """

    served: int
    told: int
    within: float | None
    error_s: float | None


def backtest(stays: Sequence[Stay], seats: Sequence[Seats], seen: Callable[[], None] = lambda: None) -> Result:
    """`stays` by `opened`, `seats` by `at`; `seen`: called for each visit, for a progress bar."""
    inside, errors, served = 0, 0.0, 0
    told = 0
    waiting: list[datetime] = []  # when those before leave the queue
    ended = _Ended(stays)
    moments = [each.at for each in seats]
    for stay in stays:
        seen()
        while waiting and waiting[0] <= stay.opened:
            heapq.heappop(waiting)
        place = len(waiting) + 1
        left = stay.settled or stay.closed
        if left is not None:
            heapq.heappush(waiting, left)
        if stay.settled is None or (waited_s := (stay.settled - stay.opened).total_seconds()) < AT_ONCE_S:
            continue
        served += 1
        known = bisect_right(moments, stay.opened) - 1
        if known < 0:
            continue
        now = seats[known]
        pace = Pace(min(1, now.taken + now.free), now.taken + now.free, now.free, ended.until(stay.opened))
        found = wait(place, pace)
        if found is None or not found.high:
            continue
        told += 1
        inside += found.low <= waited_s <= found.high
        errors += abs(found.about - waited_s)
    return Result(served, told, inside / told if told else None, errors / told if told else None)


class _Ended:
    """The last chats that had ended, at moments that only rise."""

    def __init__(self, stays: Sequence[Stay]) -> None:
        over = [(one.closed, (one.closed - one.settled).total_seconds()) for one in stays if one.closed and one.settled]
        self._coming = deque(sorted(over))
        self._lately: deque[float] = deque(maxlen=CLOSINGS_KEPT)

    def until(self, at: datetime) -> tuple[float, ...]:
        while self._coming and self._coming[0][0] <= at:
            self._lately.append(max(0.0, self._coming.popleft()[1]))
        return tuple(self._lately)
