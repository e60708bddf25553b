"""Real sidecars, really killed: every acknowledged message once, in order, whatever ends or replaces them: P8."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.servers import free_port
from tests.services.chat_of import TENANT, Chat, until

ROOT = Path(__file__).resolve().parents[2]
START_S = 20.0
ROOMS = 50


class Process:
    """`python -m sidecar` on a port of its own; it may be killed and started again."""

    def __init__(self, database_url: str, redis_url: str, folder: str, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GILIRAN_DATA": folder, "HOST": "127.0.0.1"}
        told |= {"CHAT_PORT": str(self.port), "SESSIONS_PER_MINUTE": "100000", "DEMO": "0"}
        told |= {"MESSAGES_PER_SECOND": "1000"}  # two pages of one customer that send again what a kill left unsaid
        self._env = {**keep, **told, **env}
        self._log = Path(folder) / f"sidecar-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, http: aiohttp.ClientSession) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "sidecar"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not await self._is_ready(http):
            assert time.monotonic() < deadline and self._process.poll() is None, self.log()
            await asyncio.sleep(0.05)

    async def _is_ready(self, http: aiohttp.ClientSession) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        return False

    def log(self) -> str:
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    async def ended(self, within_s: float = 15.0) -> int:
        assert self._process
        return await asyncio.wait_for(asyncio.to_thread(self._process.wait), within_s)

    async def kill(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            await self.ended()


class Person:
    """A page as a good one is written: what has no acknowledgement is sent again, in order, with its client_id; after
    a lost socket it comes back with the last seq that it has without a gap, to whichever sidecar answers."""

    def __init__(self, http: aiohttp.ClientSession, urls: Callable[[], list[str]], key: str) -> None:
        self._http, self._urls, self._key = http, urls, key
        self.shown: dict[int, str] = {}  # seq → text, as the page shows it
        self.twice = 0
        self.acked: dict[str, int] = {}
        self._unsent: dict[str, str] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._stop = False
        self._task = asyncio.create_task(self._live())

    async def say(self, body: str) -> None:
        client_id = secrets.token_hex(6)
        self._unsent[client_id] = body
        await self._send(client_id)

    @property
    def after(self) -> int:
        seq = 0
        while seq + 1 in self.shown:
            seq += 1
        return seq

    def done(self) -> bool:
        return not self._unsent

    async def close(self) -> None:
        self._stop = True
        if self._socket:
            await self._socket.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _send(self, client_id: str) -> None:
        payload = {"client_id": client_id, "body": self._unsent[client_id]}
        if self._socket and not self._socket.closed:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_json({"type": "chat.message.send", "payload": payload})

    async def _live(self) -> None:
        tries = 0
        while not self._stop:
            urls = self._urls()
            with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
                await self._connect(urls[tries % len(urls)])
            tries += 1
            await asyncio.sleep(0.05)

    async def _connect(self, url: str) -> None:
        address = f"{url}/ws/public/{self._key}?after={self.after}"
        async with self._http.ws_connect(address) as socket:
            self._socket = socket
            for client_id in list(self._unsent):
                await self._send(client_id)
            async for message in socket:
                self._heard(message.json())

    def _heard(self, frame: dict[str, object]) -> None:
        payload = frame["payload"]
        assert isinstance(payload, dict)
        own = payload.get("client_id")
        if frame["type"] == "chat.message.ack":
            self._show(payload["seq"], self._unsent.pop(own, None) or self.shown.get(payload["seq"], ""), own)
        elif frame["type"] == "chat.message.new":
            self._show(payload["seq"], payload["body"], own if payload["sender_type"] == "customer" else None)
            self._unsent.pop(own or "", None)
        assert frame["type"] != "error", payload

    def _show(self, seq: int, body: str, own: str | None) -> None:
        self.twice += self.shown.get(seq, body) != body
        self.shown[seq] = body
        if own:
            assert self.acked.setdefault(own, seq) == seq, "acknowledged with two places"


@asynccontextmanager
async def sidecars(number: int, database_url: str, redis_url: str) -> AsyncIterator[tuple[Chat, list[Process]]]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        chat = Chat(database_url, redis_url, stack, http)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        processes = [Process(database_url, redis_url, folder) for _ in range(number)]
        for process in processes:
            stack.push_async_callback(process.kill)
            await process.start(http)
        yield chat, processes


def told(story: Callable[[], Awaitable[None]], within_s: float = 120) -> None:
    async def run() -> None:
        await asyncio.wait_for(story(), within_s)

    asyncio.run(run())


async def started(chat: Chat, url: str, name: str) -> str:
    body = {"name": name, "email": f"{name}@example.com", "tenant_id": TENANT}
    async with chat.http.post(f"{url}/api/v1/public/sessions", json=body) as answer:
        assert answer.status == 201
        return str((await answer.json())["session_key"])


async def busy_rooms(
    chat: Chat, urls: Callable[[], list[str]], trouble: Callable[[], Awaitable[None]]
) -> list[tuple[Person, Person]]:
    """Two pages in each of the rooms write while the trouble happens, and until all is acknowledged and shown."""
    keys = [await started(chat, urls()[0], f"c{n}") for n in range(ROOMS)]
    rooms = [(Person(chat.http, urls, key), Person(chat.http, urls, key)) for key in keys]
    calm = asyncio.Event()

    async def write(person: Person, name: str) -> None:
        count = 0
        while not calm.is_set():
            count += 1
            await person.say(f"{name}-{count}")
            await asyncio.sleep(0.15)

    writers = [
        asyncio.create_task(write(person, f"{n}{side}"))
        for n, pair in enumerate(rooms)
        for side, person in zip("ab", pair, strict=True)
    ]
    await until(lambda: all(person.acked for pair in rooms for person in pair), 20, "a first word of everybody")
    await trouble()
    await asyncio.sleep(0.5)
    calm.set()
    await asyncio.gather(*writers)
    await until(lambda: all(person.done() for pair in rooms for person in pair), 40, "everything acknowledged")
    await until(lambda: all(one.after == other.after for one, other in rooms), 20, "both pages as far")
    return rooms


def judge(chat: Chat, rooms: list[tuple[Person, Person]]) -> None:
    """By the database: gapless, each send once, in its writer's order; and both pages show just that."""
    tables = chat.rows(
        "SELECT s.id, array_agg(m.seq::integer ORDER BY m.seq) AS seqs, array_agg(m.body ORDER BY m.seq) AS bodies,"
        " array_agg(m.client_id ORDER BY m.seq) AS sends FROM sessions s JOIN messages m ON m.session = s.id"
        " GROUP BY s.id ORDER BY s.id"
    )
    assert len(tables) == len(rooms)
    for table, pair in zip(tables, rooms, strict=True):
        assert table.seqs == list(range(1, len(table.seqs) + 1))
        assert len(set(table.sends)) == len(table.sends)
        stored = dict(zip(table.seqs, table.bodies, strict=True))
        for person in pair:
            assert person.shown == stored and person.twice == 0
            assert {send: table.sends.index(send) + 1 for send in person.acked} == person.acked
        for side in "ab":
            order = [int(body.partition("-")[2]) for body in table.bodies if body.partition("-")[0].endswith(side)]
            assert order == list(range(1, len(order) + 1))


