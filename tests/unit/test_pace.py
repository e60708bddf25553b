"""How fast somebody may go: any history of asking against the limit as it is told."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.web.pace import Paces, Patience, Windows
from tests.variants import each

MOST, PERIOD_S = 3, 60.0
PAUSES = st.one_of(
    st.sampled_from([0.0, 1.0, 20.0, 59.999, 60.0, 60.001]), st.floats(0, 100, allow_nan=False, allow_subnormal=False)
)
STARTS = st.floats(0, 1e9, allow_nan=False, allow_subnormal=False)
HISTORIES = st.lists(st.tuples(PAUSES, st.sampled_from("ab")), max_size=60)


def clock(start: float, pauses: list[float]) -> list[float]:
    times = [start]
    for pause in pauses:
        times.append(times[-1] + pause)
    return times[1:]


@settings(deadline=None)
@given(STARTS, HISTORIES)
def test_never_more_than_the_limit_in_any_window(start: float, history: list[tuple[float, str]]) -> None:
    windows = Windows(MOST, PERIOD_S)
    times = clock(start, [pause for pause, _ in history])
    let_in: dict[str, list[float]] = {"a": [], "b": []}
    for now, (_, subject) in zip(times, history, strict=True):
        if not windows.take(subject, now):
            let_in[subject].append(now)
    for found in let_in.values():
        assert all(later >= earlier + PERIOD_S for earlier, later in zip(found, found[MOST:], strict=False))


@settings(deadline=None)
@given(STARTS, st.lists(PAUSES, max_size=60))
def test_nobody_is_refused_who_has_room(start: float, pauses: list[float]) -> None:
    windows = Windows(MOST, PERIOD_S)
    let_in: list[float] = []
    for now in clock(start, pauses):
        has_room = sum(now < one + PERIOD_S for one in let_in) < MOST
        assert (windows.take("a", now) == 0) is has_room
        let_in += [now] * has_room


@settings(deadline=None)
@given(STARTS, st.lists(PAUSES, max_size=60))
def test_whoever_waits_the_time_told_is_let_in(start: float, pauses: list[float]) -> None:
    windows, now = Windows(MOST, PERIOD_S), start
    for pause in pauses:
        now += pause
        wait_s = windows.take("a", now)
        assert 0 <= wait_s <= PERIOD_S * 1.000001
        if wait_s:
            now += wait_s
            assert windows.wait_s("a", now) == 0
            assert windows.take("a", now) == 0


@settings(deadline=None)
@given(STARTS, HISTORIES)
def test_a_look_takes_nothing_and_says_what_taking_would(start: float, history: list[tuple[float, str]]) -> None:
    looked_at, other = Windows(MOST, PERIOD_S), Windows(MOST, PERIOD_S)
    times = clock(start, [pause for pause, _ in history])
    for now, (_, subject) in zip(times, history, strict=True):
        looks = [looked_at.wait_s(subject, now) for _ in range(3)]
        assert looks == [looked_at.take(subject, now)] * 3 == [other.take(subject, now)] * 3


def test_a_minute_holds_as_many_as_told_and_a_bucket_twice_as_many() -> None:
    windows, bucket = Windows(200, 60.0), Paces(200 / 60, 200)
    times = [n / 10 for n in range(600)]
    assert sum(windows.take("a", now) == 0 for now in times) == 200
    assert sum(bucket.take("a", now) == 0 for now in times) > 380


def test_whose_window_is_over_is_forgotten() -> None:
    windows = Windows(MOST, PERIOD_S)
    for n in range(1000):
        windows.take(f"s{n}", n / 10)
    assert len(windows._free_at) == 600
    windows.take("late", 1000.0)
    assert list(windows._free_at) == ["late"]


def test_subjects_are_bounded_and_the_longest_away_goes_first() -> None:
    windows = Windows(1, PERIOD_S, subjects_most=100)
    for n in range(100):
        windows.take(f"s{n}", 0.0)
    assert windows.take("s0", 1.0)
    windows.take("one more", 1.0)
    assert len(windows._free_at) == 100
    assert windows.take("s0", 1.0) == 0, "it was the first, and is forgotten"
    assert windows.take("s99", 1.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30, allow_nan=False), st.integers(0, 10**7)), max_size=50))
def test_no_sender_is_waited_for_longer_than_their_bytes_are_worth(pieces: list[tuple[float, int]]) -> None:
    patience, waited_s, came = Patience(60.0, 1000.0), 0.0, 0
    for pause_s, number in pieces:
        if pause_s > patience.left_s:
            break
        waited_s, came = waited_s + pause_s, came + number
        patience.spend(pause_s, number)
        assert patience.left_s <= 60.0
    assert waited_s <= 60.0 + came / 1000.0 + 0.001


@each("bytes_s", [1000, 1500, 100_000])
def test_who_sends_fast_enough_is_waited_for_as_long_as_it_takes(bytes_s: int) -> None:
    patience = Patience(60.0, 1000.0)
    for _ in range(10_000):
        patience.spend(5.0, 5 * bytes_s)
        assert patience.left_s >= 55.0
