"""What the acts of a storm do to the product: each deed of `acts` by its name.

Whoever is hit is chosen at the moment. A deed whose servers are away fails, and that is weather too; what it began is
ended by its `ends` all the same.
"""

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg2
import redis
import requests

from scripts.storms.clocks import Clock
from testbed.house import House
from testbed.servers import OwnServer
from testbed.simulated import SimulatorRefused
from testbed.tenant import Tenant

How = dict[str, Any]
Item = TypeVar("Item")

LOCK_WAIT = "3s"  # until a foreign session has its lock, or gives up
CONNECT_S = 3
TROUBLE = (psycopg2.Error, redis.RedisError, requests.RequestException, SimulatorRefused, OSError)
WILD = {"webhook_copies": 3, "webhook_copy_gap_s": 2, "webhook_jitter_s": 2, "resolved_delay_s": 3}
ORDINARY = {"webhook_copies": 2, "webhook_copy_gap_s": 0.5, "webhook_jitter_s": 0, "resolved_delay_s": 0}
FORGED = "forged-{}"


class Deeds:
    """The hands of a storm. All but `neighbour` is done to the first tenant, or to all that tenants share."""

    def __init__(
        self,
        home: House,
        tenant: Tenant,
        neighbour: Tenant,
        servers: dict[str, OwnServer],
        clocks: dict[str, Clock],
        admin_url: str,
    ) -> None:
        self.home, self.tenant, self.neighbour = home, tenant, neighbour
        self.valkey, self.postgres = servers["redis"], servers["postgres"]
        self.clocks, self._admin_url = clocks, admin_url
        self.frozen: set[int] = set()
        self._away: list[int] = []
        self._deleted: int | None = None
        self._resolved: list[str] = []
        self._locks: dict[str, Any] = {}
        self.forged: set[int] = set()  # those that were accepted
        self._forged = 0

    def do(self, deed: str, how: How) -> bool:
        """False where it could not be done, for example because a server was away."""
        try:
            self._table()[deed](how)
        except TROUBLE:
            return False
        return True

    def end_all(self) -> None:
        """Good weather, whatever was begun; servers first, since the others need them."""
        for deed in self._table():
            if deed.endswith(" ends"):
                self.do(deed, {})
        for agent in self.tenant.sim.agents():
            self.tenant.sim.delete_agent(agent["id"], False)
            self.tenant.sim.online(agent["id"])

    def supervise(self) -> int:
        """Workers that ended by themselves are started again, as the launcher does; how many had."""
        ended = [n for n, process in enumerate(self.home.workers) if process is not None and process.poll() is not None]
        for number in ended:
            self.frozen.discard(number)
            self.home.start_worker(number)
        return len(ended)

    def _table(self) -> dict[str, Callable[[How], None]]:
        return {
            **self._for_servers(),
            "customers": lambda how: self._customers(how["count"]),
            "a neighbour's customer": lambda how: self._neighbours_customer(),
            "kill a worker": self._kill_worker,
            "freeze a worker": self._freeze_worker,
            "freeze a worker ends": lambda how: self._thaw_workers(),
            "resolve": lambda how: self._control("POST", "resolve", {**how, "by": "admin"}),
            "return": lambda how: self._control("POST", "returns", how),
            "agents leave": self._agents_leave,
            "agents leave ends": lambda how: self._agents_come_back(),
            "agents flicker": self._agents_flicker,
            "delete an agent": self._delete_agent,
            "delete an agent ends": lambda how: self._hire_again(),
            "refuse an agent": self._refuse_agent,
            "refuse an agent ends": lambda how: self._faults(fail_agents={}),
            "assigns hang": lambda how: self._faults(hang_assign_p=how["share"]),
            "assigns hang ends": lambda how: self._faults(hang_assign_p=0),
            "resolve what is under way": self._resolve_under_way,
            "the resolved write again": lambda how: self._write_again(),
            "lock the tenant": lambda how: self._lock("tenant", "SELECT 1 FROM tenants WHERE id = %s FOR UPDATE"),
            "lock the tenant ends": lambda how: self._unlock("tenant"),
            "lock an agent": lambda how: self._lock(
                "agent", "SELECT 1 FROM agents WHERE tenant = %s ORDER BY open_seats DESC LIMIT 1 FOR UPDATE"
            ),
            "lock an agent ends": lambda how: self._unlock("agent"),
            "give by hand": self._give_by_hand,
            "move by hand": self._move_by_hand,
            "webhooks go wild": lambda how: self._faults(**WILD),
            "webhooks go wild ends": lambda how: self._faults(**ORDINARY),
            "forge": self._forge,
        }

    def _for_servers(self) -> dict[str, Callable[[How], None]]:
        """The ends put a server right whatever was begun."""
        return {
            "restart the receiver": lambda how: self.home.restart_receiver(until_ready=False),
            "empty Redis": lambda how: self._redis("FLUSHALL"),
            "kill Redis": lambda how: _restart(self.valkey),
            "freeze Redis": lambda how: self.valkey.freeze(),
            "freeze Redis ends": lambda how: self.valkey.thaw(),
            "fill Redis": lambda how: self._redis("CONFIG", "SET", "maxmemory", "1"),
            "fill Redis ends": lambda how: self._redis("CONFIG", "SET", "maxmemory", "0"),
            "make Redis a replica": lambda how: self._redis("REPLICAOF", "127.0.0.1", "9"),
            "make Redis a replica ends": lambda how: self._redis("REPLICAOF", "NO", "ONE"),
            "make Redis want replicas": lambda how: self._redis("CONFIG", "SET", "min-replicas-to-write", "1"),
            "make Redis want replicas ends": lambda how: self._redis("CONFIG", "SET", "min-replicas-to-write", "0"),
            "kill PostgreSQL": lambda how: _restart(self.postgres),
            "freeze PostgreSQL": lambda how: self.postgres.freeze(),
            "freeze PostgreSQL ends": lambda how: self.postgres.thaw(),
            "make PostgreSQL read-only": lambda how: self._read_only("on"),
            "make PostgreSQL read-only ends": lambda how: self._read_only("off"),
            "step PostgreSQL's clock": lambda how: self.clocks["postgres"].step(how["by_s"]),
            "step PostgreSQL's clock ends": lambda how: self._put_right("postgres"),
            "step Redis's clock": lambda how: self.clocks["redis"].step(how["by_s"]),
            "step Redis's clock ends": lambda how: self._put_right("redis"),
        }

    # --- customers

    def _customers(self, count: int) -> None:
        """Half of them have been here before, where enough have; what their webhooks say proves more."""
        known = min(count // 2, self.tenant.sim.state()["resolved_total"])
        if known:
            self._control("POST", "returns", {"count": known})
        self.tenant.sim.add_customers(count - known) if count > known else None

    def _neighbours_customer(self) -> None:
        self.neighbour.sim.add_customers(1)

    def _resolve_under_way(self, how: How) -> None:
        """Rooms whose assign call is under way, as the ledger has it now: only to know whom to hit. Customers who came
        back go first: their webhooks say more, and more is believed of them."""
        sql = "SELECT room FROM visits WHERE tenant = %s AND state = 'reserved' ORDER BY base_proved DESC, id"
        rooms = [row.room for row in self.home.rows(sql, self.tenant.id)]
        for room in rooms[: how["count"]]:
            with suppress(SimulatorRefused):  # resolved already, or forged
                self.tenant.sim.resolve(room, "admin")
                self._resolved.append(room)

    def _write_again(self) -> None:
        rooms, self._resolved = self._resolved, []
        for room in rooms:
            self.tenant.sim.write_again(room)

    def _forge(self, how: How) -> None:
        """At the receiver's own doors, without a room at the desk."""
        app = self.tenant.id
        for _ in range(how["arrivals"]):
            self._forged += 1
            if self.home.try_arrive(FORGED.format(self._forged), app) == 200:
                self.forged.add(self._forged)
        for n in range(how["resolves"]):
            body = {"service": {"id": n + 1, "room_id": FORGED.format(self._forged + 1_000_000 + n)}}
            requests.post(f"{self.home.url}/{app}/mark-as-solved/webhook", json=body, timeout=5)

    # --- agents and supervisors

    def _agents(self, *, online: bool) -> list[int]:
        return [a["id"] for a in self.tenant.sim.agents() if a["online"] is online and not a["deleted"]]

    def _agents_leave(self, how: How) -> None:
        here = self._agents(online=True)
        self._away = _some(here, how["pick"], min(how["count"], len(here) // 2))
        for agent in self._away:
            self.tenant.sim.online(agent, False)

    def _agents_come_back(self) -> None:
        for agent in self._away:
            self.tenant.sim.online(agent)

    def _agents_flicker(self, how: How) -> None:
        for agent in _some(self._agents(online=True), how["pick"], how["count"]):
            self.tenant.sim.online(agent, False)
            self.tenant.sim.online(agent)

    def _delete_agent(self, how: How) -> None:
        for agent in _some(self._agents(online=True), how["pick"], 1):
            self.tenant.sim.delete_agent(agent)
            self._deleted = agent

    def _hire_again(self) -> None:
        if self._deleted is not None:
            self.tenant.sim.delete_agent(self._deleted, False)
            self._deleted = None

    def _refuse_agent(self, how: How) -> None:
        for agent in _some(self._agents(online=True), how["pick"], 1):
            self._faults(fail_agents={str(agent): how["status"]})

    def _give_by_hand(self, how: How) -> None:
        for agent in _some(self._agents(online=True), how["pick"], 1):
            for room in self.tenant.sim.waiting()[: how["count"]]:
                self.tenant.sim.assign(room, agent)

    def _move_by_hand(self, how: How) -> None:
        for agent in _some(self._agents(online=True), how["pick"], 1):
            held = [room for room, inside in self.tenant.sim.holders().items() if agent not in inside]
            for room in _some(held, how["pick"], how["count"]):
                with suppress(SimulatorRefused):  # it ended meanwhile
                    self.tenant.sim.assign(room, agent)

    def _faults(self, **switches: object) -> None:
        self.tenant.sim.faults(**switches)

    def _control(self, method: str, what: str, body: How) -> None:
        self.tenant.sim.control(method, what, body)

    # --- workers and servers

    def _kill_worker(self, how: How) -> None:
        number = int(how["pick"] * len(self.home.workers))
        self.frozen.discard(number)
        self.home.kill_worker(number)
        self.home.start_worker(number)

    def _freeze_worker(self, how: How) -> None:
        number = int(how["pick"] * len(self.home.workers))
        self.home.signal_worker(signal.SIGSTOP, number)
        self.frozen.add(number)

    def _thaw_workers(self) -> None:
        for number in self.frozen:
            self.home.signal_worker(signal.SIGCONT, number)
        self.frozen.clear()

    def _redis(self, *command: str) -> None:
        """On a connection of its own: the house's may belong to a server that was killed."""
        with redis.Redis.from_url(self.valkey.url, socket_timeout=CONNECT_S) as client:
            client.execute_command(*command)

    def _read_only(self, value: str) -> None:
        self._admin(
            "SET default_transaction_read_only = off", f"ALTER SYSTEM SET default_transaction_read_only = {value}"
        )

    def _admin(self, *statements: str) -> None:
        conn = psycopg2.connect(self._admin_url, connect_timeout=CONNECT_S)
        try:
            conn.autocommit = True
            for statement in (*statements, "SELECT pg_reload_conf()"):
                conn.cursor().execute(statement)
        finally:
            conn.close()

    def _put_right(self, server: str) -> None:
        if server in self.clocks:
            self.clocks[server].step(0)

    def _lock(self, name: str, sql: str) -> None:
        """A session of somebody else's takes the row and keeps it."""
        conn = psycopg2.connect(self.home.database_url, connect_timeout=CONNECT_S, application_name="a foreign session")
        try:
            cur = conn.cursor()
            cur.execute(f"SET lock_timeout = '{LOCK_WAIT}'; SET idle_in_transaction_session_timeout = 0")
            cur.execute(sql, (self.tenant.id,))
        except psycopg2.Error:
            conn.close()
            raise
        self._locks[name] = conn

    def _unlock(self, name: str) -> None:
        if conn := self._locks.pop(name, None):
            conn.close()


def _restart(server: OwnServer) -> None:
    server.kill()
    server.start()


def _some(items: list[Item], pick: float, count: int) -> list[Item]:
    """So many, from a place that `pick` chooses; around the end it goes on at the beginning."""
    begin = int(pick * len(items))
    return (items[begin:] + items[:begin])[:count]
