"""A whole sidecar, as a page meets it: answers while waiting, then a file both ways, over REST alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from db import faq, people
from db.postgres import Ledger
from sidecar.app import create_app
from sidecar.bot import answers
from sidecar.live.parts import Config
from testbed.passwords import hash_of
from tests.model_server import KEY, model_server

TENANT, PASSWORD = "toko", "Test@1234"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x07\x00\x00\x00\x05" + b"picture" * 1000
QUESTION, ANSWER = "What are your opening hours?", "Monday to Friday, 9:00 to 17:00."
WITHIN_S = 10.0


class Page:
    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.key = ""
        self.room = ""

    async def post(self, path: str, found: Any = None, token: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.post(f"/api/v1/{path}", json=found, headers=headers, **more) as got:
            assert got.status in (200, 201), await got.text()
            return await got.json()

    async def start(self, message: str) -> None:
        told = await self.post("public/sessions", {"name": "Sari", "email": "sari@example.com", "message": message})
        self.key, self.room = told["session_key"], told["session_id"]

    async def write(self, body: str) -> None:
        await self.post(f"public/sessions/{self.key}/messages", {"body": body})

    async def state(self) -> dict[str, Any]:
        async with self.http.get(f"/api/v1/public/sessions/{self.key}") as got:
            found: dict[str, Any] = await got.json()
            return found

    async def bot_says(self, *bodies: str) -> None:
        """Exactly that, in the end."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                rows = (await self.state())["messages"]
                said = [row["body"] for row in rows if row["sender_type"] == "bot"]
                if said == list(bodies):
                    return
                assert said == list(bodies)[: len(said)]
                await asyncio.sleep(0.02)


Play = Callable[[Page], Awaitable[None]]


@pytest.fixture
def play(database_url: str, redis_url: str, tmp_path: Path) -> Callable[..., None]:
    with Ledger(database_url, "test").transaction() as cur:
        cur.execute("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES (%s, '', '', 'native')", (TENANT,))
        faq.replace(cur, TENANT, [(QUESTION, ANSWER)])
        people.add_account(cur, TENANT, "ani@example.com", "Ani", hash_of(PASSWORD))

    @asynccontextmanager
    async def page(model: tuple[str, str, str] | None) -> AsyncIterator[Page]:
        config = Config(database_url, redis_url, tmp_path, default_limit=2, retry_s=30, model=model)
        server = TestServer(create_app(config))
        await server.start_server()
        try:
            async with aiohttp.ClientSession(str(server.make_url("/"))) as http:
                yield Page(http)
        finally:
            await server.close()

    def go(work: Play, does: str | None = None) -> None:
        async def run() -> None:
            async with model_server() as model:
                model.does = does or "answer"
                async with page((model.url, KEY, "small-one") if does else None) as made:
                    await work(made)

        asyncio.run(run())

    return go


def test_a_first_message_is_answered_and_a_person_can_be_asked_for(play: Callable[..., None]) -> None:
    async def work(page: Page) -> None:
        await page.start("when are you open?")
        await page.bot_says(ANSWER)
        await page.write("do you sell elephants?")
        await page.bot_says(ANSWER, answers.UNSURE["en"])
        before = (await page.state())["position"]
        await page.write("/person")
        await page.bot_says(ANSWER, answers.UNSURE["en"], answers.QUIET["en"])
        await page.write("opening hours?")
        state = await page.state()
        assert (state["status"], state["position"]) == ("waiting", before)
        assert [row["seq"] for row in state["messages"]] == list(range(1, state["last_seq"] + 1))

    play(work)


def test_a_model_that_never_answers_leaves_the_chat_as_it_is(play: Callable[..., None]) -> None:
    async def work(page: Page) -> None:
        async with asyncio.timeout(5):
            await page.start("when are you open?")
            await page.write("hello?")
            assert (await page.state())["position"] == 1
            await page.write("/person")
            await page.bot_says(answers.QUIET["en"])

    play(work, does="slow")


def test_files_go_both_ways_and_private_ones_stay_private(play: Callable[..., None]) -> None:
    async def work(page: Page) -> None:
        await page.start("hello")
        form = aiohttp.FormData()
        form.add_field("client_id", "c-1")
        form.add_field("file", PNG, filename="foto.png")
        sent = await page.post(f"public/sessions/{page.key}/attachments", data=form)
        url = sent["attachments"][0]["url"]
        assert sent in (await page.state())["messages"]
        token = (await page.post("auth/login", {"email": "ani@example.com", "password": PASSWORD}))["token"]
        for query, headers, status in (
            (f"?key={page.key}", {}, 200),
            ("", {"Authorization": f"Bearer {token}"}, 200),
            ("?key=other", {}, 404),
            ("", {}, 401),
        ):
            async with page.http.get(url + query, headers=headers) as got:
                assert got.status == status
                assert status != 200 or await got.read() == PNG
        await page.post(f"queue/{page.room}/pick", {}, token)
        form = aiohttp.FormData()
        form.add_field("file", b"%PDF-1.7 prices", filename="harga.pdf")
        answered = await page.post(f"sessions/{page.room}/attachments", None, token, data=form)
        assert answered["sender_name"] == "Ani"
        async with page.http.get(f"{answered['attachments'][0]['url']}?key={page.key}") as got:
            assert got.headers["Content-Disposition"].startswith("attachment")
            assert await got.read() == b"%PDF-1.7 prices"

    play(work)


def test_a_page_of_another_site_sends_no_file(play: Callable[..., None]) -> None:
    async def work(page: Page) -> None:
        await page.start("hello")
        form = aiohttp.FormData()
        form.add_field("file", PNG, filename="foto.png")
        headers = {"Origin": "https://evil.example"}
        async with page.http.post(f"/api/v1/public/sessions/{page.key}/attachments", data=form, headers=headers) as got:
            assert got.status == 403
            assert (await got.json())["error"]["code"] == "origin_not_allowed"

    play(work)
