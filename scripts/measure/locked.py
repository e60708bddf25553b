"""One tenant's row is locked for a minute, by a session that is idle in its transaction: how long does another tenant's
freed seat take to the next assign call?

Through everything, with two workers over servers of the production's durability. The floor is the same for ten seconds
before anything is locked.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from statistics import quantiles
from typing import Any

import psycopg2
import requests

from scripts.measure import stage
from testbed.house import AS_INSTALLED, House, street
from testbed.servers import free_port
from testbed.tenant import Tenant

BEFORE_S, LOCKED_S = 10.0, 60.0
GAP_S = 0.05  # between samples
TENANT = "SELECT 1 FROM tenants WHERE id = %s FOR UPDATE"


def measure(rounds: int = 1) -> dict[str, Any]:
    """`ours` and `floor` in milliseconds. Raises `RuntimeError` where a worker calls itself unwell, or a pair was
    claimed twice."""
    free, locked_ms = [], []
    ports = (free_port(), free_port())
    with (
        stage.servers() as (database_url, redis_url),
        street(database_url, redis_url, DESK_LAG_SECONDS="2", WORKER_PORT=str(ports[0]), **AS_INSTALLED) as home,
    ):
        home.start_worker(WORKER_PORT=str(ports[1]))
        shop, other = served(home, "locked"), served(home, "other")
        for _ in range(rounds):
            free += _waits(other, BEFORE_S, ports)
            with locked(home, TENANT, shop.id):
                for room in list(shop.sim.holders())[:3]:
                    shop.sim.resolve(room)
                shop.sim.add_customers(3)
                locked_ms += _waits(other, LOCKED_S, ports)
            shop.until_states(held=6, reserved=0)
        twice = home.rows("SELECT room FROM visits WHERE attempt > 1")
    if twice:
        raise RuntimeError(f"claimed twice: {len(twice)}")
    figures = {"ours": _quantiles(locked_ms), "floor": _quantiles(free)}
    ratio = {name: round(figures["ours"][name] / figures["floor"][name], 2) for name in ("p50_ms", "p99_ms")}
    return {**figures, "ratio": ratio, "setting": {"rounds": rounds, "locked_s": LOCKED_S, "workers": 2}}


def served(home: House, name: str) -> Tenant:
    """Three agents with two chats each, and customers who wait."""
    tenant = home.new_tenant(name, agents=3, offline=0)
    tenant.sim.add_customers(12)
    tenant.until_states(held=6, waiting=6, reserved=0)
    return tenant


@contextmanager
def locked(home: House, sql: str, *values: Any) -> Iterator[None]:
    """An admin's session that is idle in its transaction."""
    with closing(psycopg2.connect(home.database_url)) as holder:
        with holder.cursor() as cur:
            cur.execute("SET idle_in_transaction_session_timeout = 0")
            cur.execute(sql, values or None)
        yield


def next_ms(tenant: Tenant) -> float:
    """From a resolve to the next customer's assign call."""
    (room, *_) = tenant.sim.holders()
    before = len(tenant.calls())
    began = time.monotonic()
    tenant.sim.resolve(room)
    tenant.sim.add_customers(1)
    tenant.until(lambda: len(tenant.calls()) > before, 10, "the next assign call")
    return float((tenant.calls()[-1]["mono"] - began) * 1000)


def _waits(tenant: Tenant, seconds: float, ports: tuple[int, int]) -> list[float]:
    found, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        found.append(next_ms(tenant))
        for port in ports:
            answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2)
            if answer.status_code != 200:
                raise RuntimeError(f"a worker calls itself unwell: {answer.text}")
        time.sleep(GAP_S)
    return found


def _quantiles(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=100)
    return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "most_ms": round(max(values), 1)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