@pytest.mark.parametrize("number", [1, 2], ids=["started again", "a second one takes over"])
def test_kill_minus_nine_in_the_middle_of_fifty_busy_rooms(database_url: str, redis_url: str, number: int) -> None:
    async def story() -> None:
        async with sidecars(number, database_url, redis_url) as (chat, processes):
            urls = [process.url for process in processes]

            async def trouble() -> None:
                for _ in range(2):
                    await processes[0].kill()
                    await asyncio.sleep(0.3)
                    await processes[0].start(chat.http)
                    await asyncio.sleep(0.5)

            rooms = await busy_rooms(chat, lambda: urls, trouble)
            judge(chat, rooms)
            await asyncio.gather(*(person.close() for pair in rooms for person in pair))

    told(story)


def test_a_sidecar_that_is_told_to_stop_stops_cleanly_in_the_middle_of_fifty_busy_rooms(
    database_url: str, redis_url: str
) -> None:
    async def story() -> None:
        async with sidecars(2, database_url, redis_url) as (chat, processes):
            urls = [process.url for process in processes]

            async def trouble() -> None:
                processes[0].signal(signal.SIGTERM)
                assert await processes[0].ended() == 0
                assert "sidecar_stopped" in processes[0].log()
                assert "Traceback" not in processes[0].log()

            rooms = await busy_rooms(chat, lambda: urls, trouble)
            judge(chat, rooms)
            await asyncio.gather(*(person.close() for pair in rooms for person in pair))

    told(story)


def test_a_frozen_sidecar_holds_nobody_else_up(database_url: str, redis_url: str) -> None:
    """Stopped in the middle of its work, perhaps inside a transaction: the others go on, and so does it later."""

    async def story() -> None:
        async with sidecars(2, database_url, redis_url) as (chat, processes):
            urls = [process.url for process in processes]

            async def trouble() -> None:
                processes[0].signal(signal.SIGSTOP)
                await asyncio.sleep(3)
                processes[0].signal(signal.SIGCONT)

            rooms = await busy_rooms(chat, lambda: urls, trouble)
            judge(chat, rooms)
            await asyncio.gather(*(person.close() for pair in rooms for person in pair))

    told(story)


def test_a_taken_port_is_one_clear_sentence(database_url: str, redis_url: str) -> None:
    async def story() -> None:
        async with sidecars(1, database_url, redis_url) as (_, [process]):
            env = {"CHAT_PORT": str(process.port)}
            with tempfile.TemporaryDirectory() as folder:
                second = Process(database_url, redis_url, folder, **env)
                with pytest.raises(AssertionError):
                    await second.start(aiohttp.ClientSession())
                last = second.log().strip().splitlines()[-1]
            assert last.startswith("sidecar: can't listen on 127.0.0.1:") and "set CHAT_PORT to a free port" in last

    told(story)
