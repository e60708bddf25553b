"""Our own chat as a desk, beyond what every desk promises: what sidecars hear, seats that were taken back, trouble."""

import threading
from contextlib import closing

import psycopg2
import pytest
import redis

from db import announce, chat, inbox
from testbed.deadlines import eventually
from tests.services.native_world import NativeWorld
from worker.desk.base import DeskTrouble, RoomRefused
from worker.desk.connections import Connections
from worker.desk.native import NativeDesk, publisher

TENANT = "shop"


@pytest.fixture
def told():
    return []


@pytest.fixture
def world(database_url, told):
    connections = Connections(database_url)
    desk = NativeDesk(TENANT, connections, lambda tenant, news: told.append((tenant, news)))
    made = NativeWorld(database_url, TENANT, desk)
    made.people(agents=2, offline=1)
    made.reset()
    yield made
    connections.close()
    made.close()


def messages(world, room):
    return world.rows(
        "SELECT m.seq, m.sender_type, m.event, m.body FROM messages m JOIN sessions s ON s.id = m.session"
        " WHERE s.tenant = %s AND s.room = %s ORDER BY m.seq",
        room,
    )


def session(world, room):
    return world.rows("SELECT * FROM sessions WHERE tenant = %s AND room = %s", room)[0]


def test_who_comes_into_the_chat_is_a_row_of_it(world):
    room, agent = world.room(), world.agents()[0]
    world.desk.assign(room, agent)
    found = session(world, room)
    assert (found.status, found.agent, found.answered, found.last_seq) == ("active", agent, False, 1)
    assert found.started_at is not None
    (row,) = messages(world, room)
    assert (row.sender_type, row.event["type"], row.event["agent_id"]) == ("system", "assigned", agent)
    assert row.body == f"{row.event['name']} joined the chat"


def test_the_sidecars_are_told_once_after_the_commit(world, told):
    room, agent = world.room(), world.agents()[0]
    world.desk.assign(room, agent)
    world.desk.assign(room, agent)
    ((tenant, news),) = told
    assert tenant == TENANT
    assert {one.room for one in news} == {room}
    kinds = [one.type for one in news]
    assert kinds[0] == chat.NEW
    assert {"chat.session.assigned", "chat.agent.joined"} <= set(kinds)
    assert {one.seq for one in news} == {1}


def test_customers_are_told_nothing_that_is_for_agents(world, told):
    world.desk.assign(world.room(), world.agents()[0])
    ((_, news),) = told
    assert all("session" not in one.payload for one in news if one.to != "agents")


def test_news_travel_through_redis(database_url, redis_url, world):
    with redis.Redis.from_url(redis_url).pubsub() as heard:
        heard.subscribe(announce.channel(TENANT, "x.0"))
        eventually(lambda: heard.get_message(timeout=1), what="the subscription")
        connections = Connections(database_url)
        room, agent = world.room(), world.agents()[0]
        NativeDesk(TENANT, connections, publisher(inbox.connect(redis_url, 3.0, 2), "x.0")).assign(room, agent)
        message = eventually(lambda: heard.get_message(timeout=1), what="the news")
        connections.close()
    assert announce.unpacked(message["data"])[0].payload["event"]["agent_id"] == agent


def test_without_redis_the_chat_is_given_all_the_same(database_url, world):
    connections = Connections(database_url)
    room, agent = world.room(), world.agents()[0]
    nowhere = publisher(inbox.connect("redis://127.0.0.1:1/0", 0.2, 1), "x.0")
    NativeDesk(TENANT, connections, nowhere).assign(room, agent)
    assert session(world, room).agent == agent
    connections.close()


def test_what_is_said_to_who_waits_is_a_row_of_the_chat_for_everybody_and_answers_nobody(world, told):
    room, agent = world.room(), world.agents()[0]
    world.desk.say(room, "Anda nomor 1 \U0001f642")
    world.desk.assign(room, agent)
    world.desk.say(room, "Kami buka lagi besok.")
    rows = messages(world, room)
    assert [(row.seq, row.sender_type, row.event["type"], row.body) for row in rows] == [
        (1, "system", "notice", "Anda nomor 1 \U0001f642"),
        (2, "system", "assigned", rows[1].body),
        (3, "system", "notice", "Kami buka lagi besok."),
    ]
    assert session(world, room).answered is False
    ((_, (first,)), _, (_, (last,))) = told
    assert (first.type, first.to, first.seq, last.seq) == (chat.NEW, "room", 1, 3)
    assert first.payload["event"] == {"type": "notice"}
    world.end(room)
    with pytest.raises(RoomRefused):
        world.desk.say(room, "x")
    assert len(told) == 3 and len(messages(world, room)) == 3


