"""The expected wait: what is said of a place, of the seats, and of how long chats take."""

import random

from hypothesis import given
from hypothesis import strategies as st

from db.waits import CLOSINGS_LEAST, LONGEST_OF_MEDIAN, Pace, Wait, steady, wait
from tests.variants import each

EACH_S = 300.0


def pace(online=5, seats=10, free=0, closings=50, each_s: float = EACH_S) -> Pace:
    return Pace(online, seats, free, (each_s,) * closings)


def test_whoever_has_a_seat_free_for_them_waits_for_nobody():
    assert wait(1, pace(free=1)) == wait(3, pace(free=3)) == Wait(0, 0, 0)
    assert wait(2, pace(free=1, closings=0)) is None


@each(
    "unknown",
    [
        pace(online=0, free=3),
        pace(closings=CLOSINGS_LEAST - 1),
        pace(closings=0),
        pace(seats=0),
    ],
)
def test_nothing_is_said_where_nobody_knows(unknown):
    assert wait(1, unknown) is None


@given(st.integers(1, 5000), st.integers(1, 2000), st.floats(0, 1e6))
def test_a_place_further_back_waits_longer_and_more_seats_make_it_shorter(place, seats, each_s):
    here, next_one = (
        wait(place, pace(seats=seats, each_s=each_s)),
        wait(place + 1, pace(seats=seats, each_s=each_s)),
    )
    more = wait(place, pace(seats=seats + 1, each_s=each_s))
    assert here and next_one and more
    assert 0 <= here.low <= here.about <= here.high
    assert all(mine <= theirs for mine, theirs in zip(here, next_one, strict=True))
    assert all(mine >= theirs for mine, theirs in zip(here, more, strict=True))


@each(("place", "seats"), [(1, 1), (1, 8), (3, 2), (10, 4), (60, 20)])
def test_four_of_five_waits_end_within_the_range(place, seats):
    """Chats as they are: each ends by chance, whenever it began; and nobody knows more of them than the last fifty."""
    luck = random.Random(place * 100 + seats)
    inside = 0
    for _ in range(1500):
        said = wait(place, Pace(1, seats, 0, tuple(luck.expovariate(1 / EACH_S) for _ in range(50))))
        took_s = sum(luck.expovariate(seats / EACH_S) for _ in range(place))
        assert said
        inside += said.low <= took_s <= said.high
    assert 0.74 < inside / 1500 < 0.88


def test_a_chat_that_was_forgotten_overnight_moves_little():
    usual, forgotten = pace(), Pace(5, 10, 0, (EACH_S,) * 49 + (86_400.0,))
    before, after = wait(5, usual), wait(5, forgotten)
    assert before and after
    assert after.about <= before.about * (1 + LONGEST_OF_MEDIAN / 50)


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
