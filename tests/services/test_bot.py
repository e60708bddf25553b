"""The bot over real rows and a real model's endpoint: what it says, when it is quiet, and that nobody waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg2.extensions import cursor

from db import chat, console, faq, payloads, people, sessions
from db.chat import Message, NotTaken
from db.postgres import Ledger
from sidecar.bot import answers
from sidecar.bot.ai import Model
from sidecar.bot.bot import Bot
from sidecar.live.store import Store
from sidecar.live.writer import Writer
from testbed.passwords import hash_of
from tests.model_server import KEY, ModelServer, model_server
from tests.variants import first_of

TENANT = "toko"
DEADLINE_S = 0.4
WITHIN_S = 10.0
FAQ = [
    ("What are your opening hours?", "Monday to Friday, 9:00 to 17:00."),
    ("How do I get a refund?", "Write to refund@toko.example with your order number."),
    ("Jam berapa toko buka?", "Senin sampai Jumat, 09.00 sampai 17.00."),
]


class World:
    """One tenant with our own desk; its customers write as through the writer, and the bot hears them."""

    def __init__(self, store: Store, model: Model | None, server: ModelServer) -> None:
        self.store, self.server = store, server
        self.writer = Writer(store, lambda tenant, news: None)
        self.bot = Bot(store, self.writer.write, model)
        self.writer.heard = self.bot.heard

    async def start(self, tenant: str = TENANT) -> str:
        """A session that waits."""
        room, key = chat.new_room(), chat.new_key()
        await self.store.run(lambda cur: sessions.open_session(cur, tenant, room, key, "sari@example.com", "Sari"))
        return room

    async def send(self, room: str, *bodies: str, tenant: str = TENANT) -> None:
        for body in bodies:
            session = await self.store.run(lambda cur: chat.by_room(cur, tenant, room))
            assert session is not None
            assert isinstance(await self.writer.write(chat.draft(session.id, "customer", body)), Message)

    async def sql(self, text: str, *values: Any) -> None:
        await self.store.run(lambda cur: cur.execute(text, values))

    async def said(self, room: str) -> list[str]:
        """What the bot has said there."""

        def read(cur: cursor) -> list[str]:
            where = "WHERE room = %s AND sender_type = 'bot' ORDER BY seq"
            cur.execute(f"SELECT body FROM messages m JOIN sessions s ON s.id = m.session {where}", (room,))
            return [row.body for row in cur.fetchall()]

        return await self.store.run(read)

    async def idle(self) -> None:
        """Nothing that it heard is without its answer."""
        async with asyncio.timeout(WITHIN_S):
            while self.bot.is_busy():
                await asyncio.sleep(0.01)

    async def hears(self, room: str, *bodies: str) -> list[str]:
        """Send, wait, and see all that it has said."""
        await self.send(room, *bodies)
        await self.idle()
        return await self.said(room)


Play = Callable[[World], Awaitable[None]]


def prepare(cur: cursor) -> None:
    for tenant in (TENANT, "kosong"):
        cur.execute("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES (%s, '', '', 'native')", (tenant,))
    faq.replace(cur, TENANT, FAQ)
    people.add_account(cur, TENANT, "ani@example.com", "Ani", hash_of("Test@1234"))


@asynccontextmanager
async def world(database_url: str, with_model: bool) -> AsyncIterator[World]:
    store = Store(database_url)
    async with model_server() as server:
        model = Model(server.url, KEY, "small-one", DEADLINE_S) if with_model else None
        made = World(store, model, server)
        try:
            yield made
        finally:
            server.go.set()
            await made.bot.close()
            await made.writer.close()
            store.close()


def play(database_url: str, work: Play, with_model: bool = False) -> None:
    with Ledger(database_url, "test").transaction() as cur:
        prepare(cur)

    async def run() -> None:
        async with world(database_url, with_model) as made:
            await work(made)

    asyncio.run(run())


def test_it_answers_from_the_faq_in_either_language(database_url: str) -> None:
    async def work(w: World) -> None:
        assert await w.hears(await w.start(), "hi, when are you open?") == [FAQ[0][1]]
        assert await w.hears(await w.start(), "jam bukanya berapa kak?") == [FAQ[2][1]]

    play(database_url, work)


def test_lists_show_what_the_customer_said_and_not_its_answer(database_url: str) -> None:
    async def work(w: World) -> None:
        def shown(cur: cursor) -> list[str]:
            view = payloads.session_view(cur, TENANT, room)
            [listed] = console.sessions(cur, TENANT, 10)
            return [view["last_message"]["body"], listed.last_message_body] if view else []

        room = await w.start()
        assert await w.hears(room, "hi, when are you open?") == [FAQ[0][1]]
        assert await w.store.run(shown) == ["hi, when are you open?"] * 2

    play(database_url, work)


def test_it_says_once_that_it_does_not_know(database_url: str) -> None:
    async def work(w: World) -> None:
        room = await w.start()
        assert await w.hears(room, "do you sell elephants?") == [answers.UNSURE["en"]]
        assert await w.hears(room, "and giraffes?") == [answers.UNSURE["en"]]
        assert await w.hears(room, "how do refunds work?") == [answers.UNSURE["en"], FAQ[1][1]]

    play(database_url, work)


def test_where_a_message_leaves_it_open_it_speaks_the_language_of_the_page(database_url: str) -> None:
    async def work(w: World) -> None:
        rooms = [await w.start() for _ in range(3)]
        await w.sql("UPDATE sessions SET language = 'id' WHERE room = ANY(%s)", rooms[:2])
        assert await w.hears(rooms[0], "elephant") == [answers.UNSURE["id"]]
        assert await w.hears(rooms[1], "how can I buy an elephant?") == [answers.UNSURE["en"]]
        assert await w.hears(rooms[2], "elephant") == [answers.UNSURE["en"]]

    play(database_url, work)


def test_a_greeting_gets_no_answer(database_url: str) -> None:
    async def work(w: World) -> None:
        assert await w.hears(await w.start(), "hello", "halo kak", "\U0001f600") == []

    play(database_url, work)


@pytest.mark.parametrize("ask", ["/person", "saya mau bicara dengan agen"])
def test_a_person_asked_for_keeps_it_quiet(database_url: str, ask: str) -> None:
    async def work(w: World) -> None:
        room = await w.start()
        said = await w.hears(room, ask)
        assert said in ([answers.QUIET["en"]], [answers.QUIET["id"]])
        assert await w.hears(room, ask, "when are you open?") == said
        other = await w.start()
        assert await w.hears(other, "when are you open?") == [FAQ[0][1]]

    play(database_url, work)


def test_it_is_quiet_once_an_agent_came(database_url: str) -> None:
    async def work(w: World) -> None:
        room = await w.start()
        await w.sql("UPDATE sessions SET status = 'active', agent = (SELECT agent FROM accounts LIMIT 1)")
        assert await w.hears(room, "when are you open?", "/person") == []

    play(database_url, work)


def test_a_tenant_without_faq_has_no_bot(database_url: str) -> None:
    async def work(w: World) -> None:
        room = await w.start("kosong")
        await w.send(room, "when are you open?", "elephants?", "/person", tenant="kosong")
        await w.idle()
        assert await w.said(room) == []

    play(database_url, work)


def test_another_tenants_faq_is_never_used(database_url: str) -> None:
    async def work(w: World) -> None:
        await w.store.run(lambda cur: faq.replace(cur, "kosong", [("Do you sell elephants?", "Yes, grey ones.")]))
        assert await w.hears(await w.start(), "do you sell elephants?") == [answers.UNSURE["en"]]
        room = await w.start("kosong")
        await w.send(room, "when are you open?", tenant="kosong")
        await w.idle()
        assert await w.said(room) == [answers.UNSURE["en"]]

    play(database_url, work)


def test_each_message_is_answered_though_they_come_at_once(database_url: str) -> None:
    async def work(w: World) -> None:
        room = await w.start()
        said = await w.hears(room, "when are you open?", "how do I get a refund?")
        assert FAQ[1][1] in said
        assert len(said) <= 2

    play(database_url, work)


def test_two_bots_that_heard_the_same_message_answer_once(database_url: str) -> None:
    async def work(w: World) -> None:
        other = Bot(w.store, w.writer.write)
        room = await w.start()
        await w.send(room, "when are you open?")
        other.heard(TENANT, room, "when are you open?")
        await w.idle()
        while other.is_busy():
            await asyncio.sleep(0.01)
        assert await w.said(room) == [FAQ[0][1]]

    play(database_url, work)


def test_the_model_answers_from_the_entries_found(database_url: str) -> None:
    async def work(w: World) -> None:
        assert await w.hears(await w.start(), "when are you open?") == [w.server.says]
        rules = w.server.asked[0]["messages"][0]["content"]
        assert FAQ[0][1] in rules
        assert FAQ[1][1] not in rules

    play(database_url, work, with_model=True)


def test_what_the_model_does_not_know_is_said_so(database_url: str) -> None:
    async def work(w: World) -> None:
        w.server.does = "unknown"
        assert await w.hears(await w.start(), "do you sell elephants?") == [answers.UNSURE["en"]]

    play(database_url, work, with_model=True)


@pytest.mark.parametrize("does", first_of(["slow", "500", "garbage"]))
def test_a_failing_model_leaves_the_faq(database_url: str, does: str) -> None:
    async def work(w: World) -> None:
        w.server.does = does
        assert await w.hears(await w.start(), "when are you open?") == [FAQ[0][1]]
        assert await w.hears(await w.start(), "elephants?") == [answers.UNSURE["en"]]

    play(database_url, work, with_model=True)


def test_a_slow_model_delays_neither_messages_nor_the_wish_for_a_person(database_url: str) -> None:
    async def work(w: World) -> None:
        w.server.does = "slow"
        rooms = [await w.start() for _ in range(30)]
        began = time.monotonic()
        await w.send(rooms[0], "when are you open?")
        await w.send(rooms[0], "/person")  # while the model is thinking
        for room in rooms[1:]:
            await w.send(room, "when are you open?")
        assert time.monotonic() - began < 30 * DEADLINE_S / 2
        await w.idle()
        assert await w.said(rooms[0]) == [answers.QUIET["en"]]
        assert [await w.said(room) for room in rooms[1:]] == [[FAQ[0][1]]] * 29

    play(database_url, work, with_model=True)


def test_an_answer_that_comes_after_the_agent_is_not_said(database_url: str) -> None:
    async def work(w: World) -> None:
        w.server.does = "slow"
        room = await w.start()
        await w.send(room, "when are you open?")
        await w.sql("UPDATE sessions SET status = 'active', agent = (SELECT agent FROM accounts LIMIT 1)")
        await w.idle()
        assert await w.said(room) == []

    play(database_url, work, with_model=True)


def test_the_writer_refuses_the_bot_once_an_agent_came(database_url: str) -> None:
    """Between the last look and the write an agent may come: then the writer refuses it."""

    async def work(w: World) -> None:
        room = await w.start()
        session = await w.store.run(lambda cur: chat.by_room(cur, TENANT, room))
        assert session is not None
        await w.sql("UPDATE sessions SET status = 'active', agent = (SELECT agent FROM accounts LIMIT 1)")
        assert await w.writer.write(chat.draft(session.id, "bot", "late")) == NotTaken("not_waiting")

    play(database_url, work)


def test_a_search_finds_the_beginning_of_words_and_survives_any_text(database_url: str) -> None:
    async def work(w: World) -> None:
        def find(text: str) -> list[str]:
            with Ledger(database_url, "test").transaction() as cur:
                return [entry.question for entry in faq.search(cur, TENANT, answers.words(text), 5)]

        assert find("refunding") == []
        assert find("refund") == [FAQ[1][0]]
        assert find("REFUNDS!") == [FAQ[1][0]]
        assert find("open refund") == [FAQ[1][0], FAQ[0][0]]
        for text in ("'", "a'b:* | !", "x" * 5000, "\\", "² ½ ٣", "<->", "é" * 30, "名前 はじめ"):
            find(text)

    play(database_url, work)


def test_an_import_replaces_all_and_the_last_of_equal_questions_counts(database_url: str) -> None:
    with Ledger(database_url, "test").transaction() as cur:
        prepare(cur)
        assert faq.replace(cur, TENANT, [("a", "1"), (" a ", "2"), ("b", "3")]) == 2
        assert faq.first(cur, TENANT, 5) == [("a", "2"), ("b", "3")]
        assert faq.replace(cur, TENANT, []) == 0
        assert not faq.has(cur, TENANT)
