"""Sockets of customers and agents: who hears what, in which order, after a reconnect, over several sidecars: P8, P9."""

import asyncio
import json
import socket
from typing import Any

import pytest
from yarl import URL

from sidecar.customers import sockets
from sidecar.live import positions, store
from sidecar.live.hub import Head
from tests.services.chat_of import TENANT, WITHIN_S, At, Chat, Colleague, Customer, Page, run_chat, until


async def served(at: At, name: str = "ani", customer: str = "Budi") -> tuple[Customer, Page, Colleague, Page]:
    """A customer and the agent who has picked them, both with a page."""
    at.chat.hire(name)
    ani = await at.colleague(name)
    desk = await ani.page()
    budi = await at.customer(customer)
    page = await budi.live()
    await ani.pick(budi)
    await page.until_told("chat.agent.joined")
    await desk.until_seq(2, budi.room)
    return budi, page, ani, desk


def test_each_side_hears_the_other_and_the_sender_gets_the_acknowledgement(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        budi, page, ani, desk = await served(await chat.sidecar())
        ack = await page.wrote("halo <b>", "c1")
        heard = await desk.until_told("chat.message.new", lambda one: one["seq"] == ack["seq"])
        assert ack == {name: heard[name] for name in ("session_id", "id", "seq", "created_at")} | {"client_id": "c1"}
        assert (heard["body"], heard["sender_type"], heard["sender_name"]) == ("halo <b>", "customer", "Budi")
        assert "client_id" not in heard
        await desk.wrote("selamat pagi", session_id=budi.room)
        heard = await page.until_told("chat.message.new", lambda one: one["body"] == "selamat pagi")
        assert (heard["sender_type"], heard["sender_id"], heard["sender_name"]) == ("agent", ani.id, "Ani")
        assert page.seqs() == desk.seqs(budi.room) == [1, 2, 3, 4], "no row twice, also for its sender"

    run_chat(database_url, redis_url, story)


def test_a_second_page_of_the_same_person_hears_what_the_first_one_says(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        budi, page, ani, desk = await served(await chat.sidecar())
        other_page, other_desk = await budi.live(), await ani.page()
        await page.wrote("from the first", "c1")
        heard = await other_page.until_told("chat.message.new", lambda one: one["body"] == "from the first")
        assert heard["client_id"] == "c1"
        await desk.wrote("from the desk", "c1", session_id=budi.room)
        heard = await other_desk.until_told("chat.message.new", lambda one: one["body"] == "from the desk")
        assert heard["client_id"] == "c1"
        heard = await page.until_told("chat.message.new", lambda one: one["body"] == "from the desk")
        assert "client_id" not in heard

    run_chat(database_url, redis_url, story)


def test_what_happens_in_one_sidecar_reaches_the_sockets_of_another(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        chat.hire("ani")
        ani = await there.colleague("ani")
        desk = await ani.page()
        budi = await here.customer("Budi")
        page = await budi.live()
        await desk.until_told("chat.session.started")
        await ani.pick(budi)
        assert (await page.until_told("chat.agent.joined"))["name"] == "Ani"
        for n in range(20):
            await (page.write(f"c{n}") if n % 2 else desk.write(f"a{n}", session_id=budi.room))
        await asyncio.gather(page.until_seq(22), desk.until_seq(22, budi.room))
        assert page.seqs() == desk.seqs(budi.room) == list(range(1, 23))
        await page.say("chat.typing", is_typing=True)
        assert (await desk.until_told("chat.typing"))["is_typing"] is True
        await desk.say("chat.message.read", session_id=budi.room, up_to_seq=22)
        assert (await page.until_told("chat.message.read", lambda one: one["by"] == "agent"))["up_to_seq"] == 22

    run_chat(database_url, redis_url, story)


def test_typing_is_told_once_however_often_and_from_how_many_pages_it_is_said(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        budi, page, _, desk = await served(await chat.sidecar())
        others = [page, *[await budi.live() for _ in range(4)]]
        for _ in range(10):
            for one in others:
                await one.say("chat.typing", is_typing=True)
        await desk.until_told("chat.typing", lambda one: one["is_typing"] is True)
        await page.say("chat.typing", is_typing=False)
        await desk.until_told("chat.typing", lambda one: one["is_typing"] is False)
        assert [one["is_typing"] for one in desk.told("chat.typing")] == [True, False]
        await page.say("chat.typing", is_typing=True)
        await page.wrote("said")
        await page.say("chat.typing", is_typing=True)
        await until(lambda: len(desk.told("chat.typing")) == 4, what="typing that goes on after a message")
        await desk.say("chat.typing", session_id=budi.room, is_typing=True)
        await desk.say("chat.typing", session_id=budi.room, is_typing=True)
        await desk.wrote("answer", session_id=budi.room)
        await page.until_told("chat.message.new", lambda one: one["body"] == "answer")
        assert len([one for one in page.told("chat.typing") if one["by"] == "agent"]) == 1

    run_chat(database_url, redis_url, story)


def test_a_page_that_comes_back_gets_exactly_what_it_missed(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        budi, page, _, desk = await served(await chat.sidecar())
        await page.wrote("before")
        await page.close()
        for n in range(30):
            await desk.wrote(f"missed {n}", session_id=budi.room)
        back = await budi.page(after=3)
        await back.until_seq(33)
        await desk.wrote("live again", session_id=budi.room)
        await back.until_seq(34)
        assert back.seqs() == list(range(4, 35))
        assert back.rows()[4] == "missed 0"

    run_chat(database_url, redis_url, story)


def test_coming_back_in_the_middle_of_a_busy_room_leaves_no_hole(database_url: str, redis_url: str) -> None:
    """Sockets come at every moment of a stream of rows, at both sidecars."""

    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        budi, page, _, desk = await served(here)
        stop = asyncio.Event()

        async def chatter() -> None:
            while not stop.is_set():
                await desk.wrote("on and on", session_id=budi.room)

        busy = asyncio.create_task(chatter())
        pages: list[tuple[int, Page]] = []
        for n in range(24):
            after = max(page.seqs())
            pages.append((after, await budi.page(here if n % 2 else there, after)))
            await asyncio.sleep(0)
        await until(lambda: all(len(one.seqs()) > 5 for _, one in pages))
        stop.set()
        await busy
        last = chat.stored(budi.room)[-1][0]
        for after, one in pages:
            await one.until_seq(last)
            assert one.seqs() == list(range(after + 1, last + 1))

    run_chat(database_url, redis_url, story)


def test_state_and_events_are_the_same_as_a_fresh_fetch(database_url: str, redis_url: str) -> None:
    """A page that has been there all the time and one that loads now know the same, at every step of a chat's life."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani"), chat.hire("budi")
        ani, other = await at.colleague("ani"), await at.colleague("budi")
        customer = await at.customer("Citra", "halo")
        page = await customer.live()
        steps: list[tuple[Any, str, str | None]] = [
            (lambda: ani.pick(customer), "active", "Ani"),
            (lambda: page.wrote("one"), "active", "Ani"),
            (lambda: ani.post(f"sessions/{customer.room}/transfer", {"agent_id": other.id}), "active", "Budi"),
            (lambda: other.post(f"sessions/{customer.room}/messages", {"body": "two"}), "active", "Budi"),
            (lambda: customer.post("end", {}), "ended", "Budi"),
        ]
        assert state_of(page) == ("waiting", None)
        for step, status, agent in steps:
            await step()
            fresh = await customer.look()
            await page.until_seq(fresh["last_seq"])
            assert state_of(page) == (status, agent) == (fresh["status"], (fresh["agent"] or {}).get("name"))
            new = await customer.live()
            assert state_of(new) == (status, agent)
            shown = {row["seq"]: row["body"] for row in fresh["messages"]}
            assert new.rows() == shown
            assert sorted(page.seqs()) == page.seqs() == sorted(shown)

    run_chat(database_url, redis_url, story)


def state_of(page: Page) -> tuple[str, str | None]:
    """What a page makes of the frames that it got."""
    status, agent = "waiting", None
    for kind, payload in page.frames:
        if kind in ("chat.session.assigned", "chat.session.transferred"):
            status, agent = "active", payload["name"]
        elif kind == "chat.session.released":
            status, agent = "waiting", None
        elif kind == "chat.session.ended":
            status = "ended"
            agent = agent or page_agent(page)
    return status, agent


def page_agent(page: Page) -> str | None:
    names = [row["event"]["name"] for row in page.told("chat.message.new") if row.get("event", {}).get("agent_id")]
    return names[-1] if names else None


def test_an_agents_first_load_and_events_leave_no_hole(database_url: str, redis_url: str) -> None:
    """Between `auth.ok` and the answers of REST rooms begin and go on; the page has all of them."""

    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        chat.hire("ani")
        stop = asyncio.Event()
        rooms: list[str] = []

        async def customers() -> None:
            while not stop.is_set():
                budi = await there.customer("Budi", "halo")
                rooms.append(budi.room)
                await budi.post("messages", {"body": "anybody?"})

        busy = asyncio.create_task(customers())
        await until(lambda: len(rooms) > 3)
        ani = await here.colleague("ani")
        desk = await ani.page()
        known = {s["session_id"]: s["last_seq"] for s in (await ani.get("queue"))[1]["sessions"]}
        await until(lambda: len(rooms) > len(known) + 5)
        stop.set()
        await busy
        for room in rooms:
            await desk.until_seq(3, room) if known.get(room, 0) < 3 else None
            seqs = desk.seqs(room)
            assert seqs == sorted(set(seqs))
            assert set(range(known.get(room, 0) + 1, 4)) <= set(seqs)

    run_chat(database_url, redis_url, story)


def test_the_same_send_over_two_sockets_at_once_is_one_message(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        budi = await here.customer("Budi")
        one, two = await budi.live(), await budi.live(there)
        for n in range(20):
            acks = await asyncio.gather(one.wrote(f"m{n}", f"c{n}"), two.wrote(f"m{n}", f"c{n}"))
            assert acks[0] == acks[1]
        assert [body for _, body in chat.stored(budi.room)[1:]] == [f"m{n}" for n in range(20)]

    run_chat(database_url, redis_url, story)


def test_a_send_repeated_over_http_and_after_a_reconnect_has_the_same_answer(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        budi = await (await chat.sidecar()).customer("Budi")
        page = await budi.live()
        ack = await page.wrote("halo", "c1")
        await page.close()
        back = await budi.live(after=ack["seq"])
        assert await back.wrote("halo", "c1") == ack
        status, found = await budi.post("messages", {"body": "halo", "client_id": "c1"})
        assert (status, found["seq"], found["client_id"]) == (200, ack["seq"], "c1")
        status, found = await budi.post("messages", {"body": "next", "client_id": "c2"})
        assert (status, found["seq"]) == (201, ack["seq"] + 1)

    run_chat(database_url, redis_url, story)


def test_agents_hear_their_tenant_only_and_customers_their_room_only(database_url: str, redis_url: str) -> None:
    """P9, and: without any subscription nobody hears what is not theirs."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.tenant("warung")
        chat.hire("spy", tenant="warung")
        spy = await (await at.colleague("spy", "warung")).page()
        budi, page, ani, desk = await served(at)
        citra = await at.customer("Citra")
        other = await citra.live()
        await page.wrote("secret")
        await desk.wrote("to you only", session_id=budi.room)
        await page.say("chat.typing", is_typing=True)
        await ani.post(f"sessions/{budi.room}/notes", {"body": "a difficult one"})
        await desk.until_told("chat.note.new")
        await other.wrote("me too")
        await desk.until_seq(2, citra.room)
        assert {payload.get("session_id") for _, payload in other.frames} == {citra.room}
        assert {payload.get("session_id") for _, payload in page.frames} == {budi.room}
        assert "difficult" not in json.dumps(page.frames)
        assert {kind for kind, _ in spy.frames} <= {"auth.ok", "chat.agents.changed", "chat.queue.changed"}
        assert not [word for word in (budi.room, citra.room, "Budi", ani.id) if word in json.dumps(spy.frames)]
        await spy.write("let me in", "x1", session_id=budi.room)
        assert (await spy.until_told("error"))["code"] == "not_found"

    run_chat(database_url, redis_url, story)


def test_an_agent_may_watch_but_not_write_into_a_colleagues_chat(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi, page, _, _ = await served(at)
        chat.hire("other"), chat.hire("boss", "supervisor")
        other, boss = await (await at.colleague("other")).page(), await (await at.colleague("boss")).page()
        await page.wrote("halo")
        await other.until_seq(3, budi.room)
        await other.write("me first", "x1", session_id=budi.room)
        assert await other.until_told("error") == {
            "code": "not_yours",
            "message": "this chat has another agent",
            "client_id": "x1",
            "session_id": budi.room,
        }
        await other.say("chat.typing", session_id=budi.room, is_typing=True)
        await other.until_told("error", lambda one: "client_id" not in one)
        await boss.wrote("good work", session_id=budi.room)
        await page.until_told("chat.message.new", lambda one: one["sender_name"] == "Boss")
        assert page.told("chat.typing") == []

    run_chat(database_url, redis_url, story)


def test_who_is_nobody_is_closed_with_a_word(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        page = Page(await at.http.ws_connect(f"{at.url}/ws/public/no-such-key"))
        assert await page.closed() == 4404
        assert page.told("error")[0]["code"] == "not_found"
        page = Page(await at.http.ws_connect(f"{at.url}/ws"))
        await page.say("auth", token="guessed")
        assert await page.closed() == 4001
        page = Page(await at.http.ws_connect(f"{at.url}/ws"))
        await page.say("chat.typing", is_typing=True)
        assert await page.closed() == 4001
        budi = await at.customer()
        silent = Page(await at.http.ws_connect(f"{at.url}/ws"))
        assert (await at.get(f"/api/v1/public/sessions/{budi.room}"))[0] == 404, "the id opens nothing"
        assert await silent.closed() == 4001

    run_chat(database_url, redis_url, story)


def test_a_socket_ends_with_the_login_that_opened_it(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        ani = await at.colleague("ani")
        page = await ani.page()
        assert (await ani.post("auth/logout"))[0] == 200
        assert await page.closed() == 4001

    run_chat(database_url, redis_url, story)


def test_each_page_hears_each_of_its_places_one_by_one(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        chat.hire("ani")
        ani = await there.colleague("ani")
        desk = await ani.page()
        customers = [await here.customer(f"C{n}") for n in range(6)]
        pages = [await one.page(here if n % 2 else there) for n, one in enumerate(customers)]
        for gone in range(6):
            for n, page in enumerate(pages[gone:]):
                await page.until_told("chat.queue.position", lambda one, place=n + 1: one["position"] == place)
            waiting = list(range(1, 7 - gone))
            await desk.until_told(
                "chat.queue.changed", lambda one, all_=waiting: [w["position"] for w in one["waiting"]] == all_
            )
            await ani.pick(customers[gone])
        for n, page in enumerate(pages):
            heard = [one["position"] for one in page.told("chat.queue.position")]
            assert sorted(set(heard), reverse=True) == list(range(n + 1, 0, -1))
            assert heard == sorted(heard, reverse=True), "nobody goes back"

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_who_stands_behind_the_first_hundred_hears_the_place_too(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "BEHIND_EVERY_S", 0.2)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        ani = await at.colleague("ani")
        await ani.page()
        customers = [await at.customer(f"C{n}") for n in range(positions.LIVE + 3)]
        last = await customers[-1].page()
        for gone, place in enumerate(range(positions.LIVE + 3, positions.LIVE - 1, -1)):
            await last.until_told("chat.queue.position", lambda one, place=place: one["position"] == place)
            await ani.pick(customers[gone])
        heard = [one["position"] for one in last.told("chat.queue.position")]
        assert heard == sorted(heard, reverse=True)

    run_chat(database_url, redis_url, story)


def test_the_expected_wait_comes_from_seats_and_lengths_and_never_rises_while_the_place_stands(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        chat.hire("citra")
        ani, citra = await at.colleague("ani"), await at.colleague("citra")
        desks = [await ani.page(), await citra.page()]
        past = [await at.customer(f"P{n}") for n in range(12)]
        for customer in past[:9]:
            await ani.pick(customer)
            assert (await ani.post(f"sessions/{customer.room}/end"))[0] == 200
        chat.run("UPDATE agents SET max_load = 2, foreign_est = 2")  # everybody is full, as the worker would have found
        chat.run("UPDATE visits SET settled_at = closed_at - interval '600 s' WHERE state = 'closed'")
        last = past[11]
        page = await last.live()
        told = await page.until_told("chat.queue.position")
        assert (told["position"], told["eta_seconds"], told["eta_high_seconds"]) == (3, None, None), (
            "too few have ended"
        )
        await ani.pick(past[9])
        chat.run("UPDATE visits SET settled_at = clock_timestamp() - interval '600 s' WHERE room = %s", past[9].room)
        assert (await ani.post(f"sessions/{past[9].room}/end"))[0] == 200
        told = await page.until_told("chat.queue.position", lambda one: one["position"] == 2)
        again = await last.look()
        about = 2 * 600 / 4
        assert again["eta_seconds"] == pytest.approx(about, abs=2)
        assert again["eta_low_seconds"] < about / 2 < 1.5 * about < again["eta_high_seconds"]

        await desks.pop().close()  # half of the seats are gone: whoever comes now is told so, who was told keeps it
        await page.until_told("chat.queue.position", lambda one: one["agents_online"] == 1)
        assert (await last.look())["eta_seconds"] == again["eta_seconds"]
        status, before = await at.get(f"/api/v1/public/desk?tenant_id={TENANT}")
        assert (status, before["eta_seconds"]) == (200, pytest.approx(3 * 600 / 2, abs=2))
        await desks.pop().close()
        told = await page.until_told("chat.queue.position", lambda one: one["agents_online"] == 0)
        assert told["eta_seconds"] is None, "nobody is there"

    run_chat(database_url, redis_url, story)


def test_several_messages_come_as_several_frames(database_url: str, redis_url: str) -> None:
    """`Page` reads each frame as one JSON text: a burst joined into one would end it."""

    async def story(chat: Chat) -> None:
        budi, page, _, desk = await served(await chat.sidecar())
        for n in range(15):
            await page.write(f"burst {n}")
        await desk.until_seq(17, budi.room)
        assert list(desk.rows(budi.room).values())[-15:] == [f"burst {n}" for n in range(15)]

    run_chat(database_url, redis_url, story)


def test_a_reader_that_is_too_slow_is_closed_and_nobody_waits_for_it(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sidecar.connection")

    async def story(chat: Chat) -> None:
        at = await chat.sidecar(messages_a_second=5000)
        budi, page, _, desk = await served(at)
        stuck = await stuck_socket(at, budi)
        await until(lambda: at.inside.parts.sockets.counts()[0] == 2)
        sent = 0
        while "reader_too_slow" not in caplog.text:
            sent += 1
            assert sent < 1000, "a reader that takes nothing may not be owed more"
            await page.wrote(f"{sent} {'x' * 9000}")
        assert await close_code_of(stuck) == 1013
        await until(lambda: at.inside.parts.sockets.counts()[0] == 1, what="the slow reader's end")
        last = sent + 2
        await desk.until_seq(last, budi.room)
        assert desk.seqs(budi.room) == list(range(1, last + 1))
        back = await budi.live(after=2)
        assert back.seqs() == list(range(3, last + 1)), "whoever comes back has all of it"
        stuck.close()

    run_chat(database_url, redis_url, story)


async def stuck_socket(at: At, customer: Customer) -> socket.socket:
    """An open WebSocket whose owner never reads."""
    url = URL(at.url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (url.host or "", url.port or 0))
    lines = [f"GET /ws/public/{customer.key} HTTP/1.1", f"Host: {url.authority}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    await loop.sock_sendall(raw, "\r\n".join([*lines, "", ""]).encode())
    assert b" 101 " in await loop.sock_recv(raw, 64)
    return raw


async def close_code_of(raw: socket.socket) -> int:
    """Reads all that is owed, up to the close."""
    tail = b""
    async with asyncio.timeout(WITHIN_S):
        while (at := tail.rfind(b"you read too slowly")) < 2:
            more = await asyncio.get_running_loop().sock_recv(raw, 1 << 20)
            assert more, "ended without a word"
            tail = tail[-200:] + more
    return int.from_bytes(tail[at - 2 : at], "big")


def write_history(chat: Chat) -> None:
    """2,600 rows in each session."""
    chat.run(
        "INSERT INTO messages (session, seq, id, tenant, sender_type, body)"
        " SELECT id, n, 'm' || n, tenant, 'customer', repeat('x', 1000) FROM sessions, generate_series(2, 2600) n"
    )
    chat.run("UPDATE sessions SET last_seq = 2600")


@pytest.mark.long
def test_a_large_history_reaches_a_slow_reader_in_one_piece(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer()
        write_history(chat)
        raw, got = await stuck_socket(at, budi), b""
        while b'"seq":2600,' not in got[-2000:]:
            piece = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(raw, 8192), 10)
            assert piece, f"closed after {got.count(b'chat.message.new')} rows"
            got += piece
            await asyncio.sleep(0.001)
        assert got.count(b"chat.message.new") == 2600
        raw.close()

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_a_large_history_reaches_a_new_page_in_order(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer()
        write_history(chat)
        page = await budi.page()
        await page.until_seq(2600, within_s=30)  # the order counts here, not the time
        assert page.seqs() == list(range(1, 2601))
        seqs: list[int] = []
        look: dict[str, Any] = {"more": True}
        while look["more"]:
            look = await budi.look(after=seqs[-1] if seqs else 2000)
            assert 1 <= len(look["messages"]) <= 500
            seqs += [row["seq"] for row in look["messages"]]
        assert seqs == list(range(2001, 2601))

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_a_crowd_that_comes_back_at_once_stands_in_line_and_nobody_is_sent_away(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "WAITING_MOST", 20)
    monkeypatch.setattr(sockets, "OPENINGS_AT_ONCE", 10)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        customers = [await at.customer(f"C{n}", "halo") for n in range(15)]
        pages = await asyncio.gather(*(customer.page() for customer in customers * 10))
        for page in pages:
            await page.until_seq(2)
        assert [page.socket.close_code for page in pages] == [None] * 150

    run_chat(database_url, redis_url, story)


def test_a_page_from_a_future_that_never_was_starts_over(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        budi = await (await chat.sidecar()).customer("Budi", "halo")
        page = await budi.page(after=999)
        await page.until_seq(2)
        assert page.seqs() == [1, 2]
        assert [row["seq"] for row in (await budi.look(after=999))["messages"]] == [1, 2]

    run_chat(database_url, redis_url, story)


def test_frames_that_are_too_big_or_broken_get_a_typed_error_and_in_the_end_a_close(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi, page, _, desk = await served(at)
        bad = await budi.live()
        await bad.socket.send_str("no json")
        assert (await bad.until_told("error"))["code"] == "invalid_json"
        await bad.say("chat.message.send", client_id="c1", body="")
        assert (await bad.until_told("error", lambda one: one.get("client_id") == "c1"))["message"] == "body: is empty"
        await bad.say("chat.message.send", client_id="", body="x")
        await bad.say("what is this")
        await bad.until_told("error", lambda one: one["code"] == "unknown_type")
        assert (await bad.wrote("still fine"))["seq"] == 3
        for _ in range(30):
            await bad.socket.send_str("{")
        assert await bad.closed() == 1008
        big = await budi.live()
        await big.socket.send_str("x" * 65_537)
        assert await big.closed() == 1009
        assert big.told("error")[0]["code"] == "payload_too_large"
        huge = await budi.live()
        await huge.socket.send_str("x" * 10_000_000)
        assert await huge.closed() == 1009
        assert huge.told("error")[0]["code"] == "payload_too_large"
        await page.wrote("nobody noticed")
        await desk.until_seq(4, budi.room)
        assert desk.told("error") == page.told("error") == []

    run_chat(database_url, redis_url, story)


def test_the_limit_of_messages_is_a_customers_however_many_pages_they_write_on(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(messages_a_second=1)
        budi = await at.customer()
        pages = [await budi.live() for _ in range(4)]
        for n in range(40):
            await pages[n % 4].write(f"{n}", f"c{n}")
        for page in pages:
            await page.until_told("error", lambda one: one["code"] == "rate_limited")
        assert (await budi.post("messages", {"body": "over HTTP"}))[0] == 429
        assert len(chat.stored(budi.room)) < 20

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_a_chat_that_is_open_on_very_many_pages_gets_no_further_one(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer()
        pages = [await budi.live() for _ in range(sockets.SOCKETS_A_SESSION)]
        more = await budi.page()
        assert (await more.closed(), more.told("error")[0]["code"]) == (1008, "rate_limited")
        await pages.pop().close()
        await until(lambda: at.inside.parts.sockets.counts() == (len(pages), 0))
        assert (await (await budi.live()).wrote("room again"))["seq"] == 2

    run_chat(database_url, redis_url, story)


def test_an_agent_hears_nothing_before_it_is_told_that_it_is_heard(database_url: str, redis_url: str) -> None:
    """While the rooms are read that are open, one of them goes on."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi, page, ani, first = await served(at)
        await first.close()
        await until(lambda: at.inside.parts.sockets.counts() == (1, 0))
        heads = at.inside.parts.feed.heads

        async def slow(tenant: str, rooms: list[str]) -> list[Head]:
            found = await heads(tenant, rooms)
            await page.wrote("meanwhile")
            return found

        at.inside.parts.feed.heads = slow
        desk = await ani.page()
        await page.wrote("afterwards")
        await desk.until_seq(4, budi.room)
        assert desk.frames[0][0] == "auth.ok"
        rows = (await ani.get(f"sessions/{budi.room}/messages"))[1]["messages"]
        assert {3, 4} <= {row["seq"] for row in rows} | set(desk.seqs(budi.room))

    run_chat(database_url, redis_url, story)


@pytest.mark.parametrize("who", ["customer", "agent"])
def test_a_frame_about_no_session_of_ones_own_is_told_so(database_url: str, redis_url: str, who: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi, page, _, desk = await served(at)
        citra = await at.customer("Citra")
        asked = page if who == "customer" else desk
        frames: list[tuple[str, dict[str, object]]] = [
            ("chat.message.send", {"client_id": "x", "body": "to whom?"}),
            ("chat.typing", {"is_typing": True}),
            ("chat.message.read", {"up_to_seq": 1}),
        ]
        expected = []
        for kind, payload in frames:
            await asked.say(kind, session_id="nowhere", **payload)
            expected.append("not_found")
            if who == "customer":
                await asked.say(kind, session_id=citra.room, **payload)
                expected.append("not_found")
            else:
                await asked.say(kind, **payload)
                expected.append("invalid_payload")
        await until(lambda: len(asked.told("error")) == len(expected))
        assert [one["code"] for one in asked.told("error")] == expected
        assert [len(chat.stored(room)) for room in (budi.room, citra.room)] == [2, 1]

    run_chat(database_url, redis_url, story)


def test_a_flood_is_slowed_and_in_the_end_closed(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(messages_a_second=20)
        budi, page, _, desk = await served(at)
        flood = await budi.live()
        for n in range(70):
            await flood.write(f"{n}", f"c{n}")
        error = await flood.until_told("error", lambda one: one["code"] == "rate_limited")
        assert error["client_id"].startswith("c") and error["retry_after"] > 0
        citra = await at.customer("Citra")
        assert (await (await citra.live()).wrote("others go on"))["seq"] == 2
        for n in range(500):
            await flood.write(f"{n}", f"d{n}")
        assert await flood.closed() == 1008
        assert desk.told("error") == page.told("error") == []

    run_chat(database_url, redis_url, story)
