"""Sidecars in this process over a real ledger and a real Redis, and people who use them over HTTP and sockets.

async def story(chat: Chat) -> None:
    here, there = await chat.sidecar(), await chat.sidecar()
    budi = await here.customer("Budi")
    page = await budi.page()                # a socket; page.rows is what it has shown, by seq
    ani = await there.agent("ani")          # a socket that is logged in
    await ani.pick(budi)
    await page.until_told("chat.agent.joined")

run_chat(database_url, redis_url, story)
"""

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from db import people
from db.postgres import Ledger
from sidecar.app import SIDECAR, Sidecar, create_app
from sidecar.live.connection import TRY_AGAIN
from sidecar.live.parts import Config
from testbed.passwords import PASSWORD, hash_of
from testbed.servers import free_port

TENANT = "toko"
WITHIN_S = 10.0
LOOK_EVERY_S = 0.01


async def until(condition: Callable[[], Any], within_s: float = WITHIN_S, what: str = "the condition") -> Any:
    """The condition's value once it is true."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s} s (last value: {value!r})")
        await asyncio.sleep(LOOK_EVERY_S)
    return value


class Page:
    """A socket and all that it has heard. `seqs` in the order of coming: rows, and acknowledgements in their place."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[tuple[str, dict[str, Any]]] = []
        self.came_at: list[float] = []
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            found = json.loads(message.data)
            self.frames.append((found["type"], found["payload"]))
            self.came_at.append(time.monotonic())

    async def say(self, kind: str, **payload: Any) -> None:
        await self.socket.send_json({"type": kind, "payload": payload})

    async def write(self, body: str, client_id: str | None = None, **more: Any) -> str:
        client_id = client_id or secrets.token_hex(6)
        await self.say("chat.message.send", client_id=client_id, body=body, **more)
        return client_id

    async def wrote(self, body: str, client_id: str | None = None, **more: Any) -> dict[str, Any]:
        """The acknowledgement."""
        own = await self.write(body, client_id, **more)
        return await self.until_told("chat.message.ack", lambda payload: payload["client_id"] == own)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [payload for found, payload in self.frames if found == kind]

    async def until_told(
        self, kind: str, which: Callable[[dict[str, Any]], bool] = lambda payload: True, within_s: float = WITHIN_S
    ) -> dict[str, Any]:
        found = await until(lambda: [one for one in self.told(kind) if which(one)], within_s, f"{kind}")
        return found[-1]

    def rows(self, room: str | None = None) -> dict[int, str]:
        """Seq → text of the rows that it was shown."""
        return {one["seq"]: one["body"] for one in self.told("chat.message.new") if room in (None, one["session_id"])}

    def seqs(self, room: str | None = None) -> list[int]:
        kinds = ("chat.message.new", "chat.message.ack")
        return [p["seq"] for kind, p in self.frames if kind in kinds and room in (None, p["session_id"])]

    async def until_seq(self, seq: int, room: str | None = None, within_s: float = WITHIN_S) -> None:
        await until(lambda: seq in self.seqs(room), within_s, f"seq {seq}")

    async def until_seq_or_closed(self, seq: int) -> None:
        await until(lambda: seq in self.seqs() or self.socket.closed, what=f"seq {seq}")

    async def closed(self, within_s: float = WITHIN_S) -> int | None:
        """The code that it was closed with."""
        await asyncio.wait_for(asyncio.shield(self._task), within_s)
        return self.socket.close_code

    async def close(self) -> None:
        await self.socket.close()
        await self._task


class Customer:
    def __init__(self, at: "At", found: dict[str, Any]) -> None:
        self.at, self.room, self.key, self.started = at, found["session_id"], found["session_key"], found

    async def page(self, at: "At | None" = None, after: int | None = None) -> Page:
        place = at or self.at
        query = "" if after is None else f"?after={after}"
        return Page(await place.http.ws_connect(f"{place.url}/ws/public/{self.key}{query}"))

    async def live(self, at: "At | None" = None, after: int | None = None) -> Page:
        """A page whose history has come. Where it is told to come back, it does, as every page."""
        last = (await self.look(at=at))["last_seq"]
        while True:
            page = await self.page(at, after)
            if last <= (after or 0):
                return page
            await page.until_seq_or_closed(last)
            if last in page.seqs():
                return page
            assert page.socket.close_code == TRY_AGAIN, page.socket.close_code

    async def look(self, after: int = 0, at: "At | None" = None) -> dict[str, Any]:
        return (await (at or self.at).get(f"/api/v1/public/sessions/{self.key}?after={after}"))[1]

    async def post(self, what: str, body: dict[str, Any], at: "At | None" = None) -> tuple[int, dict[str, Any]]:
        return await (at or self.at).post(f"/api/v1/public/sessions/{self.key}/{what}", body)


