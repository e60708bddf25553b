"""What a caller does at the desk, step by step: the outcome table, with a desk that plays a written part."""

import time
from types import SimpleNamespace

import pytest

from tests.variants import each
from worker import calls, rules, settle
from worker.calls import Held, LookAt, Over, Pair, Parked, Refused
from worker.desk.base import (
    CALL_SECONDS,
    Assigned,
    DeskError,
    DeskTrouble,
    RoomRefused,
    RoomTaken,
    RoomView,
    RosterAgent,
    UnservedRoom,
)

LAG = 5.0
WAITS = RoomView(waiting=True, resolved=False)
SERVED = RoomView(waiting=False, resolved=False)
RESOLVED = RoomView(waiting=False, resolved=True)

TIMEOUT = DeskTrouble("assign: no answer", maybe_applied=True)
NOT_SENT = DeskTrouble("assign: not connected", maybe_applied=False)
SERVER_ERROR = DeskTrouble("assign 500", maybe_applied=True)
UNAUTHORIZED = DeskTrouble("assign 401", maybe_applied=False, permanent=True)
BUSY = DeskTrouble("assign 429", maybe_applied=False, retry_after_s=7.0)
UNAVAILABLE = DeskTrouble("assign 503", maybe_applied=False, retry_after_s=3.0)
AWAY = DeskTrouble("look: no answer", maybe_applied=False)
TAKEN = RoomTaken("assign 400: exceed max agents")
REFUSED = RoomRefused("assign 400: room is resolved")


class Scripted:
    """A desk that expects these verbs in this order, answers as told and raises what is an error."""

    def __init__(self, *part):
        self.part = list(part)
        self.asked = []

    def _play(self, verb, *told):
        self.asked.append((verb, *told))
        assert self.part, f"{verb}{told} was not expected"
        expected, answer = self.part.pop(0)
        assert verb == expected, f"{verb}{told} instead of {expected}"
        if isinstance(answer, Exception):
            raise answer
        return answer

    def assign(self, room, agent):
        return self._play("assign", room, agent)

    def agents_in(self, room):
        return self._play("agents_in", room)

    def look(self, room):
        return self._play("look", room)

    def roster(self, room):
        return self._play("roster", room)

    def suggest(self, source):
        return self._play("suggest", source)

    def unserved(self):
        return self._play("unserved")


def pair(unclear_s=None, left_s=25.0):
    return Pair(7, 1, "r", "X", time.monotonic() + left_s, unclear_s)


def finished(*part, unclear_s=None):
    """The outcome; every line of the part was played, and only the pair's room and agent were named."""
    desk, mine = Scripted(*part), pair(unclear_s)
    outcome = calls.finish(desk, mine, LAG)
    assert desk.part == []
    assert {told[1:] for told in desk.asked} <= {("r",), ("r", "X")}
    assert [told[0] for told in desk.asked].count("assign") <= 1
    assert outcome is None or outcome.pair == mine
    return outcome


# A pair that was never sent


def test_a_yes_is_held_with_the_first_message_of_the_visit():
    found = finished(("assign", Assigned("c9")))
    assert (type(found), found.agent, found.first_comment_id, found.unconfirmed) == (Held, "X", "c9", False)


@each(
    ("view", "room"),
    [(WAITS, "waiting"), (RESOLVED, "resolved"), (SERVED, "served"), (REFUSED, "unknown"), (AWAY, None)],
)
def test_after_a_definite_no_the_desk_is_asked_whether_it_is_the_rooms_fault(view, room):
    found = finished(("assign", REFUSED), ("look", view))
    assert (type(found), found.why, found.room) == (Refused, REFUSED.what, room)


@each("trouble", [UNAUTHORIZED, BUSY, UNAVAILABLE, NOT_SENT])
def test_trouble_that_changed_nothing_keeps_the_pair_and_counts_against_the_desk(trouble):
    found = finished(("assign", trouble))
    assert (type(found), found.unclear, found.trouble, found.taken) == (Parked, False, trouble, False)


@each("trouble", [TIMEOUT, SERVER_ERROR])
@each(("inside", "agent"), [(["X"], "X"), (["Z"], "Z"), (["Z", "X"], "X"), (["X", "Z"], "X"), (["Z", "Y"], "Z")])
def test_after_an_unclear_answer_whoever_is_in_the_room_has_it(trouble, inside, agent):
    found = finished(("assign", trouble), ("agents_in", inside))
    assert (type(found), found.agent, found.unconfirmed) == (Held, agent, False)


@each("trouble", [TIMEOUT, SERVER_ERROR])
def test_after_an_unclear_answer_an_empty_room_is_no_proof(trouble):
    found = finished(("assign", trouble), ("agents_in", []))
    assert (type(found), found.unclear, found.wait_s, found.trouble) == (Parked, True, LAG, trouble)


