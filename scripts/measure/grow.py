"""From a seat that gets free to the next assign call, when all has grown: many agents, many tenants, a long line.

Each grown case is measured beside a small one in the same run, sample by sample in turns, each with a worker and
servers of its own, so that the ratio is what growth costs and nothing else.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

import psycopg2
import redis

from db import tickets
from db.inbox import ARRIVED
from db.push import PUSH, Webhook, push_call, pushed
from scripts.measure import stage
from scripts.measure.instant import OTHER, OTHERS_AGENTS, TELL
from scripts.measure.seats import GAP_S, LIMIT, SENDER, Lines, resolve
from scripts.measure.stage import TENANT, Stage

SAMPLES_A_ROUND, WARM_UP = 100, 20
PIPELINE = 500  # webhooks in one round trip
PATIENCE_S = 180.0
CALM_LOOKS = 3  # so often in a row, a tenth of a second apart, no job waits
OTHERS_WAITING = 20  # rooms of each other tenant


@dataclass(frozen=True)
class Size:
    agents: int = 20
    tenants: int = 1
    waiting: int = 1000


SMALL = Size()
GROWN = {
    "agents": Size(agents=3000),
    "tenants": Size(tenants=300),
    "waiting": Size(waiting=100_000),
}


def measure(rounds: int = 3) -> dict[str, Any]:
    """Milliseconds, p50 and p95 of each case beside its small one; `ratio`: the grown p50 by the small one."""
    figures = {name: _beside(name, size, rounds * SAMPLES_A_ROUND) for name, size in GROWN.items()}
    ratio = {name: round(found["p50_ms"] / found["small_p50_ms"], 2) for name, found in figures.items()}
    ratio |= {f"{n}_p95": round(found["p95_ms"] / found["small_p95_ms"], 2) for n, found in figures.items()}
    sizes = {name: asdict(size) for name, size in {"small": SMALL, **GROWN}.items()}
    return {**figures, "ratio": ratio, "setting": {"samples": rounds * SAMPLES_A_ROUND, "limit": LIMIT, **sizes}}


def _beside(name: str, size: Size, samples: int) -> dict[str, float]:
    _progress(f"{name}: {size.agents} agents, {size.tenants} tenants, {size.waiting} rooms wait: filling ...")
    small_ms, grown_ms = [], []
    with _scene(SMALL) as small, _scene(size) as grown:
        _progress(f"{name}: {samples} samples of each ...")
        for number in range(-WARM_UP, samples):
            took_s = small(number + WARM_UP + 1), grown(number + WARM_UP + 1)
            if number >= 0:
                small_ms.append(1000 * took_s[0])
                grown_ms.append(1000 * took_s[1])
    return {**_shown(small_ms, "small_"), **_shown(grown_ms)}


@contextmanager
def _scene(size: Size) -> Iterator[Callable[[int], float]]:
    """A tenant with every seat taken and a line behind, beside others like it. Gives what frees a seat and waits for
    the next assign call: seconds."""
    with (
        stage.servers() as (database_url, redis_url),
        Stage(database_url, redis_url, {"MAX_AGENT_CHAT": str(LIMIT)}) as ours,
        redis.Redis.from_url(redis_url) as client,
        redis.Redis.from_url(redis_url) as jobs,
    ):
        worker, queue = Lines(ours.start_instant_worker(size.agents, **{TELL: "1"})), tickets.queue(jobs)
        seats = size.agents * LIMIT
        _arrive(client, queue, range(seats))
        holding = [worker.next("assigned")[0] for _ in range(seats)]
        _arrive(client, queue, range(seats, seats + size.waiting))
        _add_others(database_url, size.tenants - 1)
        _until_stored(database_url, seats, size.waiting)
        _analyze(database_url)
        _until_calm(queue)

        def sample(number: int) -> float:
            took_s = resolve(client, queue, worker, holding, number)
            time.sleep(GAP_S)
            return took_s

        yield sample


def _arrive(client: Any, queue: Any, rooms: range) -> None:
    """Webhooks as the receiver stores them, many in a round trip."""
    for first in range(rooms.start, rooms.stop, PIPELINE):
        pipe, job_ids = client.pipeline(transaction=False), []
        for room in range(first, min(first + PIPELINE, rooms.stop)):
            keys, args, job_id = push_call(Webhook(ARRIVED, str(room), "1", "qiscus"), SENDER)
            pipe.eval(PUSH.text, len(keys), *keys, *args)
            job_ids.append(job_id)
        for answer, job_id in zip(pipe.execute(), job_ids, strict=True):
            if pushed(answer, job_id).job_id:
                tickets.enqueue(queue, TENANT, job_id)


def _add_others(database_url: str, tenants: int) -> None:
    """Other tenants whose seats are all taken and whose rooms wait; their rosters become due one after another."""
    size = {"tenants": tenants, "agents": OTHERS_AGENTS, "waiting": OTHERS_WAITING, "limit": LIMIT}
    conn = psycopg2.connect(database_url)
    with conn, conn.cursor() as cur:
        for statement in _OTHERS:
            cur.execute(statement, {**size, "ours": TENANT, "other": OTHER})
    conn.close()


_OTHERS = (
    """INSERT INTO tenants (id, base_url, secret_key)
       SELECT %(other)s || n, 'http://127.0.0.1:9', 'x' FROM generate_series(1, %(tenants)s) n""",
    """INSERT INTO agents (tenant, id, available, max_load)
       SELECT t.id, a::text, true, %(limit)s FROM tenants t, generate_series(1, %(agents)s) a WHERE t.id <> %(ours)s""",
    """INSERT INTO rosters (tenant, class, read_at, due_at)
       SELECT id, '1', now(), now() + random() * interval '30 s' FROM tenants WHERE id <> %(ours)s""",
    "INSERT INTO eligible (tenant, class, agent) SELECT tenant, '1', id FROM agents WHERE tenant <> %(ours)s",
    """INSERT INTO visits (tenant, room, class, arrived_us, state, agent, last_agent, seat_limit,
                           reserved_at, settled_at)
       SELECT a.tenant, a.id || '-' || s, '1', 1, 'held', a.id, a.id, %(limit)s, now(), now()
         FROM agents a, generate_series(1, %(limit)s) s WHERE a.tenant <> %(ours)s""",
    """INSERT INTO visits (tenant, room, class, arrived_us, state)
       SELECT t.id, 'w' || n, '1', n, 'waiting' FROM tenants t, generate_series(1, %(waiting)s) n
        WHERE t.id <> %(ours)s""",
)


def _until_stored(database_url: str, held: int, waiting: int) -> None:
    conn = psycopg2.connect(database_url)
    conn.autocommit = True
    deadline = time.monotonic() + PATIENCE_S
    with conn.cursor() as cur:
        while True:
            cur.execute(
                "SELECT count(*) FILTER (WHERE state = 'held') >= %s"
                " AND count(*) FILTER (WHERE state = 'waiting') >= %s FROM visits WHERE tenant = %s",
                (held, waiting, TENANT),
            )
            if cur.fetchone() == (True,):
                break
            if time.monotonic() > deadline:
                raise TimeoutError("the worker did not take all rooms")
            time.sleep(0.2)
    conn.close()


def _until_calm(queue: Any) -> None:
    """The first look at all tenants at once is over: no job waits."""
    deadline = time.monotonic() + PATIENCE_S
    calm = 0
    while calm < CALM_LOOKS:
        if time.monotonic() > deadline:
            raise TimeoutError("jobs still wait: this machine is too slow, or too busy, for so many tenants")
        time.sleep(0.1)
        calm = calm + 1 if queue.count == 0 else 0


def _analyze(database_url: str) -> None:
    """What autovacuum does within a minute."""
    conn = psycopg2.connect(database_url)
    conn.autocommit = True
    conn.cursor().execute("ANALYZE")
    conn.close()


def _shown(values: list[float], prefix: str = "") -> dict[str, float]:
    cuts = quantiles(values, n=100)
    return {f"{prefix}p50_ms": round(cuts[49], 2), f"{prefix}p95_ms": round(cuts[94], 2)}


def _progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
