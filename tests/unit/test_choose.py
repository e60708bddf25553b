"""Who serves which room: each policy's rule, and what holds for every line, roster and limit."""

import time
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import POLICIES as TABLE
from policies.policy import Seats
from tests.variants import each
from worker import choose as choosing
from worker.choose import Doubts, Waiting

POLICIES = [*TABLE]
OURS = [name for name, policy in TABLE.items() if not policy.asks_desk]  # policies by which we choose the agent


def choose(rooms, agents, eligible, policy, *more):
    return choosing.choose(rooms, agents, eligible, TABLE[policy], *more)


def line(*classes, priority=0):
    return [Waiting(n, f"r{n}", class_, n, priority) for n, class_ in enumerate(classes, 1)]


def seats(**loads):
    """`anna=(1, 2)` is one chat of two, `anna=(1, 2, 50)` last served at second 50."""
    return [Seats(name, *about) for name, about in loads.items()]


def picked(rooms, agents, policy="least_loaded", most=100, suggested=None, **eligible):
    everybody = frozenset(seat.agent for seat in agents)
    eligible = {name: frozenset(names) for name, names in eligible.items()} or {"c": everybody}
    answer = choose(rooms, agents, eligible, policy, most, suggested)
    return [(pick.waiting.room, pick.agent) for pick in answer.picks]


# The rule of each policy


def test_the_agent_with_the_fewest_chats_gets_the_oldest_room():
    assert picked(line("c"), seats(a=(1, 5), b=(0, 5), c=(2, 5))) == [("r1", "b")]


def test_among_equals_the_one_who_was_idle_longest_gets_it():
    assert picked(line("c"), seats(a=(1, 5, 90), b=(1, 5, 30), c=(1, 5, 60))) == [("r1", "b")]


def test_least_loaded_spreads_a_burst():
    agents = seats(**{f"a{n}": (0, 5) for n in range(4)})
    found = Counter(agent for _, agent in picked(line(*"c" * 12), agents))
    assert set(found.values()) == {3}


def test_least_loaded_fills_the_gaps_first():
    found = picked(line(*"ccc"), seats(a=(3, 5), b=(0, 5), c=(2, 5)))
    assert [agent for _, agent in found[:2]] == ["b", "b"]


def test_round_robin_takes_turns_whatever_the_load():
    found = picked(line(*"cccc"), seats(a=(4, 9, 30), b=(0, 9, 10), c=(2, 9, 20)), "round_robin")
    assert [agent for _, agent in found] == ["b", "c", "a", "b"]


def test_longest_idle_takes_turns_too_and_waits_for_nobody_with_fewer_chats():
    found = picked(line(*"cccc"), seats(a=(4, 9, 30), b=(0, 9, 20), c=(2, 9, 10)), "longest_idle")
    assert [agent for _, agent in found] == ["c", "b", "a", "c"]


def test_round_robin_is_fair_over_a_hundred_rooms():
    agents = seats(**{f"a{n}": (n % 3, 1000, 1_750_000_000.0 - n) for n in range(7)})
    found = [agent for _, agent in picked(line(*"c" * 100), agents, "round_robin")]
    assert max(Counter(found).values()) - min(Counter(found).values()) <= 1
    assert all(len(set(found[at : at + 7])) == 7 for at in range(len(found) - 7))


def test_an_agent_without_a_chat_gets_two_rooms_in_one_go_others_one():
    found = picked(line(*"cccc"), seats(a=(0, 4, 10), b=(1, 4, 20), c=(0, 4, 30)), "fill_two")
    assert found == [("r1", "a"), ("r2", "a"), ("r3", "c"), ("r4", "c")]


def test_an_agent_who_has_a_chat_gets_one_room_at_a_time():
    found = picked(line(*"cc"), seats(a=(1, 4, 10), b=(1, 4, 20)), "fill_two")
    assert found == [("r1", "a"), ("r2", "b")]


def test_two_in_one_go_does_not_break_a_limit_of_one():
    found = picked(line(*"ccc"), seats(a=(0, 1), b=(0, 1)), "fill_two")
    assert found == [("r1", "a"), ("r2", "b")]


