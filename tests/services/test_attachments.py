"""Attachments over real HTTP, real rows and a real disk: what is let in, who gets it back, and what a fault leaves."""

import asyncio
import gzip
import io
import ipaddress
import json
import os
import random
import re
import resource
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from psycopg2.extensions import cursor
from yarl import URL

from db import chat, console, files, payloads, sessions
from db.people import Agent
from db.postgres import Ledger, LedgerDown
from sidecar.files.attachments import (
    ADDRESS_AT_ONCE,
    ADDRESS_HERE,
    LARGEST_OF_A_CHAT,
    UPLOAD_S,
    UPLOADS_AT_ONCE,
    Attachments,
)
from sidecar.files.file_tickets import LIFE_S, SAME_S, base36
from sidecar.files.quota import Quota
from sidecar.files.shelf import CHECK_BYTES, COMING, ORPHAN_AGE_S, Shelf
from sidecar.live.store import Store
from sidecar.live.writer import Writer
from sidecar.web.door import Door
from tests.services.chat_of import Chat, run_chat
from tests.unit.test_preview import halves, written

TENANT, OTHER = "toko", "warung"
MOST = 256 * 1024
# Of a picture that is too large for a preview.
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x17\x70\x00\x00\x17\x70" + bytes(range(256)) * 40
PUBLIC = "/api/v1/public/sessions"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
OF_X = "multipart/form-data; boundary=x"
ODD = b"\0\r\n\r\n\t -:;=\"*%'\xff\x80xXa0/"
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FORM = HEAD + PNG + bytes(60_000) + b"\r\n--x--\r\n"


def docx() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    return made.getvalue()


class House(NamedTuple):
    uploads_a_minute: int = 1000
    spare_bytes: int = 0
    most_bytes: int = MOST
    patience_s: float = UPLOAD_S
    quota_bytes: int = 0


class World:
    """Two tenants with an agent each and one session each, and a server with nothing but the three routes."""

    def __init__(self, store: Store, folder: Path, house: House) -> None:
        self.store = store
        self.writer = Writer(store, lambda tenant, news: None)
        self.shelf = Shelf(folder, house.most_bytes, house.spare_bytes)
        door = Door((), (ipaddress.ip_network("127.0.0.0/8"),), demo=False)
        self.files = Attachments(
            store,
            self.write,
            self.who,
            self.back,
            self.shelf,
            house.uploads_a_minute,
            door.address,
            house.patience_s,
            quota=Quota(store, house.quota_bytes),
        )
        self.down = False  # the database, for the writer
        self.agents: dict[str, Agent] = {}
        self.keys: dict[str, str] = {}
        self.rooms: dict[str, str] = {}
        self.http: aiohttp.ClientSession

    async def back(self, session: chat.Session) -> bool:
        return False

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
            cur.execute(sql, agent[:5])  # no login here, and hashing takes its time
            self.agents[f"{name}-{tenant}"] = agent
        sessions.open_session(cur, tenant, self.rooms[tenant], self.keys[tenant], "sari@example.com", "Sari")
        ani = self.agents[f"ani-{tenant}"].agent_id
        cur.execute("UPDATE sessions SET status = 'active', agent = %s WHERE tenant = %s", (ani, tenant))

    async def another(self, name: str) -> str:
        """One more session, as a name for `send`."""
        self.keys[name], self.rooms[name] = chat.new_key(), chat.new_room()
        args = (TENANT, self.rooms[name], self.keys[name], f"{name}@example.com", name)
        await self.store.run(lambda cur: sessions.open_session(cur, *args))
        return name

    async def send(
        self,
        content: Any,
        name: str = "a.png",
        *,
        token: str | None = None,
        tenant: str = TENANT,
        address: str = HERE,
        **fields: str,
    ) -> tuple[int, Any]:
        """The customer's upload, or an agent's: (status, answer)."""
        form = aiohttp.FormData(quote_fields=False)  # as browsers do
        for field, value in fields.items():
            form.add_field(field, value)
        form.add_field("file", content, filename=name, content_type="image/png")
        path = f"/api/v1/sessions/{self.rooms[tenant]}" if token else f"{PUBLIC}/{self.keys[tenant]}"
        headers = {**bearer(token), "X-Forwarded-For": address}
        async with self.http.post(f"{path}/attachments", data=form, headers=headers) as answer:
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


