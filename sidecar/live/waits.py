"""How long will a customer wait? Pure: a place, the seats, and how long chats take → a range.

Each of the seats is free again after a chat's length, so the line moves by one every length / seats. Which moment that
is, is chance: the wait for `n` seats to be free is spread like the sum of `n` chances (a gamma distribution), and the
range is where four of five such waits end. Before: `positions`, which reads the figures; after: the pages.
"""

import math
from typing import NamedTuple

CLOSINGS_LEAST = 10  # ended chats before anything is said
LENGTH_OF_MEDIAN = 1 / math.log(2)  # the mean of what is spread as chance; a chat forgotten overnight moves no median
FOUR_OF_FIVE = 1.2816  # standard deviations to either side


class Pace(NamedTuple):
    """Of a tenant's agents who are given chats now, and of the chats that ended lately.

    seats     chats that they may have together; `free` of them are not taken
    closings  how many chats ended; `median_s`: how long they took, half of them less
    """

    online: int
    seats: int
    free: int
    closings: int
    median_s: float | None


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
    if not pace.seats or pace.median_s is None or pace.closings < CLOSINGS_LEAST:
        return None
    each_s = pace.median_s * LENGTH_OF_MEDIAN / pace.seats
    low, high = (_share(ahead, deviations) * each_s for deviations in (-FOUR_OF_FIVE, FOUR_OF_FIVE))
    return Wait(math.floor(low), math.ceil(ahead * each_s), math.ceil(high))


def _share(n: int, deviations: float) -> float:
    """The sum of `n` chances of mean 1 at so many deviations (Wilson and Hilferty, 1931)."""
    return n * (1 - 1 / (9 * n) + deviations * math.sqrt(1 / (9 * n))) ** 3


def steady(before: Wait | None, now: Wait | None) -> Wait | None:
    """What is told while the place stands: it never rises, and what was said stays said."""
    if before is None or now is None:
        return before or now
    return Wait(*map(min, before, now))
