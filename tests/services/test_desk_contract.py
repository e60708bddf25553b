"""What every desk promises, whichever it is: one test for all implementations of `worker.desk.base.Desk`.

A `World` is a desk and the hands to move what is behind it. A new desk joins by a world of its own in `WORLDS`.
"""

import threading
import time
from contextlib import contextmanager, suppress

import pytest

from db import inbox
from routing.model import Agents
from testbed.deadlines import eventually
from testbed.simulated import simulator
from tests.services.native_world import NativeWorld
from worker.desk.base import Assigned, DeskError, RoomRefused, RoomTaken
from worker.desk.connections import Connections
from worker.desk.native import NativeDesk, publisher
from worker.desk.qiscus import QiscusDesk

AGENTS, OFFLINE = 5, 1


class QiscusWorld:
    """The Qiscus desk before the simulator. Pages of two agents, so that every roster is read over several."""

    def __init__(self, sim):
        self.sim = sim
        self.desk = QiscusDesk(sim.url, sim.app_id, sim.secret)

    def reset(self):
        self.sim.reset()

    def room(self):
        return self.sim.add_customers(1)[0]

    def agents(self, online=True):
        return [str(agent["id"]) for agent in self.sim.agents() if agent["online"] is online]

    def supervisor(self):
        return next(str(agent["id"]) for agent in self.sim.state()["agents"] if agent["type"] == "supervisor")

    def go(self, agent, online):
        self.sim.online(int(agent), online)

    def resolve(self, room):
        self.sim.resolve(room)

    def put(self, room, agent):
        """By a supervisor's hand."""
        self.sim.assign(room, int(agent), replace=False)

    def divide(self, **divisions):
        """By their names, and no others."""
        for division in self.sim.state()["divisions"]:
            self.sim.delete_division(division["id"])
        for name, members in divisions.items():
            self.sim.add_division(name, *map(int, members))

    def email(self, agent):
        return next(one["email"] for one in self.sim.state()["agents"] if str(one["id"]) == agent)

    def said(self, room):
        return self.sim.said(room)

    def wait_until_listed(self, rooms):
        eventually(lambda: set(rooms) <= {r.room for r in self.desk.unserved()}, what="the list of waiting rooms")


@contextmanager
def qiscus(_):
    with simulator(agents=AGENTS, offline=OFFLINE, page_size=2) as sim:
        yield QiscusWorld(sim)


@contextmanager
def native(request):
    """Our own desk on a real PostgreSQL, telling a real Valkey."""
    with request.getfixturevalue("_databases").clone() as database_url:
        redis_url = request.getfixturevalue("_redis_databases").next_url()
        connections = Connections(database_url)
        desk = NativeDesk("shop", connections, publisher(inbox.connect(redis_url, 3.0, 2), "x.0"))
        world = NativeWorld(database_url, "shop", desk)
        world.people(AGENTS, OFFLINE)
        try:
            yield world
        finally:
            connections.close()
            world.close()


WORLDS = {"qiscus": qiscus, "native": native}


@pytest.fixture(scope="module", params=WORLDS)
def _world(request):
    with WORLDS[request.param](request) as world:
        yield world


@pytest.fixture
def world(_world):
    _world.reset()
    return _world


# The roster


def test_the_roster_has_every_agent_once_and_says_who_is_online(world):
    roster = world.desk.roster(world.room())
    assert sorted(a.id for a in roster) == sorted(world.agents() + world.agents(online=False))
    assert sorted(a.id for a in roster if a.available) == sorted(world.agents())


def test_no_supervisor_is_on_the_roster(world):
    assert world.supervisor() not in [a.id for a in world.desk.roster(world.room())]


def test_an_agent_who_leaves_is_seen_to_leave_and_to_return(world):
    room, agent = world.room(), world.agents()[0]
    for online in (False, True):
        world.go(agent, online)
        assert {a.id: a.available for a in world.desk.roster(room)}[agent] is online


def test_a_count_is_a_whole_number_or_untold(world):
    agent = world.agents()[0]
    world.desk.assign(world.room(), agent)
    counts = {a.id: a.count for a in world.desk.roster(world.room())}
    assert counts[agent] in (1, None)


# Who may serve a queue of the rules


def test_a_team_is_whom_the_rules_name_by_division_id_and_email_and_what_is_missing_is_said(world):
    (first, second, third, *_), (away,) = world.agents(), world.agents(online=False)
    world.divide(Sales=[first, away, world.supervisor()], Empty=[], Boss=[world.supervisor()])
    who = Agents(("SALES ", "Boss", "No"), (second, world.supervisor(), "1"), (world.email(third).upper(), "no@x.id"))
    expected = {first: True, away: False, second: True, third: True}

    def agree(team):
        return {agent.id: agent.available for agent in team.agents} == expected

    team = eventually(lambda: found if agree(found := world.desk.team("", who)) else None, what="the team")
    assert team.missing == (
        "the desk has no division 'No'",
        "the division 'Boss' is empty",
        f"the desk has no agent {world.supervisor()}",
        "the desk has no agent 1",
        "the desk has no agent no@x.id",
    )
    assert 0 <= team.age_s < 5


def test_the_team_of_a_channel_is_the_roster_and_of_nothing_is_nobody(world):
    room = world.room()
    assert {a.id for a in world.desk.team(room, Agents(channel=True)).agents} == {a.id for a in world.desk.roster(room)}
    assert world.desk.team(room, Agents()).agents == ()


