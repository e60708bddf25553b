"""Whose turn it is, over all queues of a tenant, judged by somebody slow who knows only the words of the docs."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from routing.file import read
from routing.team import may_serve
from tests.whose_turn import FOR_STICKY, NO_SEAT, NOBODY, OUTSIDE_HOURS, Group, Order, Passed, Room, Seat, order, reason

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
TEXT = """
[sticky]
within = "30d"
wait = "2m"
[queues.sales]
agents = { divisions = ["Sales"] }
limit = 1
steps = [{ after = "2m", agents = { divisions = ["Support"] } }, { after = "5m", priority = 10 }]
[queues.support]
agents = { divisions = ["Support"] }
[queues.gold]
agents = { divisions = ["Gold"] }
priority = 5
[[rules]]
name = "gold"
when = { source = "gold" }
queue = "gold"
[[rules]]
name = "support"
when = { source = "support" }
queue = "support"
[default]
queue = "sales"
"""
RULES = read(TEXT)
HOURS = '[hours]\ntimezone = "Asia/Jakarta"\nopen = ["mon-fri 08:00-17:00"]\n'
DIVISIONS = {"Sales": {"a", "b"}, "Support": {"b", "c"}, "Gold": {"a", "c", "d"}}
QUEUES = ("sales", "support", "gold", "channel:wa")
CHANNELS = {"wa": {"d"}, "": set()}


def team(group: Group) -> frozenset[str]:
    return may_serve(RULES, group.queue, group.step, [], DIVISIONS, CHANNELS.get(group.channel, set())).agents


def room(
    visit: int, queue: str = "sales", waited_s: float = 0, priority: int = 0, served_by: str | None = None
) -> Room:
    arrived = NOW - timedelta(seconds=waited_s)
    return Room(visit, queue, arrived, arrived, priority, served_by, "wa")


def turns(found: Order) -> list[tuple[int, str]]:
    return [(turn.room.visit, turn.agent) for turn in found.turns]


def test_rooms_go_by_priority_then_by_arrival_over_all_queues() -> None:
    rooms = [room(1, waited_s=9), room(2, "gold", 1, 5), room(3, "support", 10), room(4, "gold", 2, 5)]
    found = order(rooms, RULES, NOW, team, [Seat("c", 0, 2), Seat("a", 0, 2)])
    assert turns(found) == [(4, "a"), (2, "c"), (3, "c"), (1, "a")]
    assert found.passed_over == {}
    assert turns(order(rooms, RULES, NOW, team, [Seat("c", 0, 2), Seat("a", 0, 2)], most=1)) == [(4, "a")]


def test_a_room_whose_agents_are_full_lets_others_pass_and_the_reason_is_said() -> None:
    rooms = [room(1, waited_s=9), room(2, "support", 1), room(3, "channel:wa")]
    found = order(rooms, RULES, NOW, team, [Seat("a", 2, 2), Seat("c", 0, 1)])
    assert turns(found) == [(2, "c")]
    assert found.passed_over == {1: Passed(NO_SEAT), 3: Passed(NOBODY)}


def test_a_step_lets_more_agents_serve_and_then_puts_a_room_before_others() -> None:
    seats = [Seat("c", 0, 1)]
    assert turns(order([room(1, waited_s=119)], RULES, NOW, team, seats)) == []
    assert turns(order([room(1, waited_s=120), room(2, "support", 400)], RULES, NOW, team, seats)) == [(2, "c")]
    assert turns(order([room(1, waited_s=300), room(2, "support", 400)], RULES, NOW, team, seats)) == [(1, "c")]


def test_a_queues_own_limit_is_inside_the_agents() -> None:
    rooms = [room(1, waited_s=3), room(2, waited_s=2), room(3, "gold", 1)]
    assert turns(order(rooms, RULES, NOW, team, [Seat("a", 0, 3)])) == [(1, "a"), (3, "a")]
    assert turns(order(rooms, RULES, NOW, team, [Seat("a", 1, 3, {"sales": 1})])) == [(3, "a")]


def test_a_room_waits_for_who_served_it_last_for_a_while_and_then_goes_to_anybody() -> None:
    busy = [Seat("a", 1, 1), Seat("b", 0, 1)]
    assert turns(order([room(1, served_by="b")], RULES, NOW, team, [Seat("a", 0, 1), Seat("b", 1, 3)])) == [(1, "b")]
    waits = order([room(1, waited_s=119, served_by="a"), room(2)], RULES, NOW, team, busy)
    assert turns(waits) == [(2, "b")]
    assert waits.passed_over == {1: Passed(FOR_STICKY, NOW + timedelta(seconds=1), "a")}
    assert turns(order([room(1, waited_s=120, served_by="a")], RULES, NOW, team, busy)) == [(1, "b")]
    for away in ([Seat("b", 0, 1)], [Seat("a", 0, 0), Seat("b", 0, 1)], [Seat("c", 1, 1), Seat("b", 0, 1)]):
        assert turns(order([room(1, served_by="a")], RULES, NOW, team, away)) == [(1, "b")], "offline, or paused"
    assert turns(order([room(1, served_by="d")], RULES, NOW, team, [Seat("d", 1, 1), Seat("b", 0, 1)])) == [(1, "b")], (
        "who may no longer serve it is not waited for"
    )


def test_outside_the_hours_all_wait_and_are_told_until_when_or_are_served_as_always() -> None:
    night = datetime(2026, 11, 30, 13, tzinfo=UTC)
    rules = read(HOURS + TEXT)
    found = order([room(1), room(2)], rules, night, team, [Seat("a", 0, 9)])
    until = datetime(2026, 12, 1, 1, tzinfo=UTC)
    assert (found.turns, found.passed_over) == ([], dict.fromkeys((1, 2), Passed(OUTSIDE_HOURS, until)))
    assert reason(found.passed_over[1]) == "outside the hours until 2026-12-01 01:00:00Z"
    serve = read(HOURS + 'outside = "serve"\n' + TEXT)
    assert turns(order([room(1)], serve, night, team, [Seat("a", 0, 9)])) == [(1, "a")]


def test_every_reason_is_a_sentence() -> None:
    assert reason(Passed(NO_SEAT)) == "all who may serve it and are online are at their limit"
    assert reason(Passed(NOBODY)) == "nobody who may serve it is online"
    assert reason(Passed(OUTSIDE_HOURS)) == "outside the hours, and they have no next opening"
    assert (
        reason(Passed(FOR_STICKY, NOW, "7"))
        == "waits for 7, who served it last and is full, until 2026-11-30 03:00:00Z"
    )


# Any rooms, any seats


agents = st.sampled_from("abcd")
rooms_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from(QUEUES),
        st.sampled_from([0, 1, 119, 120, 121, 299, 300, 900]),
        st.sampled_from([0, 0, 5, 10, 20, -3]),
        st.none() | agents,
        st.sampled_from(["wa", ""]),
    ),
    max_size=12,
)
seats_of_any_kind = st.dictionaries(agents, st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2)))


def slow_team(one: Room) -> set[str]:
    """Written from the file above, not by reading it."""
    waited = (NOW - one.arrived).total_seconds()
    return {
        "sales": {"a", "b", *(["c"] if waited >= 120 else [])},
        "support": {"b", "c"},
        "gold": {"a", "c", "d"},
        "channel:wa": {"d"} if one.channel == "wa" else set(),
    }[one.queue]


def slow_rank(one: Room) -> tuple[int, datetime, int]:
    lifted = one.queue == "sales" and (NOW - one.arrived).total_seconds() >= 300
    return (-(max(one.priority, 10) if lifted else one.priority), one.arrived, one.visit)


@settings(max_examples=200, deadline=None)
@given(rooms_of_any_kind, seats_of_any_kind, st.integers(0, 12), st.randoms())
def test_any_order_is_what_somebody_slow_says(some, given_seats, most, random) -> None:
    rooms = [
        Room(n, queue, NOW - timedelta(seconds=s), NOW - timedelta(seconds=s), priority, served_by, channel)
        for n, (queue, s, priority, served_by, channel) in enumerate(some)
    ]
    seats = [Seat(name, load, limit, {"sales": min(load, sales)}) for name, (load, limit, sales) in given_seats.items()]
    found = order(random.sample(rooms, len(rooms)), RULES, NOW, team, seats, most=most)
    assert order(rooms, RULES, NOW, team, reversed(seats), most=most) == found, "the same input, the same order"

    loads = {seat.agent: seat.load for seat in seats}
    limits = {seat.agent: seat.limit for seat in seats}
    sales = Counter({seat.agent: seat.of_queue["sales"] for seat in seats})
    picked = {turn.room.visit: turn.agent for turn in found.turns}
    for one in sorted(rooms, key=slow_rank):
        able = {name for name in slow_team(one) if name in loads}
        free = {n for n in able if loads[n] < limits[n] and (one.queue != "sales" or sales[n] < 1)}
        last, waited = one.served_by, (NOW - one.arrived).total_seconds()
        if one.visit in picked:
            agent = picked[one.visit]
            assert agent in free
            assert agent == last or last not in free
            assert last == agent or last not in able or waited >= 120 or limits[last] == 0
            loads[agent] += 1
            sales[agent] += one.queue == "sales"
            continue
        if one.visit not in found.passed_over:
            assert len(found.turns) == most, "only what was not asked for has no answer"
            break
        passed = found.passed_over[one.visit]
        event(passed.reason)
        if passed.reason == FOR_STICKY:
            assert last in able and last not in free and waited < 120 and limits[last] > 0
            assert passed.until == one.arrived + timedelta(minutes=2)
        else:
            assert not free and passed.reason == (NO_SEAT if able else NOBODY)
    assert all(loads[seat.agent] <= max(seat.limit, seat.load) for seat in seats)
    assert [turn.room for turn in found.turns] == sorted((turn.room for turn in found.turns), key=slow_rank)