def test_two_in_one_go_are_two_rooms_that_the_agent_may_serve():
    found = picked(line("x", "y", "x"), seats(a=(0, 4), b=(3, 4)), "fill_two", x={"a"}, y={"b"})
    assert found == [("r1", "a"), ("r2", "b"), ("r3", "a")]


def test_upstream_follows_the_desk_for_one_room():
    found = picked(line(*"ccc"), seats(a=(0, 9), b=(5, 9)), "upstream", suggested={"c": "b"})
    assert found == [("r1", "b")]


@each(
    ("suggested", "why"),
    [
        ({}, "asked for a candidate"),
        ({"c": "nobody we know"}, "candidate"),
        ({"c": "full"}, "candidate"),
        ({"c": "offline"}, "candidate"),
        ({"c": "paused"}, "candidate"),
        ({"another class": "a"}, "asked for a candidate"),
    ],
)
def test_upstream_waits_where_the_desks_candidate_can_not_serve(suggested, why):
    agents = seats(a=(0, 9), full=(2, 2), offline=(0, 9), paused=(0, 0))
    eligible = {"c": frozenset({"a", "full", "paused"})}
    answer = choose(line("c", "c"), agents, eligible, "upstream", 10, suggested)
    assert answer.picks == []
    assert why in answer.passed_over["c"]


def test_upstream_serves_each_class_by_its_own_candidate_and_never_above_the_limit():
    agents = seats(a=(1, 2), b=(0, 9))
    found = picked(
        line("x", "y", "z"), agents, "upstream", suggested={"x": "a", "y": "a", "z": "b"}, x="a", y="a", z="b"
    )
    assert found == [("r1", "a"), ("r3", "b")]


def test_no_suggestion_is_used_up_in_the_callers_hands():
    suggested = {"c": "a"}
    picked(line("c"), seats(a=(0, 9)), "upstream", suggested=suggested)
    assert suggested == {"c": "a"}


# Line, priorities, classes


@each("policy", OURS)
def test_the_earliest_rooms_are_picked_in_their_order(policy):
    rooms = line(*"cccc")[::-1]
    assert [room for room, _ in picked(rooms, seats(a=(0, 3)), policy)] == ["r1", "r2", "r3"]


def test_a_higher_priority_goes_first_and_arrival_decides_inside_it():
    rooms = [Waiting(1, "old", "c", 10), Waiting(2, "vip late", "c", 30, 5), Waiting(3, "vip", "c", 20, 5)]
    rooms += [Waiting(4, "last", "c", 5, -1)]
    assert [room for room, _ in picked(rooms, seats(a=(0, 9)))] == ["vip", "vip late", "old", "last"]


def test_of_two_rooms_of_the_same_microsecond_the_first_known_goes_first():
    rooms = [Waiting(9, "second", "c", 10), Waiting(4, "first", "c", 10)]
    assert [room for room, _ in picked(rooms, seats(a=(0, 9)))] == ["first", "second"]


def test_a_class_whose_agents_are_full_lets_others_pass_and_says_why():
    agents = seats(a=(2, 2), b=(0, 2))
    answer = choose(line("x", "y", "x", "z"), agents, {"x": frozenset("a"), "y": frozenset("b")}, "least_loaded", 10)
    assert [pick.waiting.room for pick in answer.picks] == ["r2"]
    assert answer.passed_over == {
        "x": "all 1 agents online for it are at their limit",
        "z": "nobody is online for it",
    }


@each("policy", POLICIES)
def test_a_class_that_nobody_was_asked_about_does_not_disturb_the_others(policy):
    answer = choose(line("new", "c"), seats(a=(0, 2)), {"c": frozenset("a")}, policy, 10, {"c": "a"})
    assert [pick.waiting.room for pick in answer.picks] == ["r2"]
    assert "new" in answer.passed_over


def test_agents_of_two_classes_serve_the_earlier_room_of_either():
    found = picked(line("x", "y", "x", "y"), seats(both=(0, 3)), x={"both"}, y={"both"})
    assert [room for room, _ in found] == ["r1", "r2", "r3"]


def test_a_chat_of_one_class_weighs_in_the_other():
    found = picked(line("x", "y"), seats(both=(0, 3), only_y=(0, 3, 99)), x={"both"}, y={"both", "only_y"})
    assert found == [("r1", "both"), ("r2", "only_y")]


