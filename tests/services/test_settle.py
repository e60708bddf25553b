"""What callers report, written to a real ledger: seats held, parked and refused, looks, rosters, rooms learned, the
circuit; and claims: whoever comes after a crash finishes what was begun, once (H5, H9).
"""

import threading
import time
from typing import Any

import pytest

from db import postgres
from db.inbox import GONE
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from tests.services.line_of import TENANT, Line
from worker.calls import Held, LookAt, Over, Pair, Parked, Refused, Roster, Seen, Suggested, Unserved
from worker.decision import LEASE_S, Decision
from worker.desk.base import DeskTrouble, RoomRefused, RosterAgent, UnservedRoom
from worker.looks import UNKNOWN_MOST
from worker.settle import CIRCUIT_FAILURES, TAKEN_MOST

DOWN = DeskTrouble("503", maybe_applied=True)
DENIED = DeskTrouble("401", maybe_applied=False, permanent=True)
LATER = DeskTrouble("429", maybe_applied=False, retry_after_s=20.0)


@pytest.fixture
def pair(line: Line) -> Pair:
    """One room, reserved for ani; the desk is being called."""
    line.roster("ani", "budi")
    line.arrive("r1")
    (found,) = line.pairs(line.decide())
    assert found.agent == "ani"
    return found


def older(pair: Pair) -> Pair:
    """What a caller would report who has lost the pair meanwhile."""
    return pair._replace(attempt=pair.attempt - 1)


# --- the outcomes of a call


def test_a_yes_holds_the_seat_and_keeps_how_to_know_the_visit_again(line: Line, pair: Pair) -> None:
    after = line.settle(Held(pair, "ani", "c1"))
    visit = line.visit("r1")
    assert (visit.state, visit.agent, visit.first_comment_id) == ("held", "ani", "c1")
    assert visit.settled_at is not None and visit.lease_until is None
    assert not after.begun, "the caches were told when the seat was reserved"
    assert line.caches()["held"] == ["r1"]
    assert line.events("r1") == []


@pytest.mark.parametrize("report", [Held, Parked, Refused, Over], ids=lambda report: report.__name__)
def test_a_report_of_an_attempt_that_others_took_over_changes_nothing(line: Line, pair: Pair, report: Any) -> None:
    late = {
        Held: Held(older(pair), "budi", "late"),
        Parked: Parked(older(pair), "late", unclear=True, taken=True),
        Refused: Refused(older(pair), "late"),
        Over: Over(older(pair), "late"),
    }[report]
    before = line.visit("r1")
    after = line.settle(late)
    assert line.visit("r1") == before
    assert (after.rooms, after.wake) == ({}, False)
    assert line.events("r1") == []


@pytest.mark.parametrize("report", [Held, Parked, Refused, Over], ids=lambda report: report.__name__)
def test_a_report_after_the_visit_was_closed_changes_nothing(line: Line, pair: Pair, report: Any) -> None:
    line.run("UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()")
    before = line.visit("r1")
    late = {
        Held: Held(pair, "ani"),
        Parked: Parked(pair, "late", unclear=True),
        Refused: Refused(pair, "late"),
        Over: Over(pair, "late"),
    }[report]
    after = line.settle(late)
    assert line.visit("r1") == before
    assert after.rooms == {}


def test_a_late_yes_beside_the_valid_one_adds_nothing_to_it(line: Line, pair: Pair) -> None:
    line.settle(Held(pair, "ani"), Held(older(pair), "budi"))
    assert line.visit("r1").agent == "ani"
    assert (line.events("r1"), line.drift()) == ([], {})


def test_somebody_else_in_the_room_is_adopted_and_our_agents_seat_is_free(line: Line, pair: Pair) -> None:
    after = line.settle(Held(pair, "somebody new"))
    assert line.seats() == {"somebody new": 1}
    assert line.agent("ani").open_seats == 0
    assert after.seats == {"ani": 0, "somebody new": 1}
    assert after.wake
    assert line.events("r1") == ["adopted"]
    assert line.drift() == {"assigned_by_hand": 1}


def test_an_adopted_chat_may_stand_above_the_limit(line: Line, pair: Pair) -> None:
    line.serve("r2", "r3", "r4")
    assert line.seats() == {"ani": 2, "budi": 2}
    line.settle(Held(pair, "budi"))
    assert line.seats() == {"ani": 1, "budi": 3}


