"""Attachments over real HTTP, real rows and a real disk: what is let in, who gets it back, and what a fault leaves."""

import asyncio
import io
import os
import stat
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from psycopg2.extensions import cursor

from db import chat, console, files
from db.postgres import Ledger, LedgerDown
from sidecar.attachments import Attachments
from sidecar.login import Agent
from sidecar.shelf import COMING, ORPHAN_AGE_S, Shelf
from sidecar.store import Store
from sidecar.writer import Writer

TENANT, OTHER = "toko", "warung"
MOST = 256 * 1024
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x07\x00\x00\x00\x05" + bytes(range(256)) * 40
PUBLIC = "/api/v1/public/sessions"


def docx() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    return made.getvalue()


class World:
    """Two tenants with an agent each and one session each, and a server with nothing but the three routes."""

    def __init__(self, store: Store, folder: Path, uploads_a_minute: int, spare_bytes: int) -> None:
        self.store = store
        self.writer = Writer(store, lambda tenant, news: None)
        self.shelf = Shelf(folder, MOST, spare_bytes)
        self.files = Attachments(store, self.write, self.who, self.shelf, uploads_a_minute)
        self.down = False  # the database, for the writer
        self.agents: dict[str, Agent] = {}
        self.keys: dict[str, str] = {}
        self.rooms: dict[str, str] = {}
        self.http: aiohttp.ClientSession

    async def write(self, draft: chat.Draft) -> Any:
        if self.down:
            raise LedgerDown("gone")
        return await self.writer.write(draft)

    async def who(self, token: str) -> Agent | None:
        """As `Login.who`, which has tests of its own."""
        return self.agents.get(token)

    async def prepare(self) -> None:
        for tenant in (TENANT, OTHER):
            self.keys[tenant], self.rooms[tenant] = chat.new_key(), chat.new_room()
            await self.store.run(lambda cur, tenant=tenant: self._tenant(cur, tenant))

    def _tenant(self, cur: cursor, tenant: str) -> None:
        cur.execute("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES (%s, '', '', 'native')", (tenant,))
        for name, role in (("ani", "agent"), ("budi", "agent"), ("super", "supervisor")):
            agent = Agent(tenant, f"a-{name}", name, f"{name}@{tenant}.example", role)
            cur.execute("INSERT INTO agents (tenant, id, name) VALUES (%s, %s, %s)", agent[:3])
            sql = (
                "INSERT INTO accounts (tenant, agent, name, email, role, password_hash) VALUES (%s, %s, %s, %s, %s, '')"
            )
            cur.execute(sql, agent)  # no login here, and hashing takes its time
            self.agents[f"{name}-{tenant}"] = agent
        chat.open_session(cur, tenant, self.rooms[tenant], self.keys[tenant], "sari@example.com", "Sari")
        ani = self.agents[f"ani-{tenant}"].agent_id
        cur.execute("UPDATE sessions SET status = 'active', agent = %s WHERE tenant = %s", (ani, tenant))

    async def send(
        self, content: Any, name: str = "a.png", *, token: str | None = None, tenant: str = TENANT, **fields: str
    ) -> tuple[int, Any]:
        """The customer's upload, or an agent's: (status, answer)."""
        form = aiohttp.FormData(quote_fields=False)  # as browsers do
        for field, value in fields.items():
            form.add_field(field, value)
        form.add_field("file", content, filename=name, content_type="image/png")
        path = f"/api/v1/sessions/{self.rooms[tenant]}" if token else f"{PUBLIC}/{self.keys[tenant]}"
        async with self.http.post(f"{path}/attachments", data=form, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def sent(self, content: bytes, name: str = "a.png", **more: Any) -> dict[str, Any]:
        status, answer = await self.send(content, name, **more)
        assert status in (200, 201), answer
        found: dict[str, Any] = answer
        return found

    async def get(self, url: str, token: str | None = None) -> tuple[int, aiohttp.typedefs.LooseHeaders, bytes]:
        async with self.http.get(url, headers=bearer(token)) as answer:
            return answer.status, answer.headers, await answer.read()

    def on_disk(self) -> list[Path]:
        return [path for path in self.shelf.folder.glob("*/*") if path.is_file()]

    async def messages(self, tenant: str = TENANT) -> int:
        def count(cur: cursor) -> int:
            cur.execute("SELECT count(*) AS n FROM messages WHERE tenant = %s", (tenant,))
            return cur.fetchone().n

        return await self.store.run(count)


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def world(database_url: str, folder: Path, uploads: int, spare_bytes: int) -> AsyncIterator[World]:
    store = Store(database_url)
    made = World(store, folder, uploads, spare_bytes)
    await made.prepare()
    app = web.Application()
    app.add_routes(made.files.routes())
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession(str(server.make_url("/"))) as made.http:
            yield made
    finally:
        await server.close()
        await made.writer.close()
        made.shelf.close()
        store.close()


Play = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(database_url: str, tmp_path: Path) -> Callable[..., None]:
    def go(work: Play, uploads: int = 1000, spare_bytes: int = 0) -> None:
        async def run() -> None:
            async with world(database_url, tmp_path / "attachments", uploads, spare_bytes) as made:
                await work(made)

        asyncio.run(run())

    return go


def test_a_picture_goes_in_and_both_sides_get_it_back(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        message = await w.sent(PNG, "foto liburan.png", client_id="c1", body="look at this")
        [file] = message["attachments"]
        assert message["session_id"] == w.rooms[TENANT]
        assert (message["seq"], message["sender_type"], message["client_id"]) == (1, "customer", "c1")
        assert message["body"] == "look at this"
        assert (file["name"], file["type"], file["size"]) == ("foto liburan.png", "image/png", len(PNG))
        for status, headers, body in (
            await w.get(f"{file['url']}?key={w.keys[TENANT]}"),
            await w.get(file["url"], "ani-toko"),
            await w.get(file["url"], "budi-toko"),
        ):
            assert (status, body) == (200, PNG)
            assert headers["Content-Type"] == "image/png"
            assert headers["Content-Disposition"].startswith("inline;")
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in headers["Content-Security-Policy"]
            assert headers["Cache-Control"].startswith("private")

    play(work)


def test_an_agent_sends_one_and_it_counts_as_an_answer(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        sent = docx()
        message = await w.sent(sent, "harga.docx", token="ani-toko")
        assert message["sender_name"] == "ani"
        _, headers, body = await w.get(f"{message['attachments'][0]['url']}?key={w.keys[TENANT]}")
        assert body == sent
        assert headers["Content-Disposition"].startswith("attachment;")

        def answered(cur: cursor) -> bool:
            cur.execute("SELECT answered FROM sessions WHERE tenant = %s", (TENANT,))
            return cur.fetchone().answered

        assert await w.store.run(answered)

    play(work)


def test_only_who_may_see_the_session_gets_the_file(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        url = (await w.sent(PNG))["attachments"][0]["url"]
        assert (await w.get(f"{url}?key={w.keys[OTHER]}"))[0] == 404
        assert (await w.get(f"{url}?key=guess"))[0] == 404
        assert (await w.get(url, "ani-warung"))[0] == 404
        assert (await w.get(url, "nobody"))[0] == 401
        assert (await w.get(url))[0] == 401
        for path in ("..%2f..%2fetc%2fpasswd", "x" * 32, "0" * 32, url[-32:].upper()):
            assert (await w.get(f"/api/v1/files/{path}?key={w.keys[TENANT]}"))[0] == 404

    play(work)


def test_only_who_has_the_chat_sends_into_it(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        assert (await w.send(PNG, token="budi-toko"))[0] == 403
        assert (await w.send(PNG, token="ani-warung", tenant=TENANT))[0] == 404
        assert (await w.send(PNG, token="nobody"))[0] == 401
        assert (await w.send(PNG, token="super-toko"))[0] == 201
        w.keys["guess"] = "guess"
        assert (await w.send(PNG, tenant="guess"))[0] == 404
        assert await w.messages() == 1
        assert len(w.on_disk()) == 1

    play(work)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "logo.png"),
        (b"<!doctype html><script>alert(1)</script>", "a.txt"),
        (b"#!/bin/sh\nid\n", "a.png"),
        (b"MZ\x90\0" + b"\0" * 60, "photo.jpg"),
        (b"alert(1)", "a.js"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00\x00\xff\xff" * 5, "bomb.png"),
        (b"plain at first\n" * 1000 + b"\0\1\2", "a.txt"),
        (b"", "a.txt"),
    ],
)
def test_what_could_run_is_refused_and_leaves_nothing(play: Callable[..., None], content: bytes, name: str) -> None:
    async def work(w: World) -> None:
        status, answer = await w.send(content, name)
        assert (status, answer["error"]["code"]) == (415, "unsupported_media_type")
        assert "allowed are pictures" in answer["error"]["message"]
        assert w.on_disk() == []
        assert await w.messages() == 0

    play(work)


def test_lists_show_the_name_of_a_file_without_a_caption(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        def shown(cur: cursor) -> list[str]:
            view = chat.session_view(cur, TENANT, w.rooms[TENANT])
            assert view is not None
            [listed] = console.sessions(cur, TENANT, 10)
            return [view["last_message"]["body"], listed.last_message_body]

        await w.sent(PNG, "foto.png")
        assert await w.store.run(shown) == ["foto.png"] * 2
        await w.sent(PNG, "foto.png", body="look")
        assert await w.store.run(shown) == ["look"] * 2

    play(work)


def test_a_file_is_kept_for_the_owner_only_and_under_a_name_of_ours(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        [file] = (await w.sent(PNG, "../../evil.png"))["attachments"]
        [path] = w.on_disk()
        assert path == w.shelf.folder / file["id"][:2] / file["id"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert file["name"] == "evil.png"

    play(work)


def test_a_name_can_not_break_out_of_its_header(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        [file] = (await w.sent(PNG, "a%22; filename=evil.html%0D%0A é.png"))["attachments"]
        assert file["name"] == "a ; filename=evil.html é.png"
        _, headers, _ = await w.get(f"{file['url']}?key={w.keys[TENANT]}")
        assert headers["Content-Disposition"].count('"') == 2
        assert headers["Content-Disposition"].isascii()

    play(work)


def test_a_file_that_says_it_is_too_large_is_refused_before_it_comes(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        began = time.monotonic()
        status, answer = await w.send(io.BytesIO(b"a" * 3 * MOST))
        assert (status, answer["error"]["code"]) == (413, "payload_too_large")
        assert time.monotonic() - began < 5
        assert w.on_disk() == []

    play(work)


def test_a_file_that_does_not_say_so_is_refused_when_it_passed(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(3 * MOST // 8192):
                yield b"a" * 8192

        status, _ = await w.send(endless())
        assert status == 413
        assert w.on_disk() == []
        assert await w.sent(b"a" * MOST, "a.txt")

    play(work)


def test_the_same_send_twice_is_one_message_and_one_file(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        first = await w.sent(PNG, client_id="same")
        again = await w.sent(PNG, client_id="same")
        assert again == first
        assert len(w.on_disk()) == 1
        both = await asyncio.gather(*(w.sent(PNG, client_id="at-once") for _ in range(5)))
        assert len({one["attachments"][0]["id"] for one in both}) == 1
        assert len(w.on_disk()) == 2

    play(work)


def test_an_ended_chat_takes_no_file(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        sql = "UPDATE sessions SET status = 'ended', ended_at = clock_timestamp()"
        await w.store.run(lambda cur: cur.execute(sql))
        assert (await w.send(PNG))[1]["error"]["code"] == "session_ended"
        assert (await w.send(PNG, token="ani-toko"))[1]["error"]["code"] == "session_ended"
        assert w.on_disk() == []

    play(work)


def test_a_lost_database_keeps_the_file_for_the_sweep_to_judge(play: Callable[..., None]) -> None:
    """The row may have been written; without one, an old file goes."""

    async def work(w: World) -> None:
        kept = await w.sent(PNG)
        w.down = True
        status, answer = await w.send(PNG)
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        (w.shelf.folder / COMING / ("f" * 32)).write_bytes(b"half of it")
        (w.shelf.folder / "notes.txt").write_bytes(b"not ours")
        await w.files.sweep()
        assert len(w.on_disk()) == 3
        for path in w.on_disk():
            os.utime(path, (time.time() - ORPHAN_AGE_S - 1,) * 2)
        await w.files.sweep()
        assert [path.name for path in w.on_disk()] == [kept["attachments"][0]["id"]]

    play(work)


def test_a_sender_who_goes_away_in_the_middle_leaves_nothing(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        url = w.http._base_url
        assert url is not None
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        path = f"{PUBLIC}/{w.keys[TENANT]}/attachments"
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        )
        writer.write(head + PNG)
        async with asyncio.timeout(5):
            while not w.on_disk():
                writer.write(b"more")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        async with asyncio.timeout(5):
            while w.on_disk():
                await asyncio.sleep(0.01)
        assert await w.messages() == 0

    play(work)


def test_uploads_are_limited_for_each_session(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        answers = [await w.send(PNG) for _ in range(4)]
        assert [status for status, _ in answers] == [201, 201, 201, 429]
        assert (await w.send(PNG, tenant=OTHER))[0] == 201
        url = f"{PUBLIC}/{w.keys[TENANT]}/attachments"
        form = aiohttp.FormData()
        form.add_field("file", PNG, filename="a.png")
        async with w.http.post(url, data=form) as answer:
            assert 0 < int(answer.headers["Retry-After"]) <= 21

    play(work, uploads=3)


def test_a_disk_with_little_room_takes_no_file(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        status, answer = await w.send(PNG)
        assert (status, answer["error"]["code"]) == (503, "unavailable")

    play(work, spare_bytes=1 << 60)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"nonsense", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--\r\n--x--\r\n",
            400,
        ),
    ],
)
def test_a_broken_form_is_refused_clearly(
    play: Callable[..., None], content_type: str, body: bytes, status: int
) -> None:
    async def work(w: World) -> None:
        url = f"{PUBLIC}/{w.keys[TENANT]}/attachments"
        async with w.http.post(url, data=body, headers={"Content-Type": content_type}) as answer:
            assert answer.status == status
            assert (await answer.json())["error"]["code"] in ("invalid_payload", "unsupported_media_type")
        assert w.on_disk() == []

    play(work)


def test_the_rows_of_files_are_known_by_id(database_url: str) -> None:
    with Ledger(database_url, "test").transaction() as cur:
        assert files.known(cur, ["a", "b"]) == set()