def test_who_leaves_a_division_is_on_its_team_no_longer(world):
    first, second, *_ = world.agents()
    sales = Agents(divisions=("Sales",))
    for members in ([first, second], [second]):
        world.divide(Sales=members)
        eventually(lambda m=members: [a.id for a in world.desk.team("", sales).agents] == sorted(m), what="the team")
    world.divide()
    eventually(lambda: world.desk.team("", sales).missing == ("the desk has no division 'Sales'",), what="its end")


# What the bot says


def test_what_is_said_in_a_room_is_there_once_and_in_no_other(world):
    room, other = world.room(), world.room()
    world.desk.say(room, "Anda nomor 1.")
    assert (world.said(room), world.said(other)) == (["Anda nomor 1."], [])
    with pytest.raises(RoomRefused):
        world.desk.say("4040404040", "x")


# Assigning


def test_an_assigned_room_has_its_agent_and_waits_no_more(world):
    room, agent = world.room(), world.agents()[0]
    assert world.desk.look(room).waiting
    assert world.desk.agents_in(room) == []
    answer = world.desk.assign(room, agent)
    assert isinstance(answer, Assigned)
    assert answer.first_comment_id is None or isinstance(answer.first_comment_id, str)
    assert world.desk.agents_in(room) == [agent]
    view = world.desk.look(room)
    assert (view.waiting, view.resolved) == (False, False)


def test_a_second_agent_is_told_that_the_room_is_taken(world):
    room, (first, second, *_) = world.room(), world.agents()
    world.desk.assign(room, first)
    with pytest.raises(RoomTaken):
        world.desk.assign(room, second)
    assert world.desk.agents_in(room) == [first]


def test_the_same_pair_again_changes_nothing(world):
    room, agent = world.room(), world.agents()[0]
    world.desk.assign(room, agent)
    with suppress(RoomTaken):  # a desk may answer either way; the room says which agent it is
        world.desk.assign(room, agent)
    assert world.desk.agents_in(room) == [agent]


def test_of_many_at_once_one_gets_the_room(world):
    room, agents, answers = world.room(), world.agents(), []
    together = threading.Barrier(len(agents), timeout=5)

    def assign(agent):
        together.wait()
        try:
            world.desk.assign(room, agent)
            answers.append(agent)
        except RoomTaken:
            answers.append(None)

    threads = [threading.Thread(target=assign, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(answers) == len(agents)
    assert [agent for agent in answers if agent] == world.desk.agents_in(room)


def test_a_room_given_by_hand_is_taken(world):
    room, (ours, theirs, *_) = world.room(), world.agents()
    world.put(room, theirs)
    with pytest.raises(RoomTaken):
        world.desk.assign(room, ours)
    assert world.desk.agents_in(room) == [theirs]


def test_a_resolved_room_is_refused_for_good(world):
    room = world.room()
    world.resolve(room)
    with pytest.raises(RoomRefused) as caught:
        world.desk.assign(room, world.agents()[0])
    assert caught.value.permanent


def test_an_agent_whom_nobody_knows_is_refused_and_the_room_waits_on(world):
    room = world.room()
    with pytest.raises(RoomRefused):
        world.desk.assign(room, "1")
    assert world.desk.look(room).waiting


# Looking


def test_a_resolved_room_is_seen_as_resolved(world):
    held, waiting = world.room(), world.room()
    world.desk.assign(held, world.agents()[0])
    for room in (held, waiting):
        world.resolve(room)
        view = world.desk.look(room)
        assert (view.waiting, view.resolved) == (False, True)


def test_a_room_that_is_not_there_is_refused(world):
    with pytest.raises(RoomRefused):
        world.desk.look("4040404040")


@pytest.mark.parametrize("room", ["", "..", "a b", "\x00", "a" * 65])
def test_what_is_no_room_id_is_refused(world, room):
    with pytest.raises(RoomRefused):
        world.desk.look(room)


# The list of waiting rooms


def test_waiting_rooms_are_listed_oldest_first_without_held_and_resolved_ones(world):
    rooms = [world.room() for _ in range(5)]
    world.desk.assign(rooms[1], world.agents()[0])
    world.resolve(rooms[3])
    world.wait_until_listed([rooms[0], rooms[2], rooms[4]])
    assert [r.room for r in world.desk.unserved()] == [rooms[0], rooms[2], rooms[4]]


def test_more_rooms_than_a_page_holds_are_all_listed_in_order(world):
    rooms = [world.room() for _ in range(120)]
    world.wait_until_listed(rooms)
    assert [r.room for r in world.desk.unserved()] == rooms


def test_a_listed_room_tells_its_class_and_when_its_customer_wrote(world):
    before_s = time.time()
    world.wait_until_listed([world.room()])
    (room,) = world.desk.unserved()
    assert room.channel
    assert room.last_customer_s is None or before_s - 2 < room.last_customer_s < time.time() + 2


def test_nobody_waiting_is_an_empty_list(world):
    assert world.desk.unserved() == []


# The desk's own candidate


def test_a_suggestion_is_somebody_who_is_online(world):
    assert world.desk.suggest("qiscus").id in world.agents()


def test_nobody_online_is_no_suggestion_and_no_error(world):
    for agent in world.agents():
        world.go(agent, False)
    assert world.desk.suggest("qiscus") is None


# Errors


def test_errors_are_short_and_say_whether_trying_again_can_help(world):
    with pytest.raises(DeskError) as caught:
        world.desk.look("4040404040")
    assert isinstance(caught.value.permanent, bool)
    assert 0 < len(caught.value.what) <= 120
