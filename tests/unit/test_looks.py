"""What a look at the desk means, for every state of a visit, reading, first witness and age."""

import itertools

import pytest

from tests.variants import each
from worker.calls import LookAt, Seen
from worker.looks import LOOKS_MOST, UNKNOWN_MOST, judge

LAG = 5.0
FRESH, OLD = 2.0, 60.0


def judged(state, what, agents=(), suspect=None, age_s=OLD, looks=0, lag_s=LAG):
    agent = None if state == "waiting" else "1"
    return judge(Seen(LookAt(7, 1, "r", state, agent, suspect, looks, age_s), what, tuple(agents)), lag_s)


@each(
    ("state", "what", "agents"),
    [
        ("waiting", "waiting", []),
        ("reserved", "waiting", []),
        ("reserved", "served", ["1"]),
        ("reserved", "served", ["2"]),
        ("reserved", "served", []),
        ("held", "served", ["1"]),
        ("held", "served", ["2", "1"]),
        ("reserved", "unknown", []),
        ("held", "served", []),
    ],
)
@each("suspect", [None, "moved:2", "hidden"])
@each("age_s", [FRESH, OLD])
def test_a_desk_that_agrees_with_the_ledger_changes_nothing(state, what, agents, suspect, age_s):
    assert judged(state, what, agents, suspect, age_s).what == "fine"


@each("suspect", [None, "resolved"])
@each("looks", [0, 1])
def test_a_late_desk_that_may_mean_the_stay_before_is_asked_again(suspect, looks):
    """The room waited, was served, was resolved and waits again, all within the lag."""
    about = LookAt(7, 1, "r", "waiting", None, suspect, looks, 0.1, waited_s=1.5)
    found = judge(Seen(about, "waiting"), LAG)
    assert (found.what, found.suspect, found.wait_s, found.counts) == ("again", suspect, 3.5, False)


@each("waited_s", [None, LAG, 60.0])
def test_a_stay_before_that_waited_longer_ago_than_the_lag_is_not_meant(waited_s):
    about = LookAt(7, 1, "r", "waiting", None, None, 0, 0.1, waited_s=waited_s)
    assert judge(Seen(about, "waiting"), LAG).what == "fine"


NEWS = [
    ("waiting", "resolved", [], "resolved", "close", None),
    ("waiting", "served", ["2"], "moved:2", "adopt", "2"),
    ("reserved", "resolved", [], "resolved", "close", None),
    ("held", "resolved", [], "resolved", "close", None),
    ("held", "waiting", [], "waiting", "release", None),
    ("held", "served", ["2"], "moved:2", "adopt", "2"),
]


@each(("state", "what", "agents", "reading", "verdict", "agent"), NEWS)
@each("age_s", [0.0, FRESH, OLD])
def test_one_look_alone_is_never_believed(state, what, agents, reading, verdict, agent, age_s):
    found = judged(state, what, agents, suspect=None, age_s=age_s)
    assert (found.what, found.suspect, found.wait_s) == ("again", reading, LAG)


@each(("state", "what", "agents", "reading", "verdict", "agent"), NEWS)
def test_the_same_news_twice_is_believed(state, what, agents, reading, verdict, agent):
    """The first witness was a look a lag ago, or a webhook."""
    found = judged(state, what, agents, suspect=reading)
    assert (found.what, found.agent) == (verdict, agent)
    assert found.why


@each(("state", "what", "agents", "reading", "verdict", "agent"), NEWS)
@each("age_s", [0.0, FRESH, 4.999])
def test_news_of_a_visit_that_just_changed_waits_for_the_lag(state, what, agents, reading, verdict, agent, age_s):
    """The desk may still speak of the time before the change."""
    found = judged(state, what, agents, suspect=reading, age_s=age_s)
    assert (found.what, found.suspect) == ("again", reading)
    assert age_s + found.wait_s == pytest.approx(LAG)


@each(("state", "what", "agents", "reading", "verdict", "agent"), NEWS)
@each("suspect", ["resolved", "waiting", "moved:2", "moved:3", "hidden"])
def test_two_witnesses_who_disagree_prove_nothing(state, what, agents, reading, verdict, agent, suspect):
    if suspect != reading:
        found = judged(state, what, agents, suspect=suspect)
        assert (found.what, found.suspect, found.wait_s) == ("again", reading, LAG)


