"""Rooms per second from webhook to ledger: real receiver, real worker, real servers, a desk that answers at once.

Each round posts `rooms` webhooks of different rooms and ends when the ledger holds the last of them with an agent.
The floor is that of webhooks.py (Flask and one script call), measured in the same run.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg2

from scripts.measure import load, stage
from scripts.measure.stage import Stage

AGENTS = 200
CONNECTIONS = 50


def measure(rounds: int = 5, rooms: int = 10_000) -> dict[str, Any]:
    """Medians. `per_second`: rooms by the time from the first webhook sent to the last room held in the ledger."""
    with stage.servers() as (database_url, redis_url):
        env = {"MAX_AGENT_CHAT": "1000", "IDLE_SECONDS": "3600"}
        with Stage(database_url, redis_url, env) as ours, stage.floor(redis_url) as floor_port:
            ours.start_receiver()
            ours.start_instant_worker(AGENTS)
            found = [_round(ours, floor_port, rooms, number) for number in range(rounds)]
    figures = {name: round(median(f[name] for f in found)) for name in found[0]}
    ratio = round(median(f["per_second"] / f["floor"] for f in found), 2)
    return {**figures, "ratio": ratio, "setting": {"rounds": rounds, "rooms": rooms, "agents": AGENTS}}


def _round(ours: Stage, floor_port: int, rooms: int, number: int) -> dict[str, float]:
    floor = load.burst(floor_port, stage.requests(floor_port, range(2000)), CONNECTIONS, rooms).per_second
    first = 1_000_000 + number * rooms
    requests = stage.requests(ours.port, range(first, first + rooms))
    with _counting(ours.database_url) as held:
        started = time.monotonic()
        accepted = load.burst(ours.port, requests, CONNECTIONS, rooms)
        _until_held(held, rooms * (number + 1))
        took_s = time.monotonic() - started
    if accepted.refused:
        raise RuntimeError(f"{accepted.refused} webhooks were refused")
    tail_ms = 1000 * (took_s - accepted.elapsed_s)
    return {"per_second": rooms / took_s, "webhooks": accepted.per_second, "floor": floor, "tail_ms": tail_ms}


@contextmanager
def _counting(database_url: str) -> Iterator[Any]:
    conn = psycopg2.connect(database_url)
    conn.autocommit = True
    try:
        with conn.cursor() as cur:
            yield cur
    finally:
        conn.close()


def _until_held(cur: Any, count: int, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while True:
        cur.execute("SELECT count(*) FROM visits WHERE state = 'held'")
        if cur.fetchone()[0] >= count:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the ledger does not hold all rooms")
        time.sleep(0.01)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
