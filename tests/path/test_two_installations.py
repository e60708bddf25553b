"""Two installations on one Redis server: neither hears the other, and on one database number the second is refused."""

import asyncio
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from db import installation
from db.inbox import INSTALLATION
from testbed.chathouse import ChatHouse, chat_house
from testbed.chatpeople import People
from testbed.deadlines import eventually
from testbed.servers import Databases, OwnServer
from tests.services.test_worker_process import Process, worker

REFUSED = "belongs to another installation"


def numbered(url: str, number: int) -> str:
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def held(redis_url: str) -> str | None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        found: str | None = client.get(INSTALLATION)
    return found


def ledger_id(database_url: str) -> str:
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cur:
            cur.execute("SELECT id FROM installation")
            return str(cur.fetchone()[0])
    finally:
        conn.close()


@contextmanager
def two_houses(databases: Databases, url: str) -> Iterator[tuple[ChatHouse, ChatHouse]]:
    """Production and staging, each with a sidecar and a worker; the database numbers 0 and 1 of one server."""
    with databases.clone() as first, databases.clone() as second:
        plan = {"receiver": False, "DEMO": "0"}
        with (
            chat_house(first, numbered(url, 0), **plan) as production,  # type: ignore[arg-type]
            chat_house(second, numbered(url, 1), **plan) as staging,  # type: ignore[arg-type]
        ):
            yield production, staging


@pytest.mark.long
@pytest.mark.parametrize(
    "copied",
    [pytest.param(False, id="two ledgers", marks=pytest.mark.long), pytest.param(True, id="a copy of the ledger")],
)
def test_a_supervisor_of_staging_hears_nothing_of_production(
    _databases: Databases, own_valkey: OwnServer, copied: bool
) -> None:
    """The tenant has the same name in both. A copy of production's ledger has its id, too."""

    async def play(production: ChatHouse, staging: ChatHouse) -> None:
        shop, copy = production.new_shop(tenant="toko"), staging.new_shop(tenant="toko")
        for one in (shop, copy):
            one.hire("ani")
            one.hire("sri", role="supervisor")
        async with People(production) as here, People(staging) as there:
            sri, spy = await here.agent(shop, "sri"), await there.agent(copy, "sri")
            before = len(spy.frames)
            ani = await here.agent(shop, "ani")
            budi = await here.customer(shop, "Budi")
            await budi.until(lambda: budi.status == "active")
            budi.say("my address is Jalan Melati 7")
            await ani.until(lambda: ani.bodies(budi.room))
            await sri.until(lambda: sri.of("chat.session.assigned"))
            again = await there.customer(copy, "Dewi")  # what is staging's own is heard all the while
            await spy.until(lambda: any(again.room in str(frame) for frame in spy.frames))
            told = str(spy.frames[before:])
            assert budi.room not in told
            assert "Melati" not in told
            assert "Budi" not in told

    with two_houses(_databases, own_valkey.url) as (production, staging):
        if copied:
            own = ledger_id(production.house.database_url)
            staging.run("UPDATE installation SET id = %s", own)
            staging.house.redis.delete(INSTALLATION)
            staging.house.signal_worker(signal.SIGTERM)
            staging.house.ended()
            staging.house.start_worker(0)
            staging.sidecar.stop()
            staging.sidecar.start()
        asyncio.run(play(production, staging))


def started(made: Process) -> None:
    made.until_said("worker_started")


@pytest.mark.long
def test_on_one_database_number_the_second_ledger_is_refused_in_a_sentence(
    _databases: Databases, redis_url: str, tmp_path: Path
) -> None:
    with _databases.clone() as first, _databases.clone() as second, worker(tmp_path, first, redis_url) as production:
        started(production)
        with worker(tmp_path, second, redis_url) as staging:
            assert staging.process.wait(30) == 1
            (line,) = [line for line in staging.said().splitlines() if line.startswith("worker:")]
            assert REFUSED in line
            assert "giliran installation take" in line
        with worker(tmp_path, first, redis_url) as another:
            started(another)
        assert production.process.poll() is None


@pytest.mark.long
def test_an_emptied_redis_lets_no_other_in_as_long_as_its_owner_runs(
    _databases: Databases, redis_url: str, tmp_path: Path
) -> None:
    with _databases.clone() as first, _databases.clone() as second, worker(tmp_path, first, redis_url) as production:
        started(production)
        own = held(redis_url)
        assert own == ledger_id(first)
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
            with worker(tmp_path, second, redis_url) as staging:
                client.flushdb()
                assert staging.process.wait(30) == 1
                assert REFUSED in staging.said()
            assert held(redis_url) == own
            time.sleep(6)  # it is not young any more
            client.set(INSTALLATION, secrets.token_hex(8))
            eventually(lambda: held(redis_url) == own, 5, "the running one puts its id back")
            client.delete(INSTALLATION)
            client.lpush(INSTALLATION, "x")
            eventually(lambda: client.type(INSTALLATION) == b"string" and held(redis_url) == own, 5, "the same")
        assert production.process.poll() is None


def test_a_ledger_that_was_moved_with_its_redis_or_restored_from_a_dump_is_no_other(
    _databases: Databases, redis_url: str, tmp_path: Path
) -> None:
    with _databases.clone() as first, _databases.clone() as second:
        with worker(tmp_path, first, redis_url) as old:
            started(old)
        conn = psycopg2.connect(second)
        with conn, conn.cursor() as cur:  # what a restored dump has
            cur.execute("INSERT INTO installation (id) VALUES (%s)", (ledger_id(first),))
        conn.close()
        with worker(tmp_path, second, redis_url) as new:
            started(new)


def test_what_marks_events_is_the_installation_and_the_database_number() -> None:
    assert installation.scope("ab", "redis://127.0.0.1:6379/3") == "ab.3"
    assert installation.scope("ab", "redis://127.0.0.1:6379") == "ab.0"
    assert installation.scope("ab", "unix:///tmp/v.sock?db=2") == "ab.2"