def test_an_agent_whom_the_desk_does_not_name_holds_unconfirmed(line: Line, pair: Pair) -> None:
    line.settle(Held(pair, "ani", unconfirmed=True))
    visit = line.visit("r1")
    assert (visit.state, visit.agent, visit.unconfirmed) == ("held", "ani", True)
    assert line.events("r1") == ["unconfirmed"]


def test_a_room_that_is_over_at_the_desk_is_closed_and_its_seat_is_free(line: Line, pair: Pair) -> None:
    after = line.settle(Over(pair, "resolved at the desk"))
    assert (line.visit("r1").state, line.visit("r1").reason) == ("closed", "resolved at the desk")
    assert line.seats() == {}
    assert (after.rooms, after.seats, after.wake) == ({"r1": GONE}, {"ani": 0}, True)
    assert line.remembered("r1") == (None, False), "no service was named"


def test_a_parked_pair_stays_a_pair_and_comes_back_at_its_time(line: Line, pair: Pair) -> None:
    line.settle(Parked(pair, "503", unclear=True, wait_s=9.0, trouble=DOWN))
    visit = line.visit("r1")
    assert (visit.state, visit.agent, visit.parked) == ("reserved", "ani", True)
    assert visit.unclear_at is not None
    assert line.decide().reserved == [], "not before its time"
    line.aged(10.0)
    (again,) = line.decide().reserved
    assert (again.room, again.agent, again.attempt) == ("r1", "ani", pair.attempt + 1)
    assert again.unclear_s is not None and again.unclear_s > 9


def test_a_pair_that_surely_was_not_applied_is_not_read_back(line: Line, pair: Pair) -> None:
    line.settle(Parked(pair, "429", unclear=False, trouble=LATER))
    line.aged(60.0)
    line.ended_pause()
    (again,) = line.decide().reserved
    assert again.unclear_s is None


def test_an_unclear_pair_stays_unclear_from_its_first_doubt(line: Line, pair: Pair) -> None:
    line.settle(Parked(pair, "timeout", unclear=True))
    line.aged(20.0)
    (again,) = line.pairs(line.decide())
    line.settle(Parked(again, "timeout", unclear=True))
    line.aged(20.0)
    (third,) = line.decide().reserved
    assert third.unclear_s is not None and third.unclear_s > 39


def test_a_pair_waits_as_long_as_the_desk_asked_for(line: Line, pair: Pair) -> None:
    line.settle(Parked(pair, "429", unclear=False, trouble=LATER))
    wait = "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 AS s FROM visits"
    assert 15 < line.one(wait).s < 21


def test_a_room_taken_by_nobody_is_refused_after_the_third_time_and_tried_with_another_agent(
    line: Line, pair: Pair
) -> None:
    for n in range(TAKEN_MOST):
        assert line.visit("r1").state == "reserved", n
        line.settle(Parked(pair, "exceed", unclear=True, taken=True))
        line.aged(60.0, "r1")
        if n + 1 < TAKEN_MOST:
            (pair,) = line.pairs(line.decide())
    visit = line.visit("r1")
    assert (visit.state, visit.aside, visit.agent) == ("waiting", None, None)
    (found,) = line.decide().reserved
    assert (found.room, found.agent) == ("r1", "budi")


# --- the circuit


def fail(line: Line, trouble: DeskTrouble, times: int = 1) -> None:
    """Rosters that could not be read, one round each: nothing else changes."""
    for _ in range(times):
        line.settle(Roster("nobody's", "any", trouble=trouble))


def test_the_circuit_opens_at_the_fifth_failure_without_a_success(line: Line) -> None:
    fail(line, DOWN, CIRCUIT_FAILURES - 1)
    row = line.tenant_row()
    assert (row.paused, row.desk_failures, row.desk_trouble) == (False, CIRCUIT_FAILURES - 1, "503")
    fail(line, DOWN)
    assert line.tenant_row().paused


def test_a_success_between_keeps_the_circuit_closed(line: Line) -> None:
    fail(line, DOWN, CIRCUIT_FAILURES - 1)
    line.roster("ani")
    assert (line.tenant_row().desk_failures, line.tenant_row().desk_trouble) == (0, None)
    fail(line, DOWN, CIRCUIT_FAILURES - 1)
    assert not line.tenant_row().paused


def test_five_failures_at_once_open_the_circuit_too(line: Line) -> None:
    line.settle(*[Roster("x", "any", trouble=DOWN)] * CIRCUIT_FAILURES)
    assert line.tenant_row().paused


