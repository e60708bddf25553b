"""Attacks on our own chat, on a real sidecar: refused clearly, logged without secrets, and the others in the room
notice nothing."""

import asyncio
import io
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import product
from typing import Any

import aiohttp
import pytest

from testbed.chathouse import ChatHouse, Shop, chat_house
from testbed.chatpeople import API, AgentPage, Customer, People
from testbed.figures import figures
from testbed.passwords import PASSWORD
from tests.variants import first_of

PAUSE_S = 0.1  # between two messages of a bystander
LOGINS = 2_000  # tests/services/test_login.py has the ten thousand
FRAME_MOST = 64 * 1024
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc330000"
    "000049454e44ae426082"
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><html><script>alert(document.cookie)</script></html>"
BODY_SECRET = "the-customer-wrote-this"


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[ChatHouse]:
    limits = {"MESSAGES_PER_SECOND": "20", "SESSIONS_PER_MINUTE": "200", "UPLOADS_PER_MINUTE": "1000"}
    strict = {"DEMO": "0", "ALLOWED_ORIGINS": "https://shop.example"}
    with chat_house(_databases, _redis_databases, sidecars=0, **limits, **strict) as made:
        made.new_shop("first")  # a sidecar finds somebody to serve
        made.start_sidecar(TRUSTED_PROXIES="127.0.0.0/8")
        yield made


