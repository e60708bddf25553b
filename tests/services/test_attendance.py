"""Customers who close the page: who is shown as here, who leaves the line, and what they find when they come back."""

import asyncio
from typing import Any

import pytest

from sidecar.customers import attendance
from sidecar.live.parts import Times
from tests.services.chat_of import At, Chat, Customer, run_chat, until
from tests.variants import first_of

GONE = Times(gone_s=30.0, return_s=60.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "LOOK_S", 0.05)
    monkeypatch.setattr(attendance, "WRITE_S", 0.05)


def later(chat: Chat, seconds: float) -> None:
    """Everything happened so much earlier; the sidecars live since long, and now."""
    chat.run("UPDATE sessions SET seen_at = seen_at - %s * interval '1 s'", seconds)
    chat.run("UPDATE sidecars SET started_at = started_at - %s * interval '1 s'", seconds)


def line_of(chat: Chat) -> list[str]:
    """The rooms that wait, in the order in which they will be given away."""
    sql = "SELECT room FROM visits WHERE state = 'waiting' ORDER BY priority DESC, arrived_us, id"
    return [row.room for row in chat.rows(sql)]


def pages(chat: Chat) -> int:
    return len(chat.rows("SELECT FROM customer_pages"))


async def here(agent: Any, customer: Customer) -> bool:
    status, session = await agent.get(f"sessions/{customer.room}")
    assert status == 200, session
    return bool(session["customer"]["here"])


async def two(at: At) -> tuple[Customer, Customer]:
    return await at.customer("Budi"), await at.customer("Citra")