# Seats


def seat(world, room, agent):
    world.run(
        "UPDATE visits SET state = 'reserved', agent = %s, seat_limit = 2, lease_until = clock_timestamp(),"
        " reserved_at = clock_timestamp(), attempt = attempt + 1 WHERE tenant = %s AND room = %s",
        room,
        before=(agent,),
    )


def test_a_chat_is_given_to_whom_its_seat_is_reserved_for(world):
    room, agent = world.arrive(), world.agents()[0]
    seat(world, room, agent)
    world.desk.assign(room, agent)
    assert session(world, room).agent == agent


def test_a_caller_who_wakes_up_after_the_seat_went_to_another_changes_nothing(world):
    """H5: at Qiscus this can't be closed from outside."""
    room, (first, second) = world.arrive(), world.agents()
    for reserved_for in (None, second):
        if reserved_for:
            seat(world, room, reserved_for)
        with pytest.raises(RoomRefused):
            world.desk.assign(room, first)
        assert session(world, room).status == "waiting"
    assert messages(world, room) == []


def test_a_disabled_agent_gets_no_chat_and_is_on_no_roster(world):
    room, agent = world.room(), world.agents()[0]
    world.run("UPDATE accounts SET disabled = true WHERE tenant = %s AND agent = %s", agent)
    with pytest.raises(RoomRefused):
        world.desk.assign(room, agent)
    assert agent not in [each.id for each in world.desk.roster(room)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts SET wish = 'away' WHERE tenant = %s AND agent = %s",
        "UPDATE presence SET until = clock_timestamp() WHERE tenant = %s AND agent = %s",
    ],
    ids=["away", "page not renewed"],
)
def test_who_is_away_or_not_seen_any_more_is_not_available(world, change):
    agent = world.agents()[0]
    world.run(change, agent)
    assert {each.id: each.available for each in world.desk.roster("any")}[agent] is False
    assert world.desk.suggest("").id != agent


def test_another_tenants_room_is_no_room_of_this_desk(world, database_url):
    connections = Connections(database_url)
    other = NativeDesk("other", connections, lambda tenant, news: None)
    room = world.room()
    for ask in (lambda: other.look(room), lambda: other.assign(room, world.agents()[0]), lambda: other.agents_in(room)):
        with pytest.raises(RoomRefused):
            ask()
    assert other.unserved() == [] and other.roster(room) == []
    connections.close()


# Trouble


def test_a_ledger_that_is_away_is_trouble_of_the_desk(told):
    desk = NativeDesk(TENANT, Connections("postgresql://127.0.0.1:1/nothing"), lambda *_: None)
    for ask, maybe_applied in ((lambda: desk.look("s1"), False), (lambda: desk.assign("s1", "a1"), True)):
        with pytest.raises(DeskTrouble) as caught:
            ask()
        assert caught.value.maybe_applied is maybe_applied
        assert 0 < len(caught.value.what) <= 120


def test_a_caller_waits_for_a_connection_no_longer_than_it_may(database_url, world):
    connections = Connections(database_url, most=1, wait_s=0.05)
    desk = NativeDesk(TENANT, connections, lambda *_: None)
    taken, done = threading.Event(), threading.Event()

    def keep():
        with connections.transaction():
            taken.set()
            done.wait(10)

    thread = threading.Thread(target=keep)
    thread.start()
    assert taken.wait(5)
    with pytest.raises(DeskTrouble) as caught:
        desk.assign(world.room(), world.agents()[0])
    assert caught.value.maybe_applied is False
    done.set()
    thread.join(5)
    assert desk.unserved()
    connections.close()


def test_a_room_that_is_being_written_is_waited_for_and_no_longer_than_a_lock_may(world, database_url):
    room, agent = world.room(), world.agents()[0]
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cur:
        cur.execute("SELECT 1 FROM sessions WHERE room = %s FOR UPDATE", (room,))
        with pytest.raises(DeskTrouble):
            world.desk.assign(room, agent)
    world.desk.assign(room, agent)
