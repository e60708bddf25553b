"""The fixtures themselves: tests rely on clean, separate and killable servers."""

import dataclasses
import stat
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

from scripts.launch import postgres, valkey
from scripts.launch.errors import Refusal
from scripts.launch.spawn import spawn
from testbed.deadlines import eventually
from testbed.servers import OwnServer, folder, running_postgres, running_valkey


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _tables(url: str) -> list[str]:
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = [row[0] for row in cursor.fetchall()]
    connection.close()
    return names


def test_a_database_is_migrated(database_url: str) -> None:
    assert "visits" in _tables(database_url)


def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    assert _tables(empty_database_url) == []


def test_the_application_is_no_superuser(database_url: str) -> None:
    connection = psycopg2.connect(database_url)
    cursor = connection.cursor()
    cursor.execute("SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user")
    assert cursor.fetchone() == (False, False, False)
    connection.close()


def test_a_redis_database_is_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_the_next_redis_database_is_empty_too(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("left") is None


def test_a_killed_valkey_keeps_what_it_acknowledged(own_valkey: OwnServer) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.set("kept", "yes")
        own_valkey.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        own_valkey.start()
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize("kind", ["PostgreSQL", "Valkey"])
def test_where_another_one_has_our_port_it_is_not_taken_for_ours_and_the_reason_is_said(kind: str) -> None:
    """Two first starts at one instant choose one port: the slower one used the other's Redis, or blamed passwords."""
    module, running = (postgres, running_postgres) if kind == "PostgreSQL" else (valkey, running_valkey)
    with running(fast=True) as theirs, folder() as place:
        ours = dataclasses.replace(module.prepare(place / "ours", ()), port=theirs.server.port)
        assert not module.answers(ours)
        process = spawn(ours.program())
        assert process.wait(20) != 0
        assert not module.answers(ours)
        assert module.answers(theirs.server)
        lost = f"another program has just taken port {ours.port} from the embedded {kind}: start again"
        assert module.why_not(ours).startswith(lost)


def test_a_full_valkey_refuses_instead_of_forgetting(own_valkey: OwnServer) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}


def test_a_killed_postgres_keeps_what_it_committed(own_postgres: OwnServer) -> None:
    connection = psycopg2.connect(own_postgres.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS one")
    own_postgres.kill()
    own_postgres.start()
    assert "kept" in _tables(own_postgres.url)


def test_a_frozen_valkey_thaws(own_valkey: OwnServer) -> None:
    with redis.Redis.from_url(own_valkey.url, socket_timeout=5) as client:
        own_valkey.freeze()
        own_valkey.thaw()
        assert eventually(client.ping, within_s=5)


@pytest.mark.long
def test_the_embedded_valkey_answers_nobody_without_its_password(own_valkey: OwnServer) -> None:
    server = own_valkey.server
    assert isinstance(server, valkey.Valkey)
    for password in (None, "guessed"):
        with (
            redis.Redis(port=server.port, password=password) as client,
            pytest.raises((redis.AuthenticationError, redis.ResponseError)),
        ):
            client.ping()
    command = Path(f"/proc/{own_valkey.process.pid}/cmdline").read_text()
    assert server.password not in command and server.password not in " ".join(server.program().command)
    assert server.password not in repr(server)
    assert _mode(server.folder / "password") == _mode(server.folder / valkey.CONFIG) == 0o600


def test_the_password_is_the_same_at_the_next_start_and_a_damaged_one_is_refused() -> None:
    with folder() as place:
        first, second = (valkey.prepare(place / "valkey", ()) for _ in range(2))
        assert first.password == second.password
        (place / "valkey" / "password").write_text("two words\n")
        with pytest.raises(Refusal, match="damaged"):
            valkey.prepare(place / "valkey", ())


def test_the_servers_logs_and_folders_are_closed_to_other_users(own_postgres: OwnServer, own_valkey: OwnServer) -> None:
    for own in (own_postgres, own_valkey):
        assert _mode(own.server.log) == 0o600
        assert _mode(own.server.folder) & 0o066 == 0, "nobody else may list it"


def test_a_log_that_an_earlier_version_left_open_is_closed() -> None:
    with folder() as place:
        (place / "valkey").mkdir()
        for name in ("log", "log.1"):
            (place / "valkey" / name).touch(0o644)
        valkey.prepare(place / "valkey", ())
        assert {_mode(place / "valkey" / name) for name in ("log", "log.1")} == {0o600}


def test_what_customers_wrote_is_not_in_the_log_of_postgresql(own_postgres: OwnServer) -> None:
    """Statements that fail, that take too long, that break a rule, that wait for one another."""
    with closing(psycopg2.connect(own_postgres.url)) as conn:
        conn.autocommit = True
        cur = conn.cursor()
        cur.execute("CREATE TABLE secrets (id int PRIMARY KEY, mail text UNIQUE CHECK (mail <> 'budi@bad.example'))")
        cur.execute("INSERT INTO secrets VALUES (1, 'budi@example.com')")
        for statement in (
            "INSERT INTO secrets VALUES (2, 'budi@example.com')",
            "INSERT INTO secrets VALUES (3, 'budi@bad.example')",
            "INSERT INTO nowhere VALUES ('budi')",
            "SET statement_timeout = 10; SELECT pg_sleep(1), 'budi'",
        ):
            with pytest.raises(psycopg2.Error):
                cur.execute(statement)
    said = own_postgres.server.log.read_text()
    assert "duplicate key" in said and "statement timeout" in said, "that something failed is there"
    assert "budi" not in said
