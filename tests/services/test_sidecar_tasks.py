"""The background tasks of a sidecar go on after whatever they raise, and its readiness tells which of them fail."""

import asyncio
from typing import Any

import pytest

from db.chat import CHAT
from db.console import CONSOLE
from db.people import PEOPLE
from db.places import PLACES
from db.postgres import Statements
from sidecar.live import tasks
from sidecar.live.tasks import AGAIN_MOST_S, Tasks
from tests.services.chat_of import At, Chat, Colleague, run_chat, until

BROKEN = "SELECT no_such_thing"
LOCKED = "DO $$ BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = 'lock_not_available'; END $$"
# A task of a sidecar → the block of SQL that it can't do without.
BLOCKS = {
    "messages": (CHAT, "lock_sessions"),
    "marks": (CHAT, "mark"),
    "feed_look": (CHAT, "ahead"),
    "places": (PLACES, "pace"),
    "team": (CONSOLE, "agents"),
    "presence_beat": (PEOPLE, "beat"),
    "presence_look": (PEOPLE, "doubtful"),
    "tokens": (PEOPLE, "valid"),
}


async def ready(at: At) -> tuple[int, str]:
    status, found = await at.get("/readyz")
    return status, found.get("error", {}).get("message", "")


async def until_ready(at: At, wanted: str, within_s: float = 30) -> None:
    """`wanted`: a part of what it says; empty for that it is ready."""
    said: list[Any] = []

    async def look() -> None:
        while True:
            said.append(await ready(at))
            if said[-1] == (200, "") if not wanted else said[-1][0] == 503 and wanted in said[-1][1]:
                return
            await asyncio.sleep(0.05)

    try:
        await asyncio.wait_for(look(), within_s)
    except TimeoutError:
        raise AssertionError(f"readiness did not say {wanted or 'ready'!r} within {within_s} s: {said[-1]}") from None


SLOW = ("messages", "marks", "presence_beat", "tokens", "team", "feed_look")


@pytest.mark.parametrize("task", [pytest.param(n, marks=[pytest.mark.long] if n in SLOW else []) for n in BLOCKS])
def test_while_a_task_fails_readiness_names_it_and_after_it_everything_works(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    statements: Statements
    statements, block = BLOCKS[task]

    async def story(chat: Chat) -> None:
        chat.hire("ani")
        at = await chat.sidecar()
        ani = await at.colleague("ani")
        desk = await ani.page()
        budi = await at.customer("Budi", "Hello")
        page = await budi.live()
        await ani.pick(budi)
        await until_ready(at, "")
        with monkeypatch.context() as broken:
            broken.setitem(statements.blocks, block, BROKEN)
            await stir(page, desk, budi.room, "lost")
            await goes_away(at, ani)
            await until_ready(at, task)
        await until_ready(at, "")
        await page.wrote("Is anybody there?")
        await desk.wrote("Yes", session_id=budi.room)
        seq = chat.stored(budi.room)[-1][0]
        await page.say("chat.message.read", session_id=budi.room, up_to_seq=seq)
        await desk.until_told("chat.message.read", lambda told: told["up_to_seq"] == seq)
        another = await at.customer("Citra")
        await desk.until_told("chat.queue.changed", lambda told: told["number"] == 1)
        assert another.started["position"] == 1

    async def goes_away(at: At, ani: Colleague) -> None:
        """So places have to be looked at; it may be refused, if the broken task is what answers it."""
        token = {"Authorization": f"Bearer {ani.token}"}
        async with at.http.put(f"{at.url}/api/v1/me/presence", json={"presence": "away"}, headers=token):
            pass

    async def stir(page: Any, desk: Any, room: str, body: str) -> None:
        await page.write(body)
        await desk.say("chat.message.read", session_id=room, up_to_seq=1)

    run_chat(database_url, redis_url, story)


def test_a_task_that_postgresql_keeps_refusing_and_one_that_is_gone_are_no_readiness(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that lasts for a moment is no failure; one that lasts is."""
    monkeypatch.setattr(tasks, "DOWN_S", 2.0)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        await until_ready(at, "")
        with monkeypatch.context() as broken:
            broken.setitem(PEOPLE.blocks, "doubtful", LOCKED)
            began = asyncio.get_running_loop().time()
            await until_ready(at, "presence_look")
            assert asyncio.get_running_loop().time() - began > 1.5
        await until_ready(at, "")
        at.inside.parts.tasks._loops["places"].task.cancel()
        await until_ready(at, "places")

    run_chat(database_url, redis_url, story)


def test_no_exception_ends_the_storage_of_messages(database_url: str, redis_url: str) -> None:
    """Whoever wrote in that round tries again with the same `client_id`, and it is one message."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer("Budi")
        page = await budi.live()
        tell, failed = at.inside.parts.writer._tell, []

        def fails_once(tenant: str, news: Any) -> None:
            if not failed:
                failed.append(news)
                raise RuntimeError("a bug of whoever is told")
            tell(tenant, news)

        at.inside.parts.writer._tell = fails_once
        client_id = await page.write("Hello", "once")
        told = await page.until_told("error", lambda payload: payload.get("client_id") == client_id)
        assert told["code"] == "unavailable"
        await page.wrote("Hello", client_id)
        await page.wrote("Still there?")
        assert [body for _, body in chat.stored(budi.room)].count("Hello") == 1
        await until_ready(at, "")

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_a_listener_that_raises_ends_no_storage(database_url: str, redis_url: str) -> None:
    """The bot hears each message; before it was the end of all storage if it raised."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer("Budi")
        page = await budi.live()

        def raises(tenant: str, room: str, body: str, seq: int) -> None:
            raise RuntimeError("a bug of the bot")

        at.inside.parts.writer.heard = raises
        await page.write("Hello", "once")
        await page.until_told("error", lambda payload: payload.get("client_id") == "once")
        await until_ready(at, "messages")
        at.inside.parts.writer.heard = lambda *_: None
        await page.wrote("Hello", "once")
        await page.wrote("Next")
        await until_ready(at, "")

    run_chat(database_url, redis_url, story)


def test_messages_that_no_sql_can_store_are_not_the_sender_s_fault(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer("Budi")
        with monkeypatch.context() as broken:
            broken.setitem(CHAT.blocks, "lock_sessions", BROKEN)
            status, found = await budi.post("messages", {"body": "Hello", "client_id": "once"})
        assert (status, found["error"]["code"]) == (503, "unavailable")
        assert (await budi.post("messages", {"body": "Hello", "client_id": "once"}))[0] == 201

    run_chat(database_url, redis_url, story)


def test_a_task_is_tried_again_soon_then_less_often_and_one_that_is_gone_is_down() -> None:
    async def story() -> None:
        own, tries = Tasks(), []

        async def step() -> None:
            tries.append(asyncio.get_running_loop().time())
            if len(tries) < 6:
                raise RuntimeError("again")
            await asyncio.Event().wait()

        running = own.start("one", step)
        await until(lambda: len(tries) == 6, 15)
        pauses = [later - earlier for earlier, later in zip(tries, tries[1:], strict=False)]
        assert pauses[0] < 0.5 < pauses[-1] <= AGAIN_MOST_S * 1.25 + 0.5
        assert own.down() == ["one"]
        running.cancel()
        await until(running.done)
        assert own.down() == ["one"]

    asyncio.run(story())
