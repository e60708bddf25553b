"""What Redis and PostgreSQL may do to a chat: words lost on the way, a Redis that is gone, a database that stops."""

import asyncio
import time
from contextlib import closing

import aiohttp
import psycopg2
import pytest
import redis
import redis.asyncio

from db import inbox
from sidecar.live import connection
from sidecar.live.feed import Feed
from sidecar.live.hub import Hub
from sidecar.live.store import Store
from testbed.servers import OwnServer
from tests.services.chat_of import TENANT, WITHIN_S, Chat, run_chat, until
from tests.services.test_chat_doors import NEW, SESSIONS
from tests.services.test_chat_sockets import served


def test_what_redis_loses_is_found_within_three_seconds(
    database_url: str, redis_url: str, own_valkey: OwnServer
) -> None:
    """Two sidecars that share the database and nothing else: every word between them is lost."""

    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar(redis_url=own_valkey.url)
        budi, page, _, _ = await served(here)
        far = await budi.live(there)
        chat.hire("sari", "supervisor")
        watcher = await (await there.colleague("sari")).page()
        begun = time.monotonic()
        for n in range(10):
            await page.wrote(f"m{n}")
        await far.until_seq(12)
        await watcher.until_seq(12, budi.room)
        assert time.monotonic() - begun < 3.5
        assert far.seqs() == list(range(1, 13))
        citra = await here.customer("Citra", "a room nobody there has heard of")
        await watcher.until_told("chat.session.started", lambda one: one["session_id"] == citra.room)
        await watcher.until_seq(2, citra.room)
        await budi.post("end", {}, at=here)
        await far.until_told("chat.session.ended")
        await watcher.until_told("chat.session.ended")

    run_chat(database_url, redis_url, story)


def test_chats_go_on_without_redis_and_find_together_when_it_is_back(database_url: str, own_valkey: OwnServer) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        budi, page, _, desk = await served(here)
        far = await budi.live(there)
        own_valkey.kill()
        await page.wrote("is anybody there?")
        await desk.until_seq(3, budi.room, within_s=3)
        await far.until_seq(3, within_s=5)
        citra = await here.customer("Citra", "a new one")
        await desk.until_told("chat.session.started", lambda one: one["session_id"] == citra.room)
        assert (await budi.post("messages", {"body": "over HTTP"}))[0] == 201
        own_valkey.start()

        async def quick() -> bool:
            begun = time.monotonic()
            seq = (await page.wrote("back?"))["seq"]
            await far.until_seq(seq)
            return time.monotonic() - begun < 0.5

        deadline = time.monotonic() + 20
        while not await quick():
            assert time.monotonic() < deadline, "the feed did not come back"
        assert far.seqs() == list(range(1, max(far.seqs()) + 1))

    run_chat(database_url, own_valkey.url, story)


def test_a_frozen_redis_holds_nobody_up(database_url: str, own_valkey: OwnServer) -> None:
    async def story(chat: Chat) -> None:
        here = await chat.sidecar()
        budi, page, _, desk = await served(here)
        own_valkey.freeze()
        async with asyncio.timeout(10):  # one wait for Redis lasts a second
            for n in range(20):
                await page.wrote(f"m{n}")
            await desk.until_seq(22, budi.room)
        own_valkey.thaw()

    run_chat(database_url, own_valkey.url, story)


@pytest.mark.long
def test_while_redis_is_frozen_chats_begin_and_are_picked_without_waiting_for_it_each_time(
    database_url: str, own_valkey: OwnServer
) -> None:
    """Each wait for Redis lasts a second, with the tenant's row locked. One after the other, forty would be forty."""

    async def story(chat: Chat) -> None:
        here = await chat.sidecar()
        chat.hire("ani")
        ani = await here.colleague("ani")
        own_valkey.freeze()
        async with asyncio.timeout(20):
            for n in range(20):
                customer = await here.customer(f"C{n}", "hello")
                await ani.pick(customer)
        own_valkey.thaw()

        async def is_told() -> bool:
            await here.customer("Last")
            return bool(await asyncio.to_thread(own_valkey_line, own_valkey.url))

        deadline = time.monotonic() + 15
        while not await is_told():
            assert time.monotonic() < deadline, "the caches are not told again"
            await asyncio.sleep(0.2)

    run_chat(database_url, own_valkey.url, story)


def own_valkey_line(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.zcard(inbox.key(TENANT, "line")))


@pytest.mark.long
def test_tenants_whose_sockets_come_while_the_feed_is_connecting_are_heard_too(
    database_url: str, redis_url: str, own_valkey: OwnServer
) -> None:
    """What is typed is nowhere but in Redis: who hears it, has subscribed on the connection that is read."""

    async def story(chat: Chat) -> None:
        chat.tenant("two")
        there = await chat.sidecar()
        customers = [await there.customer("Budi"), await there.customer("Citra", tenant="two")]
        far = [await customer.live(there) for customer in customers]
        own_valkey.freeze()
        here = await chat.sidecar()
        opening = [asyncio.create_task(customer.page(here)) for customer in customers]
        await until(lambda: len(here.inside.parts.feed._tenant_of) == 2, what="both tenants")
        own_valkey.thaw()
        near = [await task for task in opening]
        for page, other in zip(near, far, strict=True):
            for _ in range(50):
                await other.say("chat.typing", is_typing=True)
                if page.told("chat.typing"):
                    break
                await asyncio.sleep(0.1)
            await page.until_told("chat.typing")

    run_chat(database_url, own_valkey.url, story)