class Colleague:
    """An agent who is logged in."""

    def __init__(self, at: "At", token: str, agent: dict[str, Any]) -> None:
        self.at, self.token, self.id, self.name = at, token, agent["agent_id"], agent["name"]

    async def page(self, at: "At | None" = None) -> Page:
        place = at or self.at
        page = Page(await place.http.ws_connect(f"{place.url}/ws"))
        await page.say("auth", token=self.token)
        await page.until_told("auth.ok")
        return page

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return await self.at.get(f"/api/v1/{path}", self.token)

    async def post(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        return await self.at.post(f"/api/v1/{path}", body or {}, self.token)

    async def pick(self, customer: Customer) -> None:
        assert (await self.post(f"queue/{customer.room}/pick"))[0] == 200


class At:
    """A running sidecar, from outside; `inside` for what a test has to reach into."""

    def __init__(self, chat: "Chat", url: str, runner: web.AppRunner, inside: Sidecar) -> None:
        self.chat, self.url, self.inside, self.http = chat, url, inside, chat.http
        self._runner = runner
        self._running = True

    async def stop(self) -> None:
        if self._running:
            self._running = False
            await self._runner.cleanup()

    async def customer(self, name: str = "Budi", message: str | None = None, tenant: str | None = None) -> Customer:
        body = {"name": name, "email": f"{name.lower()}@example.com", "tenant_id": tenant or TENANT}
        status, found = await self.post("/api/v1/public/sessions", {**body, "message": message} if message else body)
        assert status == 201, found
        return Customer(self, found)

    async def colleague(self, name: str, tenant: str | None = None) -> Colleague:
        body = {"tenant_id": tenant or TENANT, "email": f"{name}@example.com", "password": PASSWORD}
        status, found = await self.post("/api/v1/auth/login", body)
        assert status == 200, found
        return Colleague(self, found["token"], found["agent"])

    async def get(self, path: str, token: str | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
        async with self.http.get(self.url + path, headers=_headers(token, headers)) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(
        self, path: str, body: dict[str, Any], token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        async with self.http.post(self.url + path, json=body, headers=_headers(token, headers)) as answer:
            return answer.status, await answer.json(content_type=None)


class Chat:
    """A database with a tenant, and the sidecars that a test starts on it."""

    def __init__(self, database_url: str, redis_url: str, stack: AsyncExitStack, http: aiohttp.ClientSession) -> None:
        self.database_url, self.redis_url, self.http = database_url, redis_url, http
        self._stack = stack
        self.ledger = Ledger(database_url, "test")
        self._folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(self.ledger.close)
        self.tenant(TENANT)

    async def sidecar(self, **config: Any) -> At:
        told = {"default_limit": 1000, "retry_s": 30.0, "sessions_a_minute": 100_000, **config}
        told = {"database_url": self.database_url, "redis_url": self.redis_url, "data": Path(self._folder), **told}
        app = create_app(Config(**told))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        at = At(self, f"http://127.0.0.1:{port}", runner, app[SIDECAR])
        self._stack.push_async_callback(at.stop)
        return at

    def tenant(self, tenant: str) -> None:
        self.run(
            "INSERT INTO tenants (id, desk, name, base_url, secret_key) VALUES (%s, 'native', %s, '', '')",
            tenant,
            tenant.title(),
        )

    def hire(self, name: str, role: str = "agent", tenant: str = TENANT) -> str:
        with self.ledger.transaction() as cur:
            return people.add_account(cur, tenant, f"{name}@example.com", name.title(), hash_of(PASSWORD), role)

    def run(self, sql: str, *values: Any) -> None:
        with self.ledger.transaction() as cur:
            cur.execute(sql, values or None)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with self.ledger.transaction() as cur:
            cur.execute(sql, values or None)
            return cur.fetchall()

    def stored(self, room: str) -> list[tuple[int, str]]:
        """(seq, text) of all rows of a room."""
        sql = "SELECT m.seq, m.body FROM messages m JOIN sessions s ON s.id = m.session WHERE s.room = %s ORDER BY seq"
        return [(row.seq, row.body) for row in self.rows(sql, room)]


def _headers(token: str | None, more: dict[str, str]) -> dict[str, str]:
    return {**({"Authorization": f"Bearer {token}"} if token else {}), **more}


def run_chat(
    database_url: str, redis_url: str, story: Callable[[Chat], Awaitable[None]], within_s: float = 120
) -> None:
    async def told() -> None:
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=0)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            await asyncio.wait_for(story(Chat(database_url, redis_url, stack, http)), within_s)

    asyncio.run(told())
