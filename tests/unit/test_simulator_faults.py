"""The simulator's switches: what they accept, and what they decide with a given random generator."""

from random import Random

import pytest

from scripts.simulator.faults import FAIL_KINDS, BadSwitch, Faults, as_json, changed
from tests.variants import each


@each(
    "given",
    [
        {"no_such": 1},
        {"fail_p": 2},
        {"fail_p": True},
        {"fail_kinds": []},
        {"fail_kinds": ["teapot"]},
        {"fail_on": ["everything"]},
        {"fail_rooms": {"1": 500}},
        {"fail_agents": {"1": 200}},
        {"hang_assign_kinds": ["late", "later"]},
        {"webhook_copies": 1.5},
        {"bare_array": 1},
        {"seed": "x"},
        [],
    ],
)
def test_nonsense_is_refused(given):
    with pytest.raises(BadSwitch):
        changed(Faults(), given)


def test_moved_switches_leave_the_others():
    faults = changed(changed(Faults(), {"latency_ms": 20}), {"fail_rooms": ["7"], "count_lag_s": 3})
    assert (faults.latency_ms, faults.fail_rooms, faults.count_lag_s) == (20, {"7": 400}, 3)


def test_all_switches_can_be_read_and_written_back():
    assert changed(Faults(), as_json(Faults())) == Faults()


def test_a_seed_repeats_the_failures():
    faults = Faults(fail_p=0.5, fail_kinds=FAIL_KINDS)
    runs = [[faults.draw(random, "assign") for _ in range(50)] for random in (Random(7), Random(7))]
    assert runs[0] == runs[1]
    assert None in runs[0] and len(set(runs[0])) > 5


def test_failures_can_be_kept_to_some_endpoints():
    faults = Faults(fail_p=1, fail_on=("assign",))
    assert (faults.draw(Random(1), "roster"), faults.draw(Random(1), "assign")) == (None, "500")


def test_copies_come_within_the_gap():
    first, second = Faults(webhook_copies=2, webhook_copy_gap_s=1).deliveries(Random(1))
    assert first == 0 and 0 <= second <= 1


def test_a_certain_drop_delivers_nothing():
    assert Faults(webhook_drop_p=1, webhook_copies=2).deliveries(Random(1)) == []