@each("second", [AWAY, RoomRefused("agents_in 404"), TIMEOUT])
def test_an_unclear_answer_that_can_not_be_read_back_stays_unclear(second):
    found = finished(("assign", TIMEOUT), ("agents_in", second))
    assert (type(found), found.unclear, found.trouble) == (Parked, True, TIMEOUT)


@each(("inside", "agent"), [(["X"], "X"), (["Z"], "Z"), (["Z", "X"], "X")])
def test_a_room_that_is_taken_belongs_to_whoever_is_in_it(inside, agent):
    """X: our own earlier call. Z: by hand."""
    found = finished(("assign", TAKEN), ("agents_in", inside))
    assert (type(found), found.agent) == (Held, agent)


@each("second", [[], AWAY, RoomRefused("agents_in 404")])
def test_a_room_that_is_taken_by_nobody_is_counted_and_tried_later(second):
    found = finished(("assign", TAKEN), ("agents_in", second))
    assert (type(found), found.taken, found.unclear, found.wait_s) == (Parked, True, True, LAG)
    assert found.trouble is None  # the room, not the desk


# A pair whose earlier call may have been applied


@each("unclear_s", [0.0, 1.0, 60.0])
@each(("inside", "agent"), [(["X"], "X"), (["Z"], "Z"), (["Z", "X"], "X")])
def test_before_a_second_call_somebody_in_the_room_ends_it(unclear_s, inside, agent):
    found = finished(("agents_in", inside), unclear_s=unclear_s)
    assert (type(found), found.agent) == (Held, agent)


@each("unclear_s", [0.0, 2.0, 4.999])
def test_an_empty_room_read_back_too_early_proves_nothing_and_nothing_is_sent(unclear_s):
    found = finished(("agents_in", []), unclear_s=unclear_s)
    assert (type(found), found.unclear, found.trouble) == (Parked, True, None)
    assert unclear_s + found.wait_s == pytest.approx(LAG)


def test_a_room_that_is_resolved_meanwhile_is_over():
    found = finished(("agents_in", []), ("look", RESOLVED), unclear_s=CALL_SECONDS)
    assert (type(found), found.why) == (Over, "resolved at the desk")


def test_a_resolved_room_keeps_its_seat_while_the_call_that_was_given_up_may_still_be_applied():
    """The customer comes back, and the desk, late by seconds, puts the agent in after all."""
    found = finished(("agents_in", []), ("look", RESOLVED), unclear_s=CALL_SECONDS - 1)
    assert isinstance(found, Parked)
    assert found.unclear
    assert found.wait_s == pytest.approx(1.0)


def test_a_room_that_waits_for_nobody_though_nobody_is_named_is_held_unconfirmed():
    """The list of a room hides agents who went offline."""
    found = finished(("agents_in", []), ("look", SERVED), unclear_s=6.0)
    assert (type(found), found.agent, found.unconfirmed) == (Held, "X", True)


def test_a_room_that_still_waits_gets_the_same_pair_again():
    found = finished(("agents_in", []), ("look", WAITS), ("assign", Assigned("c9")), unclear_s=6.0)
    assert (type(found), found.agent, found.first_comment_id) == (Held, "X", "c9")


def test_a_second_unclear_answer_is_as_unclear_as_the_first():
    found = finished(("agents_in", []), ("look", WAITS), ("assign", TIMEOUT), ("agents_in", []), unclear_s=6.0)
    assert (type(found), found.unclear) == (Parked, True)


@each("part", [[("agents_in", AWAY)], [("agents_in", []), ("look", AWAY)]])
def test_a_desk_that_can_not_be_read_back_gets_no_second_call(part):
    found = finished(*part, unclear_s=6.0)
    assert (type(found), found.unclear, found.trouble) == (Parked, True, AWAY)


@each("part", [[("agents_in", REFUSED)], [("agents_in", []), ("look", REFUSED)]])
def test_a_room_that_the_desk_does_not_know_any_more_is_refused(part):
    assert type(finished(*part, unclear_s=6.0)) is Refused


# Too late


@each("left_s", [-100.0, 0.0, CALL_SECONDS - 0.5])
def test_a_worker_that_was_frozen_past_its_lease_sends_nothing(left_s):
    desk = Scripted()
    outcome = calls.finish(desk, pair(left_s=left_s), LAG)
    assert isinstance(outcome, calls.Parked) and not outcome.unclear and outcome.trouble is None
    assert desk.asked == []