def test_a_flushed_redis_changes_nothing(database_url: str, own_valkey: OwnServer) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        budi, page, _, _ = await served(here)
        far = await budi.live(there)
        await here.inside.parts.redis.flushall()
        await page.wrote("as before")
        await far.until_seq(3, within_s=1.5)

    run_chat(database_url, own_valkey.url, story)


@pytest.mark.long
def test_messages_wait_for_a_database_that_restarts(own_postgres: OwnServer, redis_url: str) -> None:
    """Nothing is acknowledged that is not stored; who got no acknowledgement sends again and is stored once."""

    async def story(chat: Chat) -> None:
        here = await chat.sidecar()
        budi, page, _, desk = await served(here)
        own_postgres.kill()
        await page.write("while it is away", "c1")
        error = await page.until_told("error", lambda one: one.get("client_id") == "c1")
        assert error["code"] == "unavailable"
        status, found = await budi.post("messages", {"body": "over HTTP", "client_id": "c2"})
        assert (status, found["error"]["code"]) == (503, "unavailable")
        assert (await here.get("/readyz"))[0] == 503
        assert (await here.get("/healthz"))[0] == 200
        own_postgres.start()
        assert (await page.wrote("while it is away", "c1"))["seq"] == 3
        await desk.until_seq(3, budi.room)
        assert [body for _, body in chat.stored(budi.room)[2:]] == ["while it is away"]

    run_chat(own_postgres.url, redis_url, story)


def test_one_bad_message_does_not_spoil_its_batch(own_database_url: str, redis_url: str) -> None:
    """What the database refuses is refused alone, and everybody else's is stored."""

    async def story(chat: Chat) -> None:
        here = await chat.sidecar()
        customers = [await here.customer(f"C{n}") for n in range(20)]
        chat.run("ALTER TABLE messages ADD CONSTRAINT odd CHECK (body <> 'poison')")
        bodies = ["poison" if n == 7 else f"m{n}" for n in range(20)]
        answers = await asyncio.gather(
            *(one.post("messages", {"body": body}) for one, body in zip(customers, bodies, strict=True))
        )
        assert [status for status, _ in answers] == [400 if n == 7 else 201 for n in range(20)]
        assert answers[7][1]["error"]["code"] == "invalid_payload"

    run_chat(own_database_url, redis_url, story)


def test_what_was_sent_before_a_stop_is_stored_and_sockets_are_told_to_come_back(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(messages_a_second=1000), await chat.sidecar()
        budi, page, _, desk = await served(here)
        sent = [await page.write(f"m{n}") for n in range(100)]
        await until(lambda: page.told("chat.message.ack"))
        await here.stop()
        assert (await page.closed(), await desk.closed()) == (1001, 1001)
        acked = {one["client_id"] for one in page.told("chat.message.ack")}
        back = await budi.live(there, after=max(page.seqs()))
        shown = {one["client_id"] for one in back.told("chat.message.new")} | acked
        for n, client_id in enumerate(sent):
            if client_id not in shown:
                await back.wrote(f"m{n}", client_id)
        assert sorted(body for _, body in chat.stored(budi.room)[2:]) == sorted(f"m{n}" for n in range(100))
        assert acked <= set(sent)

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_a_feed_stops_whatever_it_is_doing(database_url: str, redis_url: str) -> None:
    """On Python 3.11 a cancellation that met a command on its way was lost, and the sidecar never ended."""

    async def story() -> None:
        store = Store(database_url)
        for steps in list(range(40)) * 3:
            async with redis.asyncio.Redis.from_url(redis_url, socket_timeout=1, retry=None) as client:
                feed = Feed(Hub(), store, client, "x.0")
                feed.start()
                for _ in range(steps):
                    await asyncio.sleep(0)
                async with asyncio.timeout(10):
                    await feed.stop()
        store.close()

    asyncio.run(story())


def test_an_agent_whose_network_went_without_a_word_is_gone_after_a_heartbeat(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEARTBEAT_S", 0.5)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        ani = await at.colleague("ani")

        async def presence() -> str:
            return (await ani.get("agents"))[1]["agents"][0]["presence"]

        socket = await at.http.ws_connect(f"{at.url}/ws", autoping=False)  # it answers no ping
        await socket.send_json({"type": "auth", "payload": {"token": ani.token}})
        while (await socket.receive_json())["type"] != "auth.ok":
            pass
        assert await presence() == "online"
        deadline = time.monotonic() + WITHIN_S
        while await presence() != "offline":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    run_chat(database_url, redis_url, story)


def test_a_statement_that_took_too_long_is_called_busy_and_nobody_else_is_told_that_the_database_is_away(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL says the same of a statement that is cancelled by hand as of one that ran into its timeout."""
    waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        key = (await at.post(SESSIONS, NEW))[1]["session_key"]
        with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cur:
            cur.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(at.get(f"{SESSIONS}/{key}"))
            socket = await at.http.ws_connect(f"{at.url}/ws/public/{key}")
            while not asked.done():
                chat.run(f"SELECT pg_cancel_backend(pid) {waiting}")
                assert (await at.get("/readyz"))[0] == 200
            status, found = await asked
            assert (status, found["error"]["code"]) == (503, "unavailable")
            assert "busy" in found["error"]["message"] and "reached" not in found["error"]["message"]
            message = await socket.receive(20)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1013)
            assert "busy" in str(message.extra)
            await socket.close()
        assert (await at.get(f"{SESSIONS}/{key}"))[0] == 200
        said = [record.getMessage() for record in caplog.records if "canceling statement" in record.getMessage()]
        assert said and not [line for line in said if "reached" in line or "down" in line]

    run_chat(database_url, redis_url, story)