@each("policy", POLICIES)
@each("most", [0, -1])
def test_no_caller_no_pick(policy, most):
    assert picked(line("c"), seats(a=(0, 9)), policy, most=most, suggested={"c": "a"}) == []


@each("policy", POLICIES)
def test_nobody_and_nothing_are_values(policy):
    assert choose([], seats(a=(0, 2)), {"c": frozenset("a")}, policy, 5).picks == []
    assert choose(line("c"), [], {"c": frozenset()}, policy, 5).passed_over == {"c": "nobody is online for it"}
    assert choose(line("c"), [], {"c": frozenset({"gone"})}, policy, 5).picks == []


def test_a_pick_tells_load_and_limit_as_they_were():
    answer = choose(line(*"cc"), seats(a=(1, 4)), {"c": frozenset("a")}, "least_loaded", 5)
    assert [(pick.load_before, pick.limit) for pick in answer.picks] == [(1, 4), (2, 4)]


# Everything


names = st.sampled_from("abcdef")
agents_in = st.lists(
    st.builds(
        Seats, names, st.integers(0, 4), st.integers(0, 4), st.sampled_from([0.0, 5.0, 7.0, 1.75e9]), st.booleans()
    ).map(lambda seat: seat._replace(owed=seat.owed and seat.load > 0)),  # who has no chat is owed no second one
    max_size=6,
    unique_by=lambda seat: seat.agent,
)
rooms_in = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 5), st.integers(0, 1)), max_size=14).map(
    lambda told: [Waiting(n, f"r{n}", class_, at, priority) for n, (class_, at, priority) in enumerate(told)]
)
eligible_in = st.dictionaries(st.sampled_from("xyz"), st.frozensets(names))
suggested_in = st.dictionaries(st.sampled_from("xyz"), names)
everything = (rooms_in, agents_in, eligible_in, st.sampled_from(POLICIES), st.integers(0, 14), suggested_in)


def one_by_one(rooms, agents, eligible, policy, most, suggested):
    """The same rules without a heap: for each room in turn, everybody who could serve it, best first."""
    load = {seat.agent: seat.load for seat in agents}
    limit = {seat.agent: seat.limit for seat in agents}
    turn = {seat.agent: seat.idle_since_s for seat in agents}
    second, suggested, found = {seat.agent for seat in agents if seat.owed}, dict(suggested), []
    rank = {
        "least_loaded": lambda a: (load[a], turn[a], a),
        "round_robin": lambda a: (turn[a], a),
        "fill_two": lambda a: (-1 if a in second else load[a], turn[a], a),
        "upstream": lambda a: a,
    }.get(policy, lambda a: (*TABLE[policy].key(Seats(a, load[a], limit[a], turn[a], a in second)), a))
    for room in sorted(rooms, key=lambda room: (-room.priority, room.arrived_us, room.visit)):
        could = {a for a in eligible.get(room.class_, ()) if a in load and load[a] < limit[a]}
        if policy == "upstream":
            could &= {suggested.get(room.class_)}
        if not could or len(found) >= most:
            continue
        agent = min(could, key=rank)
        found.append((room.room, agent))
        second ^= {agent} if load[agent] == 0 or agent in second else set()
        load[agent] += 1
        turn[agent] = max(turn.values()) + 1
        suggested.pop(room.class_, None)
    return found


@settings(max_examples=100, deadline=None)
@given(*everything)
def test_it_picks_as_one_would_by_hand_room_by_room(rooms, agents, eligible, policy, most, suggested):
    answer = choose(rooms, agents, eligible, policy, most, suggested)
    by_hand = one_by_one(rooms, agents, eligible, policy, most, suggested)
    assert [(pick.waiting.room, pick.agent) for pick in answer.picks] == by_hand


