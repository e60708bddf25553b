"""The expected wait: what is said of a place, of the seats, and of how long chats take."""

import random

from hypothesis import given
from hypothesis import strategies as st

from db.waits import CLOSINGS_LEAST, LENGTH_OF_MEDIAN, Pace, Wait, steady, wait
from tests.variants import each

MEDIAN_S = 300.0


def pace(online=5, seats=10, free=0, closings=50, median_s: float | None = MEDIAN_S) -> Pace:
    return Pace(online, seats, free, closings, median_s)


def test_whoever_has_a_seat_free_for_them_waits_for_nobody():
    assert wait(1, pace(free=1)) == wait(3, pace(free=3)) == Wait(0, 0, 0)
    assert wait(2, pace(free=1, closings=0, median_s=None)) is None


@each(
    "unknown",
    [
        pace(online=0, free=3),
        pace(closings=CLOSINGS_LEAST - 1),
        pace(closings=0, median_s=None),
        pace(seats=0),
    ],
)
def test_nothing_is_said_where_nobody_knows(unknown):
    assert wait(1, unknown) is None


@given(st.integers(1, 5000), st.integers(1, 2000), st.floats(0, 1e6))
def test_a_place_further_back_waits_longer_and_more_seats_make_it_shorter(place, seats, median_s):
    here, next_one = (
        wait(place, pace(seats=seats, median_s=median_s)),
        wait(place + 1, pace(seats=seats, median_s=median_s)),
    )
    more = wait(place, pace(seats=seats + 1, median_s=median_s))
    assert here and next_one and more
    assert 0 <= here.low <= here.about <= here.high
    assert all(mine <= theirs for mine, theirs in zip(here, next_one, strict=True))
    assert all(mine >= theirs for mine, theirs in zip(here, more, strict=True))


@each(("place", "seats"), [(1, 1), (1, 8), (3, 2), (10, 4), (60, 20)])
def test_four_of_five_waits_end_within_the_range(place, seats):
    """Chats as they are: each ends by chance, whenever it began."""
    luck = random.Random(place * 100 + seats)
    mean_s = MEDIAN_S * LENGTH_OF_MEDIAN
    said = wait(place, pace(seats=seats))
    assert said
    inside = 0
    for _ in range(4000):
        took_s = sum(luck.expovariate(seats / mean_s) for _ in range(place))
        inside += said.low <= took_s <= said.high
    assert 0.75 < inside / 4000 < 0.85


waits = st.tuples(*[st.integers(0, 10_000)] * 3).map(lambda found: Wait(*sorted(found)))


@given(st.lists(st.none() | waits, min_size=1, max_size=20))
def test_what_is_told_of_a_place_that_stands_never_rises_and_is_not_taken_back(found):
    told: list[Wait | None] = []
    for now in found:
        told.append(steady(told[-1] if told else None, now))
    said = [one for one in told if one]
    assert all(
        later <= former
        for one, two in zip(said, said[1:], strict=False)
        for former, later in zip(one, two, strict=True)
    )
    assert told[len(told) - len(said) :] == said
    assert all(one.low <= one.about <= one.high for one in said)
