"""A Redis that is full, read-only, of few rights, a Cluster: each process says which, in one sentence, and when it is
over."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import requests

from scripts.launch import valkey
from testbed.chathouse import chat_house
from testbed.chatpeople import People
from testbed.deadlines import eventually
from testbed.house import street
from testbed.servers import Databases, OwnServer, free_port
from tests.services.test_worker_process import worker
from tests.variants import first_rows

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def full(client: Any) -> None:
    client.config_set("maxmemory", 1)


def read_only(client: Any) -> None:
    client.replicaof("127.0.0.1", 1)


def writable(client: Any) -> None:
    client.config_set("maxmemory", 0)
    client.replicaof("NO", "ONE")


@pytest.mark.parametrize(
    ("spoil", "said"), first_rows([(full, "Redis is full"), (read_only, "Redis is a read-only replica")])
)
def test_a_full_or_read_only_redis_is_said_by_worker_and_sidecar_until_it_is_over(
    _databases: Databases, own_valkey: OwnServer, spoil: Callable[[Any], None], said: str
) -> None:
    port = free_port()
    with (
        redis.Redis.from_url(own_valkey.url) as client,
        chat_house(_databases, own_valkey.url, receiver=False, workers=0) as home,
    ):
        home.house.start_worker(WORKER_PORT=str(port))

        def health() -> requests.Response:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)

        def ready() -> requests.Response:
            return requests.get(f"{home.sidecar.url}/readyz", timeout=5)

        home.house.until(lambda: "worker_started" in home.house.log("worker*"), 20)
        assert (health().status_code, ready().status_code) == (200, 200)
        spoil(client)
        eventually(lambda: health().status_code == 503, 15, "the worker's health")
        eventually(lambda: ready().status_code == 503, 10, "the sidecar's readiness")
        assert said in health().text
        assert said in ready().json()["error"]["message"]
        writable(client)
        eventually(lambda: health().status_code == 200, 15, "the worker's health")
        eventually(lambda: ready().status_code == 200, 10, "the sidecar's readiness")
        log = home.house.log("worker*")
        assert log.count("redis_unusable") == 1
        assert log.count("redis_usable") == 1
        assert said in log


def test_a_redis_that_is_away_takes_no_sidecar_out_of_service_and_is_named(
    _databases: Databases, own_valkey: OwnServer
) -> None:
    with chat_house(_databases, own_valkey.url, receiver=False, workers=0) as home:
        own_valkey.stop()
        told = eventually(
            lambda: requests.get(f"{home.sidecar.url}/readyz", timeout=5).json().get("redis"), 10, "the sidecar's word"
        )
        assert told == "Redis can't be reached (Connection refused)"
        assert requests.get(f"{home.sidecar.url}/readyz", timeout=5).status_code == 200


@contextmanager
def cluster(place: Path) -> Iterator[str]:
    """One node with all slots."""
    port = free_port()
    server = valkey.prepare(place, (), 1, True).program().command[0]
    cluster = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]  # else port + 10,000, perhaps no port
    command = [server, "--port", str(port), *cluster, "--save", "", "--dir", str(place)]
    with subprocess.Popen([*command, "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis(port=port) as client:
                eventually(lambda: _answers(client), 10, "the node's answer")
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 20, "the cluster")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.long
def test_a_cluster_is_refused_at_the_start_in_a_sentence(database_url: str, tmp_path: Path) -> None:
    place = tmp_path / "valkey"
    place.mkdir()
    with cluster(place) as url, worker(tmp_path, database_url, url) as made:
        assert made.process.wait(30) == 1
        assert "worker: Redis Cluster can't be used: Giliran needs a single Redis\n" in made.said()


def test_a_policy_that_throws_keys_away_is_warned_of(database_url: str, own_valkey: OwnServer, tmp_path: Path) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with worker(tmp_path, database_url, own_valkey.url) as made:
        made.until_said("redis_evicts policy=allkeys-lru wanted=noeviction")
        made.until_said("worker_started")


# --- a user of few rights


def rights() -> list[str]:
    """As the docs list them."""
    text = OPERATIONS.read_text()
    lines = text[text.index("ACL SETUSER giliran") :].split("```")[0].split()
    return [word.replace(">PASSWORD", ">pass77") for word in lines[3:]]


def url_of(own: OwnServer, *change: str) -> str:
    with redis.Redis.from_url(own.url) as client:
        client.execute_command("ACL", "SETUSER", "giliran", "reset", *rights(), *change)
        client.execute_command("ACL", "LOG", "RESET")
    parts = urlsplit(own.url)
    return parts._replace(netloc=f"giliran:pass77@{parts.hostname}:{parts.port}").geturl()


def denied(own: OwnServer) -> list[tuple[str, str]]:
    with redis.Redis.from_url(own.url, decode_responses=True) as client:
        return [(entry["reason"], entry["object"]) for entry in client.acl_log()]


@pytest.mark.long
def test_the_rights_that_readme_lists_are_enough_for_rooms(_databases: Databases, own_valkey: OwnServer) -> None:
    with street(_databases, url_of(own_valkey)) as home:
        shop = home.new_tenant("shop", agents=2)
        home.redis.set("config:max_agent_chat", 1)
        shop.sim.add_customers(4)
        shop.until_states(20, held=2, waiting=2)
        done = home.giliran("max", "2")
        assert done.returncode == 0, done.stderr
        shop.until_states(20, held=4)
        for words in (["line"], ["max"], ["reconcile", "--tenant", shop.id], ["installation", "show"]):
            assert home.giliran(*words).returncode == 0
        assert "not_ours" not in home.log()
        shop.judge(2)
    assert [each for each in denied(own_valkey) if each[1] != "info"] == []


@pytest.mark.long
def test_the_rights_that_readme_lists_are_enough_for_chats(_databases: Databases, own_valkey: OwnServer) -> None:
    async def play(home: Any) -> None:
        shop = home.new_shop(limit=1)
        shop.hire("ani")
        async with People(home) as people:
            budi = await people.customer(shop, "Budi")
            ani = await people.agent(shop, "ani")
            await budi.until(lambda: budi.status == "active")
            budi.say("hello")
            await ani.until(lambda: "hello" in ani.bodies(budi.room))

    with chat_house(_databases, url_of(own_valkey), receiver=False, sidecars=2) as home:
        asyncio.run(play(home))
        assert "feed_interrupted" not in home.log()
    assert [each for each in denied(own_valkey) if each[1] != "info"] == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("-xrange",), "may not use the command XRANGE"),
        (("-evalsha", "-eval"), "may not use the command EVAL"),
        (("-blpop",), "may not use the command BLPOP"),
        (("resetkeys", "~giliran:*", "~rq:*"), "config:max_agent_chat"),
        (("resetkeys", "~config:max_agent_chat*", "~giliran:*"), "rq:"),
    ],
)
def test_a_right_that_is_missing_is_named_in_the_log_of_a_worker(
    database_url: str, own_valkey: OwnServer, tmp_path: Path, change: tuple[str, ...], said: str
) -> None:
    with worker(tmp_path, database_url, url_of(own_valkey, *change), DEMO="1") as made:
        made.until_said(said, within_s=20)
        assert "Traceback" not in made.said()
