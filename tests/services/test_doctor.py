"""`giliran doctor` over real servers and processes: each trouble is made, seen, mended, and gone."""

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
import requests

from db import migrate, processes
from scripts.admin.doctor import clocks
from scripts.admin.doctor.check import ERROR, OK, WARNING, Check
from scripts.admin.doctor.facts import certificates
from scripts.admin.doctor.facts import postgres as postgres_facts
from scripts.admin.doctor.facts import redis as redis_facts
from scripts.admin.doctor.facts.certificates import SSL_REQUEST
from scripts.storms.clocks import Clock, library
from settings import Servers
from testbed import servers
from testbed.chathouse import chat_house
from testbed.databases import Databases
from testbed.deadlines import eventually
from testbed.servers import OwnServer, RedisDatabases, free_port
from testbed.simulated import simulator
from tests.path.test_redis_unusable import url_of
from tests.services.test_admin import Ground
from tests.unit.test_doctor import needs_openssl

NOBODY = {"PORT": "9", "CHAT_PORT": "9", "WORKER_PORT": ""}  # the discard port: nobody listens there


class Doctor:
    """The command, on the servers of a test."""

    def __init__(self, ground: Ground, **env: str) -> None:
        self.ground, self.env = ground, {**NOBODY, **env}

    def report(self, *args: str, **env: str) -> dict[str, Any]:
        done = self.ground.run("doctor", "--json", *args, **{**self.env, **env})
        data = json.loads(done.stdout)
        number = data["summary"]
        assert done.exit_code == (2 if number["errors"] else 1 if number["warnings"] else 0)
        return data

    def said(self, check: str, *args: str, **env: str) -> list[tuple[str, str]]:
        """(level, message) of each finding of one check."""
        found = [each for each in self.report(*args, **env)["checks"] if each["check"] == check]
        assert all(each["advice"] for each in found if each["level"] != OK)
        return [(each["level"], each["message"]) for each in found]

    def is_ok(self, check: str) -> bool:
        found = self.said(check)
        return bool(found) and all(level == OK for level, _ in found)

    def sees(self, check: str, level: str, words: str, **env: str) -> None:
        found = self.said(check, **env)
        assert [(each, words in message) for each, message in found] == [(level, True)], found


@pytest.fixture
def doctor(database_url: str, redis_url: str) -> Doctor:
    ground = Ground(database_url, redis_url)
    ground.add_tenant()
    ground.add_agents("ana", "bob")
    return Doctor(ground)


@contextmanager
def changed(doctor: Doctor, do: str, undo: str) -> Iterator[None]:
    """By a session that may write whatever the database's default is."""

    def run(statement: str) -> None:
        with closing(psycopg2.connect(doctor.ground.database_url)) as conn:
            conn.set_session(readonly=False, autocommit=True)
            conn.cursor().execute(statement)

    run(do)
    try:
        yield
    finally:
        run(undo)


# --- what is not of a tenant


def test_a_person_reads_each_group_and_how_many_are_wrong(doctor: Doctor) -> None:
    done = doctor.ground.run("doctor", **doctor.env)
    assert done.exit_code == 2
    for title in ("Settings", "PostgreSQL", "Redis", "Processes", "Tenant shop"):
        assert f"\n{title}\n" in f"\n{done.stdout}"
    assert done.stderr == "" and "\x1b" not in done.stdout
    assert "a worker" not in done.stdout and "no worker is running: nothing moves" in done.stdout


def test_the_help_says_what_the_exit_codes_mean(doctor: Doctor) -> None:
    told = doctor.ground.ok("doctor", "--help")
    assert "0  all ok" in told and "1  warnings" in told and "2  errors" in told


def test_only_the_tenant_that_was_asked_for_is_shown_and_an_unknown_one_is_refused(doctor: Doctor) -> None:
    doctor.ground.add_tenant("other")
    shown = {each["tenant"] for each in doctor.report("--tenant", "shop")["checks"]}
    assert shown == {None, "shop"}
    assert doctor.ground.run("doctor", "--tenant", "nobody", **doctor.env).exit_code == 3


def test_settings_that_cannot_be_used_are_the_one_thing_that_is_said(doctor: Doctor) -> None:
    (one,) = doctor.report(PORT="all")["checks"]
    assert (one["check"], one["level"]) == ("settings", ERROR)
    assert "use a whole number" in one["message"]


def test_secrets_are_judged_and_never_shown(doctor: Doctor) -> None:
    doctor.sees("weak_secret", WARNING, "WEBHOOK_SECRET", WEBHOOK_SECRET="changeme-changeme")
    shown = json.dumps(doctor.report(WEBHOOK_SECRET="changeme-changeme", SECRET_KEY="changeme-changeme"))
    assert "changeme" not in shown and "very-secret-key-77" not in shown
    assert doctor.is_ok("weak_secret")