@pytest.mark.parametrize("trouble", [DENIED, LATER], ids=["credentials", "Retry-After"])
def test_the_circuit_opens_at_once_where_trying_again_can_not_help(line: Line, trouble: DeskTrouble) -> None:
    fail(line, trouble)
    assert line.tenant_row().paused


def test_the_desk_is_left_alone_for_as_long_as_it_asked(line: Line) -> None:
    fail(line, LATER)
    pause = "SELECT extract(epoch FROM paused_until - clock_timestamp())::float8 AS s FROM tenants"
    assert 19 < line.one(pause).s < 21
    fail(line, DOWN)
    assert line.one(pause).s > 18, "a shorter pause does not end a longer one"


def test_a_desk_that_asks_for_a_pause_gets_it_though_other_calls_of_the_round_went_well(line: Line) -> None:
    """The usual picture of a rate limit: some calls were let through, the others got 429."""
    line.roster("ani", "budi")
    line.arrive_all(["r1", "r2"])
    first, second = line.pairs(line.decide())
    line.settle(Held(first, first.agent), Parked(second, "429", unclear=False, trouble=LATER))
    assert line.tenant_row().paused


def test_a_desk_that_asks_for_a_pause_gets_it_though_what_was_sent_before_is_answered_after(line: Line) -> None:
    fail(line, LATER)
    line.roster("ani", "budi")
    row = line.tenant_row()
    assert (row.paused, row.desk_failures, row.desk_trouble) == (True, 0, None)


def test_a_refused_room_is_an_answer_of_a_desk_that_works(line: Line, pair: Pair) -> None:
    fail(line, DOWN, CIRCUIT_FAILURES - 1)
    line.settle(Refused(pair, "no such channel", "waiting"))
    assert line.tenant_row().desk_failures == 0


def test_trouble_of_the_desk_sets_no_room_aside(line: Line, pair: Pair) -> None:
    """H11: the secret key was changed; everybody fails, nobody is poison."""
    for _ in range(6):
        line.settle(Parked(pair, "401", unclear=False, trouble=DENIED))
        line.aged(60.0)
        line.ended_pause()
        (pair,) = line.pairs(line.decide())
    visit = line.visit("r1")
    assert (visit.state, visit.agent, visit.refusals, visit.aside) == ("reserved", "ani", 0, None)


def test_the_first_success_closes_the_circuit_and_brings_back_what_was_parked(line: Line) -> None:
    line.roster("ani", "budi")
    line.arrive_all(["sure", "unclear"])
    sure, unclear = line.pairs(line.decide())
    line.settle(
        Parked(sure, "503", unclear=False, wait_s=60.0, trouble=DOWN),
        Parked(unclear, "timeout", unclear=True, wait_s=60.0, trouble=DOWN),
    )
    fail(line, DOWN, CIRCUIT_FAILURES)
    assert line.tenant_row().paused
    after = line.settle(Suggested("x", None))
    row = line.tenant_row()
    assert (row.paused, row.desk_failures, row.desk_trouble) == (False, 0, None)
    assert after.wake
    assert [reserved.room for reserved in line.decide().reserved] == ["sure"], "the unclear one keeps its time"


# --- looks


def looked(line: Line, what: str, *agents: str, age_s: float = 60.0) -> Any:
    """Everything that is to be looked at was looked at; how that room's visit stands then."""
    line.aged(age_s)
    line.run("UPDATE visits SET look_at = clock_timestamp() WHERE look_at IS NULL AND state <> 'closed'")
    line.settle(*(Seen(about, what, agents) for about in line.claim_looks()))
    return line.visit("r1")


@pytest.fixture
def holding(line: Line) -> Line:
    line.roster("ani", "budi")
    line.serve("r1")
    return line


def test_a_held_room_that_is_resolved_at_the_desk_is_closed_by_two_looks(holding: Line) -> None:
    assert looked(holding, "resolved").state == "held"
    assert looked(holding, "resolved").state == "closed"
    assert holding.drift() == {"missed_resolve": 1}
    assert holding.seats() == {}


def test_a_held_room_that_was_given_to_another_by_hand_is_counted_with_them(holding: Line) -> None:
    looked(holding, "served", "budi")
    assert looked(holding, "served", "budi").agent == "budi"
    assert holding.seats() == {"budi": 1}
    assert holding.drift() == {"reassigned_by_hand": 1}


def test_a_held_room_that_its_agent_left_waits_again_at_its_old_place(holding: Line) -> None:
    place = holding.visit("r1").arrived_us
    looked(holding, "waiting")
    visit = looked(holding, "waiting")
    assert (visit.state, visit.arrived_us) == ("waiting", place)
    assert holding.drift() == {"agent_left": 1}