class Slow:
    """An upload whose sender takes its time: `FORM`, of which the test sends the next piece when it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sent = 0

    @classmethod
    async def begin(cls, w: World, whose: str = TENANT, address: str = HERE) -> "Slow":
        url = w.http._base_url
        assert url is not None
        made = cls(*await asyncio.open_connection(url.host, url.port))
        path, length = f"{PUBLIC}/{w.keys[whose]}/attachments", w.shelf.most_bytes
        head = f"Host: x\r\nX-Forwarded-For: {address}\r\nContent-Length: {length}\r\nContent-Type: {OF_X}\r\n"
        made.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        made.go_on(9000)
        return made

    def go_on(self, much: int) -> None:
        self.write(FORM[self._sent : self._sent + much])
        self._sent += much

    def write(self, content: bytes) -> None:
        self._writer.write(content)

    async def answer(self) -> tuple[int, Any]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"Content-Length: (\d+)", head)
        assert length, head
        return int(head.split()[1]), json.loads(await self._reader.readexactly(int(length[1])))

    def close(self) -> None:
        self._writer.close()


async def on_their_way(w: World, slow: list[Slow], number: int) -> None:
    """So many of them have a file on the disk."""
    async with asyncio.timeout(20):
        while len(w.on_disk()) < number:
            for one in slow:
                one.go_on(20)  # what came is written when more comes
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def world(database_url: str, folder: Path, house: House) -> AsyncIterator[World]:
    store = Store(database_url)
    made = World(store, folder, house)
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
    def go(work: Play, **house: Any) -> None:
        async def run() -> None:
            async with world(database_url, tmp_path / "attachments", House(**house)) as made:
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
            assert headers["Content-Disposition"].startswith("attachment;")
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


async def tickets_of(w: World, *ids: str, tenant: str = TENANT) -> dict[str, str]:
    async with w.http.post(f"{PUBLIC}/{w.keys[tenant]}/tickets", json={"files": list(ids)}) as answer:
        assert answer.status == 200, await answer.text()
        found = await answer.json()
        assert 0 < found["seconds"] <= LIFE_S
        tickets: dict[str, str] = found["tickets"]
        return tickets


def test_a_ticket_opens_one_file_for_a_while_and_nothing_else(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(w: World) -> None:
        small = (await w.sent(written(halves(90, 60), "PNG")))["attachments"][0]
        other = (await w.sent(PNG))["attachments"][0]
        theirs = (await w.sent(PNG, tenant=OTHER))["attachments"][0]
        tickets = await tickets_of(w, small["id"], theirs["id"], "0" * 32, small["id"], "no id")
        assert list(tickets) == [small["id"]], "of files of this chat alone"
        ticket = tickets[small["id"]]
        assert w.keys[TENANT] not in ticket and small["id"] not in ticket
        for url in (small["url"], small["preview"]["url"]):
            status, headers, _ = await w.get(f"{url}?ticket={ticket}")
            assert (status, headers["Referrer-Policy"]) == (200, "no-referrer")
            assert 0 < int(headers["Cache-Control"].removeprefix("private, max-age=")) <= LIFE_S
        mac, until_s = ticket.partition(".")[2], int(ticket.partition(".")[0], 36)
        later = f"{base36(until_s + 60)}.{mac}"
        for url, given in (
            (other["url"], ticket),
            (theirs["url"], ticket),
            *((small["url"], wrong) for wrong in (later, "", ".", mac, ticket[:-1], f"{ticket}x", "zz.é", "9" * 99)),
        ):
            assert (await w.get(f"{url}?ticket={given}"))[0] in (401, 404), given
        assert (await w.get(f"{PUBLIC}/{ticket}"))[0] == 404
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + LIFE_S + SAME_S + 1)
        assert (await w.get(f"{small['url']}?ticket={ticket}"))[0] == 404, "it has an end"
        ticket = (await tickets_of(w, small["id"]))[small["id"]]
        assert (await w.get(f"{small['url']}?ticket={ticket}"))[0] == 200, "a page asks anew"

    play(work)


def test_a_file_that_was_fetched_with_a_token_or_a_key_is_asked_for_again_each_time(play: Callable[..., None]) -> None:
    """Else it could be seen after the logout, by whoever uses that browser next."""

    async def work(w: World) -> None:
        file = (await w.sent(written(halves(90, 60), "PNG")))["attachments"][0]
        for url in (file["url"], file["preview"]["url"]):
            for address, token in ((url, "ani-toko"), (f"{url}?key={w.keys[TENANT]}", None)):
                _, headers, _ = await w.get(address, token)
                assert headers["Cache-Control"] == "private, no-cache"
                assert headers["Vary"] == "Authorization"

    play(work)


def test_the_key_of_a_chat_that_is_over_lapses_and_its_tickets_with_their_end(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        file = (await w.sent(PNG))["attachments"][0]

        async def ended(ago: str) -> None:
            sql = "UPDATE sessions SET status = 'ended', ended_at = clock_timestamp() - %s::interval"
            await w.store.run(lambda cur: cur.execute(sql, (ago,)))

        await ended("23 hours 59 minutes")
        assert (await w.get(f"{file['url']}?key={w.keys[TENANT]}"))[0] == 200
        assert await tickets_of(w, file["id"])
        await ended("24 hours 1 second")
        assert (await w.get(f"{file['url']}?key={w.keys[TENANT]}"))[0] == 404
        async with w.http.post(f"{PUBLIC}/{w.keys[TENANT]}/tickets", json={"files": [file["id"]]}) as answer:
            assert answer.status == 404
        assert (await w.send(PNG))[0] == 404
        assert (await w.get(file["url"], "ani-toko"))[0] == 200, "agents still see it"

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
            view = payloads.session_view(cur, TENANT, w.rooms[TENANT])
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


def test_the_files_of_a_tenant_have_a_quota_that_is_named_and_said_before_it_is_full(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends them: one stranger with many chats fills no disk, and no other tenant's room."""
    mb = 2**20

    async def work(w: World) -> None:
        def earlier(cur: cursor, size: int) -> None:
            cur.execute("UPDATE attachments SET size = %s WHERE tenant = %s", (size, TENANT))

        await w.sent(PNG)
        assert "files_nearly_full" not in caplog.text
        await w.store.run(lambda cur: earlier(cur, 2 * mb - 3 * len(PNG)))
        await w.files.sweep()
        assert f"files_nearly_full tenant={TENANT} used_mb=1 max_mb=2" in caplog.text
        assert 0.9 < w.files.quota.fullest < 1
        w.files.quota._used._begun.clear()  # what was read some seconds ago
        second = await w.another("second")
        for name, token in ((TENANT, None), (TENANT, "ani-toko")):
            assert (await w.send(PNG, tenant=name, token=token))[0] == 201
        kept = len(w.on_disk())
        for name, token in ((TENANT, None), (second, None), (TENANT, "ani-toko")):
            status, answer = await w.send(PNG, tenant=name, token=token)
            assert (status, answer["error"]["code"]) == (409, "storage_full")
            assert "2 MB" in answer["error"]["message"]
        assert len(w.on_disk()) == kept
        assert (await w.send(PNG, tenant=OTHER))[0] == 201
        assert caplog.text.count("files_nearly_full") == 1 and caplog.text.count("code=storage_full") == 1

    play(work, quota_bytes=2 * mb)


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
        slow = await Slow.begin(w)
        await on_their_way(w, [slow], 1)
        slow.close()
        await until(lambda: not w.on_disk())
        assert await w.messages() == 0

    play(work)