def test_an_open_door_is_seen_until_there_is_a_secret(doctor: Doctor) -> None:
    doctor.sees("webhooks_open", WARNING, "everybody who reaches the receiver may post webhooks")
    doctor.sees("webhooks_open", OK, "", WEBHOOK_SECRET="k3Jw9xQz71LmVb0T")
    doctor.ground.sql("UPDATE tenants SET webhook_digest = 'x'")
    doctor.sees("webhooks_open", OK, "")


# --- servers


def test_what_postgresql_forgets_or_refuses_is_seen(own_database_url: str, redis_url: str) -> None:
    doctor = Doctor(Ground(own_database_url, redis_url))
    name = urlsplit(own_database_url).path[1:]
    for setting, bad, good, check, said in (
        ("synchronous_commit", "off", "on", "postgres_synchronous_commit", "a crash can forget seats"),
        ("default_transaction_read_only", "on", "off", "postgres_writes", "read-only"),
    ):
        to = f"ALTER DATABASE {name} SET {setting} ="
        with changed(doctor, f"{to} {bad}", f"{to} {good}"):
            doctor.sees(check, ERROR, said)
        assert doctor.is_ok(check)
    with changed(doctor, "REVOKE INSERT ON visits FROM CURRENT_USER", "GRANT ALL ON visits TO CURRENT_USER"):
        doctor.sees("postgres_rights", ERROR, "may not write to visits")
    assert doctor.is_ok("postgres_rights")
    new = "INSERT INTO migrations (name, checksum) VALUES ('9999_new.sql', '')"
    with changed(doctor, new, "DELETE FROM migrations WHERE name = '9999_new.sql'"):
        doctor.sees("schema_version", ERROR, "newer than this version")
        doctor.sees("tenants", ERROR, "no tenant could be checked: the database is newer")
        assert doctor.is_ok("redis_reachable")
    assert doctor.is_ok("schema_version") and doctor.is_ok("tenants")


def test_a_database_without_a_migration_is_seen(empty_database_url: str, redis_url: str) -> None:
    doctor = Doctor(Ground(empty_database_url, redis_url))
    doctor.sees("schema_version", ERROR, "not migrated")
    doctor.ground.ok("migrate")
    assert doctor.is_ok("schema_version")


def test_a_server_that_does_not_write_to_disk_is_seen(doctor: Doctor) -> None:
    """That of the tests is set so, to be quick."""
    (setting,) = doctor.ground.sql("SHOW fsync")
    doctor.sees("postgres_fsync", ERROR if setting.fsync == "off" else OK, "")


def test_a_server_that_has_few_connections_left_is_seen(doctor: Doctor) -> None:
    (most,) = doctor.ground.sql("SELECT current_setting('max_connections')::integer AS n")
    ((_, told),) = doctor.said("postgres_connections")
    left = int(told.split(": ")[1].split()[0])
    with ExitStack() as open_ones:
        for _ in range(left - 8):
            open_ones.enter_context(closing(psycopg2.connect(doctor.ground.database_url)))
        doctor.sees("postgres_connections", WARNING, f"of {most.n} left")
    eventually(lambda: doctor.is_ok("postgres_connections"), 10, "free connections")


class Redis:
    """A Redis of a test's own, as its administrator sees it."""

    def __init__(self, own: OwnServer) -> None:
        self._client = redis.Redis.from_url(own.url, decode_responses=True)

    @contextmanager
    def set_to(self, name: str, value: Any) -> Iterator[None]:
        before = self._client.config_get(name)[name]
        self._client.config_set(name, value)
        try:
            yield
        finally:
            self._client.config_set(name, before)

    @contextmanager
    def replica(self) -> Iterator[None]:
        self._client.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            self._client.replicaof("NO", "ONE")

    @contextmanager
    def of_another(self) -> Iterator[None]:
        self._client.set("giliran:installation", "f" * 16)
        try:
            yield
        finally:
            self._client.delete("giliran:installation")


