"""The admin tool where a server is away, refuses, is full or is somebody else's: it says which, and shows the rest."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from db.inbox import INSTALLATION
from db.people import FAILURES_MOST, login_subject
from settings import ROOT
from testbed.servers import OwnServer, free_port
from tests.services.test_admin import Ground
from tests.services.test_worker_process import worker
from tests.variants import first_of, first_rows

KEY = "a-key-of-this-test-only"


@pytest.fixture
def shop(database_url: str, own_valkey: OwnServer) -> Iterator[Ground]:
    made = Ground(database_url, own_valkey.url)
    made.add_tenant()
    made.add_agents("ana", "bob")
    made.add_rooms("r1", "r2")
    yield made


def away() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def test_without_redis_the_line_and_a_rooms_story_show_what_postgresql_knows(shop: Ground) -> None:
    url = away()
    shown = shop.run("queue", REDIS_URL=url)
    assert shown.exit_code == 0
    assert "r1" in shown.stdout and "r2" in shown.stdout
    assert "Redis can't be reached (Connection refused): webhooks that wait there are not shown" in shown.stdout
    data = json.loads(shop.run("queue", "--json", REDIS_URL=url).stdout)["lines"][0]
    assert (data["inbox"], data["redis_trouble"]) == (None, "Redis can't be reached (Connection refused)")
    story = shop.run("why", "r1", REDIS_URL=url)
    assert story.exit_code == 0
    assert "waiting, 1st of 2 in line" in story.stdout
    assert "no decision is made without it" in story.stdout
    assert shop.run("agent", "list", REDIS_URL=url).exit_code == 0
    unknown = shop.run("why", "r9", REDIS_URL=url)
    assert unknown.exit_code == 3
    assert "may be among the webhooks in Redis" in unknown.stderr


@pytest.mark.long
def test_a_redis_that_hangs_costs_one_wait_and_not_one_for_each_tenant(shop: Ground, own_valkey: OwnServer) -> None:
    for number in range(5):
        shop.add_tenant(f"shop{number}")
    own_valkey.freeze()
    try:
        began = time.monotonic()
        shown = shop.run("queue")
        assert time.monotonic() - began < 12
    finally:
        own_valkey.thaw()
    assert shown.exit_code == 0
    assert "Redis does not answer in time" in shown.stdout


def test_a_limit_that_was_set_counts_in_the_line_without_redis(shop: Ground) -> None:
    shop.sql("INSERT INTO limits (tenant, scope, value) VALUES ('shop', 'tenant', 7)")
    members = json.loads(shop.run("agent", "list", "--json", REDIS_URL=away()).stdout)["agents"]
    assert {member["limit"] for member in members} == {7}


@pytest.mark.parametrize(
    ("change", "said"),
    first_rows(
        [
            ("redis://:wrong@{at}/0", "Redis refuses the password: correct REDIS_URL"),
            ("redis://:{password}@{at}/0?nonsense=1", "REDIS_URL has nonsense after its ?"),
            ("redis://{at}/0", "Redis refuses the password: correct REDIS_URL"),
            ("redis://:{password}@{at}/99", "Redis has no such database number"),
            ("rediss://:{password}@{at}/0", "Redis "),
            ("redis://:{password}@nowhere.invalid:1/0", "its host is not known"),
            ("unix:///nowhere.sock", "no such socket"),
        ],
        2,
    ),
)
def test_what_is_wrong_with_redis_is_said_in_one_sentence(
    shop: Ground, own_valkey: OwnServer, change: str, said: str
) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("requirepass", "pass77")
        at = own_valkey.url.split("//")[1].split("@")[-1].split("/")[0]
        done = shop.run("max", REDIS_URL=change.format(at=at, password="pass77"))
        client.config_set("requirepass", "")
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "pass77" not in done.output
    assert "wrong@" not in done.output


@pytest.mark.parametrize(
    ("change", "said"),
    first_rows(
        [
            ({"port": "1"}, "PostgreSQL can't be reached (Connection refused)"),
            ({"dbname": "nowhere"}, "no such database"),
            ({"user": "nobody"}, "PostgreSQL"),
            ({"sslmode": "require"}, "does not speak TLS"),
        ],
        2,
    ),
)
def test_what_is_wrong_with_postgresql_is_said_in_one_sentence(shop: Ground, change: dict[str, str], said: str) -> None:
    parts = {**psycopg2.extensions.parse_dsn(shop.database_url), **change}
    host, port = parts.pop("host"), parts.pop("port")
    user, password, name = parts.pop("user"), parts.pop("password", "x"), parts.pop("dbname")
    options = "&".join(f"{key}={value}" for key, value in parts.items())
    done = shop.run("queue", DATABASE_URL=f"postgresql://{user}:{password}@{host}:{port}/{name}?{options}")
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert password not in done.output


def test_a_full_redis_is_told_when_reading_and_refuses_a_limit(shop: Ground, tmp_path: Path) -> None:
    with worker(tmp_path, shop.database_url, shop.redis_url) as made:
        made.until_said("worker_started")
    with redis.Redis.from_url(shop.redis_url) as client:
        client.config_set("maxmemory", 1)
        shown, refused = shop.run("queue"), shop.run("max", "3")
        client.config_set("maxmemory", 0)
    assert shown.exit_code == 0
    assert "warning: Redis is full" in shown.stderr
    assert refused.exit_code == 1
    assert "Redis is full: raise its maxmemory" in refused.stderr
    assert not shop.redis.exists("config:max_agent_chat")


def test_a_read_only_replica_is_told(shop: Ground, tmp_path: Path) -> None:
    with worker(tmp_path, shop.database_url, shop.redis_url) as made:
        made.until_said("worker_started")
    with redis.Redis.from_url(shop.redis_url) as client:
        client.replicaof("127.0.0.1", 1)
        shown, refused = shop.run("queue"), shop.run("max", "3")
        client.replicaof("NO", "ONE")
    assert "warning: Redis is a read-only replica" in shown.stderr
    assert "Redis is a read-only replica: point REDIS_URL at the primary" in refused.stderr


@pytest.mark.long
def test_a_limit_is_not_written_into_another_installations_redis(shop: Ground) -> None:
    own = shop.json("installation", "show")["installation"]
    shop.redis.set(INSTALLATION, "0123456789abcdef")
    for words in (["max", "3"], ["max"], ["line"], ["agent", "limit", "ana", "3"]):
        done = shop.run(*words)
        assert done.exit_code == 1, words
        assert "belongs to another installation (0123456789abcdef)" in done.stderr
    assert not shop.redis.exists("config:max_agent_chat")
    assert shop.json("installation", "show") == {"installation": own, "redis": "0123456789abcdef"}
    assert shop.run("installation", "take").exit_code == 4
    assert "this one's" in shop.ok("installation", "take", "--yes")
    assert shop.redis.get(INSTALLATION) == own
    shop.ok("max", "3")


@pytest.mark.long
def test_a_redis_whose_owner_runs_is_not_taken(shop: Ground, empty_database_url: str, tmp_path: Path) -> None:
    with worker(tmp_path, shop.database_url, shop.redis_url) as made:
        made.until_said("worker_started")
        time.sleep(6)  # it is not young any more
        other = Ground(empty_database_url, shop.redis_url)
        other.ok("migrate")
        done = other.run("installation", "take", "--yes")
        assert done.exit_code == 4
        assert "still runs" in done.stderr
        assert made.process.poll() is None


def test_a_copy_of_a_ledger_can_be_made_an_installation_of_its_own(shop: Ground) -> None:
    before = shop.json("installation", "show")["installation"]
    assert shop.run("installation", "new").exit_code == 4
    made = shop.json("installation", "new", "--yes")["installation"]
    assert made != before
    assert shop.json("installation", "show")["installation"] == made


def test_the_version_is_told_without_any_server() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts/giliran"), "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.startswith("giliran 0.")


def test_a_room_that_was_learned_is_not_called_refused(shop: Ground) -> None:
    """It pauses for the desk's lag, in case its own webhook comes."""
    with shop.a_worker():
        shop.sql("UPDATE visits SET learned = true, retry_at = clock_timestamp() + interval '4 s' WHERE room = 'r1'")
        shown = shop.ok("why", "r1")
    assert "refused" not in shown
    assert "learned from the desk, its own webhook may still come: its turn is in " in shown