def test_two_files_of_a_chat_are_on_their_way_and_the_third_waits_its_turn(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        first, second = [await Slow.begin(w) for _ in range(2)]
        await on_their_way(w, [first, second], 2)
        third = asyncio.create_task(w.send(PNG))
        for _ in range(3):
            assert (await w.send(PNG, tenant=OTHER))[0] == 201
        assert not third.done()
        assert await w.messages() == 0
        first.close()
        async with asyncio.timeout(20):
            assert (await third)[0] == 201
        second.close()

    play(work)


def test_slow_senders_of_a_few_chats_keep_nobody_else_from_sending(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        chats = [await w.another(f"slow{n}") for n in range(4)]
        slow = [await Slow.begin(w, chats[n % 4]) for n in range(UPLOADS_AT_ONCE)]
        await on_their_way(w, slow, ADDRESS_AT_ONCE)
        assert (await w.send(PNG, address=ELSEWHERE))[0] == 201
        assert len(w.on_disk()) == ADDRESS_AT_ONCE + 1
        answers = [asyncio.create_task(one.answer()) for one in slow]
        await until(lambda: sum(each.done() for each in answers) >= UPLOADS_AT_ONCE - ADDRESS_HERE)
        told = [each.result() for each in answers if each.done()]
        assert {(status, found["error"]["code"]) for status, found in told} == {(429, "rate_limited")}
        assert len(told) == UPLOADS_AT_ONCE - ADDRESS_HERE, "the others wait for their turn"
        for each, one in zip(answers, slow, strict=True):
            each.cancel()
            one.close()

    play(work)


def test_whoever_shares_an_address_with_slow_senders_is_next_when_they_are_given_up(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        chats = [await w.another(f"slow{n}") for n in range(5)]
        slow = [await Slow.begin(w, chats[n % 4]) for n in range(ADDRESS_AT_ONCE)]
        await until(lambda: len(w.files._of_address._turns) == 1 and w.files._of_address._turns[HERE].locked())
        async with asyncio.timeout(20):
            assert (await w.send(PNG, tenant=chats[4]))[0] == 201
            assert {(await one.answer())[0] for one in slow} == {400}

    play(work, patience_s=1.0)


def test_a_trickle_is_ended_long_before_all_of_it_could_have_come(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        slow = await Slow.begin(w)

        async def trickle() -> None:
            while True:
                slow.write(b"a")
                await asyncio.sleep(0.05)

        task = asyncio.create_task(trickle())
        async with asyncio.timeout(20):
            status, found = await slow.answer()
        task.cancel()
        assert (status, found["error"]["message"]) == (400, "file: it came too slowly")
        await until(lambda: not w.on_disk())
        assert (await w.send(PNG))[0] == 201

    play(work, patience_s=0.5, most_bytes=64 * 1024 * 1024)


def test_uploads_are_limited_for_each_session(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        answers = [await w.send(PNG) for _ in range(4)]
        assert [status for status, _ in answers] == [201, 201, 201, 429]
        assert (await w.send(PNG, tenant=OTHER))[0] == 201
        url = f"{PUBLIC}/{w.keys[TENANT]}/attachments"
        form = aiohttp.FormData()
        form.add_field("file", PNG, filename="a.png")
        async with w.http.post(url, data=form) as answer:
            assert 0 < int(answer.headers["Retry-After"]) <= 60

    play(work, uploads_a_minute=3)


def test_one_chat_does_not_fill_the_disk(play: Callable[..., None]) -> None:
    large = PNG + bytes(MOST - len(PNG))

    async def work(w: World) -> None:
        for _ in range(LARGEST_OF_A_CHAT):
            assert (await w.send(large))[0] == 201
        for token in (None, "ani-toko"):
            status, answer = await w.send(PNG, token=token)
            assert (status, answer["error"]["code"]) == (409, "too_many_files")
        assert len(w.on_disk()) == LARGEST_OF_A_CHAT
        assert (await w.send(PNG, tenant=OTHER))[0] == 201

    play(work)


def test_a_disk_that_gets_full_is_said_before_it_is(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(w: World) -> None:
        await w.files.sweep()
        assert "disk_nearly_full" not in caplog.text
        monkeypatch.setattr(w.shelf, "spare_bytes", await w.shelf.free_bytes() // 2)
        await w.sent(PNG)
        await w.files.sweep()
        assert "disk_nearly_full" in caplog.text

    play(work)


def test_a_disk_with_little_room_takes_no_file(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        status, answer = await w.send(PNG)
        assert (status, answer["error"]["code"]) == (503, "unavailable")

    play(work, spare_bytes=1 << 60)


def test_a_disk_that_fills_up_while_a_file_comes_is_left_its_spare_room(play: Callable[..., None]) -> None:
    """Many files may have begun while there was room for each."""

    async def work(w: World) -> None:
        slow = await Slow.begin(w)
        await on_their_way(w, [slow], 1)
        w.shelf.spare_bytes = 1 << 60
        slow.write(bytes(2 * CHECK_BYTES))
        async with asyncio.timeout(20):
            status, found = await slow.answer()
        assert (status, found["error"]["code"]) == (503, "unavailable")
        await until(lambda: not w.on_disk())

    play(work, most_bytes=64 * 1024 * 1024)


def test_a_disk_that_refuses_a_write_leaves_nothing(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            status, found = await w.send(PNG + bytes(120_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (status, found["error"]["code"]) == (503, "unavailable")
        assert w.on_disk() == []
        assert (await w.send(PNG))[0] == 201

    play(work)


def test_a_sidecar_that_stops_says_so_to_who_is_sending(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        slow = await Slow.begin(w)
        await on_their_way(w, [slow], 1)
        w.shelf.close()
        slow.go_on(len(FORM))
        async with asyncio.timeout(20):
            status, found = await slow.answer()
        assert (status, found["error"]["code"]) == (503, "unavailable")
        assert await w.messages() == 0

    play(work)


def test_the_sweep_keeps_to_files_of_the_folder_itself(play: Callable[..., None], tmp_path: Path) -> None:
    """Neither a link that leads elsewhere nor a folder that is named like a file takes it astray or stops it."""

    async def work(w: World) -> None:
        own, elsewhere = "a" * 32, tmp_path / "elsewhere"
        for place in (w.shelf.folder / "00" / own, w.shelf.folder / "aa" / ("b" * 32), elsewhere):
            place.mkdir(parents=True)
        orphan = w.shelf.folder / "zz" / own
        orphan.parent.mkdir()
        for path in (orphan, elsewhere / own):
            path.write_bytes(b"x")
        (w.shelf.folder / "bb").symlink_to(elsewhere)
        (w.shelf.folder / "aa" / ("c" * 32)).symlink_to(elsewhere / own)
        for path in (w.shelf.folder / "00" / own, w.shelf.folder / "aa" / ("b" * 32), orphan, elsewhere / own):
            os.utime(path, (time.time() - ORPHAN_AGE_S - 1,) * 2)
        await w.files.sweep()
        assert (elsewhere / own).exists()
        assert not orphan.exists()

    play(work)


def test_a_session_with_an_impossible_name_is_not_found(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        for room in ("%00", "a%20b", "x" * 65, "%ff"):
            url = URL(f"{w.http._base_url}api/v1/sessions/{room}/attachments", encoded=True)
            async with w.http.post(url, data=FORM, headers=bearer("ani-toko")) as answer:
                assert answer.status == 404, room

    play(work)


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
        (OF_X, b"--x\r\nno header\r\n\r\n" + FORM, 400),
        (OF_X, b"--x\r\n" + b"A: b\r\n" * 300 + b"\r\n", 400),
        (OF_X, b"--x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n" + FORM, 400),
        (OF_X, FORM.replace(b"a.png", b"a\0.png"), 400),
        (OF_X, b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"u" * 40 + b"\r\n" + FORM, 400),
        (OF_X, b"\n" * 50_000 + FORM, 400),
        (OF_X, FORM[: -len("\r\n--x--\r\n")], 400),
        (OF_X, FORM[:30], 400),
        (OF_X, b'--x\r\nContent-Disposition: form-data; name="b"\r\n\r\n' + b"b" * 2 * MOST + b"\r\n" + FORM, 413),
    ],
)
def test_a_broken_form_is_refused_clearly(
    play: Callable[..., None], content_type: str, body: bytes, status: int
) -> None:
    async def work(w: World) -> None:
        url = f"{PUBLIC}/{w.keys[TENANT]}/attachments"
        async with w.http.post(url, data=body, headers={"Content-Type": content_type}) as answer:
            assert answer.status == status
            codes = {400: "invalid_payload", 413: "payload_too_large", 415: "unsupported_media_type"}
            assert (await answer.json())["error"]["code"] == codes[status]
        assert w.on_disk() == []
        assert await w.messages() == 0

    play(work)


async def _any_form(w: World, body: bytes, **headers: str) -> tuple[int, str]:
    async def pieces() -> AsyncIterator[bytes]:  # of unknown length, so that nothing is refused for it
        yield body

    headers = {"Content-Type": OF_X, **headers}
    async with w.http.post(f"{PUBLIC}/{w.keys[TENANT]}/attachments", data=pieces(), headers=headers) as answer:
        return answer.status, (await answer.json()).get("error", {}).get("code", "")


def test_what_is_packed_is_refused_clearly_and_never_unpacked(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a real sidecar: a few packed bytes could be any number, and broken ones made a stack trace each."""

    async def story(house: Chat) -> None:
        at = await house.sidecar()
        url = f"{at.url}{PUBLIC}/{(await at.customer('Budi')).key}"
        for body in (gzip.compress(FORM), gzip.compress(FORM)[:-30], FORM):
            headers = {"Content-Type": OF_X, "Content-Encoding": "gzip"}
            async with at.http.post(f"{url}/attachments", data=body, headers=headers) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (415, "unsupported_media_type")
            headers["Content-Type"] = "application/json"
            async with at.http.post(f"{url}/messages", data=body, headers=headers) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_json")

    run_chat(database_url, redis_url, story)
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionParam")
def test_however_a_form_is_damaged_the_answer_is_one_of_ours(play: Callable[..., None]) -> None:
    async def work(w: World) -> None:
        dice = random.Random(7)
        caption = b'--x\r\nContent-Disposition: form-data; name="body"\r\n\r\nlook\r\n'
        for n in range(300):
            form = bytearray(caption + FORM[:400] + FORM[-100:])
            for _ in range(dice.randint(1, 6)):
                at, most = dice.randrange(len(form)), dice.choice((1, 1, 1, 2, 20))
                form[at : at + dice.randint(0, most)] = bytes(dice.choices(ODD, k=dice.randint(0, most)))
            status, code = await _any_form(w, bytes(form))
            assert status in (201, 400, 413, 415), (n, status, code, bytes(form))

    play(work)


def test_nothing_is_said_or_kept_of_a_broken_head_of_a_part() -> None:
    """aiohttp warns of it: with a sender's text on standard error, and each of them remembered for ever."""
    ask = """
import aiohttp.multipart, sidecar.files.attachments
aiohttp.multipart.parse_content_disposition('form-data; =what a sender wrote')
aiohttp.multipart.parse_content_disposition("form-data; a*b*c=what a sender wrote")
print([each for each in vars(aiohttp.multipart).get("__warningregistry__", {}) if each != "version"])
"""
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_rows_of_files_are_known_by_id(database_url: str) -> None:
    with Ledger(database_url, "test").transaction() as cur:
        assert files.known(cur, ["a", "b"]) == set()
