"""The simulated desk without any server: what a room, an agent and a service do."""

import pytest

from scripts.simulator import shapes
from scripts.simulator.faults import Faults
from scripts.simulator.ids import Ids
from scripts.simulator.journal import Instant, Journal
from scripts.simulator.model import AGENT, Model
from scripts.simulator.refused import Refused


def at(seconds: float) -> Instant:
    return Instant(seconds, 1_700_000_000 + seconds)


@pytest.fixture
def desk() -> Model:
    model = Model(Ids(room=1, service=100, comment=1000), Journal())
    for name in ("Ani", "Beni"):
        model.add_agent(name, f"{name}@example.com")
    return model


def ids(desk: Model) -> list[int]:
    return list(desk.agents)


def assigned(desk: Model, seconds: float = 1, agent: int = 0) -> str:
    room = desk.customer_arrives(at(0))
    desk.assign(at(seconds), room.id, ids(desk)[agent], max_agent=1)
    return room.id


def refusal(call) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.status, caught.value.text


def test_an_unknown_room_becomes_a_waiting_room_and_is_assigned(desk):
    room = desk.assign(at(1), "57491250", ids(desk)[0], max_agent=1)
    assert (room.id, list(room.agents)) == ("57491250", ids(desk)[:1])
    assert [e["kind"] for e in desk.journal.after(0)] == ["arrived", "assigned"]


def test_an_unknown_agent_is_404_and_adopts_no_room(desk):
    assert refusal(lambda: desk.assign(at(1), "57491250", 99, max_agent=1)) == (404, "Agent not found")
    assert desk.rooms == {}


def test_a_second_agent_does_not_fit_under_a_ceiling_of_one(desk):
    room = assigned(desk)
    for agent in ids(desk):
        refused = refusal(lambda agent=agent: desk.assign(at(2), room, agent, max_agent=1))
        assert refused == (400, "Cant join room, exceed max agents")


def test_replacing_never_has_two_agents_in_the_room(desk):
    room = assigned(desk)
    desk.assign(at(2), room, ids(desk)[1], max_agent=1, replace=True)
    assert list(desk.rooms[room].agents) == [ids(desk)[1]]
    assert desk.rooms[room].max_agents == 1
    assert desk.agents[ids(desk)[0]].rooms == {}


def test_adding_puts_two_agents_into_the_room_and_history_tells_it(desk):
    room = assigned(desk)
    desk.assign(at(2), room, ids(desk)[1], max_agent=5)
    assert desk.rooms[room].max_agents == 2
    assert desk.journal.after(0)[-1]["in_room"] == 2


def test_neither_presence_nor_load_is_checked_when_assigning(desk):
    desk.set_presence(at(0), ids(desk)[0], online=False)
    for _ in range(5):
        assigned(desk)
    assert desk.agents[ids(desk)[0]].max_held == 5


def test_a_resolved_room_is_refused_and_frees_everybody_in_it(desk):
    room = assigned(desk)
    desk.resolve(at(3), room, desk.admin)
    assert desk.agents[ids(desk)[0]].rooms == {}
    assert refusal(lambda: desk.assign(at(4), room, ids(desk)[0], max_agent=1)) == (400, "room already resolved")


def test_max_held_remembers_the_highest_instant(desk):
    rooms = [assigned(desk) for _ in range(3)]
    for room in rooms:
        desk.resolve(at(5), room, desk.admin)
    assert desk.agents[ids(desk)[0]].max_held == 3


def test_a_customer_who_returns_brings_the_closed_service(desk):
    room = assigned(desk)
    service = desk.resolve(at(5), room, desk.admin)
    desk.outbox.clear()
    desk.customer_writes(at(6), room)
    payload = shapes.caa("app", desk, desk.outbox[0].room, Faults(), 6)
    assert payload["latest_service"]["id"] == service.id
    assert payload["is_resolved"] is True
    assert payload["is_new_session"] is True


def test_a_new_customer_has_no_latest_service_and_a_second_message_is_no_new_session(desk):
    room = desk.customer_arrives(at(0))
    first = shapes.caa("app", desk, room, Faults(), 0)
    desk.customer_writes(at(1), room.id)
    second = shapes.caa("app", desk, room, Faults(), 1)
    assert (first["latest_service"], first["is_resolved"]) == (None, False)
    assert (first["is_new_session"], second["is_new_session"]) == (True, False)
    assert len(desk.outbox) == 2


