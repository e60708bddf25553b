"""How often the truth lies inside what would have been told, over weeks that are made up."""

import heapq
import math
import random
from datetime import UTC, datetime, timedelta

from db.backtest import Seats, Stay, backtest
from tests.variants import each

START = datetime(2026, 1, 5, tzinfo=UTC)


def days_of(seed: int, seats: int, mean_s: float, varies: float, days: int = 2) -> tuple[list[Stay], list[Seats]]:
    """Customers come by chance, more of them at some hours than can be served; chats are lognormal."""
    luck = random.Random(seed)
    free, at = [0.0] * seats, 0.0
    came: list[tuple[float, float, float]] = []
    while at < days * 86_400:
        busy = 8 <= at % 86_400 / 3600 < 18
        at += luck.expovariate(seats / mean_s * (1.02 if busy else 0.2))
        begins = max(at, heapq.heappop(free))
        ends = begins + luck.lognormvariate(math.log(mean_s) - varies**2 / 2, varies)
        heapq.heappush(free, ends)
        came.append((at, begins, ends))
    marks = sorted([(begins, 1) for _, begins, _ in came] + [(ends, -1) for *_, ends in came])
    counted, taken, known = 0, 0, []
    for minute in range(days * 1440):
        while counted < len(marks) and marks[counted][0] < minute * 60:
            taken += marks[counted][1]
            counted += 1
        known.append(Seats(_at(minute * 60), taken, seats - taken))
    return [Stay(*map(_at, stay)) for stay in came], known


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@each(("seats", "mean_s", "varies"), [(20, 480.0, 0.8), (6, 480.0, 0.8), (10, 900.0, 0.5), (40, 300.0, 0.9)])
def test_about_four_of_five_customers_wait_as_long_as_they_are_told(seats: int, mean_s: float, varies: float) -> None:
    found = backtest(*days_of(seats, seats, mean_s, varies))
    assert found.told > 200 and found.within is not None
    assert 0.70 < found.within < 0.93, found


def test_nothing_is_said_of_times_when_nobody_knows_the_seats() -> None:
    stays, _ = days_of(1, 5, 300.0, 0.5, days=1)
    found = backtest(stays, [])
    assert (found.told, found.within, found.error_s) == (0, None, None) and found.served > 0


def test_each_visit_is_counted_for_the_progress_bar() -> None:
    seen: list[None] = []
    stays, seats = days_of(1, 5, 300.0, 0.5, days=1)
    backtest(stays, seats, lambda: seen.append(None))
    assert len(seen) == len(stays)
