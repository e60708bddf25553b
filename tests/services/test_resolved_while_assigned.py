"""A room is resolved, or its customer is back, while the call that assigns it is under way (H14): the visit stays
reserved until the call has a definite answer, and then the desk says what it is.
"""

from collections.abc import Iterator

import psycopg2
import pytest

from tests.services.line_of import Line, line_of
from worker.calls import Held, Over, Pair, Parked, Refused
from worker.desk.base import DeskTrouble

LIMIT = 1
LATER = DeskTrouble("429", maybe_applied=False)
SILENT = DeskTrouble("timeout", maybe_applied=True)


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Line]:
    with line_of(database_url, redis_url, limit=LIMIT) as made:
        yield made


@pytest.fixture
def pair(line: Line) -> Pair:
    """r1, whose last service was 1, is being given to ani, the only agent."""
    return being_assigned(line, latest=1)


def being_assigned(line: Line, latest: int | None) -> Pair:
    line.roster("ani")
    line.arrive("r1", latest=latest)
    (found,) = line.pairs(line.decide())
    return found


def q_waits(line: Line) -> None:
    """Another customer comes, and finds no seat."""
    line.arrive("q")
    assert line.decide().reserved == []
    assert line.seats() == {"ani": 1}


def q_is_served(line: Line) -> None:
    (reserved,) = line.decide().reserved
    assert (reserved.room, reserved.agent) == ("q", "ani")


def looked_at(line: Line, what: str, *agents: str) -> list[str]:
    """The desk says the same to every question about r1, until nobody asks any more; rooms that then got a seat."""
    for _ in range(4):
        line.aged(60.0, "r1")
        made = line.decide()
        if not made.looks:
            return [reserved.room for reserved in made.reserved]
        line.look(made, what, *agents)
    raise AssertionError("the desk is asked again and again")


# --- the seat stays taken


@pytest.mark.parametrize("latest", [1, None], ids=["proved", "not proved"])
@pytest.mark.parametrize("service", [2, None], ids=["its service", "no service"])
def test_a_resolve_frees_no_seat_whose_call_may_still_be_applied(line, latest, service):
    being_assigned(line, latest)
    line.resolve("r1", service)
    q_waits(line)
    assert line.stays("r1") == ["reserved"]
    assert line.decide().looks == [], "what the desk says now is about the time before the call"


def test_nor_does_an_arrival_that_names_a_newer_service(line, pair):
    line.arrive("r1", latest=2)
    q_waits(line)
    assert line.stays("r1") == ["reserved"]


def test_nor_a_second_resolve_nor_a_loss_of_redis_nor_a_lowered_limit(line, pair):
    line.resolve("r1", 2)
    line.decide()
    line.lose_redis()
    line.resolve("r1", 2)
    line.resolve("r1", 3)
    line.redis.set("config:max_agent_chat", 0)
    line.decide()
    assert line.stays("r1") == ["reserved"]
    line.redis.set("config:max_agent_chat", 1)
    q_waits(line)


def test_postgresql_itself_keeps_a_visit_whose_call_has_no_answer(line, pair):
    for change in (
        "state = 'closed', agent = NULL, reason = 'x', closed_at = now()",
        "state = 'waiting', agent = NULL",
    ):
        with pytest.raises(psycopg2.errors.CheckViolation, match="no answer yet"):
            line.run(f"UPDATE visits SET {change}")
    assert line.states() == {"r1": "reserved"}


# --- the call fails for certain


@pytest.mark.parametrize("report", [lambda p: Refused(p, "400"), lambda p: Parked(p, "429", False, trouble=LATER)])
def test_a_call_that_was_surely_not_applied_ends_the_visit_and_frees_the_seat(line, pair, report):
    line.resolve("r1", 2)
    q_waits(line)
    line.settle(report(pair))
    assert line.stays("r1") == ["closed"]
    assert (line.visit("r1").service_id, line.visit("r1").refusals, line.visit("r1").reason) == (2, 0, "resolved")
    assert line.remembered("r1") == (2, True)
    q_is_served(line)