@settings(max_examples=120, deadline=None)
@given(*everything)
def test_no_pick_breaks_a_limit_or_goes_to_somebody_who_is_not_there(rooms, agents, eligible, policy, most, suggested):
    answer = choose(rooms, agents, eligible, policy, most, suggested)
    load = {seat.agent: seat.load for seat in agents}
    limit = {seat.agent: seat.limit for seat in agents}
    for pick in answer.picks:
        assert pick.agent in eligible[pick.waiting.class_]
        assert (pick.load_before, pick.limit) == (load[pick.agent], limit[pick.agent])
        load[pick.agent] += 1
        assert load[pick.agent] <= limit[pick.agent]
    visits = [pick.waiting.visit for pick in answer.picks]
    assert len(visits) == len(set(visits)) <= most


@settings(max_examples=120, deadline=None)
@given(*everything)
def test_no_room_is_passed_by_a_later_one_that_the_same_agent_serves(rooms, agents, eligible, policy, most, suggested):
    """Policy upstream aside: there the desk decides who serves which class."""
    if policy == "upstream":
        policy = "least_loaded"
    answer = choose(rooms, agents, eligible, policy, most, suggested)
    places = [pick.waiting.place for pick in answer.picks]
    assert places == sorted(places)
    served = {pick.waiting.visit for pick in answer.picks}
    for room in rooms:
        if room.visit in served:
            continue
        for pick in answer.picks:
            if pick.agent in eligible.get(room.class_, ()):
                assert pick.waiting.place < room.place
        if len(answer.picks) < most:
            assert answer.passed_over[room.class_]


@settings(max_examples=100, deadline=None)
@given(*everything, st.randoms(use_true_random=False))
def test_the_same_input_in_any_order_gives_the_same_answer(rooms, agents, eligible, policy, most, suggested, rng):
    once = choose(rooms, agents, eligible, policy, most, suggested)
    rng.shuffle(rooms)
    rng.shuffle(agents)
    assert choose(rooms, agents, eligible, policy, most, suggested) == once


# Refusals (H13)


def doubted(rooms, agents, policy="least_loaded", suggested=None, eligible=None, **doubts):
    everybody = {"c": frozenset(seat.agent for seat in agents)}
    answer = choose(rooms, agents, eligible or everybody, policy, 100, suggested, Doubts(**doubts))
    return [(pick.waiting.room, pick.agent) for pick in answer.picks]


@each("policy", OURS)
def test_a_room_is_not_offered_to_whom_it_was_refused_for(policy):
    found = dict(doubted(line(*"cc"), seats(a=(0, 1), b=(0, 1)), policy, refused={1: {"a"}}))
    assert found["r1"] == "b"
    assert found["r2"] == "a"


def test_a_room_waits_for_an_agent_who_was_not_refused_and_others_pass():
    assert doubted(line(*"cc"), seats(a=(0, 2), b=(1, 1)), refused={1: {"a"}}) == [("r2", "a")]


@each("limit", [0, 1])
def test_a_room_that_all_were_refused_for_is_tried_again_and_nobody_who_is_paused_is_waited_for(limit):
    refused = {1: {"a", "b"}} if limit else {1: {"a"}}
    assert doubted(line("c"), seats(a=(0, 1), b=(0, limit)), refused=refused) == [("r1", "a")]


def test_an_agent_under_doubt_gets_one_room():
    found = doubted(line(*"ccc"), seats(a=(0, 5), b=(4, 5)), trial={("c", "a")})
    assert found == [("r1", "a"), ("r2", "b")]


def test_an_agent_under_doubt_whose_room_is_under_way_gets_none():
    assert doubted(line("c"), seats(a=(0, 5), b=(1, 5)), trial={("c", "a")}, tried={"a"}) == [("r1", "b")]


def test_an_agent_under_doubt_for_one_class_serves_the_others():
    rooms, agents = line(*"xyxyy"), seats(a=(0, 9))
    found = doubted(rooms, agents, eligible={"x": {"a"}, "y": {"a"}}, trial={("x", "a")})
    assert [room for room, _ in found] == ["r1", "r2", "r4", "r5"]


def test_an_agent_who_is_left_out_gets_nothing_and_a_room_that_the_others_were_refused_for_does_not_wait_for_them():
    out = {("c", "a")}
    assert doubted(line(*"cc"), seats(a=(0, 5), b=(0, 1)), out=out) == [("r1", "b")]
    assert doubted(line("c"), seats(a=(0, 5), b=(0, 1)), out=out, refused={1: {"b"}}) == [("r1", "b")]