@pytest.mark.parametrize(("what", "agents"), [("served", ("ani",)), ("served", ()), ("trouble", ())])
def test_a_look_that_brings_no_news_frees_no_seat(holding: Line, what: str, agents: tuple[str, ...]) -> None:
    for _ in range(4):
        visit = looked(holding, what, *agents)
        assert (visit.state, visit.agent) == ("held", "ani")


def test_a_held_room_that_the_desk_does_not_know_any_more_frees_its_seat_in_the_end(holding: Line) -> None:
    for _ in range(UNKNOWN_MOST - 1):
        visit = looked(holding, "unknown")
        assert (visit.state, visit.agent) == ("held", "ani")
    visit = looked(holding, "unknown")
    assert (visit.state, visit.reason) == ("closed", "the desk does not know this room")
    assert (holding.seats(), holding.drift()) == ({}, {"unknown_room": 1})


def test_a_held_room_that_the_desk_knows_again_begins_to_be_unknown_anew(holding: Line) -> None:
    """Its listing was incomplete for a while."""
    for reading in (["unknown"] * (UNKNOWN_MOST - 1) + ["served"]) * 3:
        visit = looked(holding, reading, *(["ani"] if reading == "served" else []))
        assert (visit.state, visit.agent) == ("held", "ani")
    assert holding.drift() == {}


def test_what_the_desk_says_too_soon_after_an_assign_is_not_believed(holding: Line) -> None:
    """It still tells of the service before."""
    for _ in range(2):
        assert looked(holding, "resolved", age_s=0.0).state == "held"


def test_a_look_that_does_not_know_what_happened_meanwhile_changes_nothing(holding: Line) -> None:
    looked(holding, "resolved")
    holding.aged(60)
    (about,) = holding.claim_looks()
    holding.run("UPDATE visits SET attempt = attempt + 1")
    holding.settle(Seen(about, "resolved"))
    assert holding.visit("r1").state == "held"


def test_a_look_that_does_not_know_what_a_webhook_said_meanwhile_answers_no_question(holding: Line) -> None:
    holding.aged(60)
    holding.run("UPDATE visits SET look_at = clock_timestamp()")
    (about,) = holding.claim_looks()
    holding.resolve("r1", 9)
    holding.decide()
    assert holding.visit("r1").suspect == "resolved"
    holding.settle(Seen(about, "served", ("ani",)))
    visit = holding.visit("r1")
    assert (visit.suspect, visit.look_at is not None) == ("resolved", True), "still to be asked"


