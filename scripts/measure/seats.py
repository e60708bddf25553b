"""From a seat that gets free to the assign call at the desk, while rooms wait. Milliseconds, p50 and p99.

Ours: a resolve is pushed as the receiver pushes it (script call, ticket), a real worker decides, and the desk's assign
is called for the next in line. The floor, sample by sample in turns in the same run: one Redis round trip, one commit
of one row, and RQ's own way from enqueue to the body of a job.
"""

import json
import subprocess
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

import psycopg2
import redis

from db import tickets
from db.inbox import ARRIVED, RESOLVED
from db.push import PUSH, Sender, Webhook, push_call, pushed
from scripts.measure import echo_job, stage
from scripts.measure.instant import TELL
from scripts.measure.stage import TENANT, Stage

AGENTS, LIMIT = 20, 2
GAP_S = 0.01  # between samples: a desk at work, not a burst
DEADLINE_S = 5.0
SENDER = Sender(TENANT, True, True, "")


class Lines:
    """The lines that a process prints: `<word> <key> <monotonic s>`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._out = process.stdout

    def next(self, word: str) -> tuple[str, float]:
        while True:
            parts = self._out.readline().decode().split()
            if not parts:
                raise RuntimeError("the measured process ended")
            if parts[0] == word:
                return parts[1], float(parts[2])


def measure(samples: int = 500) -> dict[str, Any]:
    """`ours` and `floor` in milliseconds; `ratio` of each quantile."""
    with stage.servers() as (database_url, redis_url):
        env = {"MAX_AGENT_CHAT": str(LIMIT), "IDLE_SECONDS": "3600"}
        with Stage(database_url, redis_url, env) as ours:
            worker = Lines(ours.start_instant_worker(AGENTS, **{TELL: "1"}))
            floor = Lines(ours.start([stage.PYTHON, "-m", "scripts.measure.echo_job", redis_url], OUT="pipe"))
            found = _sample(worker, floor, database_url, redis_url, samples)
    figures = {name: _quantiles(values) for name, values in found.items()}
    ratio = {name: round(figures["ours"][name] / figures["floor"][name], 2) for name in ("p50_ms", "p99_ms")}
    return {**figures, "ratio": ratio, "setting": {"samples": samples, "agents": AGENTS, "limit": LIMIT}}


def _sample(worker: Lines, floor: Lines, database_url: str, redis_url: str, samples: int) -> dict[str, list[float]]:
    client = redis.Redis.from_url(redis_url)
    queue = tickets.queue(redis.Redis.from_url(redis_url))
    holding = _fill(client, queue, worker, samples + 20)
    once = _floor_step(client, database_url, redis_url, floor)
    found: dict[str, list[float]] = {"ours": [], "floor": []}
    for number in range(-20, samples):
        took = {"ours": resolve(client, queue, worker, holding, number + 21), "floor": once(number)}
        time.sleep(GAP_S)
        if number >= 0:  # the first ones warm up
            for name, seconds in took.items():
                found[name].append(1000 * seconds)
    return found


def push(client: Any, queue: Any, webhook: Webhook) -> None:
    """As the receiver does."""
    keys, args, job_id = push_call(webhook, SENDER)
    done = pushed(client.eval(PUSH.text, len(keys), *keys, *args), job_id)
    if done.job_id:
        tickets.enqueue(queue, TENANT, done.job_id)


def _fill(client: Any, queue: Any, worker: Lines, waiting: int) -> list[str]:
    """Every seat taken and a line behind; the rooms that hold the seats, oldest first."""
    for number in range(AGENTS * LIMIT + waiting):
        push(client, queue, Webhook(ARRIVED, str(number), "1", "qiscus"))
    return [worker.next("assigned")[0] for _ in range(AGENTS * LIMIT)]


def resolve(client: Any, queue: Any, worker: Lines, holding: list[str], service: int) -> float:
    room = holding.pop(0)
    started = time.monotonic()
    push(client, queue, Webhook(RESOLVED, room, service=str(service), first_comment_id=f"first-{room}"))
    served, at = worker.next("assigned")
    holding.append(served)
    return at - started


def _floor_step(client: Any, database_url: str, redis_url: str, floor: Lines) -> Callable[[int], float]:
    jobs = echo_job.queue(redis_url)
    conn = psycopg2.connect(database_url)
    script = client.register_script("return redis.call('RPUSH', KEYS[1], ARGV[1])")

    def once(number: int) -> float:
        started = time.monotonic()
        script(keys=["floor"], args=[number])
        with conn, conn.cursor() as cur:
            cur.execute("INSERT INTO refused (tenant, entry_id, reason) VALUES ('floor', %s, '')", (str(number),))
        jobs.enqueue(echo_job.JOB, number, result_ttl=0)
        return floor.next("body")[1] - started

    return once


def _quantiles(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