def test_a_candidate_whom_the_desk_itself_refuses_is_replaced():
    agents = seats(a=(0, 5), b=(2, 5), c=(1, 5))
    for doubts in ({"out": {("c", "a")}}, {"refused": {1: {"a"}}}, {"trial": {("c", "a")}, "tried": {"a"}}):
        assert doubted(line("c"), agents, "upstream", {"c": "a"}, **doubts) == [("r1", "c")]
    assert doubted(line("c"), agents, "upstream", {"c": "b"}, out={("c", "a")}) == [("r1", "b")]


def test_many_refused_rooms_and_many_agents_take_a_moment():
    rooms = line(*"c" * 500)
    agents = seats(**{f"a{n}": (0, 1) for n in range(3000)})
    refused = {room.visit: {f"a{n}" for n in range(3)} for room in rooms}
    began = time.process_time()
    found = choose(
        rooms, agents, {"c": frozenset(s.agent for s in agents)}, "least_loaded", 500, None, Doubts(refused=refused)
    )
    assert len(found.picks) == 500
    assert time.process_time() - began < 1.0


@settings(max_examples=200)
@given(st.data())
def test_whatever_is_refused_no_agent_gets_too_much_and_no_room_goes_where_it_was_refused_while_another_may(data):
    names = [f"a{n}" for n in range(data.draw(st.integers(1, 4)))]
    agents = [Seats(name, data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))) for name in names]
    rooms = line(*data.draw(st.text("xy", max_size=8)))
    eligible = {class_: frozenset(data.draw(st.sets(st.sampled_from(names)))) for class_ in "xy"}
    pairs = st.sets(st.tuples(st.sampled_from("xy"), st.sampled_from(names)))
    refused = {room.visit: data.draw(st.sets(st.sampled_from(names))) for room in rooms}
    doubts = Doubts(data.draw(pairs), data.draw(pairs), data.draw(st.sets(st.sampled_from(names))), refused)
    picks = choose(rooms, agents, eligible, "least_loaded", 100, None, doubts).picks
    given_ = Counter(pick.agent for pick in picks)
    assert all(seat.load + given_[seat.agent] <= max(seat.limit, seat.load) for seat in agents)
    assert len({pick.waiting.visit for pick in picks}) == len(picks)
    for pick in picks:
        pair = (pick.waiting.class_, pick.agent)
        assert pick.agent in eligible[pair[0]] and pair not in doubts.out
        assert pair not in doubts.trial or pick.agent not in doubts.tried
        others = {
            s.agent for s in agents if s.limit and s.agent in eligible[pair[0]] and (pair[0], s.agent) not in doubts.out
        }
        assert pick.agent not in refused[pick.waiting.visit] or others <= refused[pick.waiting.visit]


# Rooms whose team is read first


def kept(rooms, agents, elsewhere, **eligible):
    """`elsewhere`: the number of a room that is not among these → who may be theirs."""
    named = {name: frozenset(names) for name, names in eligible.items()}
    places = [((0, number, number), frozenset(names)) for number, names in elsewhere.items()]
    answer = choosing.choose(rooms, agents, named, TABLE["least_loaded"], 100, elsewhere=places)
    return [(pick.waiting.room, pick.agent) for pick in answer.picks], answer.passed_over


def test_who_may_serve_an_earlier_room_that_is_not_here_yet_is_kept_for_it():
    rooms, agents = line("c", "c", "c"), seats(a=(0, 1), b=(1, 3))
    assert kept(rooms, agents, {2: "a"}, c="ab")[0] == [("r1", "a"), ("r2", "b"), ("r3", "b")]
    assert kept(rooms, agents, {0: "a"}, c="ab")[0] == [("r1", "b"), ("r2", "b")]
    assert kept(rooms, agents, {0: "ab"}, c="ab") == ([], {"c": choosing.READ_FIRST})


def test_a_room_that_can_not_have_those_who_are_kept_still_goes_before_later_ones():
    """The first room's team is read; a is perhaps theirs. The second may have a or b, the third only b."""
    rooms, agents = line("wide", "narrow"), seats(a=(0, 1), b=(0, 1))
    assert kept(rooms, agents, {0: "a"}, wide="ab", narrow="b")[0] == [("r1", "b")]
