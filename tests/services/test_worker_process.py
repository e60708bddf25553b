"""A worker as a process of its own: how it is told to stop, what it says when it can't start, how it comes back."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import requests

from db import tickets
from testbed.deadlines import eventually
from testbed.servers import OwnServer, free_port
from tests.variants import first_of

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """`python -m worker`, and what it has said."""

    def __init__(self, place: Path, database_url: str, redis_url: str, *before: str, **env: str) -> None:
        self.log = place / f"{secrets.token_hex(4)}.log"
        values = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GILIRAN_DATA": str(place), "DEMO": "0"}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "worker"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOST": "127.0.0.1", **values, **env},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def until_said(self, what: str, times: int = 1, within_s: float = 30) -> None:
        eventually(lambda: self.said().count(what) >= times, within_s, f"{what!r} in the log")

    def told(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def worker(place: Path, database_url: str, redis_url: str, *before: str, **env: str) -> Iterator[Process]:
    made = Process(place, database_url, redis_url, *before, **env)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            os.killpg(made.process.pid, signal.SIGKILL)
            made.process.wait(10)


@pytest.mark.parametrize("after_s", first_of([0.5, 0.2, 1.0, 2.0, 4.0]))
def test_a_stop_in_the_first_moments_is_heeded_at_once(
    tmp_path: Path, database_url: str, redis_url: str, after_s: float
) -> None:
    with worker(tmp_path, database_url, redis_url) as made:
        time.sleep(after_s)  # whatever it does then
        began = time.monotonic()
        assert made.told(signal.SIGTERM) in (0, -signal.SIGTERM), "the latter before Python itself is up"
        assert time.monotonic() - began < 4, "one second where the machine is idle"
        assert "Traceback" not in made.said()


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="a process namespace needs root")
@pytest.mark.parametrize("after_s", [0.3, 1.0, 4.0])
def test_as_process_1_a_stop_is_heeded_too(tmp_path: Path, database_url: str, redis_url: str, after_s: float) -> None:
    """The kernel ignores what process 1 does not handle, and its first handler comes before all that takes time."""
    unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces here")
    with worker(tmp_path, database_url, redis_url, *unshare) as made:
        children = Path(f"/proc/{made.process.pid}/task/{made.process.pid}/children")
        first = int(eventually(children.read_text, 10, "process 1 of the namespace"))
        time.sleep(after_s)
        os.kill(first, signal.SIGTERM)
        began = time.monotonic()
        assert made.process.wait(30) == 0
        assert time.monotonic() - began < 4


def test_a_port_in_use_is_said_in_one_line_that_names_the_setting(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with worker(tmp_path, database_url, redis_url, WORKER_PORT=str(port)) as made:
            assert made.process.wait(30) == 1
            (line,) = [line for line in made.said().splitlines() if line.startswith("worker:")]
            assert f"127.0.0.1:{port}" in line
            assert "WORKER_PORT" in line
            assert "Traceback" not in made.said()


@pytest.mark.long
def test_sighup_begins_it_anew_as_the_same_process(tmp_path: Path, database_url: str, redis_url: str) -> None:
    port = free_port()
    with worker(tmp_path, database_url, redis_url, WORKER_PORT=str(port)) as made:
        made.until_said("worker_started")
        made.process.send_signal(signal.SIGHUP)
        made.until_said("worker_started", 2)
        assert made.said().count("worker_stopped") == 1
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
        assert made.told(signal.SIGTERM) == 0


@pytest.mark.long
def test_after_an_outage_of_redis_every_worker_is_back_within_moments(
    tmp_path: Path, database_url: str, own_valkey: OwnServer
) -> None:
    """RQ's own pauses would be 16 s long by then. Foreign jobs show that both take from the queue again."""
    with (
        worker(tmp_path, database_url, own_valkey.url) as first,
        worker(tmp_path, database_url, own_valkey.url) as second,
    ):
        for made in (first, second):
            made.until_said("worker_started")
        own_valkey.stop()
        for made in (first, second):
            made.until_said("redis_away")
        time.sleep(16)
        own_valkey.start()
        began = time.monotonic()
        for made in (first, second):
            made.until_said("redis_back", within_s=10)
        assert time.monotonic() - began < 5, "two seconds where the machine is idle"
        for made in (first, second):
            assert made.said().count("redis_away") == 1
            assert "Traceback" not in made.said()
            assert made.told(signal.SIGTERM) == 0


@pytest.mark.long
def test_a_command_in_the_queue_of_a_running_worker_is_not_run(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """As somebody would do it who can write to Redis."""
    mark = tmp_path / "ran"
    with worker(tmp_path, database_url, redis_url) as made, redis.Redis.from_url(redis_url) as client:
        made.until_said("worker_started")
        data = zlib.compress(json.dumps(["subprocess.getoutput", None, [f"id > {mark}"], {}]).encode())
        client.hset("rq:job:evil", mapping={"data": data, "status": "queued", "origin": tickets.QUEUE})
        client.rpush(f"rq:queue:{tickets.QUEUE}", "evil")
        client.set("rq:suspended", "1")
        for worker_key in client.smembers("rq:workers"):
            name = worker_key.decode().removeprefix("rq:worker:")
            assert client.publish(f"rq:pubsub:{name}", json.dumps({"command": "shutdown"})) == 0, "nobody listens"
        made.until_said("foreign_jobs_dropped")
        assert made.process.poll() is None
        assert not mark.exists()
