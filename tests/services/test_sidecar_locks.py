"""What somebody has locked in one chat, or of one tenant, is nobody else's: messages and changes of the others."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from db import chat
from db.chat import Message
from db.postgres import LedgerBusy
from sidecar.live.turns import BUSY_S
from sidecar.live.writer import Writer
from tests.services.chat_floor import Floor
from tests.services.line_of import TENANT, Line


@contextmanager
def locked(line: Line, sql: str, value: str) -> Iterator[psycopg2.extensions.connection]:
    with closing(psycopg2.connect(line.database_url)) as holder:
        with holder.cursor() as cur:
            cur.execute(sql, (value,))
        yield holder


def test_messages_of_other_chats_are_stored_while_one_chat_is_locked_and_its_own_keep_their_order(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            writer = Writer(floor.store, floor.tell)
            one, other = await floor.start("One"), await floor.start("Other")
            ids = {row.room: row.id for row in line.rows("SELECT room, id FROM sessions")}

            def send(room: str, n: int) -> "asyncio.Future[Message]":
                draft = chat.draft(ids[room], "customer", f"m{n}", sender_name="C", client_id=f"{room} {n}")
                return asyncio.ensure_future(writer.write(draft))

            with locked(line, "SELECT 1 FROM sessions WHERE room = %s FOR UPDATE", one) as holder:
                behind = [send(one, n) for n in range(3)]
                await asyncio.sleep(0)
                began = time.monotonic()
                for n in range(5):
                    assert isinstance(await send(other, n), Message)
                assert time.monotonic() - began < 2.0
                behind.append(send(one, 3))
                holder.rollback()
                seqs = [message.seq for message in await asyncio.gather(*behind)]
            assert seqs == sorted(seqs)
            bodies = "SELECT body FROM messages m JOIN sessions s ON s.id = m.session WHERE s.room = %s ORDER BY m.seq"
            assert [row.body for row in line.rows(bodies, one)][-4:] == ["m0", "m1", "m2", "m3"]
            await writer.close()

    asyncio.run(story())


def test_who_writes_in_a_chat_that_stays_locked_is_told_so_in_time(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            writer, room = Writer(floor.store, floor.tell), await floor.start("One")
            session = line.one("SELECT id FROM sessions").id
            with locked(line, "SELECT 1 FROM sessions WHERE room = %s FOR UPDATE", room), pytest.raises(LedgerBusy):
                async with asyncio.timeout(15):
                    await writer.write(chat.draft(session, "customer", "x", sender_name="C", client_id="1"))

    asyncio.run(story())


def test_a_locked_tenant_takes_few_threads_and_another_is_served(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            line.run("INSERT INTO tenants (id, desk, base_url, secret_key) VALUES ('warung', 'native', '', '')")
            with locked(line, "SELECT 1 FROM tenants WHERE id = %s FOR UPDATE", TENANT):
                stuck = [asyncio.ensure_future(floor.start(f"C{n}")) for n in range(20)]
                await asyncio.sleep(0.3)
                began = time.monotonic()
                await floor.turns.change("warung", lambda turn: None)
                assert time.monotonic() - began < 1.0
            await asyncio.gather(*stuck)

    asyncio.run(story())


@pytest.mark.long
def test_of_many_who_come_at_once_only_the_locked_one_waits(line: Line) -> None:
    """Their pages are written down together; whose row somebody holds holds up nobody for good."""

    async def story() -> None:
        async with Floor(line) as floor:
            crew = [await floor.hire(f"agent{n}") for n in range(12)]
            held = "SELECT FROM agents WHERE id = %s FOR UPDATE"
            with locked(line, held, crew[0].agent_id):
                async with asyncio.timeout(4 * BUSY_S):
                    await asyncio.gather(*(floor.presence.connected(one, "page") for one in crew))
                assert [one.name for one in crew if not line.agent(one.agent_id).available] == ["agent0"]
            await floor.presence.connected(crew[0], "page")
            assert line.agent(crew[0].agent_id).available

    asyncio.run(story())


def test_while_their_tenant_is_locked_many_who_come_wait_no_longer_than_one(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            crew = [await floor.hire(f"agent{n}") for n in range(12)]
            with locked(line, "SELECT FROM tenants WHERE id = %s FOR UPDATE", TENANT):
                async with asyncio.timeout(4 * BUSY_S):  # one by one it would be thirteen
                    await asyncio.gather(*(floor.presence.connected(one, "page") for one in crew))

    asyncio.run(story())
