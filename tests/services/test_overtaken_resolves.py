"""An arrival that overtakes the resolve of the stay before (H17): it looks like a duplicate, so it is remembered, and
opens the next visit when the resolve comes soon.
"""

from collections.abc import Iterator

import pytest

from tests.services.line_of import Line, line_of
from worker.calls import Held, Pair, Parked, Refused, Seen
from worker.desk.base import DeskTrouble

LAG_S = 5.0


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Line]:
    with line_of(database_url, redis_url, lag_s=LAG_S) as made:
        yield made


def arrives(line: Line, room: str, service: int | None) -> int:
    """A webhook that opens nothing; its time in microseconds."""
    before = line.redis.xinfo_stream(f"giliran:{{{line.tenant}}}:inbox")["last-generated-id"]
    line.arrive(room, service)
    line.decide()
    now = line.redis.xinfo_stream(f"giliran:{{{line.tenant}}}:inbox")["last-generated-id"]
    assert now != before
    ms, n = now.split("-")
    return int(ms) * 1000 + int(n)


def is_asked_about(line: Line, room: str, arrived_us: int) -> None:
    """The room has a visit that waits for the desk's answer, at the time of that webhook."""
    visit = line.visit(room)
    assert (visit.state, visit.arrived_us, visit.look_at is not None) == ("waiting", arrived_us, True)


def test_the_arrival_that_came_just_before_the_resolve_is_served_once_the_desk_can_not_mean_the_stay_before(line):
    line.roster("ani")
    line.serve("r1", first="c1")
    back_us = arrives(line, "r1", None)
    assert line.states() == {"r1": "held"}
    line.resolve("r1", 1, first="c1")
    made = line.decide()
    is_asked_about(line, "r1", back_us)
    assert [about.room for about in made.looks] == ["r1"]
    line.look(made, "waiting")
    assert line.decide().reserved == [], "the first stay waited a moment ago, and the desk may be late"
    line.aged(line.rules.lag_s)
    line.look(line.decide(), "waiting")
    assert [reserved.room for reserved in line.decide().reserved] == ["r1"]
    assert line.drift() == {}


def test_in_one_batch_too(line):
    line.roster("ani")
    line.serve("r1", first="c1")
    line.arrive("r1")
    line.resolve("r1", 1, first="c1")
    assert [about.room for about in line.decide().looks] == ["r1"]


def test_so_is_one_that_came_while_the_call_was_under_way(line):
    line.roster("ani")
    line.arrive("r1")
    (pair,) = line.pairs(line.decide())
    back_us = arrives(line, "r1", None)
    line.resolve("r1", 1, first="c1")
    line.decide()
    line.settle(Held(pair, "ani", "c1"))
    assert line.stays("r1") == ["closed", "waiting"]
    is_asked_about(line, "r1", back_us)


@pytest.mark.parametrize("sent", ["refused", "not sent"])
def test_and_one_whose_call_came_to_nothing(line, sent):
    line.roster("ani")
    line.arrive("r1", 5)
    (pair,) = line.pairs(line.decide())
    report = Refused(pair, "400") if sent == "refused" else _not_sent(pair)
    if sent == "not sent":
        line.settle(report)
    line.raw(room="r1", entry_id=_later(line))
    line.decide()
    line.resolve("r1", 6)
    line.decide()
    if sent == "refused":
        line.settle(report)
    assert line.stays("r1") == ["closed", "waiting"]
    assert line.visit("r1").look_at is not None


def _not_sent(pair: Pair) -> Parked:
    return Parked(pair, "429", unclear=False, trouble=DeskTrouble("429", maybe_applied=False))


def _later(line: Line, by_ms: int = 1500) -> str:
    """An entry id that is later than a copy of the room's first webhook would be."""
    last = line.redis.xinfo_stream(f"giliran:{{{line.tenant}}}:inbox")["last-generated-id"]
    return f"{int(last.split('-')[0]) + by_ms}-0"


def test_a_customer_who_was_resolved_while_waiting_and_wrote_again_is_not_forgotten(line):
    line.arrive("r1", 5)
    line.decide()
    line.raw(room="r1", entry_id=_later(line))
    line.decide()
    line.redis.xadd(
        f"giliran:{{{line.tenant}}}:inbox",
        {"kind": "resolved", "tenant": line.tenant, "room": "r1", "service": "6"},
        _later(line, 50),
    )
    line.decide()
    assert line.stays("r1") == ["closed", "waiting"]
    assert line.visit("r1").look_at is not None


def test_a_resolve_long_after_the_duplicate_opens_nothing(line):
    line.roster("ani")
    line.serve("r1", first="c1")
    line.arrive("r1")
    line.decide()
    line.redis.xadd(
        f"giliran:{{{line.tenant}}}:inbox",
        {"kind": "resolved", "tenant": line.tenant, "room": "r1", "service": "1", "first": "c1"},
        _later(line, int(2 * LAG_S * 1000) + 1),
    )
    made = line.decide()
    assert (line.stays("r1"), made.looks) == (["closed"], [])


def test_a_duplicate_of_a_short_chat_takes_no_seat_costs_two_questions_and_leaves_the_room_as_it_was(line):
    line.roster("ani")
    line.serve("r1", first="c1")
    line.arrive("r1")
    line.resolve("r1", 1, first="c1")
    asked = 0
    for _ in range(5):
        made = line.decide()
        asked += len(made.looks)
        assert line.seats() == {}
        line.look(made, "resolved")
        line.aged(LAG_S + 1, "r1")
    assert (line.stays("r1"), asked) == (["closed", "closed"], 2)
    assert (line.drift(), line.remembered("r1")) == ({}, (1, True))
    line.arrive("r1", 1)
    made = line.decide()
    assert [reserved.room for reserved in made.reserved] == ["r1"], "a customer who returns is not asked about"


def test_a_copy_that_names_the_same_last_service_costs_no_question(line):
    line.roster("ani")
    line.arrive("r1", 5)
    line.settle(*line.held(line.decide(), first="c6"))
    line.arrive("r1", 5)
    line.resolve("r1", 6, first="c6")
    made = line.decide()
    assert (line.stays("r1"), made.looks) == (["closed"], [])


def test_a_customer_who_is_back_just_before_the_desk_was_asked_about_the_stay_before_is_not_forgotten(line):
    """The resolve proves nothing alone; the desk, late, says `resolved` of the stay before."""
    line.roster("ani")
    line.serve("r1")
    line.aged(LAG_S + 1, "r1")
    line.resolve("r1", 1)
    (about,) = line.decide().looks
    line.run("UPDATE visits SET again_us = arrived_us + 1, again_at = clock_timestamp()")
    line.settle(Seen(about, "resolved"))
    assert line.stays("r1") == ["closed", "waiting"]
    assert line.visit("r1").look_at is not None
