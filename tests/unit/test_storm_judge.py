"""The judge of a storm, on histories written by hand: what holds passes, what is broken is found."""

from typing import Any

from scripts.storms import judge
from scripts.storms.watch import Decision, Span


def event(kind: str, mono: float, room: str = "1", **facts: Any) -> dict[str, Any]:
    return {"kind": kind, "mono": mono, "room": room, **facts}


def assigned(mono: float, room: str, agent: int = 7, by: str = "api", in_room: int = 1) -> dict[str, Any]:
    return event("assigned", mono, room, agent=agent, by=by, in_room=in_room)


def call(began: float, agent: int, outcome: str, room: str = "1", lasted: float = 0.1) -> dict[str, Any]:
    return event("call", began + lasted, room, agent=str(agent), outcome=outcome, began=began)


def decision(number: int, room: str, at: float, agent: int = 7, limit: int = 2) -> Decision:
    return Decision(number, "t", room, number, str(agent), limit, low=at, high=at + 0.2)


def webhook(mono: float, room: str, outcome: str = "200", ms: float = 10, hook: str = "caa") -> dict[str, Any]:
    return event("webhook", mono, room, outcome=outcome, ms=ms, hook=hook)


def test_a_stay_that_nobody_served_is_lost():
    events = [event("arrived", 1, "a"), event("arrived", 1, "b"), assigned(2, "a"), event("arrived", 5, "a")]
    assert judge.lost(events) == ["room b was never served", "room a was never served"]


def test_an_accepted_room_that_the_ledger_does_not_have_is_forgotten():
    assert judge.forgotten(["a", "b", "b"], {"a"}) == ["room b was accepted and is not in the ledger"]


def test_three_of_ours_are_over_a_limit_of_two():
    events = [assigned(float(n), f"r{n}") for n in range(3)]
    decisions = [decision(n, f"r{n}", n - 0.5) for n in range(3)]
    assert len(judge.over(events, decisions, 2, 7)) == 1
    assert judge.over(events, decisions, 3, 7) == []


def test_a_chat_given_by_hand_is_excepted_only_for_as_long_as_it_can_be_unknown():
    def over(given_at: float) -> list[str]:
        by_hand = assigned(given_at, "hand", by="supervisor")
        events = sorted([by_hand, assigned(20, "a"), assigned(21, "b")], key=lambda each: each["mono"])
        return judge.over(events, [decision(1, "a", 19.5), decision(2, "b", 20.5)], 2, 7)

    assert over(given_at=14) == over(given_at=20.7) == []
    assert len(over(given_at=13)) == 1


def test_a_room_with_two_agents_and_a_stay_served_twice_are_shared():
    assert len(judge.shared([assigned(1, "a"), assigned(2, "a", agent=8, in_room=2)])) == 2
    moved = [assigned(1, "a"), event("removed", 2, "a", agent=7, by="supervisor"), assigned(3, "a", agent=8)]
    assert judge.shared(moved) == []


def test_an_agent_who_has_been_away_for_longer_than_can_be_unknown_is_given_nothing():
    gone = event("presence", 10, agent=7, online=False)
    late, soon = ([gone, assigned(at, "a")] for at in (18, 16))
    assert len(judge.to_the_absent(late, [decision(1, "a", 17.5)], 7)) == 1
    assert judge.to_the_absent(soon, [decision(1, "a", 15.5)], 7) == []
    back = [gone, event("presence", 17, agent=7, online=True), assigned(18, "a")]
    assert judge.to_the_absent(back, [decision(1, "a", 17.5)], 7) == []
    deleted = [event("presence", 10, agent=7, online=True, deleted=True), assigned(18, "a")]
    assert len(judge.to_the_absent(deleted, [decision(1, "a", 17.5)], 7)) == 1


def test_another_agent_is_tried_only_after_a_definite_answer():
    assert judge.pairs_changed([call(1, 7, "400"), call(2, 8, "200")]) == []
    assert len(judge.pairs_changed([call(1, 7, "500"), call(2, 8, "200")])) == 1
    assert judge.pairs_changed([call(1, 7, "500"), event("resolved", 1.5), call(2, 8, "200")]) == []
    assert len(judge.pairs_changed([call(1, 7, "429"), call(2, 8, "200")])) == 1
    assert judge.pairs_changed([call(1, 7, "429"), webhook(1.5, "1"), call(2, 8, "200")]) == []
    assert len(judge.pairs_changed([call(1, 7, "500"), webhook(1.5, "1"), call(2, 8, "200")])) == 1
    overtaken = [call(1, 7, "hang_late"), event("resolved", 1.5), event("arrived", 2), webhook(3, "1")]
    assert judge.pairs_changed([*overtaken, call(4, 7, "401"), call(5, 8, "200")]) == []
    assert len(judge.pairs_changed([*overtaken, call(4, 7, "500"), call(5, 8, "200")])) == 1
    assert len(judge.pairs_changed([*overtaken, call(4, 9, "401"), call(5, 8, "200")])) == 1
    hanging = [call(1, 7, "hang_late", lasted=9), call(4, 8, "200")]
    assert len(judge.pairs_changed(sorted(hanging, key=lambda each: each["mono"]))) == 1


def test_doubt_is_read_back_before_the_next_call():
    first, again = call(1, 7, "timeout_after"), call(5, 7, "200")
    assert len(judge.not_read_back([first, again])) == 1
    assert judge.not_read_back([first, event("look", 3), again]) == []
    assert judge.not_read_back([call(1, 7, "429"), again]) == []


def test_a_room_reserved_before_one_that_had_surely_come_earlier_is_out_of_order():
    events = [event("arrived", 0, "a"), event("arrived", 0, "b"), webhook(1, "a"), webhook(3, "b")]
    right, wrong = ([decision(n, room, 4) for n, room in enumerate(rooms)] for rooms in ("ab", "ba"))
    assert judge.out_of_order(events, right, (), by_last_copy=False) == []
    assert len(judge.out_of_order(events, wrong, (), by_last_copy=False)) == 1
    assert judge.out_of_order(events, wrong, {"a"}, by_last_copy=False) == []
    at_once = [*events[:3], webhook(1.01, "b")]
    assert judge.out_of_order(at_once, wrong, (), by_last_copy=False) == []
    assert judge.out_of_order([*events, webhook(3, "a")], wrong, (), by_last_copy=True) == []


def test_a_wait_is_too_long_only_without_what_held_everybody_up():
    events = [event("arrived", 1, "a"), webhook(1.5, "a"), assigned(12, "a")]
    waited = judge.waits(events)
    assert waited == [("a", 1.5, 12)]
    assert len(judge.waited_too_long(waited, [], 5)) == 1
    spans = [Span(2, 6, "redis-killed"), Span(5, 8, "worker-killed")]
    assert judge.waited_too_long(waited, spans, 5) == []
    assert len(judge.waited_too_long(waited, spans, 4)) == 1


def test_a_webhook_that_is_turned_away_in_good_weather_is_told():
    assert len(judge.turned_away([webhook(1, "a", "503")], [])) == 1
    assert judge.turned_away([webhook(3, "a", "503")], [Span(2, 6, "redis-full")]) == []


def test_seats_under_another_limit_are_told():
    assert judge.other_limits([decision(1, "a", 1), decision(2, "b", 1, limit=50)], 2) == [
        "1 seats were reserved under a limit of 50"
    ]