def test_a_read_back_that_took_the_time_of_the_call_is_not_followed_by_one(monkeypatch):
    desk = Scripted(("agents_in", []), ("look", WAITS))
    mine = pair(unclear_s=6.0, left_s=25.0)
    look = desk.look

    def slow_look(room):
        late = mine.deadline - CALL_SECONDS + 0.1
        monkeypatch.setattr(calls, "time", SimpleNamespace(monotonic=lambda: late))
        return look(room)

    desk.look = slow_look
    outcome = calls.finish(desk, mine, LAG)
    assert isinstance(outcome, calls.Parked) and outcome.unclear and outcome.trouble is None
    assert [told[0] for told in desk.asked] == ["agents_in", "look"]


def test_there_is_time_for_a_call_up_to_its_longest_before_the_lease_ends(monkeypatch):
    monkeypatch.setattr(calls, "time", SimpleNamespace(monotonic=lambda: 100.0))
    mine = Pair(7, 1, "r", "X", 100.0 + CALL_SECONDS, None)
    assert type(calls.finish(Scripted(("assign", Assigned(None))), mine, LAG)) is Held


# A look, a roster, a suggestion, the unserved


def looked(*part):
    desk = Scripted(*part)
    about = LookAt(7, 1, "r", "held", "X", None, 0, 60.0)
    seen = calls.look(desk, about)
    assert seen.about == about and desk.part == []
    return seen.what, seen.agents, seen.trouble


def test_a_look_says_what_the_desk_says():
    assert looked(("look", RESOLVED)) == ("resolved", (), None)
    assert looked(("look", WAITS)) == ("waiting", (), None)
    assert looked(("look", SERVED), ("agents_in", ["Z", "X"])) == ("served", ("Z", "X"), None)
    assert looked(("look", SERVED), ("agents_in", [])) == ("served", (), None)


def test_a_look_at_a_room_that_the_desk_does_not_know():
    assert looked(("look", REFUSED)) == ("unknown", (), None)
    assert looked(("look", SERVED), ("agents_in", REFUSED)) == ("unknown", (), None)


def test_a_look_that_fails_is_trouble_of_the_desk():
    assert looked(("look", AWAY)) == ("trouble", (), AWAY)
    assert looked(("look", SERVED), ("agents_in", AWAY)) == ("trouble", (), AWAY)


def test_a_roster_comes_with_the_time_that_it_took():
    agents = [RosterAgent("1", "Anna", True, 0)]
    found = calls.roster(Scripted(("roster", agents)), "c", "r")
    assert (found.class_, found.agents, found.trouble) == ("c", tuple(agents), None)
    assert 0 <= found.took_s < 5


@each("error", [AWAY, REFUSED, DeskError("odd")])
def test_listings_that_fail_are_values_too(error):
    asks_for_the_room = [("look", AWAY)] if error is REFUSED else []
    assert calls.roster(Scripted(("roster", error), *asks_for_the_room), "c", "r").trouble is error
    assert calls.suggest(Scripted(("suggest", error)), "c", "wa").trouble is error
    assert calls.unserved(Scripted(("unserved", error))).trouble is error


def test_a_suggestion_may_be_nobody():
    assert calls.suggest(Scripted(("suggest", None)), "c", "wa").agent is None
    assert calls.suggest(Scripted(("suggest", RosterAgent("1", "Anna", True, 0))), "c", "wa").agent == "1"


def test_the_unserved_rooms_are_handed_on():
    rooms = [UnservedRoom("r", "c", None)]
    assert calls.unserved(Scripted(("unserved", rooms))).rooms == tuple(rooms)


# How long to wait after trouble


@each("failures", [0, 1, 2, 5, 10, 11, 1000])
def test_each_failure_doubles_the_wait_up_to_a_bound(failures):
    longest = min(rules.PAUSE_MOST_S, 0.5 * 2 ** min(failures, 20))
    waits = [rules.backoff_s(failures) for _ in range(200)]
    assert longest / 2 <= min(waits) < max(waits) <= longest


def test_a_bound_of_ones_own_holds():
    assert max(rules.backoff_s(1000, 2.0) for _ in range(100)) <= 2.0


def test_the_wait_that_the_desk_asked_for_is_kept_by_everybody():
    waits = [settle._pause_s([TIMEOUT, BUSY, UNAVAILABLE], 1) for _ in range(100)]
    assert 7.0 <= min(waits) < max(waits) <= 7.5


def test_a_few_failures_do_not_pause_a_desk_and_many_do():
    assert settle._pause_s([TIMEOUT], rules.CIRCUIT_FAILURES - 1) == 0.0
    assert settle._pause_s([TIMEOUT], rules.CIRCUIT_FAILURES) > 0.0
    assert settle._pause_s([TIMEOUT], 100) > rules.PAUSE_MOST_S / 2 - 1e-9


def test_wrong_credentials_pause_at_once():
    assert settle._pause_s([TIMEOUT, UNAUTHORIZED], 2) > 0.0
