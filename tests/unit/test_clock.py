"""Has the database's clock been stepped? Held against a clock of ours that only rises."""

import pytest

from policies import POLICIES
from worker import clock
from worker.clock import BACK_S, Clock
from worker.rules import Rules

LAG_S = 5.0
RULES = Rules(POLICIES["least_loaded"], 2, LAG_S, 60, 60, 30)
UNIX_S = 1_800_000_000.0


class Times:
    """Our clock, and the database's, which may be stepped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours_s, self.ahead_s = 1000.0, UNIX_S
        self.clock = Clock()
        monkeypatch.setattr(clock.time, "monotonic", lambda: self.ours_s)

    def read(self, after_s: float = 0.0, took_s: float = 0.002, late: float = 0.5) -> Rules:
        """A transaction reads the clock; `late`: where in the time that it took."""
        self.ours_s += after_s
        began = self.ours_s
        self.ours_s += took_s
        return self.clock.held_against(RULES, began + took_s * late + self.ahead_s, began)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


def test_a_clock_that_goes_on_changes_nothing(times):
    for after_s, took_s, late in [
        (0, 0.001, 0),
        (0.1, 2.0, 1),
        (3, 0.5, 0),
        (600, 0.001, 1),
        (0, 30.0, 0.3),
        (9000, 1, 1),
    ]:
        assert times.read(after_s, took_s, late) is RULES


@pytest.mark.parametrize("step_s", [1.0, 45.0, 3600.0, 86400.0])
def test_for_a_lag_after_a_step_forward_nothing_is_older_than_it_surely_is(times, step_s):
    times.read()
    times.ahead_s += step_s
    rules = times.read(after_s=1)
    assert rules.surely_s(step_s + 0.5) <= 0.5, "settled half a second before the step"
    assert rules.surely_s(step_s + 60) > LAG_S, "settled a minute before"
    assert times.read(after_s=LAG_S - 0.1).surely_s(step_s + 0.5) <= 0.5
    assert times.read(after_s=1) is RULES


def test_for_a_lag_after_a_step_back_nothing_is_old(times):
    times.read()
    times.ahead_s -= 600
    assert times.read(after_s=1).surely_s(1e9) == 0.0, "an age of what seems to lie in the future"
    assert times.read(after_s=LAG_S + 0.1) is RULES


def test_steps_that_come_one_after_the_other_add_up(times):
    times.read()
    for _ in range(3):
        times.ahead_s += 100
        rules = times.read(after_s=0.5)
    assert 300 <= rules.step_s < 301
    times.ahead_s -= 300
    assert times.read().step_s >= BACK_S


def test_a_clock_that_is_set_right_slowly_is_not_stepped(times):
    times.read()
    for _ in range(1000):
        times.ahead_s += 0.0005
        assert times.read(after_s=1) is RULES


def test_a_process_that_was_frozen_in_between_errs_towards_young(times):
    times.read()
    times.read(took_s=20, late=0)
    times.ahead_s += 3600
    assert times.read(took_s=0.001).surely_s(3600.5) <= 0.5