class Room:
    """A chat that goes on while somebody attacks."""

    def __init__(self, people: People, shop: Shop, budi: Customer, ani: AgentPage) -> None:
        self.people, self.shop, self.budi, self.ani = people, shop, budi, ani
        self.http, self.url = people.http, people.home.sidecar.url
        self.ws = self.url.replace("http", "ws", 1)
        self.waits_ms: list[float] = []

    async def talk(self) -> None:
        n = 0
        while True:
            n += 1
            for page, other in ((self.budi, self.ani), (self.ani, self.budi)):
                body = f"{BODY_SECRET} {n} {page}"
                began = time.monotonic()
                page.say(body, self.budi.room)
                await other.until(lambda other=other, body=body: body in other.bodies(self.budi.room))
                self.waits_ms.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(PAUSE_S)

    async def start(self, name: str = "Mallory", **more: Any) -> Any:
        """A session by plain REST: the answer's JSON."""
        body = {"tenant_id": self.shop.id, "name": name, "email": "mallory@mail.test", **more}
        async with self.http.post(f"{self.url}{API}/public/sessions", json=body) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    async def refused(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Status and code of an answer that says no."""
        async with self.http.request(method, f"{self.url}{path}", **more) as answer:
            text = await answer.text()
            assert answer.content_type == "application/json", (path, answer.status, text[:200])
            return answer.status, json.loads(text).get("error", {}).get("code", "")


@asynccontextmanager
async def a_room(home: ChatHouse) -> AsyncIterator[Room]:
    """Budi and Ani talk all the time; they may not notice."""
    shop = home.new_shop("shop")
    shop.hire("ani")
    async with People(home) as people:
        ani = await people.agent(shop, "ani")
        budi = await people.customer(shop, "Budi", "hello")
        await budi.until(lambda: budi.status == "active" and budi.room in ani.mine)
        room = Room(people, shop, budi, ani)
        talk = asyncio.create_task(room.talk())
        try:
            yield room
            assert not talk.done(), talk.exception()
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
        for page in (budi, ani):
            await page.all_acked()
            await page.until(lambda page=page: page.got(budi.room) == len(shop.rows(budi.room)))
            assert page.connects == 1, f"{page} was disconnected: {page.closes}"
        people.judge(shop, [budi], [ani])
        figures("a bystander's messages, ms", room.waits_ms)


async def frames_of(socket: aiohttp.ClientWebSocketResponse, within_s: float = 15.0) -> tuple[list[Any], int | None]:
    """All until it is closed by the other side, and the code."""
    frames = []
    async with asyncio.timeout(within_s):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                frames.append(json.loads(message.data))
    return frames, socket.close_code


def errors_of(frames: list[Any]) -> list[str]:
    return [frame["payload"]["code"] for frame in frames if frame["type"] == "error"]


def test_another_tenants_token_finds_no_door(home: ChatHouse) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            other = home.new_shop("other")
            other.hire("eve", role="admin")
            eve = await room.people.agent(other, "eve")
            one = f"/sessions/{room.budi.room}"
            for method, path, body in (
                ("GET", one, None),
                ("GET", f"{one}/messages?after=0", None),
                ("POST", f"{one}/messages", {"body": "x", "client_id": "c1"}),
                ("POST", f"{one}/assign", {"agent_id": eve.id}),
                ("POST", f"{one}/transfer", {"agent_id": eve.id}),
                ("POST", f"{one}/end", {}),
                ("POST", f"{one}/notes", {"body": "x"}),
                ("GET", f"{one}/notes", None),
                ("POST", f"{one}/read", {"up_to_seq": 1}),
                ("GET", f"{one}/transcript?format=json", None),
                ("POST", f"/queue/{room.budi.room}/pick", {}),
            ):
                status, answer = await eve.rest(method, path, json=body)
                assert (status, answer["error"]["code"]) == (404, "not_found"), (method, path, status, answer)
            form = aiohttp.FormData({"file": io.BytesIO(PNG)})
            assert (await eve.rest("POST", f"{one}/attachments", data=form))[0] == 404
            for kind, more in (
                ("chat.message.send", {"client_id": "c1", "body": "x"}),
                ("chat.typing", {"is_typing": True}),
                ("chat.message.read", {"up_to_seq": 1}),
            ):
                eve.tell(kind, {"session_id": room.budi.room, **more})
            await eve.until(lambda: len(eve.of("error")) == 3)
            assert {error["code"] for error in eve.of("error")} <= {"not_found", "not_yours"}
            for path in ("/sessions?status=all", "/queue", f"/search?q={BODY_SECRET}"):
                assert room.budi.room not in json.dumps(await eve.get(path))
            assert [agent["agent_id"] for agent in (await eve.get("/agents"))["agents"]] == [eve.id]
            status, answer = await room.ani.rest("POST", f"{one}/transfer", json={"agent_id": eve.id})
            assert status in (400, 404), answer
            assert room.budi.room not in json.dumps(eve.frames[1:]).replace("error", "") or all(
                kind == "error" for kind, payload in eve.frames if room.budi.room in json.dumps(payload)
            )

    asyncio.run(story())


def test_a_key_opens_its_own_session_and_nothing_else(home: ChatHouse) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            budi, ani = room.budi, room.ani
            siti = await room.people.customer(room.shop, "Siti", "me too")
            form = aiohttp.FormData()
            form.add_field("file", PNG, filename="me.png")
            status, message = await budi.rest("POST", "/attachments", data=form)
            assert status == 201, message
            file = message["attachments"][0]["url"]
            assert (await room.refused("GET", f"{file}?key={siti.key}"))[0] == 404
            assert (await room.refused("GET", file))[0] == 401
            for key in (budi.room, ani.token, budi.key[:-1], budi.key.swapcase(), "0", "%00", "../" + budi.key):
                status, code = await room.refused("GET", f"{API}/public/sessions/{key}")
                assert (status, code) == (404, "not_found"), key
            assert (await room.refused("GET", f"{API}/me", headers={"Authorization": f"Bearer {budi.key}"}))[0] == 401
            siti.tell("chat.message.send", {"session_id": budi.room, "client_id": "evil", "body": "from Siti"})
            siti.tell("chat.message.read", {"session_id": budi.room, "up_to_seq": 1})
            siti.tell("chat.typing", {"session_id": budi.room, "is_typing": True})
            await siti.until(lambda: len(siti.of("error")) == 3)
            assert not siti.of("chat.message.ack")
            assert "from Siti" not in budi.bodies(budi.room)
            siti.wrong.clear()  # the client did not expect an answer to what it never sent
            siti.sent["evil"] = (siti.room, "from Siti")

    asyncio.run(story())


def test_guessed_keys_and_tokens_find_nothing_and_are_not_in_the_log(home: ChatHouse) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            guesses = [secrets.token_urlsafe(32) for _ in range(300)]
            answers = [await room.refused("GET", f"{API}/public/sessions/{guess}") for guess in guesses]
            assert set(answers) == {(404, "not_found")}
            for guess in guesses[:20]:
                async with room.http.ws_connect(f"{room.ws}/ws/public/{guess}") as socket:
                    frames, code = await frames_of(socket)
                assert (errors_of(frames), code) == (["not_found"], 4404)
                async with room.http.ws_connect(f"{room.ws}/ws") as socket:
                    await socket.send_json({"type": "auth", "payload": {"token": guess}})
                    frames, code = await frames_of(socket)
                assert (errors_of(frames), code) == (["unauthorized"], 4001)
            log = home.log()
            assert 1 <= log.count("refused code=not_found what=key") <= 5, "once a minute for each address"
            assert not [guess for guess in guesses if guess in log]

    asyncio.run(story())


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://shop.example.evil.example", "http://[::1"])
def test_a_page_of_another_site_is_refused_everywhere(home: ChatHouse, origin: str) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            headers = {"Origin": origin}
            body = {"tenant_id": room.shop.id, "name": "X", "email": "x@mail.test"}
            login = {"tenant_id": room.shop.id, "email": room.shop.email("ani"), "password": PASSWORD}
            bearer = {"Authorization": f"Bearer {room.ani.token}"}
            for answer in (
                await room.refused("POST", f"{API}/public/sessions", json=body, headers=headers),
                await room.refused("GET", f"{API}/public/sessions/{room.budi.key}", headers=headers),
                await room.refused("POST", f"{API}/auth/login", json=login, headers=headers),
                await room.refused("GET", f"{API}/sessions", headers={**headers, **bearer}),
            ):
                assert answer == (403, "origin_not_allowed")
            for path in (f"/ws/public/{room.budi.key}", "/ws"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await room.http.ws_connect(f"{room.ws}{path}", headers=headers)
                assert refused.value.status == 403
                async with room.http.ws_connect(f"{room.ws}{path}", headers={"Origin": "https://shop.example"}):
                    pass
            assert "code=origin_not_allowed" in home.log()

    asyncio.run(story())


@pytest.mark.parametrize("size", first_of([FRAME_MOST + 1, 10 * 1024 * 1024]))
@pytest.mark.parametrize("who", ["customer", "agent"])
def test_a_frame_that_is_too_big_gets_an_error_and_a_close(home: ChatHouse, who: str, size: int) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            mallory = await room.start()
            path = f"/ws/public/{mallory['session_key']}" if who == "customer" else "/ws"
            async with room.http.ws_connect(f"{room.ws}{path}") as socket:
                if who == "agent":
                    await socket.send_json({"type": "auth", "payload": {"token": room.ani.token}})
                    await socket.receive()
                try:
                    await socket.send_str("x" * size)
                except (ConnectionError, aiohttp.ClientError):
                    return  # it was closed while the frame was still on its way
                frames, code = await frames_of(socket)
            assert code in (1009, 1006), code
            if size == FRAME_MOST + 1:
                assert (errors_of(frames), code) == (["payload_too_large"], 1009)

    asyncio.run(story())


@pytest.mark.long
def test_the_biggest_frame_that_is_allowed_passes(home: ChatHouse) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            frame = {"type": "chat.message.send", "payload": {"client_id": "big", "body": "big", "fill": ""}}
            frame["payload"]["fill"] = "x" * (FRAME_MOST - len(json.dumps(frame)))  # type: ignore[index]
            mallory = await room.start()
            async with room.http.ws_connect(f"{room.ws}/ws/public/{mallory['session_key']}") as socket:
                await socket.send_str(json.dumps(frame))
                while (answer := await socket.receive_json(timeout=10))["type"] != "chat.message.ack":
                    assert answer["type"] != "error", answer

    asyncio.run(story())


NONSENSE = ("{", "[]", "null", '"x"', '{"type":1}', '{"type":"chat.message.send","payload":[]}', "\x00", "[" * 20_000)


def test_nonsense_gets_typed_errors_and_in_the_end_a_close(home: ChatHouse) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            mallory = await room.start()
            async with room.http.ws_connect(f"{room.ws}/ws/public/{mallory['session_key']}") as socket:
                heard = asyncio.create_task(frames_of(socket, 40))
                for n in range(400):
                    if heard.done():
                        break
                    with suppress(ConnectionError, aiohttp.ClientError):
                        await socket.send_str(NONSENSE[n % len(NONSENSE)])
                    await asyncio.sleep(0.06)  # slower than a flood
                frames, code = await heard
            assert set(errors_of(frames)) <= {"invalid_json", "invalid_payload", "unknown_type", "rate_limited"}
            assert {"invalid_json", "invalid_payload"} <= set(errors_of(frames))
            assert code == 1008
            assert "socket_closed" in home.log()

    asyncio.run(story())


@pytest.mark.parametrize("who", first_of(["customer", "agent"]))
def test_a_flood_of_messages_is_slowed_down_and_then_closed(home: ChatHouse, who: str) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            room.shop.hire("mal")
            mallory = await room.start()
            path = f"/ws/public/{mallory['session_key']}" if who == "customer" else "/ws"
            async with room.http.ws_connect(f"{room.ws}{path}") as socket:
                if who == "agent":
                    await socket.send_json({"type": "auth", "payload": {"token": room.shop.token("mal")}})
                    await socket.receive()
                try:
                    for n in range(20_000):
                        payload = {"session_id": mallory["session_id"], "client_id": f"f{n}", "body": f"flood {n}"}
                        await socket.send_json({"type": "chat.message.send", "payload": payload})
                except (ConnectionError, aiohttp.ClientError):
                    pass
                frames, code = await frames_of(socket)
            stored = len(room.shop.rows(mallory["session_id"]))
            if who == "customer":
                assert stored < 60 + 20 * 20, f"{stored} rows of a flood"
            assert code in (1008, 1006), code
            if code == 1008:
                assert "rate_limited" in errors_of(frames)

    asyncio.run(story())


FILES = {
    "page.html": HTML,
    "photo.png": HTML,
    "picture.svg": SVG,
    "picture.png": SVG,
    "late.txt": b" " * 600 + HTML,
    "tool.exe": b"MZ" + b"\0" * 200,
    "run.sh": b"#!/bin/sh\nrm -rf /\n",
    "data.xml": b'<?xml version="1.0"?><svg onload="alert(1)"/>',
}


@pytest.mark.parametrize("name", list(FILES))
def test_what_can_run_is_no_attachment_or_comes_back_as_a_download(home: ChatHouse, name: str) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            for claimed in ("image/png", "text/plain", "text/html"):
                form = aiohttp.FormData()
                form.add_field("file", FILES[name], filename=name, content_type=claimed)
                status, answer = await room.budi.rest("POST", "/attachments", data=form)
                if status == 415:
                    assert answer["error"]["code"] == "unsupported_media_type"
                    continue
                assert status == 201, answer
                url = f"{room.url}{answer['attachments'][0]['url']}?key={room.budi.key}"
                async with room.http.get(url) as served:
                    assert served.content_type == "text/plain", served.headers
                    assert served.headers["Content-Disposition"].startswith("attachment")
                    assert served.headers["X-Content-Type-Options"] == "nosniff"
                    assert "sandbox" in served.headers["Content-Security-Policy"]
            assert name in ("late.txt",) or "file_refused" in home.log()

    asyncio.run(story())


def test_a_file_over_the_limit_is_refused_before_it_is_read(home: ChatHouse) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            form = aiohttp.FormData()
            form.add_field("file", b"\x89PNG" + b"\0" * (11 * 1024 * 1024), filename="big.png")
            try:
                status, answer = await room.budi.rest("POST", "/attachments", data=form)
            except (aiohttp.ClientError, ConnectionError):
                return  # refused while it was on its way
            assert (status, answer["error"]["code"]) == (413, "payload_too_large")

    asyncio.run(story())


def test_html_in_names_and_messages_stays_text(home: ChatHouse) -> None:
    evil = "<img src=x onerror=alert(1)>"

    async def story() -> None:
        async with a_room(home) as room:
            mallory = await room.people.start(room.shop, evil, evil)
            status, found = await mallory.rest("GET")
            assert [row["body"] for row in found["messages"] if row["sender_type"] == "customer"] == [evil]
            assert found["customer"]["name"] == evil
            for kind, type_ in (("txt", "text/plain"), ("json", "application/json")):
                path = f"{room.url}{API}/public/sessions/{mallory.key}/transcript?format={kind}"
                async with room.http.get(path) as answer:
                    assert answer.content_type == type_
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert (await room.ani.rest("POST", f"/sessions/{mallory.room}/notes", json={"body": evil}))[0] in (
                200,
                201,
            )
            assert evil not in home.log()

    asyncio.run(story())


NASTY = (
    "\x00",
    "\ud800",
    "a\x00b",
    "\ud83d",
    "'; DROP TABLE sessions; --",
    "%",
    "\\",
    "9" * 400,
    "🙂" * 50,
    -1,
    1e400,
    {},
    [],
)


@pytest.mark.long
def test_no_field_of_any_request_makes_the_server_stumble(home: ChatHouse) -> None:
    """Every answer is a 2xx or says what is wrong: never a 5xx."""

    async def story() -> None:
        async with a_room(home) as room:
            one, key = f"/sessions/{room.budi.room}", room.budi.key
            posts: list[tuple[str, str, dict[str, Any]]] = [
                ("POST", f"/public/sessions/{key}/messages", {"body": "x", "client_id": "y"}),
                ("POST", f"/public/sessions/{key}/read", {"up_to_seq": 1}),
                ("POST", f"/public/sessions/{key}/rating", {"rating": 1, "comment": "x"}),
                ("POST", f"{one}/notes", {"body": "x"}),
                ("POST", f"{one}/read", {"up_to_seq": 1}),
                ("POST", f"{one}/assign", {"agent_id": "x"}),
                ("POST", f"{one}/transfer", {"agent_id": "x"}),
                ("PUT", "/me/presence", {"presence": "x"}),
                ("PUT", "/canned", {"canned": [{"shortcut": "x", "body": "x"}]}),
                ("POST", "/public/sessions", {"tenant_id": room.shop.id, "name": "x", "email": "x", "message": "x"}),
                ("POST", "/auth/login", {"tenant_id": room.shop.id, "email": "x", "password": "x"}),
            ]
            wrong = []
            for (method, path, body), nasty in product(posts, NASTY):
                for name in body:
                    raw = json.dumps({**body, name: nasty})
                    headers = {"Content-Type": "application/json"}
                    status, answer = await room.ani.rest(method, path, data=raw, headers=headers)
                    wrong += [(path, name, nasty, status, answer)] if status >= 500 else []
            for path, text in product(
                ("/sessions?q={}", "/sessions?cursor={}", "/search?q={}", f"{one}/messages?after={{}}", "/sessions/{}"),
                ("%00", "%ff", "'", "%25", "9" * 30, "-1", "%F0%9F%99%82", "a%00b", "%5C", "((", "%22%27%3A*"),
            ):
                status, answer = await room.ani.rest("GET", path.format(text))
                wrong += [(path, text, status, answer)] if status >= 500 else []
            assert not wrong, (len(wrong), wrong[:10])

    asyncio.run(story())


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/settings.py",
        "/static/js/../../app.py",
        "//etc/passwd",
    ],
)
def test_no_path_leaves_the_folder_of_the_pages(home: ChatHouse, path: str) -> None:
    async def story() -> None:
        host, port = "127.0.0.1", home.sidecar.port
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert b" 404 " in answer.split(b"\r\n")[0], answer[:200]

    asyncio.run(story())


@pytest.mark.long
@pytest.mark.parametrize("how", ["one account", "many accounts from many addresses"])
def test_a_flood_of_logins_is_refused_and_nobody_else_waits(home: ChatHouse, how: str) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            gate, statuses = asyncio.Semaphore(100 if how == "one account" else 400), dict[int, int]()

            async def guess(n: int) -> None:
                many = how != "one account"
                email = f"nobody{n}@mail.test" if many else room.shop.email("ani")
                headers = {"X-Forwarded-For": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" if many else "192.0.2.1"}
                body = {"tenant_id": room.shop.id, "email": email, "password": f"guess-{n}"}
                async with gate, room.http.post(f"{room.url}{API}/auth/login", json=body, headers=headers) as answer:
                    statuses[answer.status] = statuses.get(answer.status, 0) + 1
                    if answer.status == 429:
                        assert int(answer.headers["Retry-After"]) >= 1

            began = time.monotonic()
            if how == "one account":
                await asyncio.gather(*(guess(n) for n in range(LOGINS)))
                assert statuses.keys() == {401, 429}
                assert statuses[401] <= 12, statuses
            else:
                tries = [asyncio.ensure_future(guess(n)) for n in range(LOGINS)]
                async with asyncio.timeout(60):
                    while statuses.keys() != {401, 429}:
                        await asyncio.sleep(0.05)
                for one in tries:
                    one.cancel()
                await asyncio.gather(*tries, return_exceptions=True)
            took_s = time.monotonic() - began
            print(f"\n{how}: {statuses} in {took_s:.1f} s")
            assert "login_failed" in home.log()
            assert "guess-" not in home.log()

    asyncio.run(story())


@pytest.mark.long
def test_new_sessions_of_one_address_are_limited_and_forwarded_addresses_are_not_taken_from_anybody(
    home: ChatHouse,
) -> None:
    async def story() -> None:
        async with a_room(home) as room:
            body = {"tenant_id": room.shop.id, "name": "X", "email": "x@mail.test"}
            headers = {"X-Forwarded-For": "1.2.3.4, 198.51.100.7"}  # the proxy itself wrote the last one only
            path = f"{API}/public/sessions"
            answers = []
            while (429, "rate_limited") not in answers and len(answers) < 2000:
                posts = (room.refused("POST", path, json=body, headers=headers) for _ in range(50))
                answers += await asyncio.gather(*posts)
            assert sum(status == 201 for status, _ in answers) >= 200
            assert {status for status, _ in answers} == {201, 429}
            spoofed = [{"X-Forwarded-For": f"5.6.7.{n}, 198.51.100.7"} for n in range(50)]
            answers = await asyncio.gather(*(room.refused("POST", path, json=body, headers=one) for one in spoofed))
            assert sum(status == 429 for status, _ in answers) > 25, "each spoofed address was one of its own"
            assert "what=sessions" in home.log()

    asyncio.run(story())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\x01\r\n\r\n",
        b"GET /api/v1/public/sessions/%s?after=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST /api/v1/auth/login HTTP/1.1\r\nContent-Length: x\r\n\r\n%s",
    ],
)
def test_a_request_that_is_no_http_is_refused_and_none_of_its_bytes_are_in_the_log(
    home: ChatHouse, sent: bytes
) -> None:
    secret = f"{BODY_SECRET}-{secrets.token_hex(8)}"
    before = home.log().count("request_broken")
    answer = _answer_to(home, sent % secret.encode())
    assert b" 400 Bad Request" in answer
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_request"
    assert secret.encode() not in answer
    home.house.until(lambda: home.log().count("request_broken") > before, 5, "a line about it")
    assert secret not in home.log()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"tls-hello",
        b"SSH-2.0-%s\r\n",
        b"GET /%s HTTP/9.9\r\nHost: x\r\n\r\n",
        b"%s\r\n\r\n",
        b"GET /" + b"%s" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: %s\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nExpect: %s\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
    ],
)
def test_bytes_that_are_no_http_get_the_contracts_error_and_nothing_is_repeated(home: ChatHouse, sent: bytes) -> None:
    word = f"quoted{secrets.token_hex(4)}"
    answer = _answer_to(home, sent.replace(b"%s", word.encode()))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.") and b" 4" in head.splitlines()[0], answer
    assert json.loads(body)["error"]["code"] == ("method_not_allowed" if b" 405 " in head else "invalid_request")
    assert word.encode() not in answer


def test_who_waits_for_a_go_ahead_gets_it_and_then_the_answer(home: ChatHouse) -> None:
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    answer = _answer_to(home, head + b"Content-Type: application/json\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_payload"


def _answer_to(home: ChatHouse, sent: bytes) -> bytes:
    """Everything until the sidecar closes, or says no more for a while."""
    answer = b""
    with socket.create_connection(("127.0.0.1", home.sidecar.port), timeout=10) as raw:
        raw.sendall(sent)
        with suppress(TimeoutError):
            while piece := raw.recv(4096):
                answer += piece
                raw.settimeout(1.0)
    return answer


def test_the_logs_of_all_this_hold_no_secret(home: ChatHouse) -> None:
    """Runs last: what people wrote anywhere above; and the key and the token of people who are refused for others."""

    async def story() -> None:
        async with a_room(home) as room:
            mallory = await room.start()
            key, token = mallory["session_key"], room.ani.token
            assert (await room.refused("GET", f"{API}/sessions/{key}?key={key}", headers=_bearer(token)))[0] == 404
            assert (await room.refused("GET", f"{API}/public/sessions/{token}"))[0] == 404
            assert (await room.refused("GET", f"{API}/me", headers=_bearer(key)))[0] == 401
            log = home.log()
            assert "refused" in log
            secret = (PASSWORD, BODY_SECRET, "mail.test", "Mallory", "Budi", "guess-", key, token, room.budi.key)
            for word in secret:
                assert word not in log, [line for line in log.splitlines() if word in line][:3]

    asyncio.run(story())


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