def test_a_waiting_room_that_somebody_serves_is_adopted(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    for _ in range(2):
        visit = looked(line, "served", "citra")
    assert (visit.state, visit.agent) == ("held", "citra")
    assert line.drift() == {"assigned_by_hand": 1}


def test_a_waiting_room_of_which_the_desk_names_nobody_is_set_aside_in_the_end(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    for _ in range(5):
        visit = looked(line, "served")
    assert visit.state == "waiting"
    assert visit.aside is not None and "desk" in visit.aside


def test_a_room_that_the_desk_does_not_know_is_closed_in_the_end_and_comes_back_with_its_customer(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1")
    (pair,) = line.pairs(line.decide())
    line.settle(Refused(pair, "no such room", "unknown"))
    for _ in range(UNKNOWN_MOST - 1):
        assert line.visit("r1").state == "waiting"
        visit = looked(line, "unknown")
    assert (visit.state, visit.reason) == ("closed", "the desk does not know this room")
    assert line.drift() == {"unknown_room": 1}
    assert line.agent("ani").open_seats == 0
    line.arrive("r1")
    assert [about.room for about in line.decide().looks] == ["r1"], "asked about before anybody gets it"


def test_a_room_that_came_back_under_the_same_agent_is_a_new_visit(holding: Line) -> None:
    """Its resolve was missed, its next webhook proved that the service had ended, the desk says that it waits."""
    holding.run("UPDATE visits SET look_at = NULL")
    holding.arrive("r1", latest=9)
    holding.decide()
    for _ in range(3):
        looked(holding, "waiting")
    assert holding.stays("r1") == ["closed", "waiting"]
    assert holding.seats() == {}


# --- rosters


def roster_of(line: Line, class_: str) -> list[str]:
    sql = "SELECT agent FROM eligible WHERE tenant = %s AND class = %s ORDER BY 1"
    return [row.agent for row in line.rows(sql, TENANT, class_)]


def available(line: Line) -> list[str]:
    return [row.id for row in line.rows("SELECT id FROM agents WHERE available ORDER BY id")]


def test_a_roster_says_who_is_online_for_which_class(line: Line) -> None:
    line.roster("ani", RosterAgent("budi", "Budi", False, 0), class_="a")
    line.roster("citra", "ani", class_="b")
    assert (roster_of(line, "a"), roster_of(line, "b")) == (["ani", "budi"], ["ani", "citra"])
    assert available(line) == ["ani", "citra"]


def test_an_agent_whom_a_class_no_longer_names_gets_none_of_its_rooms(line: Line) -> None:
    line.roster("ani", "budi", class_="a")
    line.roster("budi", class_="b")
    line.roster("ani", class_="a")
    assert roster_of(line, "a") == ["ani"]
    assert available(line) == ["ani", "budi"], "b still names budi"
    line.roster("citra", class_="b")
    assert available(line) == ["ani", "citra"]


def test_an_empty_roster_takes_everybody_offline(line: Line) -> None:
    line.roster("ani", "budi")
    line.serve("r1")
    line.roster()
    assert available(line) == []
    assert line.seats() == {"ani": 1}, "who goes offline keeps their rooms"


def test_a_roster_that_could_not_be_read_changes_nobody_and_is_tried_again_soon(line: Line) -> None:
    line.roster("ani")
    line.settle(Roster("", "any", trouble=DOWN))
    assert available(line) == ["ani"]
    assert line.one("SELECT due_at < clock_timestamp() + interval '5 seconds' AS soon FROM rosters").soon


def test_a_room_that_the_desk_refuses_to_speak_of_does_not_keep_its_class_without_a_roster(line: Line) -> None:
    line.arrive_all(["bad", "good"])
    (question,) = line.decide().rosters
    assert question.rooms == ("bad",)
    line.settle(Roster("", "bad", trouble=RoomRefused("404"), seen="unknown"))
    (question,) = line.decide().rosters
    assert question.rooms == ("good",), "at once"


def test_where_the_desk_does_not_know_a_room_the_roster_is_asked_for_with_many_others_at_once(line: Line) -> None:
    line.arrive_all([f"r{n}" for n in range(200)])
    line.decide()
    line.settle(Roster("", "r0", trouble=RoomRefused("404"), seen="unknown"))
    (question,) = line.decide().rosters
    assert question.rooms[:25] == tuple(f"r{n}" for n in range(1, 26)), "the oldest"
    assert set(question.rooms[25:]) == {f"r{n}" for n in range(175, 200)}, "and the newest: no real one is behind all"
    for room in question.rooms[:-1]:
        line.settle(Roster("", room, trouble=RoomRefused("404"), seen="unknown", last=False))
    assert line.decide().rosters == [], "the last answer is not there yet"
    line.roster("ani")
    assert len(line.decide().reserved) == 2
    line.settle(Roster("", question.rooms[-1], trouble=RoomRefused("404"), seen="unknown"))
    assert line.decide().rosters == [], "it was read meanwhile"


@pytest.mark.parametrize("seen", ["waiting", None])
def test_a_desk_that_names_no_agents_for_a_room_that_waits_is_left_alone_for_a_moment(
    line: Line, seen: str | None
) -> None:
    line.arrive_all(["r1", "r2"])
    for room in ("r1", "r2"):
        line.run("UPDATE rosters SET claimed_until = '-infinity'")
        (question,) = line.decide().rosters
        assert question.rooms == (room,)
        line.settle(Roster("", room, trouble=RoomRefused("404"), seen=seen))
        assert line.decide().rosters == []
    line.aged(60)
    line.run("UPDATE rosters SET claimed_until = '-infinity'")
    assert [question.rooms for question in line.decide().rosters] == [("r1",)]
    assert line.rows("SELECT room FROM visits WHERE aside IS NOT NULL") == [], "it is not the rooms' fault"


def test_a_roster_tells_the_caches_of_all_its_agents(line: Line) -> None:
    after = line.roster("ani", "budi")
    assert after.seats == {"ani": 0, "budi": 0}
    assert after.wake


# --- H9: chats that are not ours


def foreign(line: Line, count: int | None, took_s: float = 0.1) -> int:
    """The estimate after the desk said so much of ani."""
    line.roster(RosterAgent("ani", "Ani", True, count), took_s=took_s)
    return line.agent("ani").foreign_est


def test_what_the_desk_counts_beyond_ours_is_not_ours(line: Line) -> None:
    line.roster("ani")
    line.serve("r1")
    line.aged(60)
    assert foreign(line, 3) == 2
    assert line.agent("ani").load == 3
    assert line.agent("ani").desk_count == 3


def test_a_count_that_is_late_lowers_nothing_of_ours(line: Line) -> None:
    line.roster("ani")
    line.serve("r1", "r2")
    assert foreign(line, 0) == 0
    assert line.agent("ani").load == 2


def test_a_count_that_still_tells_of_our_ended_chats_closes_no_seat(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1", latest=1)
    line.arrive("r2", latest=1)
    line.settle(*line.held(line.decide()))
    line.aged(60)
    line.resolve("r1", 2)
    line.resolve("r2", 2)
    line.decide()
    assert foreign(line, 2) == 0
    line.aged(60)
    assert foreign(line, 2) == 2, "a minute later it can't be ours"


def test_a_seat_that_the_desk_does_not_know_of_as_yet_hides_no_foreign_chat_for_long(line: Line) -> None:
    line.roster("ani")
    assert foreign(line, 1) == 1
    line.serve("r1")
    assert foreign(line, 1) == 1, "ours was settled just now: the count is late"
    assert line.agent("ani").load == 2
    line.aged(60)
    assert foreign(line, 1) == 0, "an answer that can only speak of ours"


def test_a_low_count_ends_the_memory_of_a_high_one(line: Line) -> None:
    line.roster("ani")
    assert foreign(line, 3) == 3
    assert foreign(line, 0) == 0


def test_an_agent_of_whom_no_count_is_told_is_counted_by_ours(line: Line) -> None:
    line.roster("ani")
    line.serve("r1")
    assert foreign(line, None) == 0
    assert line.agent("ani").load == 1


# --- rooms learned from the desk


def unserved(line: Line, *rooms: tuple[str, float | None]) -> Any:
    return line.settle(Unserved(tuple(UnservedRoom(room, "77", at) for room, at in rooms)))


def test_only_rooms_that_nobody_knows_are_learned(line: Line) -> None:
    line.roster("ani")
    line.serve("held")
    line.arrive("waiting", class_="none")
    line.arrive("gone", latest=1)
    line.decide()
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " WHERE room = 'gone'"
    )
    line.serve("long gone")
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " - interval '1 minute' WHERE room = 'long gone'"
    )
    known = [(room, 1e9) for room in ("held", "waiting", "gone", "long gone", "new")]
    after = unserved(line, *known)
    assert set(after.rooms) == {"long gone", "new"}
    assert line.drift() == {"missed_arrival": 2}
    assert line.stays("gone") == ["closed"], "closed within the lag: the list is late"
    visit = line.visit("new")
    assert (visit.learned, visit.class_, visit.state) == (True, "77", "waiting")


def test_learned_rooms_stand_in_the_order_of_their_customers_words_and_never_in_the_future(line: Line) -> None:
    now_s = time.time()
    unserved(line, ("b", now_s - 50), ("a", now_s - 100), ("future", now_s + 9999), ("unknown", None))
    found = line.rows("SELECT room, arrived_us FROM visits ORDER BY priority DESC, arrived_us, id")
    assert [row.room for row in found][:2] == ["a", "b"]
    assert all(row.arrived_us <= (time.time() + 1) * 1e6 for row in found)


def test_the_desks_whole_seconds_bring_no_learned_room_before_one_whose_webhook_came_in_that_second(line: Line) -> None:
    line.arrive("told")
    line.decide()
    second = line.visit("told").arrived_us // 1_000_000
    unserved(line, ("learned", float(second)))
    assert line.visit("learned").arrived_us >= line.visit("told").arrived_us


def test_a_learned_room_pauses_until_its_webhook_had_time_to_come(line: Line) -> None:
    line.roster("ani", class_="77")
    unserved(line, ("r1", 1e9))
    assert line.decide().reserved == []
    line.aged(line.rules.lag_s + 1)
    assert [reserved.room for reserved in line.decide().reserved] == ["r1"]


def test_the_webhook_of_a_learned_room_brings_its_true_place(line: Line) -> None:
    unserved(line, ("learned", time.time() - 100))
    line.arrive("first")
    line.arrive("learned")
    line.arrive("last")
    line.decide()
    line.roster("ani", "budi", class_="")
    line.roster("ani", "budi", class_="77")
    made = line.decide()
    assert [reserved.room for reserved in made.reserved] == ["first", "learned", "last"]
    assert not line.visit("learned").learned
    assert line.stays("learned") == ["reserved"]


def test_a_list_of_unserved_rooms_that_names_nothing_new_changes_nothing(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    after = unserved(line, ("r1", 1e9))
    assert (after.rooms, after.wake, line.drift()) == ({}, False, {})


# --- claims: who comes after a crash finishes what was begun (H5)


def claim(line: Line, owner: int, most: int = 50) -> list[Any]:
    """One claimer's statement, on a connection of its own, without the tenant's lock."""
    connection = postgres.connect(line.database_url, "claimer")
    try:
        with connection, connection.cursor() as cur:
            values = {"owner": owner, "most": most, "lease_s": LEASE_S, "lock_class": WORKER_LOCK_CLASS}
            return LEDGER.all(cur, "claim_seats", tenant=TENANT, gone=None, **values)
    finally:
        connection.close()


def abandon(line: Line, number: int) -> None:
    """Reservations of this line's worker."""
    line.run("INSERT INTO agents (tenant, id) SELECT %s, 'a' || n FROM generate_series(1, 20) n", TENANT)
    line.run(
        "INSERT INTO visits (tenant, room, arrived_us, state, agent, last_agent, seat_limit, owner, attempt,"
        " reserved_at, lease_until) SELECT %s, 'r' || n, n, 'reserved', 'a' || n %% 20 + 1, 'a' || n %% 20 + 1, 1000,"
        " %s, 1, clock_timestamp(), clock_timestamp() + interval '30 seconds' FROM generate_series(1, %s) n",
        TENANT,
        line.owner,
        number,
    )


def test_four_claimers_share_a_thousand_abandoned_pairs_and_nobody_gets_one_twice(line: Line) -> None:
    abandon(line, 1000)
    line.die()
    got: list[list[tuple[int, int, str, str]]] = [[] for _ in range(4)]

    def work(number: int) -> None:
        while rows := claim(line, 1000 + number):
            got[number] += [(row.id, row.attempt, row.room, row.agent) for row in rows]

    # The claimers live: what one has claimed is not abandoned for the next.
    lives = [postgres.connect(line.database_url, "life") for _ in range(4)]
    for number, life in enumerate(lives):
        life.autocommit = True
        life.cursor().execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK_CLASS, 1000 + number))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for life in lives:
        life.close()
    claimed = [row for rows in got for row in rows]
    assert len(claimed) == len({visit for visit, *_ in claimed}) == 1000
    assert {attempt for _, attempt, *_ in claimed} == {2}
    pairs = {row.id: row.agent for row in line.rows("SELECT id, agent FROM visits")}
    assert {visit: agent for visit, _, _, agent in claimed} == pairs, "the same agents"


def test_the_old_owner_of_claimed_pairs_settles_nothing(line: Line) -> None:
    abandon(line, 20)
    old = [Pair(*row, 0.0) for row in line.rows("SELECT id, attempt, room, agent FROM visits")]
    line.die()
    claim(line, 999)
    before = line.rows("SELECT * FROM visits ORDER BY id")
    after = line.settle(*(Held(pair, pair.agent) for pair in old[:10]), *(Refused(pair, "x") for pair in old[10:]))
    assert line.rows("SELECT * FROM visits ORDER BY id") == before
    assert after.rooms == {}


def test_a_living_owner_is_left_alone_until_its_lease_ends(line: Line) -> None:
    abandon(line, 3)
    assert claim(line, 999) == []
    line.run("UPDATE visits SET lease_until = clock_timestamp() WHERE room = 'r2'")
    assert [row.room for row in claim(line, 999)] == ["r2"]


def test_a_dead_owners_pairs_are_claimed_at_once_and_read_back_first(line: Line) -> None:
    abandon(line, 3)
    line.die()
    rows = claim(line, 999)
    assert [row.room for row in rows] == ["r1", "r2", "r3"]
    assert all(row.unclear_s is not None for row in rows), "nobody knows what the dead one had sent"


def test_an_owner_whose_lock_was_free_for_a_moment_only_keeps_its_pairs(line: Line) -> None:
    """Its connection was cut, and it takes the lock again on another."""
    line.roster("ani")
    line.arrive("r1")
    line.decide(owner=12345)  # nobody of that number lives
    made, _ = line.turn(lambda turn: line.decision(turn, owner=line.owner, gone=frozenset()))
    assert made.reserved == []
    made, _ = line.turn(lambda turn: line.decision(turn, owner=line.owner, gone=frozenset({12345})))
    assert [r.room for r in made.reserved] == ["r1"]


def test_a_dead_owners_parked_pair_keeps_its_time(line: Line) -> None:
    abandon(line, 1)
    line.run("UPDATE visits SET parked = true")
    line.die()
    assert claim(line, 999) == []
    line.aged(31)
    (row,) = claim(line, 999)
    assert row.unclear_s is None, "it was parked with a definite answer"


def test_a_worker_of_another_database_with_the_same_number_keeps_nothing_alive(
    line: Line, own_database_url: str
) -> None:
    abandon(line, 1)
    line.die()
    other = postgres.connect(own_database_url, "elsewhere")
    other.autocommit = True
    other.cursor().execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK_CLASS, line.owner))
    assert len(claim(line, 999)) == 1
    other.close()


