"""What agents do, as the sockets of both sides hear it: a whole sidecar in this process, real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from db import people
from db.people import Agent
from sidecar.app import SIDECAR, create_app
from sidecar.live.parts import Config
from testbed.passwords import PASSWORD, hash_of
from tests.services.chat_floor import NATIVE
from tests.services.line_of import TENANT, Line, line_of

OTHER = "warung"


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Line]:
    with line_of(database_url, redis_url) as made:
        made.run(NATIVE, TENANT)
        made.run("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES (%s, '', '', 'native')", OTHER)
        yield made


class Socket:
    """One side's socket: what it has heard, and a wait for more."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.heard: list[tuple[str, dict[str, Any]]] = []

    async def until(self, kind: str, within_s: float = 5.0, **fields: Any) -> dict[str, Any]:
        """The next frame of this type with these fields; what comes before it is kept in `heard`."""
        deadline = time.monotonic() + within_s
        while True:
            message = await self.ws.receive(timeout=max(0.01, deadline - time.monotonic()))
            assert message.type is aiohttp.WSMsgType.TEXT, (message, self.heard)
            frame = json.loads(message.data)
            self.heard.append((frame["type"], frame["payload"]))
            payload = frame["payload"]
            if frame["type"] == kind and all(payload.get(name) == value for name, value in fields.items()):
                return payload

    async def say(self, kind: str, **payload: Any) -> None:
        await self.ws.send_str(json.dumps({"type": kind, "payload": payload}))


class House:
    def __init__(self, line: Line, server: TestServer, http: aiohttp.ClientSession) -> None:
        self.line, self.server, self.http = line, server, http
        self.sidecar = server.app[SIDECAR]

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    async def hire(self, name: str, role: str = "agent", tenant: str = TENANT) -> Agent:
        email = f"{name}@shop.example"
        work = lambda cur: people.add_account(cur, tenant, email, name, hash_of(PASSWORD), role)  # noqa: E731
        return Agent(tenant, await self.sidecar.parts.store.run(work), name, email, role)

    async def ask(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, self.url(f"/api/v1/{path}"), json=body, headers=headers) as response:
            return response.status, await response.json()

    async def start(self, name: str = "Budi") -> tuple[str, Socket]:
        """A session's id and its customer's socket."""
        body = {"tenant_id": TENANT, "name": name, "email": f"{name.lower()}@mail.example", "message": "Hello"}
        status, found = await self.ask("POST", "public/sessions", body)
        assert status == 201, found
        ws = await self.http.ws_connect(self.url(f"/ws/public/{found['session_key']}"))
        return found["session_id"], Socket(ws)

    async def log_in(self, agent: Agent) -> tuple[str, Socket]:
        body = {"tenant_id": agent.tenant, "email": agent.email, "password": PASSWORD}
        _, found = await self.ask("POST", "auth/login", body)
        socket = Socket(await self.http.ws_connect(self.url("/ws")))
        await socket.say("auth", token=found["token"])
        await socket.until("auth.ok")
        return found["token"], socket


@asynccontextmanager
async def house(line: Line, tmp_path: Path, **more: Any) -> AsyncIterator[House]:
    config = Config(line.database_url, line.redis_url, tmp_path, default_limit=2, retry_s=30.0, **more)
    server = TestServer(create_app(config))
    async with aiohttp.ClientSession() as http:
        await server.start_server()
        try:
            yield House(line, server, http)
        finally:
            await server.close()