def test_who_came_back_meanwhile_waits_from_that_time_on_and_the_desk_is_asked_first(line, pair):
    line.resolve("r1", 2)
    line.decide()
    back = line.arrive("r1", latest=2)
    assert back.word == "already_assigned"
    q_waits(line)
    line.settle(Refused(pair, "400"))
    assert line.stays("r1") == ["closed", "waiting"]
    before_q = line.visit("r1").arrived_us < line.visit("q").arrived_us
    assert before_q, "the place of the webhook that came meanwhile"
    made = line.decide()
    assert ([about.room for about in made.looks], [r.room for r in made.reserved]) == (["r1"], ["q"])
    line.look(made, "waiting")
    assert line.states()["r1"] == "waiting" and line.visit("r1").look_at is None


def test_a_refusal_after_a_resolve_that_may_mean_another_stay_counts_against_nobody(line):
    pair = being_assigned(line, latest=None)
    line.resolve("r1", 2)
    line.decide()
    line.settle(Refused(pair, "400"))
    assert (line.stays("r1"), line.visit("r1").refusals, line.seats()) == (["waiting"], 0, {})
    looked_at(line, "resolved")
    assert line.stays("r1") == ["closed"]


def test_a_refused_room_that_was_never_resolved_counts_as_before(line, pair):
    line.settle(Refused(pair, "400"))
    assert (line.stays("r1"), line.visit("r1").refusals) == (["waiting"], 1)


# --- the call is applied


def test_the_first_message_tells_at_once_that_the_stay_is_over(line):
    """The short chat: answered, resolved, and only then settled. No desk call."""
    pair = being_assigned(line, latest=None)
    line.resolve("r1", 2, first="c2")
    q_waits(line)
    line.settle(Held(pair, "ani", "c2"))
    assert line.stays("r1") == ["closed"]
    made = line.decide()
    assert (made.looks, [reserved.room for reserved in made.reserved]) == ([], ["q"])


def test_a_desk_that_names_no_first_message_is_asked(line, pair):
    line.resolve("r1", 2)
    line.decide()
    line.settle(Held(pair, "ani"))
    q_waits(line)
    assert looked_at(line, "resolved") == ["q"]
    assert line.stays("r1") == ["closed"]
    assert line.drift() == {}


def test_an_agent_who_was_put_into_the_next_stay_holds_it_and_nobody_else_gets_the_seat(line, pair):
    """The schedule that let an agent over the limit."""
    line.resolve("r1", 2, first="c2")
    line.decide()
    q_waits(line)
    line.arrive("r1", latest=2)
    line.decide()
    back_us = line.one("SELECT again_us FROM visits WHERE room = 'r1'").again_us
    line.settle(Held(pair, "ani", "c3"))
    q_waits(line)
    looked_at(line, "served", "ani")
    assert line.stays("r1") == ["closed", "held"]
    visit = line.visit("r1")
    assert (visit.agent, visit.arrived_us, visit.base, visit.base_proved) == ("ani", back_us, 2, True)
    assert line.seats() == {"ani": 1}
    line.resolve("r1", 3, first="c3")
    q_is_served(line)
    assert line.stays("r1") == ["closed", "closed"]


def test_the_next_stay_belongs_to_whom_the_desk_names(line, pair):
    line.arrive("r1", latest=2)
    line.decide()
    line.settle(Held(pair, "budi"))
    looked_at(line, "served", "budi")
    assert (line.stays("r1"), line.visit("r1").agent) == (["closed", "held"], "budi")
    assert line.seats() == {"budi": 1}


