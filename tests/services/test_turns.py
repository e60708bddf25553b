"""Picks, transfers and returns by hand, over a real ledger: one seat, one agent, never over the limit."""

import asyncio

import pytest
from psycopg2.errors import CheckViolation

from db import chat
from db.people import Agent
from db.turn import TurnRefused
from tests.services.chat_floor import Counter, Floor
from tests.services.line_of import TENANT, Line
from worker.calls import Refused
from worker.desk.base import RosterAgent

PAIRS_A_ROUND = 30
RACE_ROUNDS = 12


async def outcome(deed) -> str:
    """`done`, `same`, or the code of the refusal."""
    try:
        return "done" if await deed else "same"
    except TurnRefused as refused:
        return refused.code


# --- picking


def test_a_pick_seats_the_agent_in_the_ledger_and_tells_the_room(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, room = await floor.hire("ani"), await floor.start(message="Hello")
            assert await floor.seats.pick(TENANT, room, ani)
            session, visit = floor.session(room), line.visit(room)
            assert (session.status, session.agent, session.answered) == ("active", ani.agent_id, False)
            assert session.started_at is not None
            assert (visit.state, visit.agent, visit.seat_limit, visit.attempt) == ("held", ani.agent_id, 2, 1)
            assert line.agent(ani.agent_id).open_seats == 1
            assert line.events(room) == ["picked"]
            assert floor.rows(room) == ["started", "Hello", "assigned"]
            assert line.caches()["held"] == [room]
            assert line.caches()["seats"] == {ani.agent_id: "1"}
            (assigned, for_agents) = floor.told("chat.session.assigned")
            assert (assigned["agent_id"], assigned["name"]) == (ani.agent_id, "ani")
            assert "session" not in assigned
            assert for_agents["session"]["agent"] == {"agent_id": ani.agent_id, "name": "ani"}
            assert [joined["name"] for joined in floor.told("chat.agent.joined")] == ["ani"]

    asyncio.run(story())


def test_a_pick_repeated_by_its_holder_is_the_same_pick(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            room = await floor.start()
            assert await outcome(floor.seats.pick(TENANT, room, ani)) == "done"
            assert await outcome(floor.seats.pick(TENANT, room, ani)) == "same"
            assert await outcome(floor.seats.pick(TENANT, room, budi)) == "already_taken"
            assert floor.rows(room) == ["started", "assigned"]

    asyncio.run(story())


def test_a_pick_over_the_limit_is_refused_and_changes_nothing(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, default_limit=1) as floor:
            ani = await floor.hire("ani")
            first, second = await floor.start("Budi"), await floor.start("Citra")
            await floor.seats.pick(TENANT, first, ani)
            assert await outcome(floor.seats.pick(TENANT, second, ani)) == "at_max_load"
            assert (line.visit(second).state, floor.session(second).status) == ("waiting", "waiting")
            assert floor.rows(second) == ["started"]
            line.redis.set("config:max_agent_chat:toko", "2")
            assert await outcome(floor.seats.pick(TENANT, second, ani)) == "done"

    asyncio.run(story())


def test_the_narrowest_limit_key_holds_for_a_pick_and_zero_pauses(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            line.redis.set("config:max_agent_chat", "5")
            line.redis.set(f"config:max_agent_chat:{TENANT}:{ani.agent_id}", "0")
            assert await outcome(floor.seats.pick(TENANT, room, ani)) == "at_max_load"

    asyncio.run(story())


def test_a_limit_that_redis_lost_holds_for_a_pick_still(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            line.redis.set(f"config:max_agent_chat:{TENANT}", "0")
            line.decide()  # the worker copies it
            line.lose_redis()
            assert await outcome(floor.seats.pick(TENANT, room, ani)) == "at_max_load"

    asyncio.run(story())


def test_a_chat_that_is_over_or_anothers_tenants_cannot_be_picked(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            line.run("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES ('warung', '', '', 'native')")
            ani, eve = await floor.hire("ani"), await floor.hire("eve", tenant="warung")
            room = await floor.start()
            assert await outcome(floor.seats.pick("warung", room, eve)) == "not_found"
            await floor.turns.end(TENANT, room, "customer", "Budi")
            assert await outcome(floor.seats.pick(TENANT, room, ani)) == "session_ended"

    asyncio.run(story())


def test_what_the_worker_reserved_can_be_picked_by_nobody_else(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            room = await floor.start()
            line.roster(RosterAgent(ani.agent_id, "ani", True, None), class_=chat.CLASS)
            assert [reserved.agent for reserved in line.decide().reserved] == [ani.agent_id]
            assert await outcome(floor.seats.pick(TENANT, room, budi)) == "already_taken"
            assert await outcome(floor.seats.pick(TENANT, room, ani)) == "same"

    asyncio.run(story())


def test_a_chat_that_ends_while_the_worker_gives_it_frees_its_seat_at_once(line: Line) -> None:
    """No call can be applied after the transaction that ends the session, so nothing is waited for."""

    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            room = await floor.start()
            line.roster(RosterAgent(ani.agent_id, "ani", True, None), class_=chat.CLASS)
            (reserved,) = line.decide().reserved
            await floor.turns.end(TENANT, room, "customer", "Budi")
            assert (line.stays(room), line.seats()) == (["closed"], {})
            late = Refused(reserved, "the session has ended")
            assert line.settle(late).rooms == {}
            assert line.stays(room) == ["closed"]

    asyncio.run(story())


def test_of_two_who_pick_one_customer_at_the_same_instant_one_gets_them(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, default_limit=1000) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            rooms = [await floor.start(f"C{n}") for n in range(PAIRS_A_ROUND)]
            picks = [outcome(floor.seats.pick(TENANT, room, who)) for room in rooms for who in (ani, budi)]
            found = await asyncio.gather(*picks)
            for n, room in enumerate(rooms):
                assert sorted(found[2 * n : 2 * n + 2]) == ["already_taken", "done"]
                assert floor.rows(room) == ["started", "assigned"]
            assert sum(line.seats().values()) == PAIRS_A_ROUND

    asyncio.run(story())


def test_picks_and_the_worker_side_by_side_never_go_over_the_limit(line: Line) -> None:
    """The worker reserves in its own transactions while everybody picks whatever they can."""

    async def story() -> None:
        async with Floor(line) as floor:
            crew = [await floor.hire(f"agent{n}") for n in range(4)]
            roster = [RosterAgent(agent.agent_id, agent.name, True, None) for agent in crew]
            for _ in range(RACE_ROUNDS):
                await one_round(floor, crew, roster)

    async def one_round(floor: Floor, crew: list[Agent], roster: list[RosterAgent]) -> None:
        line.roster(*roster, class_=chat.CLASS)
        rooms = [await floor.start(f"C{n}") for n in range(12)]
        deciding = asyncio.create_task(asyncio.to_thread(drain))
        picks = [outcome(floor.seats.pick(TENANT, room, agent)) for room in rooms for agent in crew]
        found = await asyncio.gather(*picks)
        await deciding
        assert set(found) <= {"done", "same", "already_taken", "at_max_load"}
        assert line.seats() == {agent.agent_id: 2 for agent in crew}
        for room in rooms:
            await floor.turns.end(TENANT, room, "customer", "C")
        assert line.seats() == {}

    def drain() -> None:
        for _ in range(6):
            line.decide()

    asyncio.run(story())


def test_the_guard_itself_refuses_what_a_pick_would_put_over(line: Line) -> None:
    """However wrong the limit that a code path believes in, the reservation carries it and the database counts."""

    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            rooms = [await floor.start(f"C{n}") for n in range(3)]
            for room in rooms[:2]:
                await floor.seats.pick(TENANT, room, ani)
            with pytest.raises(CheckViolation):
                line.run(
                    "UPDATE visits SET state = 'reserved', agent = %s, seat_limit = 2, lease_until = now()"
                    " WHERE tenant = %s AND room = %s",
                    ani.agent_id, TENANT, rooms[2],
                )  # fmt: skip

    asyncio.run(story())


# --- passing on


def test_a_transfer_moves_the_seat_and_both_are_told(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            room = await floor.start()
            await floor.seats.pick(TENANT, room, ani)
            await floor.store.run(lambda cur: chat.add_messages(cur, [chat.draft(
                floor.session(room).id, "agent", "Hi", sender_id=ani.agent_id, sender_name="ani")]))  # fmt: skip
            assert floor.session(room).answered
            assert await floor.seats.assign(TENANT, room, budi.agent_id, ani)
            visit, session = line.visit(room), floor.session(room)
            assert (visit.state, visit.agent, visit.last_agent) == ("held", budi.agent_id, budi.agent_id)
            assert (session.agent, session.status, session.answered) == (budi.agent_id, "active", False)
            assert line.seats() == {budi.agent_id: 1}
            assert (line.agent(ani.agent_id).open_seats, line.agent(budi.agent_id).open_seats) == (0, 1)
            assert floor.rows(room) == ["started", "assigned", "Hi", "transferred"]
            assert line.events(room) == ["picked", "transferred"]
            assert floor.told("chat.session.transferred")[0]["from_name"] == "ani"
            assert line.caches()["seats"] == {ani.agent_id: "0", budi.agent_id: "1"}
            assert await outcome(floor.seats.assign(TENANT, room, budi.agent_id, budi)) == "same"

    asyncio.run(story())


def test_an_assignment_by_hand_to_somebody_who_is_full_is_refused_whoever_gives_it(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, default_limit=1) as floor:
            ani, budi, boss = await floor.hire("ani"), await floor.hire("budi"), await floor.hire("boss", "supervisor")
            await floor.seats.pick(TENANT, await floor.start("C1"), budi)
            room = await floor.start("C2")
            for by in (ani, budi, boss):
                assert await outcome(floor.seats.assign(TENANT, room, budi.agent_id, by)) == "at_max_load"
            assert (floor.session(room).status, line.visit(room).state) == ("waiting", "waiting")
            assert line.agent(budi.agent_id).open_seats == 1
            assert await outcome(floor.seats.assign(TENANT, room, ani.agent_id, boss)) == "done"

    asyncio.run(story())


def test_a_transfer_to_somebody_who_is_full_is_refused_and_the_chat_stays(line: Line) -> None:
    async def story() -> None:
        async with Floor(line, default_limit=1) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            first, second = await floor.start("C1"), await floor.start("C2")
            await floor.seats.pick(TENANT, first, ani)
            await floor.seats.pick(TENANT, second, budi)
            assert await outcome(floor.seats.assign(TENANT, first, budi.agent_id, ani)) == "at_max_load"
            assert line.seats() == {ani.agent_id: 1, budi.agent_id: 1}
            assert floor.session(first).agent == ani.agent_id

    asyncio.run(story())


def test_only_its_agent_or_a_supervisor_passes_a_chat_on(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            boss, room = await floor.hire("boss", "supervisor"), await floor.start()
            assert await outcome(floor.seats.assign(TENANT, room, ani.agent_id, budi)) == "done"  # it waited
            assert line.events(room) == ["assigned by hand"]
            assert await outcome(floor.seats.assign(TENANT, room, budi.agent_id, budi)) == "forbidden"
            assert await outcome(floor.seats.assign(TENANT, room, budi.agent_id, boss)) == "done"
            assert await outcome(floor.seats.assign(TENANT, room, "a0000000000", boss)) == "not_found"

    asyncio.run(story())


def test_a_chat_can_be_passed_on_before_the_worker_has_settled_it(line: Line) -> None:
    """The desk gave it to ani; her transfer comes before the worker's own book-keeping, which then changes nothing."""

    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            room = await floor.start()
            line.roster(RosterAgent(ani.agent_id, "ani", True, None), class_=chat.CLASS)
            made = line.decide()
            line.run("UPDATE sessions SET status = 'active', agent = %s WHERE room = %s", ani.agent_id, room)
            assert await floor.seats.assign(TENANT, room, budi.agent_id, ani)
            line.settle(*line.held(made))
            assert (line.visit(room).state, line.visit(room).agent) == ("held", budi.agent_id)

    asyncio.run(story())


def test_many_transfers_to_one_agent_at_once_stop_at_the_limit(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            crew = [await floor.hire(f"agent{n}") for n in range(4)]
            to, rooms = await floor.hire("to"), []
            for agent in crew:
                rooms.append((await floor.start(agent.name), agent))
                await floor.seats.pick(TENANT, rooms[-1][0], agent)
            moves = [outcome(floor.seats.assign(TENANT, room, to.agent_id, agent)) for room, agent in rooms]
            assert sorted(await asyncio.gather(*moves)) == ["at_max_load", "at_max_load", "done", "done"]
            assert line.seats()[to.agent_id] == 2

    asyncio.run(story())


def test_ends_picks_and_transfers_of_one_chat_at_once_leave_one_story(line: Line) -> None:
    """Whatever the order, ledger, session and rows agree afterwards."""

    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            for n in range(RACE_ROUNDS):
                room = await floor.start(f"C{n}")
                await asyncio.gather(
                    outcome(floor.seats.pick(TENANT, room, ani)),
                    outcome(floor.seats.assign(TENANT, room, budi.agent_id, ani)),
                    floor.turns.end(TENANT, room, "customer", "C"),
                    outcome(floor.seats.pick(TENANT, room, budi)),
                )
                assert (floor.session(room).status, line.visit(room).state) == ("ended", "closed")
                assert floor.rows(room).count("ended") == 1
                assert floor.rows(room)[-1] == "ended"
            assert line.seats() == {}
            assert line.agent(ani.agent_id).open_seats == line.agent(budi.agent_id).open_seats == 0

    asyncio.run(story())


def test_whether_an_agent_may_end_a_chat_is_judged_when_nobody_can_take_it_any_more(line: Line) -> None:
    """While ani's end is on its way, budi picks the waiting chat: it is budi's then, and goes on."""

    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            boss = await floor.hire("boss", "supervisor")
            room = await floor.start()
            change = floor.turns.change

            async def picked_before(tenant, work):
                floor.turns.change = change
                await floor.seats.pick(TENANT, room, budi)
                return await change(tenant, work)

            await counter.token(ani)
            floor.turns.change = picked_before
            assert await counter.refusal(ani, "POST", f"sessions/{room}/end") == (403, "forbidden")
            assert (floor.session(room).status, floor.session(room).agent) == ("active", budi.agent_id)
            status, found = await counter.ask(boss, "POST", f"sessions/{room}/end")
            assert (status, found["session"]["status"]) == (200, "ended")

    asyncio.run(story())


def test_the_end_of_a_chat_stands_once_in_its_story_with_who_ended_it(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, room = await floor.hire("ani"), await floor.start()
            await floor.seats.pick(TENANT, room, ani)
            await floor.turns.end(TENANT, room, f"agent:{ani.agent_id}", "ani")
            visit = line.one("SELECT state, reason FROM visits WHERE room = %s", room)
            assert tuple(visit) == ("closed", f"ended by agent {ani.agent_id}")
            assert line.events(room) == ["picked"]

    asyncio.run(story())
