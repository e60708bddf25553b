"""Presence: connected pages, the wish of the agent, dead sidecars and long absences, over a real ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from db import chat, people
from db.people import Agent
from sidecar.agents.presence import Presence
from tests.services.chat_floor import Counter, Floor
from tests.services.line_of import TENANT, Line

QUICK = {"grace_s": 0.4, "beat_s": 0.1, "look_s": 0.05, "life_s": 8.0}
SHORT_S = 1.0  # the life of the rows of a sidecar that is going to die


@asynccontextmanager
async def running(presence: Presence) -> AsyncIterator[Presence]:
    await presence.start()
    try:
        yield presence
    finally:
        await presence.stop()


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """As `eventually`, without holding up the loop."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.02)


def is_available(line: Line, agent: Agent) -> bool:
    return bool(line.agent(agent.agent_id).available)


def presences(floor: Floor, agent: Agent) -> list[str]:
    return [told["presence"] for told in floor.told("chat.presence") if told["agent_id"] == agent.agent_id]


async def crash(presence: Presence) -> None:
    """kill -9: no more beats, nothing taken back."""
    await presence._tasks.end("presence_beat", "presence_look")


def test_an_agent_with_a_page_is_served_by_the_worker_at_once(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            assert line.decide().reserved == []
            await floor.presence.connected(ani, "page")
            assert is_available(line, ani)
            assert presences(floor, ani) == ["online"]
            (reserved,) = line.decide().reserved  # no desk was asked: the roster is known
            assert (reserved.room, reserved.agent) == (room, ani.agent_id)
            assert line.redis.exists(f"giliran:{{{TENANT}}}:ticket")

    asyncio.run(story())


def test_the_last_page_counts_and_going_is_told_at_once(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            await floor.presence.connected(ani, "one")
            await floor.presence.connected(ani, "two")
            await floor.presence.gone(ani, "one")
            await floor.presence.gone(ani, "one")  # said twice, or never said to have come
            assert is_available(line, ani)
            await floor.presence.gone(ani, "two")
            assert not is_available(line, ani)
            assert presences(floor, ani) == ["online", "offline"]
            assert line.rows("SELECT * FROM presence") == []

    asyncio.run(story())


def test_pages_that_come_and_go_faster_than_the_database_end_right(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            deeds = [deed(ani, n) for n in range(15) for deed in (floor.presence.connected, floor.presence.gone)]
            await asyncio.gather(*deeds, floor.presence.connected(ani, "page"))
            assert is_available(line, ani)
            await floor.presence.gone(ani, "page")
            assert not is_available(line, ani)

    asyncio.run(story())


def test_who_is_away_gets_nothing_from_the_worker_and_may_pick(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            await floor.presence.connected(ani, "page")
            assert await floor.presence.wish(ani, "away") == "away"
            assert line.decide().reserved == []
            assert await floor.seats.pick(TENANT, room, ani)
            assert await floor.presence.wish(ani, "online") == "online"
            assert presences(floor, ani) == ["online", "away", "online"]

    asyncio.run(story())


def test_a_beat_that_was_on_its_way_when_the_last_page_went_does_not_write_it_in_again(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            presence, ani = floor.presence, await floor.hire("ani")
            await presence.connected(ani, "page")
            run = floor.store.run

            async def late(*asked):
                floor.store.run = run
                await presence.gone(ani, "page")  # between the beat's look at its pages and its statement
                return await run(*asked)

            floor.store.run = late
            await presence._beat()
            assert line.rows("SELECT agent FROM presence") == []
            assert not is_available(line, ani)

    asyncio.run(story())


def test_a_page_without_a_socket_counts_as_long_as_it_says_that_it_is_here(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK, poll_s=0.6) as floor, Counter(floor) as counter:
            ani = await floor.hire("ani")
            for _ in range(4):  # together longer than one of them lasts
                status, found = await counter.ask(ani, "POST", "me/here")
                assert (status, found["agent"]["presence"]) == (200, "online")
                assert is_available(line, ani)
                await asyncio.sleep(0.25)
                assert is_available(line, ani)
            await until(lambda: not is_available(line, ani))
            await counter.ask(ani, "POST", "me/here")
            await floor.presence.connected(ani, "a socket after all")
            await asyncio.sleep(0.8)
            assert is_available(line, ani)
            await floor.presence.gone(ani, "a socket after all")
            assert not is_available(line, ani)

    asyncio.run(story())


def test_a_wish_without_a_page_counts_when_the_page_comes(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            assert await floor.presence.wish(ani, "away") == "offline"
            await floor.presence.connected(ani, "page")
            assert not is_available(line, ani)
            await floor.presence.gone(ani, "page")
            await floor.login.login(TENANT, ani.email, "Test@1234", "10.0.0.1")
            await floor.presence.connected(ani, "page")  # the first page after a login is online
            assert is_available(line, ani)

    asyncio.run(story())


def test_a_supervisor_is_seen_and_never_given_a_chat(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            boss = await floor.hire("boss", "supervisor")
            await floor.start()
            await floor.presence.connected(boss, "page")
            assert presences(floor, boss) == ["online"]
            assert line.decide().reserved == []
            assert await floor.presence.wish(boss, "away") == "away"
            assert presences(floor, boss) == ["online", "away"]

    asyncio.run(story())


def test_an_account_disabled_by_the_admin_is_out_of_the_line_at_the_next_look(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            ani = await floor.hire("ani")
            await floor.presence.connected(ani, "page")
            await floor.store.run(lambda cur: people.set_disabled(cur, TENANT, ani.agent_id, True))
            await until(lambda: presences(floor, ani) == ["online", "offline"])
            assert not is_available(line, ani)
            await floor.store.run(lambda cur: people.set_disabled(cur, TENANT, ani.agent_id, False))
            await until(lambda: is_available(line, ani))

    asyncio.run(story())


def test_the_agents_of_a_sidecar_that_died_are_offline_when_its_rows_run_out(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            other = floor.sidecar(life_s=SHORT_S)
            await other.start()
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            await other.connected(ani, "page")
            await floor.presence.connected(budi, "page")
            await crash(other)
            assert is_available(line, ani)
            await until(lambda: not is_available(line, ani))
            assert is_available(line, budi)

    asyncio.run(story())


def test_an_agent_with_pages_on_two_sidecars_stays_when_one_dies(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            other = floor.sidecar(life_s=SHORT_S)
            await other.start()
            ani = await floor.hire("ani")
            await other.connected(ani, "page")
            await floor.presence.connected(ani, "page")
            await crash(other)
            await until(lambda: len(line.rows("SELECT * FROM presence WHERE until > clock_timestamp()")) == 1)
            await asyncio.sleep(0.2)  # some looks more
            assert is_available(line, ani)

    asyncio.run(story())


def test_a_sidecar_that_stops_takes_its_pages_out_at_once(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **{**QUICK, "life_s": 60.0}) as floor:
            ani = await floor.hire("ani")
            async with running(floor.presence):
                await floor.presence.connected(ani, "page")
            assert not is_available(line, ani)
            assert line.rows("SELECT * FROM sidecars") == []

    asyncio.run(story())


def test_a_sidecar_that_was_frozen_brings_its_pages_back_by_itself(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            frozen = floor.sidecar(life_s=SHORT_S)
            await frozen.start()
            ani = await floor.hire("ani")
            await frozen.connected(ani, "page")
            await crash(frozen)
            await until(lambda: not is_available(line, ani))
            await frozen._beat()
            await until(lambda: is_available(line, ani))

    asyncio.run(story())


# --- the grace


def test_unanswered_chats_of_who_stays_away_return_to_their_old_place(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            first = await floor.start("C1")
            later = await floor.start("C2")
            arrived_us = line.visit(first).arrived_us
            await floor.presence.connected(ani, "page")
            await floor.seats.pick(TENANT, first, ani)
            await floor.presence.gone(ani, "page")
            await until(lambda: floor.session(first).status == "waiting")
            visit, session = line.visit(first), floor.session(first)
            assert (visit.state, visit.agent, visit.arrived_us) == ("waiting", None, arrived_us)
            assert (session.agent, session.answered) == (None, False)
            assert line.events(first) == ["picked", "released"]
            assert floor.rows(first) == ["started", "assigned", "released"]
            assert line.seats() == {}
            await until(lambda: line.caches()["line"] == [first, later])  # told after the commit
            await floor.presence.connected(budi, "page")
            reserved = line.decide().reserved
            assert [(r.room, r.agent) for r in reserved] == [(first, budi.agent_id), (later, budi.agent_id)]

    asyncio.run(story())


@pytest.mark.long
def test_who_comes_back_within_the_grace_keeps_their_chats(line: Line) -> None:
    async def story() -> None:
        times = {**QUICK, "grace_s": 3.0}
        async with Floor(line, **times) as floor, running(floor.presence):
            ani, room = await floor.hire("ani"), await floor.start()
            await floor.presence.connected(ani, "page")
            await floor.seats.pick(TENANT, room, ani)
            for _ in range(3):  # 3.6 s of absences, none of them as long as the grace
                await floor.presence.gone(ani, "page")
                await asyncio.sleep(1.2)
                await floor.presence.connected(ani, "page")
            assert floor.rows(room) == ["started", "assigned"]

    asyncio.run(story())


@pytest.mark.long
def test_answered_chats_stay_unless_the_setting_says_otherwise(line: Line) -> None:
    async def story() -> None:
        for reassign_s, status in ((0.0, "active"), (0.8, "waiting")):
            async with Floor(line, **QUICK, reassign_s=reassign_s) as floor, running(floor.presence):
                ani = await floor.hire(f"ani{reassign_s}")
                answered, silent = await floor.start("C1"), await floor.start("C2")
                await floor.presence.connected(ani, "page")
                for room in (answered, silent):
                    await floor.seats.pick(TENANT, room, ani)
                number = floor.session(answered).id
                row = chat.draft(number, "agent", "Hi", sender_id=ani.agent_id, sender_name="ani")
                await floor.store.run(lambda cur, row=row: chat.add_messages(cur, [row]))
                await floor.presence.gone(ani, "page")
                await until(lambda silent=silent: floor.session(silent).status == "waiting")
                assert floor.session(answered).status == "active"
                if status == "waiting":
                    await until(lambda answered=answered: floor.session(answered).status == "waiting")
                else:
                    await asyncio.sleep(3 * QUICK["grace_s"])
                    assert floor.session(answered).status == "active"

    asyncio.run(story())


def test_nobody_loses_a_chat_for_the_time_in_which_no_sidecar_ran(line: Line) -> None:
    """Every sidecar dies, and is back after longer than the grace: the pages have the whole grace to come back."""

    async def story() -> None:
        times = {**QUICK, "life_s": 0.3, "grace_s": 1.0}
        async with Floor(line, **times) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            await floor.presence.start()
            await floor.presence.connected(ani, "page")
            await floor.seats.pick(TENANT, room, ani)
            await crash(floor.presence)
            line.run("UPDATE presence SET until = until - interval '1 hour'")
            line.run("UPDATE sidecars SET beat_at = beat_at - interval '59 minutes'")
            async with running(floor.sidecar()) as again:
                began = time.monotonic()
                await until(lambda: not is_available(line, ani))
                assert floor.session(room).status == "active"
                line.run("UPDATE accounts SET absent_since = absent_since - interval '1 hour'")
                line.run("UPDATE visits SET reserved_at = reserved_at - interval '2 hours'")
                await until(lambda: floor.session(room).status == "waiting")
                assert time.monotonic() - began >= 0.9
                await again.connected(ani, "page")

    asyncio.run(story())


def test_a_chat_picked_without_a_page_is_not_taken_away(line: Line) -> None:
    """Picking needs no socket; who never came can't have left."""

    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            ani, room = await floor.hire("ani"), await floor.start()
            await until(lambda: True)
            await floor.seats.pick(TENANT, room, ani)
            await asyncio.sleep(3 * QUICK["grace_s"])
            assert floor.session(room).status == "active"

    asyncio.run(story())


@pytest.mark.parametrize("first", ["assigned", "passed on"])
def test_a_chat_given_by_somebody_else_to_who_is_not_there_returns_to_its_place(line: Line, first: str) -> None:
    """Who was never there can't have meant to take it."""

    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            room, later = await floor.start("C1"), await floor.start("C2")
            arrived_us = line.visit(room).arrived_us
            await floor.presence.connected(ani, "page")
            if first == "passed on":
                await floor.seats.pick(TENANT, room, ani)
            asked = time.monotonic()
            await floor.seats.assign(TENANT, room, budi.agent_id, ani)
            assert floor.session(room).agent == budi.agent_id
            await until(lambda: floor.session(room).status == "waiting")
            assert time.monotonic() - asked >= QUICK["grace_s"] * 0.9, "the grace begins when the chat comes"
            assert line.visit(room).arrived_us == arrived_us
            reserved = line.decide().reserved
            assert [(r.room, r.agent) for r in reserved] == [(room, ani.agent_id), (later, ani.agent_id)]

    asyncio.run(story())


def test_chats_of_a_disabled_account_return_to_the_line_answered_and_picked_ones_too(line: Line) -> None:
    """Nobody can log in to end them."""

    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            ani = await floor.hire("ani")
            answered, picked = await floor.start("C1"), await floor.start("C2")
            await floor.presence.connected(ani, "page")
            await floor.seats.pick(TENANT, answered, ani)
            row = chat.draft(floor.session(answered).id, "agent", "Hi", sender_id=ani.agent_id, sender_name="ani")
            await floor.store.run(lambda cur: chat.add_messages(cur, [row]))
            await floor.presence.gone(ani, "page")
            await floor.seats.pick(TENANT, picked, ani)
            await floor.store.run(lambda cur: people.set_disabled(cur, TENANT, ani.agent_id, True))
            await until(lambda: floor.session(answered).status == floor.session(picked).status == "waiting")
            assert line.seats() == {}

    asyncio.run(story())


def test_a_loss_of_redis_changes_nobodys_presence_and_releases_nothing(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, **QUICK) as floor, running(floor.presence):
            ani, room = await floor.hire("ani"), await floor.start()
            await floor.presence.connected(ani, "page")
            await floor.seats.pick(TENANT, room, ani)
            line.redis.flushdb()
            await asyncio.sleep(3 * QUICK["grace_s"])
            assert is_available(line, ani)
            assert floor.session(room).status == "active"
            assert presences(floor, ani) == ["online"]

    asyncio.run(story())


def test_a_chat_that_its_agent_answers_at_the_last_moment_is_not_taken(line: Line) -> None:
    """What `forsaken` saw is looked at again under the lock."""

    async def story() -> None:
        async with Floor(line, **{**QUICK, "grace_s": 0.1, "life_s": 60.0}) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            await floor.presence.start()
            await crash(floor.presence)
            await floor.presence.connected(ani, "page")
            await floor.seats.pick(TENANT, room, ani)
            await floor.presence.gone(ani, "page")
            await asyncio.sleep(0.2)
            (seen,) = await floor.store.run(floor.presence._forsaken)
            row = chat.draft(floor.session(room).id, "agent", "Hi", sender_id=ani.agent_id, sender_name="ani")
            await floor.store.run(lambda cur: chat.add_messages(cur, [row]))
            await floor.presence._look()
            assert seen.room == room
            assert floor.session(room).status == "active"

    asyncio.run(story())