def test_the_next_stay_waits_in_line_where_nobody_is_in_the_room(line, pair):
    line.resolve("r1", 2)
    line.decide()
    line.arrive("r1", latest=2)
    line.decide()
    back_us = line.one("SELECT again_us FROM visits WHERE room = 'r1'").again_us
    line.settle(Held(pair, "ani"))
    looked_at(line, "waiting")
    assert line.stays("r1") in (["closed", "waiting"], ["closed", "reserved"])
    assert line.visit("r1").arrived_us == back_us


# --- the answer is unclear


def test_after_a_timeout_the_seat_stays_taken_until_the_room_was_read_back(line, pair):
    line.resolve("r1", 2)
    line.decide()
    line.settle(Parked(pair, "timeout", unclear=True, trouble=SILENT))
    line.decide()
    q_waits(line)
    line.aged(60.0, "r1")
    (again,) = line.pairs(line.decide())
    assert (again.room, again.agent) == ("r1", "ani")
    line.settle(Over(again, "resolved at the desk"))
    assert (line.stays("r1"), line.remembered("r1")) == (["closed"], (2, True))
    q_is_served(line)


def test_a_pair_that_was_perhaps_applied_is_never_taken_for_one_that_was_not_sent(line, pair):
    line.settle(Parked(pair, "timeout", unclear=True, trouble=SILENT))
    line.resolve("r1", 2)
    q_waits(line)
    line.aged(60.0, "r1")
    (again,) = line.pairs(line.decide())
    line.settle(Parked(again, "429", unclear=False, trouble=LATER))
    assert line.stays("r1") == ["reserved"], "the first call may still be applied: the same pair again"


def test_a_pair_that_was_surely_not_sent_closes_at_once(line, pair):
    line.settle(Parked(pair, "429", unclear=False, trouble=LATER))
    line.resolve("r1", 2)
    line.arrive("q")
    q_is_served(line)
    assert line.stays("r1") == ["closed"]


def test_an_answer_of_an_earlier_attempt_ends_nothing(line, pair):
    """The worker died, another one has the pair now."""
    line.resolve("r1", 2)
    line.decide()
    line.die()
    (again,) = line.pairs(line.decide(owner=line.owner + 1000))
    assert again.attempt == pair.attempt + 1
    for late in (Refused(pair, "400"), Parked(pair, "too late to send", unclear=False), Over(pair, "late")):
        line.settle(late)
    assert line.stays("r1") == ["reserved"]
    line.settle(Refused(again, "400"))
    assert line.stays("r1") == ["closed"]
    line.live()


def test_resolved_back_resolved_and_back_again_during_one_call(line, pair):
    for service in (2, 3):
        line.resolve("r1", service, first=f"c{service}")
        line.decide()
        line.arrive("r1", latest=service)
        line.decide()
    last_us = line.one("SELECT again_us FROM visits WHERE room = 'r1'").again_us
    q_waits(line)
    line.settle(Held(pair, "ani", "c3"))  # of the second stay, which is over as well
    assert line.stays("r1") == ["closed", "waiting"]
    assert (line.visit("r1").arrived_us, line.remembered("r1")) == (last_us, (3, True))
    made = line.decide()
    assert ([about.room for about in made.looks], [r.room for r in made.reserved]) == (["r1"], ["q"])


def test_a_customer_who_came_back_before_a_refusal_waits_for_one_answer_of_the_desk_only(line):
    pair = being_assigned(line, latest=None)
    line.arrive("r1", latest=2)
    line.decide()
    line.settle(Refused(pair, "400"))
    made = line.decide()
    assert ([about.room for about in made.looks], line.visit("r1").refusals) == (["r1"], 0)
    line.look(made, "waiting")
    assert [reserved.room for reserved in line.decide().reserved] == ["r1"]


def test_the_next_stay_counts_as_learned_from_the_desk(line, pair):
    line.arrive("r1", latest=2)
    line.decide()
    line.settle(Held(pair, "ani"))
    looked_at(line, "served", "ani")
    assert (line.visit("r1").learned, line.events("r1")) == (True, ["began"])