def test_a_message_with_an_agent_inside_is_not_announced(desk):
    room = assigned(desk)
    desk.outbox.clear()
    desk.customer_writes(at(2), room)
    assert desk.outbox == []


def test_service_ids_rise_over_rooms_and_stays(desk):
    room, other = assigned(desk), assigned(desk)
    first = desk.resolve(at(2), room, desk.admin).id
    second = desk.resolve(at(3), other, desk.admin).id
    desk.customer_writes(at(4), room)
    assert first < second < desk.resolve(at(5), room, desk.admin).id


def test_the_resolve_has_the_first_comment_of_the_assign_answer(desk):
    room = desk.rooms[assigned(desk)]
    agent = desk.agents[ids(desk)[0]]
    told = shapes.assign_answer(room, agent, Faults())["data"]["service"]["first_comment_id"]
    desk.customer_writes(at(2), room.id)
    service = desk.resolve(at(3), room.id, agent)
    payload = shapes.resolved("app", room, service, agent, Faults())
    assert payload["service"]["first_comment_id"] == told
    assert payload["service"]["last_comment_id"] != told


def test_the_next_stay_has_another_first_comment(desk):
    room = desk.rooms[assigned(desk)]
    before = room.first_comment
    desk.resolve(at(2), room.id, desk.admin)
    desk.customer_writes(at(3), room.id)
    assert room.first_comment != before


def test_the_count_is_that_of_lag_seconds_ago(desk):
    assigned(desk, seconds=10)
    agent = desk.agents[ids(desk)[0]]
    assert [agent.counts.at(t) for t in (9.9, 10, 13)] == [0, 1, 1]


def test_a_late_count_survives_many_changes(desk):
    agent = desk.agents[ids(desk)[0]]
    for second in range(500):
        agent.counts.set(float(second), second)
    assert agent.counts.at(495.5) == 495


def test_a_waiting_room_can_be_resolved_and_leaves_the_line(desk):
    room = desk.customer_arrives(at(0))
    desk.resolve(at(1), room.id, desk.admin)
    assert desk.line() == []


def test_a_room_that_loses_its_agent_waits_at_its_old_place(desk):
    first = assigned(desk)
    second = desk.customer_arrives(at(5)).id
    desk.remove_agent(at(6), first, ids(desk)[0])
    assert [room.id for room in desk.line()] == [first, second]


def test_only_agents_of_the_channel_are_eligible(desk):
    desk.agents[ids(desk)[0]].channels = frozenset({131313})
    room = desk.customer_arrives(at(0), channel=131314)
    assert [agent.id for agent in desk.eligible(room.id)] == [ids(desk)[1]]


def test_resolved_by_is_whoever_presses(desk):
    room = desk.rooms[assigned(desk)]
    boss = desk.add_agent("Boss", "boss@example.com", kind=3)
    assert desk.who_presses(room, "agent").id == ids(desk)[0]
    assert desk.who_presses(room, "supervisor") is boss
    assert desk.who_presses(room, "admin") is desk.admin
    assert desk.who_presses(room, ids(desk)[1]).kind == AGENT


def test_the_unserved_page_is_newest_first_and_goes_on_below_its_last(desk):
    rooms = [desk.customer_arrives(at(i)) for i in range(5)]
    page = desk.newest(desk.waiting.values(), None, 2)
    assert [room.id for room in page] == [rooms[4].id, rooms[3].id]
    assert desk.newest(desk.waiting.values(), page[-1].last_comment, 2) == [rooms[2], rooms[1]]


def test_ids_begun_later_are_higher_and_fit_a_signed_32_bit_number():
    early, late = Ids.begun_at(1_795_000_000), Ids.begun_at(1_795_000_060)
    assert early.service < late.service < 2**31
    assert early.room < late.room


def test_the_journal_forgets_the_oldest_but_goes_on_counting():
    journal = Journal(keep=3)
    for i in range(5):
        journal.add(at(i), "message", i=i)
    assert [event["i"] for event in journal.after(0)] == [2, 3, 4]
    assert [event["i"] for event in journal.after(4)] == [4]
    assert [event["i"] for event in journal.after(0, limit=2)] == [3, 4]
    assert journal.counts["message"] == 5