# --- locked accounts


@pytest.fixture
def chat(database_url: str, redis_url: str) -> Ground:
    made = Ground(database_url, redis_url)
    made.ok("tenant", "add", "--native", "shop", "--name", "Shop")
    made.ok("agent", "add", "ani@shop.example", "--name", "Ani", "--password-file", "-", stdin="right-password\n")
    return made


def lock(chat: Ground, address: str = "10.0.0.1") -> None:
    """As ten wrong passwords leave it."""
    agent = chat.sql("SELECT agent FROM accounts")[0].agent
    times = "(SELECT array_agg(clock_timestamp()) FROM generate_series(1, %s))"
    put = f"INSERT INTO login_tries (subject, failed, tenant, agent) VALUES (%s, {times}, %s, %s)"
    chat.sql(put, login_subject(KEY, "account", "shop", agent), FAILURES_MOST, "shop", agent)
    chat.sql(put, login_subject(KEY, "address", address), FAILURES_MOST, None, None)


def locked(chat: Ground) -> int:
    return chat.sql("SELECT count(*) AS n FROM login_tries")[0].n


def test_a_locked_account_is_listed_and_unlocked(chat: Ground) -> None:
    lock(chat)
    assert "locked after wrong passwords, may log in again in " in chat.ok("agent", "list")
    assert chat.json("agent", "list")["agents"][0]["locked_until"] is not None
    assert "wrong passwords are forgotten" in chat.ok("agent", "unlock", "ani@shop.example")
    assert "locked" not in chat.ok("agent", "list")
    assert locked(chat) == 1, "the address is still locked"
    assert "no wrong passwords" in chat.ok("agent", "unlock", "ani@shop.example")
    done = chat.json("agent", "unlock", "--address", "10.0.0.1", SECRET_KEY=KEY)
    assert done == {"unlocked": {"10.0.0.1": True}}
    assert locked(chat) == 0
    assert chat.run("agent", "unlock").exit_code == 2
    assert chat.run("agent", "unlock", "nobody@shop.example").exit_code == 3


@pytest.mark.parametrize("words", first_of([("password", "--password-file", "-"), ("enable",)]))
def test_a_new_password_and_an_account_that_is_enabled_end_a_lock(chat: Ground, words: tuple[str, ...]) -> None:
    lock(chat)
    chat.ok("agent", words[0], "ani@shop.example", *words[1:], stdin="another-password\n")
    assert locked(chat) == 1
    assert "locked" not in chat.ok("agent", "list")


def test_nothing_is_said_of_a_lock_that_is_over(chat: Ground) -> None:
    lock(chat)
    chat.sql("UPDATE login_tries SET failed = (SELECT array_agg(at - interval '11 min') FROM unnest(failed) at)")
    assert "locked" not in chat.ok("agent", "list")
