"""Where measurements run: servers with the production's durability, the product's own processes, the floor's server."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from db import inbox, migrate
from scripts.measure import load
from testbed import servers as own
from testbed.servers import free_port

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = ROOT / "testbed" / "payloads" / "webhook_caa_modern.json"
TENANT = "demo-qiscus"
PATH = "/allocate-agent/webhook"
START_S = 20.0


@contextmanager
def servers() -> Iterator[tuple[str, str]]:
    """A migrated PostgreSQL and a Valkey of this measurement alone: their URLs."""
    with own.running_postgres(fast=False) as database, own.running_valkey(fast=False) as valkey:
        migrate.migrate(database.url)
        yield database.url, valkey.url


def requests(port: int, rooms: Iterable[int]) -> list[bytes]:
    """Webhooks of different rooms, modelled on a real one."""
    payload = json.loads(PAYLOAD.read_text())
    bodies = (json.dumps({**payload, "app_id": TENANT, "room_id": str(room)}) for room in rooms)
    return [load.request(f"127.0.0.1:{port}", PATH, body.encode()) for body in bodies]


class Stage:
    """Processes of the product over the given servers; all end with the `with` block."""

    def __init__(self, database_url: str, redis_url: str, env: dict[str, str]) -> None:
        self.database_url, self.redis_url = database_url, redis_url
        self.port, self.sim_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="giliran-measure-")
        self.env = {**os.environ, "DEMO": "1", "DATABASE_URL": database_url, "REDIS_URL": redis_url}
        self.env |= {"GILIRAN_DATA": self._folder.name, "PORT": str(self.port), "SIM_PORT": str(self.sim_port), **env}
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(START_S * 2)
        self._folder.cleanup()

    def start_receiver(self, app: str = "receiver.app:create_app()") -> None:
        self.start([sys.executable, "-m", "gunicorn", "--config", "receiver/gunicorn.conf.py", app])
        wait(lambda: load.burst(self.port, [load.request("x", "/", b"")], 1, 1).refused == 1)
        time.sleep(1)  # its other process

    def start_worker(self) -> None:
        self.start([sys.executable, "-m", "worker"])
        self._published()

    def start_instant_worker(self, agents: int, **env: str) -> subprocess.Popen[bytes]:
        process = self.start([sys.executable, "-m", "scripts.measure.instant", str(agents)], **env)
        self._published()
        return process

    def _published(self) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            wait(lambda: bool(client.exists(inbox.TENANTS)))

    def start(self, command: Sequence[str], **env: str) -> subprocess.Popen[bytes]:
        log = (Path(self._folder.name) / f"log{len(self._processes)}").open("wb")
        process = subprocess.Popen(
            command, cwd=ROOT, env={**self.env, **env}, stdout=subprocess.PIPE if env else log, stderr=log
        )
        self._processes.append(process)
        return process


@contextmanager
def floor(redis_url: str) -> Iterator[int]:
    """The port of the floor's server, served exactly as the receiver is."""
    with Stage("postgresql://unused", redis_url, {}) as stage:
        stage.start_receiver(f"scripts.measure.floor:create_app('{redis_url}')")
        yield stage.port


def wait(ready: Callable[[], Any]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if ready():
                return
        except (OSError, redis.RedisError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("a process of the measurement did not start")
        time.sleep(0.05)