def test_who_is_gone_leaves_the_line_and_has_the_old_place_again_and_is_told_so(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        chat.hire("ani")
        ani = await at.colleague("ani")
        desk = await ani.page()
        budi, citra = await two(at)
        page, stays = await budi.live(), await citra.live()
        await until(lambda: pages(chat) == 2)
        await page.close()
        await until(lambda: pages(chat) == 1)
        later(chat, 31.0)
        await until(lambda: line_of(chat) == [citra.room])
        assert (await stays.until_told("chat.queue.position", lambda one: one["position"] == 1))["waiting"] == 1
        told = await desk.until_told("chat.session.left")
        assert (told["session_id"], told["session"]["status"], told["session"]["position"]) == (
            budi.room,
            "waiting",
            None,
        )
        assert told["session"]["gone_at"]
        assert [one["session_id"] for one in (await ani.get("queue"))[1]["sessions"]] == [citra.room]
        assert (await ani.post(f"queue/{budi.room}/pick"))[0] == 409, "nobody picks an empty chat"

        back = await budi.live()
        await until(lambda: line_of(chat) == [budi.room, citra.room])
        await back.until_told("chat.queue.position", lambda one: one["position"] == 1)
        assert [body for _, body in chat.stored(budi.room)][-2:] == [
            "Budi went away and left the line",
            "Budi is back, at the old place",
        ]
        assert back.seqs() == [1, 2, 3], "every row once, in order"
        assert (await desk.until_told("chat.session.returned"))["session"]["gone_at"] is None
        await ani.pick(budi)
        await back.until_told("chat.agent.joined")

    run_chat(database_url, redis_url, story)


def test_who_does_not_come_back_finds_the_chat_ended(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        budi, citra = await two(at)
        page = await citra.live()
        later(chat, 31.0)
        await until(lambda: line_of(chat) == [citra.room])
        later(chat, 61.0)
        status = "SELECT status, ended_by FROM sessions WHERE room = %s"
        await until(lambda: tuple(chat.rows(status, budi.room)[0]) == ("ended", "system"))
        found = await budi.look()
        assert (found["status"], found["ended_by"]) == ("ended", "system")
        assert found["messages"][-1]["event"] == {"type": "ended", "by": "system", "agent_id": None, "name": ""}
        assert (await citra.look())["status"] == "waiting"
        assert page.told("chat.session.ended") == []

    run_chat(database_url, redis_url, story)


@pytest.mark.parametrize("how", first_of(["a socket", "a page that asks", "a message"]))
def test_every_way_of_being_here_counts(database_url: str, redis_url: str, how: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        budi, citra = await two(at)
        await citra.live()
        later(chat, 31.0)
        await until(lambda: line_of(chat) == [citra.room])
        if how == "a socket":
            await budi.live()
        elif how == "a page that asks":
            assert (await budi.look())["position"] == 1
        else:
            assert (await budi.post("messages", {"body": "still there?"}))[0] == 201
        assert line_of(chat) == [budi.room, citra.room]
        if how != "a message":
            await until(lambda: pages(chat) == 2)
            later(chat, 31.0)
            await asyncio.sleep(0.3)
            assert line_of(chat) == [budi.room, citra.room]

    run_chat(database_url, redis_url, story)


def test_agents_see_who_is_here_also_at_two_sidecars(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        one, other = await chat.sidecar(times=GONE), await chat.sidecar(times=GONE)
        chat.hire("ani")
        ani = await one.colleague("ani")
        desk = await ani.page()
        budi = await other.customer("Budi")

        def shown(is_here: bool, times: int) -> bool:
            told = [one for sent in desk.told("chat.customers.here") for one in sent["sessions"]]
            return [one["here"] for one in told if one["session_id"] == budi.room].count(is_here) >= times

        first = await budi.live(at=other)
        await until(lambda: shown(True, 1))
        second = await budi.live(at=one)
        await until(lambda: shown(True, 2))
        await first.close()
        await until(lambda: shown(True, 3), what="one page less, and still one")
        assert await here(ani, budi)
        await second.close()
        await until(lambda: shown(False, 1))
        assert not await here(ani, budi)

    run_chat(database_url, redis_url, story)


def test_pages_of_a_dead_sidecar_count_until_its_life_is_over(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        budi, citra = await two(at)
        await citra.live()
        await until(lambda: pages(chat) == 1)
        chat.run("INSERT INTO sidecars (id) VALUES ('dead')")
        chat.run("INSERT INTO customer_pages SELECT id, 'dead', 'infinity' FROM sessions WHERE room = %s", budi.room)
        later(chat, 31.0)
        await asyncio.sleep(0.3)
        assert line_of(chat) == [budi.room, citra.room]
        chat.run("UPDATE sidecars SET beat_at = beat_at - interval '31 s' WHERE id = 'dead'")
        await until(lambda: line_of(chat) == [citra.room])

    run_chat(database_url, redis_url, story)


def test_nobody_leaves_while_no_sidecar_lived_long_enough_for_them_to_come_back(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        budi = await at.customer("Budi")
        chat.run("UPDATE sessions SET seen_at = seen_at - interval '1 day'")
        await asyncio.sleep(0.3)
        assert line_of(chat) == [budi.room]

    run_chat(database_url, redis_url, story)


def test_a_sidecar_that_stops_says_when_its_customers_were_here_last(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        budi = await at.customer("Budi")
        await budi.live()
        await until(lambda: pages(chat) == 1)
        chat.run("UPDATE sessions SET seen_at = seen_at - interval '1 day'")
        await at.stop()
        assert pages(chat) == 0
        (row,) = chat.rows("SELECT seconds_since(seen_at) AS ago FROM sessions")
        assert row.ago < 30

    run_chat(database_url, redis_url, story)


def test_one_who_is_being_given_to_an_agent_or_has_one_stays(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        chat.hire("ani")
        ani = await at.colleague("ani")
        await ani.page()
        budi, citra = await two(at)
        await ani.pick(budi)
        chat.run(
            "UPDATE visits SET state = 'reserved', agent = %s, attempt = 1, seat_limit = 2,"
            " lease_until = clock_timestamp() + interval '1 h' WHERE room = %s",
            ani.id,
            citra.room,
        )
        later(chat, 31.0)
        await asyncio.sleep(0.3)
        found = {row.room: (row.status, row.gone_at) for row in chat.rows("SELECT room, status, gone_at FROM sessions")}
        assert found == {budi.room: ("active", None), citra.room: ("waiting", None)}
        assert not await here(ani, budi)

    run_chat(database_url, redis_url, story)


@pytest.mark.parametrize("end", first_of(["the page closed", "its sidecar died"]))
def test_a_message_that_was_left_while_nobody_was_there_keeps_its_place(
    database_url: str, redis_url: str, end: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        chat.hire("ani")
        ani = await at.colleague("ani")
        budi, citra = await at.customer("Budi", "call me about order 10234"), await at.customer("Citra")
        if end == "the page closed":
            pages_open = [await budi.live(), await citra.live()]
            await until(lambda: pages(chat) == 2)
            for page in pages_open:
                await page.close()
            await until(lambda: pages(chat) == 0)
            await ani.page()  # somebody comes before the time is over
        else:
            chat.run("INSERT INTO sidecars (id, beat_at) VALUES ('dead', clock_timestamp() - interval '31 s')")
            chat.run("INSERT INTO customer_pages SELECT id, 'dead', 'infinity' FROM sessions")
        later(chat, 31.0)
        await until(lambda: line_of(chat) == [budi.room], what="who has said nothing leaves")
        if end != "the page closed":
            await ani.page()
        later(chat, 100_000.0)
        await asyncio.sleep(0.3)
        assert line_of(chat) == [budi.room]
        await ani.pick(budi)
        assert (await ani.post(f"sessions/{budi.room}/messages", {"body": "it is on its way"}))[0] == 201
        assert (await budi.look())["messages"][-1]["body"] == "it is on its way"

    run_chat(database_url, redis_url, story)


def test_a_message_that_was_written_to_somebody_who_was_there_keeps_no_place(database_url: str, redis_url: str) -> None:
    """Whoever leaves before the agents do, is gone when the agents come back."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=GONE)
        chat.hire("ani")
        ani = await at.colleague("ani")
        desk = await ani.page()
        budi = await at.customer("Budi", "hello?")
        page = await budi.live()
        await until(lambda: pages(chat) == 1)
        await page.close()
        await until(lambda: pages(chat) == 0)
        await desk.close()
        later(chat, 31.0)
        await until(lambda: line_of(chat) == [])

    run_chat(database_url, redis_url, story)


def test_never_is_a_time(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(times=Times(0.0, 60.0))
        budi = await at.customer("Budi")
        later(chat, 1e6)
        await asyncio.sleep(0.3)
        assert line_of(chat) == [budi.room]

    run_chat(database_url, redis_url, story)


def test_who_comes_back_at_two_pages_at_once_is_in_the_line_once(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        one, other = await chat.sidecar(times=GONE), await chat.sidecar(times=GONE)
        budi, citra = await two(one)
        await citra.live()
        later(chat, 31.0)
        await until(lambda: line_of(chat) == [citra.room])
        await asyncio.gather(*(budi.live(at) for at in (one, other) * 3))
        assert line_of(chat) == [budi.room, citra.room]
        assert [body for _, body in chat.stored(budi.room)].count("Budi is back, at the old place") == 1

    run_chat(database_url, redis_url, story)