def test_a_room_that_is_served_by_nobody_the_desk_names_is_set_aside_after_some_looks():
    first = judged("waiting", "served")
    second = judged("waiting", "served", suspect="hidden", looks=1)
    third = judged("waiting", "served", suspect="hidden", looks=LOOKS_MOST - 1)
    assert [first.what, second.what, third.what] == ["again", "again", "aside"]
    assert min(first.wait_s, second.wait_s) > 0


@each("state", ["waiting", "held"])
def test_a_room_that_the_desk_does_not_know_is_closed_after_some_looks_further_and_further_apart(state):
    found = [judged(state, "unknown", suspect="resolved", looks=n) for n in range(UNKNOWN_MOST)]
    assert [verdict.what for verdict in found] == ["again"] * (UNKNOWN_MOST - 1) + ["forget"]
    assert {verdict.suspect for verdict in found[:-1]} == {"resolved"}, "what a webhook said is kept"
    waits = [verdict.wait_s for verdict in found[:-1]]
    assert waits == sorted(set(waits)) and waits[0] == LAG
    assert judged(state, "unknown").suspect == "unknown"
    assert judged(state, "unknown", lag_s=60.0, looks=3).wait_s == 60.0, "further ahead it would be due at once"


@each("state", ["waiting", "reserved", "held"])
@each("looks", [0, 1, 5, 1000])
def test_trouble_keeps_what_was_suspected_and_does_not_count_as_a_look(state, looks):
    found = judged(state, "trouble", suspect="moved:2", looks=looks)
    assert (found.what, found.suspect) == ("again", "moved:2")
    assert found.wait_s > 0 and not found.counts


def everything():
    suspects = [None, "resolved", "waiting", "moved:1", "moved:2", "hidden", "what nobody wrote"]
    readings = [("waiting", ()), ("resolved", ()), ("unknown", ()), ("trouble", ())]
    readings += [("served", agents) for agents in ((), ("1",), ("2",), ("2", "1"), ("", "moved:"))]
    ages = [-1.0, 0.0, LAG, OLD]
    return itertools.product(["waiting", "reserved", "held"], readings, suspects, ages, [0, 1, 2, 50])


def test_no_combination_raises_loops_or_touches_a_seat_lightly():
    seen = set()
    for state, (what, agents), suspect, age_s, looks in everything():
        found = judged(state, what, agents, suspect, age_s, looks)
        seen.add((state, found.what))
        if found.what == "again":
            assert found.wait_s > 0
        if found.what == "adopt":
            assert found.agent in agents
        if found.what in ("close", "release", "adopt"):
            assert suspect is not None
            assert age_s >= LAG
        if found.what == "release":
            assert state == "held"
    assert {what for state, what in seen if state == "reserved"} == {"fine", "again", "close"}
    assert {what for state, what in seen if state == "held"} == {"fine", "again", "close", "forget", "release", "adopt"}
    assert {what for state, what in seen if state == "waiting"} == {
        "fine",
        "again",
        "close",
        "adopt",
        "aside",
        "forget",
    }


# What the rules get wrong


@each("state", ["waiting", "held"])
def test_the_same_agents_in_another_order_are_the_same_news(state):
    first = judged(state, "served", ["2", "3"])
    assert judged(state, "served", ["3", "2"], suspect=first.suspect).what == "adopt"


@each(("state", "what", "agents"), [("held", "served", ["1"]), ("waiting", "waiting", [])])
def test_a_webhooks_resolve_is_not_dismissed_by_one_reading_that_may_be_older(state, what, agents):
    """The first look comes milliseconds after the webhook; the desk may speak of a lag ago."""
    assert judged(state, what, agents, suspect="resolved", looks=0).what == "again"


def test_a_desk_in_trouble_does_not_bring_a_room_nearer_to_being_set_aside():
    """Two timeouts, then the first word about the room itself."""
    looks = 0
    for _ in range(2):
        failed = judged("waiting", "trouble", looks=looks)
        assert failed.what == "again"
        looks += int(failed.counts)
    assert judged("waiting", "unknown", looks=looks).what == "again"