def test_a_private_note_is_heard_by_agents_and_by_no_customer(line: Line, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani, budi = await home.hire("ani"), await home.hire("budi")
            room, customer = await home.start()
            token, hears = await home.log_in(ani)
            _, colleague = await home.log_in(budi)
            await home.ask("POST", f"queue/{room}/pick", token=token)
            await home.ask("POST", f"sessions/{room}/notes", {"body": "secret-of-ours"}, token)
            for socket in (hears, colleague):
                told = await socket.until("chat.note.new")
                assert (told["session_id"], told["note"]["body"]) == (room, "secret-of-ours")
            await home.ask("POST", f"sessions/{room}/messages", {"body": "Hi Budi"}, token)
            await customer.until("chat.message.new", body="Hi Budi")  # what was told before it has come too
            assert "secret-of-ours" not in str(customer.heard)
            assert "chat.note.new" not in str(customer.heard)
            again = await home.http.ws_connect(customer.ws._response.url)
            await (anew := Socket(again)).until("chat.message.new", body="Hi Budi")
            assert "secret-of-ours" not in str(anew.heard)

    asyncio.run(story())


def test_a_pick_a_transfer_and_an_end_are_heard_on_both_sides(line: Line, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani, budi = await home.hire("ani"), await home.hire("budi")
            token, hears = await home.log_in(ani)
            room, customer = await home.start()
            await customer.until("chat.queue.position", position=1)
            started = await hears.until("chat.session.started")
            assert started["session"]["session_id"] == room
            await home.ask("POST", f"queue/{room}/pick", token=token)
            assert (await customer.until("chat.agent.joined"))["name"] == "ani"
            assert (await hears.until("chat.session.assigned"))["session"]["agent"]["agent_id"] == ani.agent_id
            await home.ask("POST", f"sessions/{room}/transfer", {"agent_id": budi.agent_id}, token)
            assert (await customer.until("chat.agent.joined"))["name"] == "budi"
            assert (await hears.until("chat.session.transferred"))["session"]["agent"]["name"] == "budi"
            _, boss = await home.log_in(budi)
            await home.sidecar.parts.turns.end(TENANT, room, f"agent:{budi.agent_id}", "budi")
            assert (await customer.until("chat.session.ended"))["by"] == "agent"
            assert (await hears.until("chat.session.ended"))["session"]["status"] == "ended"
            assert "session" not in dict(customer.heard)["chat.session.ended"]
            rows = [payload["seq"] for kind, payload in customer.heard if kind == "chat.message.new"]
            assert rows == sorted(set(rows))
            await boss.ws.close()

    asyncio.run(story())


def test_a_page_makes_an_agent_available_and_its_end_takes_that_back(line: Line, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani, budi = await home.hire("ani"), await home.hire("budi")
            _, watching = await home.log_in(budi)
            _, page = await home.log_in(ani)
            assert line.agent(ani.agent_id).available
            await watching.until("chat.presence", agent_id=ani.agent_id, presence="online")
            await page.ws.close()
            await watching.until("chat.presence", agent_id=ani.agent_id, presence="offline")
            assert not line.agent(ani.agent_id).available

    asyncio.run(story())


def test_who_waits_is_told_when_somebody_comes_who_may_serve_them_and_when_nobody_is_left(
    line: Line, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani = await home.hire("ani")
            _, customer = await home.start()
            await customer.until("chat.queue.position", position=1, agents_online=0)
            token, page = await home.log_in(ani)
            await customer.until("chat.queue.position", position=1, agents_online=1)
            await home.ask("PUT", "me/presence", {"presence": "away"}, token)
            await customer.until("chat.queue.position", position=1, agents_online=0)
            await home.ask("PUT", "me/presence", {"presence": "online"}, token)
            await customer.until("chat.queue.position", position=1, agents_online=1)
            await page.ws.close()
            await customer.until("chat.queue.position", position=1, agents_online=0)

    asyncio.run(story())


@pytest.mark.long
def test_a_limit_an_account_and_its_end_are_told_to_open_pages_of_the_tenant_alone(line: Line, tmp_path: Path) -> None:
    """What the admin does in Redis and with the admin tool, where no sidecar takes part."""

    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani, budi, eve = await home.hire("ani"), await home.hire("budi"), await home.hire("eve", "agent", OTHER)
            _, page = await home.log_in(ani)
            _, spy = await home.log_in(eve)
            told: dict[str, dict[str, Any]] = {}

            async def until_told(agent: str, **facts: Any) -> None:
                while told.get(agent, {}) | facts != told.get(agent):
                    for one in (await page.until("chat.agents.changed", within_s=10))["agents"]:
                        told[one["agent_id"]] = one

            line.redis.set(f"config:max_agent_chat:{TENANT}:{ani.agent_id}", 7)
            await until_told(ani.agent_id, limit=7, name="ani", role="agent")
            line.redis.delete(f"config:max_agent_chat:{TENANT}:{ani.agent_id}")
            cici = await home.hire("cici", "supervisor")
            await home.sidecar.parts.store.run(lambda cur: people.set_disabled(cur, TENANT, budi.agent_id, True))
            await until_told(ani.agent_id, limit=2)
            await until_told(budi.agent_id, disabled=True)
            await until_told(cici.agent_id, role="supervisor", email=cici.email, limit=2)
            await spy.until("chat.agents.changed", within_s=10)
            heard = [one["agent_id"] for kind, p in spy.heard if kind == "chat.agents.changed" for one in p["agents"]]
            assert set(heard) == {eve.agent_id}

    asyncio.run(story())


def test_unanswered_chats_of_a_closed_page_go_to_the_next_agent(line: Line, tmp_path: Path) -> None:
    """The whole way with the worker's decisions: released at the old place, given to who is here."""

    async def story() -> None:
        async with house(line, tmp_path, grace_s=0.5) as home:
            ani, budi = await home.hire("ani"), await home.hire("budi")
            token, page = await home.log_in(ani)
            room, customer = await home.start()
            await home.ask("POST", f"queue/{room}/pick", token=token)
            await customer.until("chat.agent.joined")
            _, colleague = await home.log_in(budi)
            await page.ws.close()
            await customer.until("chat.session.released", within_s=10)
            assert (await customer.until("chat.queue.position"))["position"] == 1
            assert (await colleague.until("chat.session.released"))["session"]["status"] == "waiting"
            assert [(r.room, r.agent) for r in line.decide().reserved] == [(room, budi.agent_id)]

    asyncio.run(story())


@pytest.mark.long
def test_a_login_that_ends_ends_its_socket(line: Line, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani, budi = await home.hire("ani"), await home.hire("budi")
            token, page = await home.log_in(ani)
            _, other = await home.log_in(budi)
            await home.ask("POST", "auth/logout", token=token)
            await home.sidecar.parts.store.run(lambda cur: people.set_disabled(cur, TENANT, budi.agent_id, True))
            for socket in (page, other):
                await socket.until("error", within_s=10, code="unauthorized")
                assert (await socket.ws.receive(timeout=5)).data == 4001

    asyncio.run(story())


def test_another_tenants_agents_hear_nothing_of_ours(line: Line, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani, eve = await home.hire("ani"), await home.hire("mallory", "admin", OTHER)
            token, hears = await home.log_in(ani)
            eve_token, spy = await home.log_in(eve)
            room, customer = await home.start()
            await home.ask("POST", f"queue/{room}/pick", token=token)
            await spy.say("chat.message.send", session_id=room, client_id="c1", body="from-eve")
            assert (await spy.until("error"))["code"] == "not_found"
            await spy.say("chat.typing", session_id=room, is_typing=True)
            await spy.until("error")
            await spy.say("chat.message.read", session_id=room, up_to_seq=2)
            await spy.until("error")
            await home.ask("PUT", "me/presence", {"presence": "away"}, eve_token)
            await spy.until("chat.presence", agent_id=eve.agent_id)
            await home.ask("POST", f"sessions/{room}/messages", {"body": "Hi"}, token)
            await customer.until("chat.message.new", body="Hi")
            await hears.until("chat.message.new", body="Hi")
            assert room not in str([frame for frame in spy.heard if frame[0] != "error"])
            assert "mallory" not in str(customer.heard) + str(hears.heard)

    asyncio.run(story())


def test_the_same_agent_on_two_pages_sees_one_truth(line: Line, tmp_path: Path) -> None:
    """Who writes on one page hears the acknowledgement there, and the message on the other."""

    async def story() -> None:
        async with house(line, tmp_path) as home:
            ani = await home.hire("ani")
            token, one = await home.log_in(ani)
            _, two = await home.log_in(ani)
            room, customer = await home.start()
            await home.ask("POST", f"queue/{room}/pick", token=token)
            await one.until("chat.session.assigned")
            await one.say("chat.message.send", session_id=room, client_id="c7", body="Hi")
            ack = await one.until("chat.message.ack", client_id="c7")
            told = await two.until("chat.message.new", body="Hi")
            assert (told["seq"], told["client_id"]) == (ack["seq"], "c7")
            assert "client_id" not in await customer.until("chat.message.new", body="Hi")
            assert ("chat.message.new", "Hi") not in [(kind, p.get("body")) for kind, p in one.heard]

    asyncio.run(story())