def test_what_redis_loses_or_refuses_is_seen_and_gone_once_it_is_mended(
    database_url: str, own_valkey: OwnServer
) -> None:
    ground = Ground(database_url, own_valkey.url)
    ground.sql("INSERT INTO installation (id) VALUES ('0123456789abcdef')")
    doctor, server = Doctor(ground), Redis(own_valkey)
    assert doctor.is_ok("redis_memory")  # what a first run costs is in it from here on
    used = ground.redis.info("memory")["used_memory"]
    for trouble, check, level, said in (
        (server.set_to("maxmemory-policy", "allkeys-lru"), "redis_eviction", WARNING, "may throw away webhooks"),
        (server.set_to("maxmemory", 1), "redis_memory", ERROR, "maxmemory is reached"),
        (server.set_to("maxmemory", 1), "redis_stores", ERROR, "Redis is full"),
        (server.set_to("maxmemory", used * 115 // 100), "redis_memory", WARNING, "nearly full"),
        (server.set_to("appendonly", "no"), "redis_persistence", WARNING, "appendonly is off"),
        (server.set_to("appendfsync", "no"), "redis_persistence", WARNING, "appendfsync is no"),
        (server.replica(), "redis_stores", ERROR, "read-only replica"),
        (server.of_another(), "redis_owner", ERROR, "belongs to another installation"),
    ):
        with trouble:
            doctor.sees(check, level, said)
        assert doctor.is_ok(check), check
    assert not ground.redis.exists(redis_facts.OWN)


def test_the_rights_that_the_docs_list_are_enough_and_one_that_is_missing_is_named(
    database_url: str, own_valkey: OwnServer
) -> None:
    def of(*change: str) -> Doctor:
        return Doctor(Ground(database_url, url_of(own_valkey, *change)))

    for check in ("redis_rights", "redis_info", "redis_stores", "clock_redis"):
        assert of().is_ok(check), check
    of("-info").sees("redis_info", WARNING, "could not be checked: redis_version, redis_eviction")
    of("-blpop").sees("redis_rights", ERROR, "may not use the command BLPOP")
    of("-evalsha", "-eval").sees("redis_rights", ERROR, "may not use the command EVAL")
    of("resetkeys", "~giliran:*", "~rq:*").sees("redis_rights", ERROR, "one of our keys")
    of("resetchannels").sees("redis_rights", ERROR, "may not use our channels")


@contextmanager
def silent() -> Iterator[str]:
    """host:port of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.long
def test_everything_that_hangs_is_said_within_fifteen_seconds(doctor: Doctor) -> None:
    with silent() as place:
        port = place.partition(":")[2]
        env = {"DATABASE_URL": f"postgresql://me:pass77@{place}/x", "REDIS_URL": f"redis://:pass77@{place}/0"}
        began = time.monotonic()
        shown = doctor.report("--public", f"https://{place}", **env, PORT=port, CHAT_PORT=port, WORKER_PORT=port)
        assert time.monotonic() - began < 14
    wrong = {each["check"] for each in shown["checks"] if each["level"] == ERROR}
    assert {"postgres_reachable", "redis_reachable", "receiver", "worker", "sidecar", "tenants"} <= wrong
    assert "pass77" not in json.dumps(shown)


def test_what_is_away_hides_nothing_else(doctor: Doctor) -> None:
    port = free_port()
    away = {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    doctor.sees("redis_reachable", ERROR, "can't be reached (Connection refused)", **away)
    doctor.sees("postgres_reachable", OK, "version", **away)
    doctor.sees("limit_zero", OK, "", **away)
    away = {"DATABASE_URL": f"postgresql://me:x@127.0.0.1:{port}/x"}
    doctor.sees("postgres_reachable", ERROR, "can't be reached (Connection refused)", **away)
    doctor.sees("redis_reachable", OK, "", **away)


@pytest.mark.long
@pytest.mark.parametrize("check", [clocks.POSTGRES, clocks.REDIS], ids=lambda check: check.code)
def test_a_clock_that_is_apart_is_seen(check: Check) -> None:
    found = library()
    if not found:
        pytest.skip("libfaketime is not here")
    of_redis = check is clocks.REDIS
    running, read = (servers.running_valkey, redis_facts.read) if of_redis else (_migrated, postgres_facts.read)
    with servers.folder() as place:
        clock = Clock(found, place / "clock")
        with running(fast=True, env=clock.env) as own:

            def level() -> str:
                server = read(own.url)
                judged = clocks.judge(check, "it", server.ahead_s, server.unsure_s)
                return judged.level if judged else ""

            assert level() == OK
            clock.step(90)
            assert level() == ERROR
            clock.step(-5)
            assert level() == WARNING
            clock.step(0)
            eventually(lambda: level() == OK, 10, "the same time")


@contextmanager
def _migrated(**more: Any) -> Iterator[OwnServer]:
    with servers.running_postgres(**more) as own:
        migrate.migrate(own.url)
        yield own


# --- certificates


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """A certificate of ten days and its key."""
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", cert, "-keyout", key], check=True, capture_output=True)
    return cert, key


@contextmanager
def tls_server(pair: tuple[str, str], greeting: bytes = b"", reply: bytes = b"") -> Iterator[int]:
    """Speaks TLS, after a word of the client's that it answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)

    def serve(listener: socket.socket) -> None:
        raw, _ = listener.accept()
        with raw:
            if greeting and raw.recv(len(greeting)) == greeting:
                raw.sendall(reply)
            with context.wrap_socket(raw, server_side=True) as tls:
                tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


@needs_openssl
def test_a_public_certificate_that_ends_soon_is_seen(doctor: Doctor, pair: tuple[str, str]) -> None:
    with tls_server(pair) as port:
        found = doctor.said("certificate", "--public", f"https://127.0.0.1:{port}")
    day = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%d")
    assert found == [(WARNING, f"https://127.0.0.1:{port}: its certificate ends on {day}")]


@needs_openssl
def test_the_certificate_of_a_server_that_starts_tls_when_asked_is_read(pair: tuple[str, str]) -> None:
    with tls_server(pair, SSL_REQUEST, b"S") as port:
        (one,) = certificates.read(Servers(f"postgresql://me@127.0.0.1:{port}/x", "redis://127.0.0.1/0"), True, ())
    assert one.name == "DATABASE_URL" and one.ends_at
    with tls_server(pair) as port:
        (one,) = certificates.read(Servers("postgresql://me@127.0.0.1/x", f"rediss://127.0.0.1:{port}/0"), False, ())
    assert one.name == "REDIS_URL" and one.ends_at


# --- tenants


def test_limits_that_nobody_can_meet_are_seen(doctor: Doctor) -> None:
    doctor.ground.redis.set("config:max_agent_chat", 0)
    doctor.sees("limit_zero", ERROR, "2 agents have a limit of 0")
    doctor.ground.redis.set("config:max_agent_chat:shop:bob", 1)
    doctor.sees("limit_zero", OK, "1 of 2 agents paused")
    doctor.ground.redis.set("config:max_agent_chat", "many")
    doctor.sees("limit_invalid", WARNING, "config:max_agent_chat is 'many'")
    doctor.ground.redis.delete("config:max_agent_chat")
    assert doctor.is_ok("limit_invalid") and doctor.is_ok("limit_zero")


TROUBLES = {
    "desk_paused": ("paused_until = now() + interval '1 min', desk_failures = 5, desk_trouble = 'HTTP 401'", ERROR),
    "desk_trouble": ("desk_failures = 1, desk_trouble = 'HTTP 500'", WARNING),
    "drained": ("draining = true", WARNING),
}
WELL = "paused_until = '-infinity', desk_failures = 0, desk_trouble = NULL, draining = false"


def test_what_ops_says_of_a_tenant_is_seen_here_in_the_same_words(doctor: Doctor) -> None:
    for code, (columns, level) in TROUBLES.items():
        doctor.ground.sql(f"UPDATE tenants SET {columns}")
        ((found, said),) = doctor.said(code)
        assert found == level and said
        doctor.ground.sql(f"UPDATE tenants SET {WELL}")
        assert doctor.is_ok(code), code


def test_rooms_that_nobody_serves_are_seen(doctor: Doctor) -> None:
    doctor.ground.add_rooms("r1", "r2")
    doctor.ground.sql("UPDATE visits SET aside = 'refused', look_at = NULL WHERE room = 'r1'")
    doctor.sees("quarantined", WARNING, "1 room set aside")
    doctor.ground.sql("UPDATE agents SET available = false")
    doctor.sees("nobody_online", WARNING, "nobody is online, and customers wait")
    doctor.ground.sql("UPDATE agents SET available = true; UPDATE agents SET foreign_est = 2")
    doctor.ground.sql("UPDATE visits SET arrived_us = arrived_us - 600000000")
    doctor.sees("all_full", WARNING, "at their limit")
    doctor.ground.sql("DELETE FROM visits")
    assert all(doctor.is_ok(code) for code in ("quarantined", "nobody_online", "all_full"))


def test_webhooks_that_stay_away_are_seen(doctor: Doctor) -> None:
    doctor.ground.sql("INSERT INTO drifts (tenant, kind, healed, last_at) VALUES ('shop', 'missed_arrival', 3, now())")
    doctor.sees("webhooks_missed", WARNING, "3 rooms in all")
    doctor.ground.sql("UPDATE drifts SET last_at = now() - interval '2 hours'")
    assert doctor.is_ok("webhooks_missed")
    minute = (
        "INSERT INTO minutes (tenant, queue, at, waiting, arrived, assigned, resolved, abandoned, waits, seats_taken)"
        " SELECT 'shop', '', date_trunc('minute', now()) - d * interval '1 day' - %s::interval, 0, %s, 0, 0, 0, '{}', 0"
        " FROM generate_series(%s, %s) d"
    )
    doctor.ground.sql(minute, "30 min", 40, 1, 7)
    doctor.ground.sql(minute, "90 min", 1, 0, 0)
    doctor.sees("no_webhooks", WARNING, "no webhook for 1 hour; usual in this time: 40")
    doctor.ground.sql(minute, "0 min", 1, 0, 0)
    assert doctor.is_ok("no_webhooks")


RULES = '[default]\nqueue = "sales"\n[queues.sales]\nagents = { divisions = ["Sales"] }\n'


def test_a_desk_that_refuses_hangs_or_lacks_a_division_is_seen(doctor: Doctor) -> None:
    with simulator() as desk:
        doctor.ground.sql("DELETE FROM tenants")
        doctor.ground.add_tenant(desk.app_id)
        doctor.ground.sql("UPDATE tenants SET base_url = %s, secret_key = 'demo-secret'", desk.url)
        assert doctor.is_ok("desk_answers")
        doctor.ground.sql("UPDATE tenants SET secret_key = 'wrong'")
        doctor.sees("desk_answers", ERROR, "the desk refuses our credentials")
        doctor.ground.sql("UPDATE tenants SET secret_key = 'demo-secret'")
        doctor.ground.sql(
            "INSERT INTO rule_files (tenant, version, content, applied_by) VALUES (%s, 1, %s, 'me')", desk.app_id, RULES
        )
        doctor.ground.sql("UPDATE tenants SET rules_version = 1")
        doctor.sees("rules_strangers", WARNING, "Sales")
        division = desk.add_division("Sales")
        doctor.sees("rules_strangers", WARNING, "nobody who may be given chats is in this division")
        desk.move(desk.agents()[0]["id"], division)
        assert doctor.is_ok("rules_strangers") and doctor.is_ok("desk_answers")
    doctor.sees("desk_answers", ERROR, "could not be asked")


# --- processes


def test_no_worker_is_seen_until_one_lives(doctor: Doctor) -> None:
    doctor.sees("worker", ERROR, "no worker is running: nothing moves")
    with doctor.ground.a_worker():
        doctor.sees("worker", OK, "1 worker")
    doctor.sees("worker", ERROR, "no worker is running: nothing moves")


def test_a_process_of_another_version_and_a_proxy_that_it_does_not_trust_are_seen(doctor: Doctor) -> None:
    older = {**processes.about("sidecar", "0.0.1"), "host": "elsewhere", processes.UNTRUSTED: "10.0.0.5"}
    processes.tell(doctor.ground.inbox, older, {})
    doctor.sees("process_versions", WARNING, "has version 0.0.1")
    doctor.sees("proxy_not_trusted", WARNING, "X-Forwarded-For from 10.0.0.5")
    doctor.sees("sidecar", OK, older["id"])
    processes.leave(doctor.ground.inbox, older)
    assert doctor.is_ok("process_versions") and doctor.is_ok("proxy_not_trusted")


@pytest.mark.long
def test_processes_that_are_killed_are_seen_and_a_proxy_that_is_not_trusted_is_named(
    _databases: Databases, _redis_databases: RedisDatabases
) -> None:
    with chat_house(_databases, _redis_databases, workers=1, receiver=True) as home:
        house = home.house
        home.new_shop()
        ground = Ground(house.database_url, house.env["REDIS_URL"])
        doctor = Doctor(ground, **{**house.env, "CHAT_PORT": str(home.sidecar.port)})

        def until(check: str, level: str, words: str = "") -> None:
            seen = lambda: [(level, True)] == [(each, words in said) for each, said in doctor.said(check)]  # noqa: E731
            eventually(seen, 10, f"{check} is {level}")

        for kind in ("receiver", "worker", "sidecar"):
            until(kind, OK, f"{kind}@")
        house.kill_worker()
        until("worker", ERROR, "no worker is running: nothing moves")
        house.start_worker(0)
        until("worker", OK)
        home.sidecar.kill()
        until("sidecar", ERROR, "nothing answers on port")
        home.sidecar.start()
        until("sidecar", OK)
        assert requests.get(f"{home.sidecar.url}/api/v1/about", headers={"X-Forwarded-For": "1.2.3.4"}, timeout=5)
        until("proxy_not_trusted", WARNING, "X-Forwarded-For from 127.0.0.1")
