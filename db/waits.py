"""How long will a customer wait? Pure: a place, the seats, and how long chats take → a range.

Each of the seats is free again after a chat's length, so the queue moves by one every length / seats. Which moment that
is, is chance: chats differ, and only the last fifty say how long the next ones will be. The range is where four of five
waits end; `giliran eta --backtest` tells how often that was so. Before: whoever
reads the figures; after: pages, and messages to who waits.
"""

import math
from functools import lru_cache
from statistics import fmean, median, pstdev
from typing import NamedTuple

CLOSINGS_LEAST = 10  # ended chats before anything is said
LONGEST_OF_MEDIAN = 15  # a chat that was forgotten overnight counts as so many times the median
FOUR_OF_FIVE = 1.2816  # standard deviations to either side


class Pace(NamedTuple):
    """Of a tenant's agents who are given chats now, and of the chats that ended lately.

    seats    chats that they may have together; `free` of them are not taken
    lengths  seconds, of the last chats that ended
    """

    online: int
    seats: int
    free: int
    lengths: tuple[float, ...]


class Wait(NamedTuple):
    """Seconds from now; four of five wait between `low` and `high`."""

    low: int
    about: int
    high: int


def wait(place: int, pace: Pace) -> Wait | None:
    """None where nobody knows: nobody is there, or too few chats have ended."""
    if pace.online == 0:
        return None
    ahead = place - pace.free
    if ahead <= 0:
        return Wait(0, 0, 0)
    if not pace.seats or len(pace.lengths) < CLOSINGS_LEAST:
        return None
    mean_s, varies = _chats(pace.lengths)
    about_s = ahead * mean_s / pace.seats
    # Many seats are free as by chance; one after the other as evenly as the chats are long.
    evenly = (pace.seats + ahead * varies**2) / (pace.seats + ahead)
    spread = evenly / ahead + varies**2 / len(pace.lengths)  # the variance, in squares of the mean
    low, high = (about_s * _share(spread, deviations) for deviations in (-FOUR_OF_FIVE, FOUR_OF_FIVE))
    return Wait(math.floor(low), math.ceil(about_s), math.ceil(high))


@lru_cache(maxsize=256)
def _chats(lengths: tuple[float, ...]) -> tuple[float, float]:
    """Their mean, and how much they differ, in means."""
    longest = LONGEST_OF_MEDIAN * median(lengths)
    counted = [min(length, longest) for length in lengths]
    mean = fmean(counted)
    return mean, pstdev(counted, mean) / mean if mean else 0.0


def _share(spread: float, deviations: float) -> float:
    """A gamma distribution of mean 1 and this variance, so many deviations away (Wilson and Hilferty, 1931)."""
    return float(max(0.0, 1 - spread / 9 + deviations * math.sqrt(spread / 9)) ** 3)


def standing(expected: Wait | None) -> Wait | None:
    """Of a room that waits, though a seat is free for it: it is given in a moment, or it is not for this room. Nothing
    is said of it, as what was said has to stay."""
    return None if expected is not None and expected.high == 0 else expected


def steady(before: Wait | None, now: Wait | None) -> Wait | None:
    """What is told while the place stands: it never rises, and what was said stays said."""
    if before is None or now is None:
        return before or now
    return Wait(*map(min, before, now))