def test_a_decision_claims_what_a_dead_worker_left_before_it_gives_new_seats(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1")
    line.decide(owner=12345)  # nobody of that number lives
    line.arrive("r2")
    made = line.decide()
    assert [(r.room, r.attempt, r.unclear_s is not None) for r in made.reserved] == [
        ("r1", 2, True),
        ("r2", 1, False),
    ]
    assert line.seats() == {"ani": 2}


def test_settling_looks_while_the_sweeper_asks_for_looks_ends_in_no_deadlock(line: Line) -> None:
    """Both write many held visits, and not in the same order."""
    line.roster(*(f"a{n}" for n in range(2)))
    line.serve("r1", "r2")
    line.aged(60)
    first, second = line.visit("r1").id, line.visit("r2").id
    errors: list[BaseException] = []
    settling = postgres.connect(line.database_url, "settle")
    with settling, settling.cursor() as cur:
        LEDGER.run(cur, "look_again", visit=second, wait_s=5, suspect="resolved", count=1)
        sweep = threading.Thread(target=_ask_looks, args=(line, errors))
        sweep.start()
        _until_waiting_or_done(line, sweep)
        LEDGER.run(cur, "look_again", visit=first, wait_s=5, suspect="resolved", count=1)
    sweep.join(10)
    settling.close()
    assert errors == []


def _ask_looks(line: Line, errors: list[BaseException]) -> None:
    connection = postgres.connect(line.database_url, "sweep")
    try:
        with connection, connection.cursor() as cur:
            LEDGER.run(cur, "ask_looks", tenant=TENANT, lag_s=5.0, most=100)
    except Exception as error:
        errors.append(error)
    finally:
        connection.close()


def _until_waiting_or_done(line: Line, sweep: threading.Thread) -> None:
    waiting = "SELECT count(*) n FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 1.0
    while sweep.is_alive() and not line.one(waiting).n and time.monotonic() < deadline:
        sweep.join(0.01)


def test_an_answer_to_a_question_that_nobody_asked_is_harmless(line: Line) -> None:
    line.settle(
        Seen(LookAt(1, 1, "r", "held", "ani", None, 0, 9.0), "resolved"),
        Held(Pair(1, 1, "r", "ani", 0.0), "ani"),
        Suggested("no class", "nobody"),
        Unserved(),
    )
    assert line.states() == {}


def test_what_was_decided_but_not_settled_is_the_same_decision_after_a_restart(line: Line) -> None:
    """P7: the pair is sticky through any number of owners."""
    line.roster("ani", "budi")
    line.arrive("r1")
    made: Decision = line.decide(owner=54321)
    for owner in (54322, 54323, 54324):
        made = line.decide(owner=owner)
        assert [(r.room, r.agent) for r in made.reserved] == [("r1", "ani")]
    assert made.reserved[0].attempt == 4


def test_a_roster_asks_for_a_look_only_where_it_can_change_something(line: Line) -> None:
    """Hundreds of tenants read theirs every few seconds while everybody is full."""
    assert line.roster("ani", "budi").wake
    line.serve("r1", "r2", "r3")
    line.roster("ani", "budi")
    assert line.roster("ani", "budi").wake, "budi has room: rooms may have waited for a younger roster"
    line.serve("r4", "r5")
    assert line.roster("ani", "budi").wake, "other counts"
    assert not line.roster("ani", "budi").wake
    assert line.roster("ani", "budi", "citra").wake, "somebody new"
    line.serve("r6", "r7")
    line.roster("ani", "budi", "citra")
    assert not line.roster("ani", "budi", "citra").wake
    assert line.roster("ani", "budi").wake, "somebody is gone: a room that was tried with them is not"
    assert line.roster("ani", "budi", class_="other").wake, "a class that had none"
    assert not line.roster("ani", "budi", class_="other").wake
