"""The whole product for a path test: a real receiver and real workers, over the test's own servers and simulator.

with house(database_url, redis_url, sim_port) as home:
    home.kill_worker(0)       # SIGKILL, and it stays dead until start_worker

with street(databases, redis_databases) as home:      # a simulator too; a tenant, with a desk of its own, costs 0.3 s
    shop = home.new_tenant("shop", agents=4)
    shop.sim.add_customers(10)
    shop.until_states(held=8, waiting=2)
    shop.judge(limit=2)       # by the desk's own history, and the ledger against the desk
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from db.inbox import TENANTS
from testbed.installation import APP, LAG_S, Installation
from testbed.log_checks import leaks, stack_traces
from testbed.servers import Databases, RedisDatabases, free_port
from testbed.simulated import Sim, simulator
from testbed.tenant import Tenant

AS_INSTALLED: Any = {"GUNICORN_CMD_ARGS": ""}


class House(Installation):
    """An installation whose tenants have desks at a simulator."""

    # --- tenants

    @property
    def sim(self) -> Sim:
        """The simulator's first app; a house of `street` has one."""
        assert self._sim is not None
        return self._sim

    def first_tenant(self) -> Tenant:
        """The one of the settings."""
        return Tenant(self, self.sim)

    def new_tenant(self, name: str = "tenant", *, app: str | None = None, **plan: Any) -> Tenant:
        """One more, with an app of its own at the simulator (`plan`: agents, offline, supervisors, page_size), known
        to the receivers when this returns. `app`: its id, where that matters; it may be at the simulator already."""
        app_id = app or f"{name}-{next(self._names)}"
        if app_id not in {known["app_id"] for known in self.sim.control("GET", "apps")}:
            self.sim.control("POST", "apps", {"app_id": app_id, "secret_key": "demo-secret", **plan})
        sql = "INSERT INTO tenants (id, base_url, secret_key) VALUES (%s, %s, 'demo-secret')"
        self.run(sql, app_id, self.sim.url)
        self.until(lambda: self.redis.hexists(TENANTS, app_id), 10, f"tenant {app_id} is published")
        return Tenant(self, self.sim.of(app_id))

    def forget_tenants(self) -> None:
        """All but that of the settings; what they leave in Redis has names of its own."""
        self.run("DELETE FROM visits WHERE tenant <> %s", APP)
        self.run("DELETE FROM tenants WHERE id <> %s", APP)


@contextmanager
def house(
    database_url: str,
    redis_url: str,
    sim_port: int,
    *,
    port: int | None = None,
    workers: int = 1,
    receiver: bool = True,
    **env: str,
) -> Iterator[House]:
    """Settings of the product as keyword arguments, upper case. Fast clocks by default: a test has no minutes. One
    process receives; as many as in an installation with `**AS_INSTALLED`."""
    with tempfile.TemporaryDirectory(prefix="giliran-house-") as folder:
        given = {
            **{name: value for name, value in os.environ.items() if not name.startswith("QISCUS")},
            "DEMO": "1",
            "HOST": "127.0.0.1",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "GILIRAN_DATA": folder,
            "GUNICORN_CMD_ARGS": "--workers 1",
            "PORT": str(port or free_port()),
            "SIM_PORT": str(sim_port),
            "RETRY_SECONDS": "3",
            "IDLE_SECONDS": "5",
            "DESK_LAG_SECONDS": str(LAG_S),
            **env,
        }
        home = House(given, database_url, redis_url, Path(folder))
        try:
            for _ in range(workers):
                home.start_worker()
            if receiver:
                home.start_receiver()
            yield home
        finally:
            home.stop()


@contextmanager
def street(
    databases: Databases | str,
    redis_databases: RedisDatabases | str,
    *,
    workers: int = 1,
    sim: Any = None,
    **env: str,
) -> Iterator[House]:
    """A house and its simulator, over a clean piece of the given servers or over servers of the test's own (URLs).
    `sim`: how the simulator is started. The house must have ended without a stack trace and without having
    told its log what does not belong there."""
    port, sim_port = free_port(), free_port()
    plan = {"prefix": f"/{APP}", **(sim or {})}
    with (
        piece_of(databases, redis_databases) as (database_url, redis_url),
        simulator(f"http://127.0.0.1:{port}", port=sim_port, **plan) as desk,
        house(database_url, redis_url, sim_port, port=port, workers=workers, receiver=True, **env) as home,
    ):
        home._sim = desk
        yield home
        served = home.log("receiver")
        home.stop()
        traces = stack_traces(served) + stack_traces(home.log("worker*"))
        assert not traces, traces[0][:3000]
        assert not leaks(home.log()), leaks(home.log())[:5]


@contextmanager
def piece_of(databases: Databases | str, redis_databases: RedisDatabases | str) -> Iterator[tuple[str, str]]:
    """URLs of a database and a Redis that are clean, or those that were given."""
    redis_url = redis_databases if isinstance(redis_databases, str) else redis_databases.next_url()
    if isinstance(databases, str):
        yield databases, redis_url
        return
    with databases.clone() as database_url:
        yield database_url, redis_url
