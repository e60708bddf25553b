"""The whole product for a path test: a real receiver and real workers, over the test's own servers and simulator.

with house(database_url, redis_url, sim_port) as home:
    home.kill_worker(0)       # SIGKILL, and it stays dead until start_worker

with street(databases, redis_databases) as home:      # a simulator too; a tenant, with a desk of its own, costs 0.3 s
    shop = home.new_tenant("shop", agents=4)
    shop.sim.add_customers(10)
    shop.until_states(held=8, waiting=2)
    shop.judge(limit=2)       # by the desk's own history, and the ledger against the desk
"""

import itertools
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis
import requests
from psycopg2.extras import NamedTupleCursor

from db.inbox import TENANTS, key
from scripts.storms import judge
from tests.deadlines import eventually
from tests.servers import Databases, RedisDatabases, free_port
from tests.simulated import Sim, simulator

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
APP = "demo-qiscus"
LAG_S = 2  # DESK_LAG_SECONDS of these houses
READY_S = 30  # a receiver, and a worker that publishes the tenants; a second on a machine that has nothing else to do
FINISH_S = 4.0  # what a process gets after SIGTERM at the end of a test; then a second one, then SIGKILL

Event = dict[str, Any]


class House:
    def __init__(self, env: dict[str, str], database_url: str, redis_url: str, logs: Path) -> None:
        self.env = env
        self.database_url = database_url
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self.url = f"http://127.0.0.1:{env['PORT']}"
        self.workers: list[subprocess.Popen[bytes] | None] = []
        self.receiver: subprocess.Popen[bytes] | None = None
        self._logs = logs
        self._http = requests.Session()
        self._looks: Any = None
        self._sim: Sim | None = None
        self._names = itertools.count(1)

    # --- processes

    def start_receiver(self, until_ready: bool = True) -> None:
        command = [str(BIN / "gunicorn"), "--config", "receiver/gunicorn.conf.py", "receiver.app:create_app()"]
        self.receiver = self._start(command, "receiver")
        if until_ready:
            self.until(self._ready, READY_S, "the receiver's readiness")

    def restart_receiver(self, until_ready: bool = True) -> None:
        """SIGTERM, and a new one on the same port. It is not ready before Redis is."""
        assert self.receiver is not None
        self._http.close()
        self.receiver.send_signal(signal.SIGTERM)
        self.receiver.wait(15)
        self.start_receiver(until_ready)

    def _ready(self) -> bool:
        try:
            return self._http.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def start_worker(self, number: int | None = None, **env: str) -> int:
        """The next number, or again the one of a worker that has ended; so is its log called."""
        number = len(self.workers) if number is None else number
        process = self._start([sys.executable, "-m", "worker"], f"worker{number}", env)
        self.workers[number:] = [process, *self.workers[number + 1 :]]
        return number

    def kill_worker(self, number: int = 0) -> None:
        self.signal_worker(signal.SIGKILL, number)
        self._worker(number).wait(10)

    def signal_worker(self, what: signal.Signals, number: int = 0) -> None:
        self._worker(number).send_signal(what)

    def ended(self, number: int = 0, within_s: float = 15.0) -> int:
        """The exit code of a worker, once it has ended."""
        return self._worker(number).wait(within_s)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """One more, for as long as the block lasts."""
        number = self.start_worker()
        try:
            yield
        finally:
            self.signal_worker(signal.SIGTERM, number)
            self.ended(number)

    def only_worker(self) -> None:
        """The first one runs, the others are gone."""
        for process in filter(None, self.workers):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        while len(self.workers) > 1:
            if self._worker(-1).poll() is None:
                self.kill_worker(-1)
            self.workers.pop()
        if self._worker(0).poll() is not None:
            self.start_worker(0)

    def _worker(self, number: int) -> "subprocess.Popen[bytes]":
        process = self.workers[number]
        assert process is not None
        return process

    def _start(self, command: Sequence[str], name: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as out:
            return subprocess.Popen(
                command, cwd=ROOT, env={**self.env, **(env or {})}, stdout=out, stderr=out, start_new_session=True
            )

    def stop(self) -> None:
        self._http.close()  # a connection that is kept alive would hold up the receiver's stop
        self._close_looks()
        processes = [process for process in (*self.workers, self.receiver) if process is not None]
        for what in (signal.SIGCONT, signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                if process.poll() is None:
                    process.send_signal(what)
            if what != signal.SIGCONT and _all_ended(processes, FINISH_S):
                break
        self.redis.close()

    def log(self, name: str = "*") -> str:
        """All processes' logs, or one's: `worker0`, `receiver`."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._logs.glob(f"{name}.log")))

    def giliran(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The admin tool, on this installation."""
        command = [sys.executable, "-m", "scripts.admin", *words]
        return subprocess.run(command, cwd=ROOT, env=self.env, text=True, capture_output=True, timeout=30, check=False)

    # --- tenants

    @property
    def sim(self) -> Sim:
        """The simulator's first app; a house of `street` has one."""
        assert self._sim is not None
        return self._sim

    def first_tenant(self) -> "Tenant":
        """The one of the settings."""
        return Tenant(self, self.sim)

    def new_tenant(self, name: str = "tenant", *, app: str | None = None, **plan: Any) -> "Tenant":
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

    # --- what a test does

    def post(self, body: dict[str, Any], path: str = "/allocate-agent/webhook") -> requests.Response:
        return self._http.post(f"{self.url}{path}", json=body, timeout=5)

    def arrive(self, room: str, app: str = APP, **more: Any) -> dict[str, Any]:
        answer = self.post({"app_id": app, "room_id": room, "source": "qiscus", "latest_service": None, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def try_arrive(self, room: str, app: str = APP) -> int | None:
        """The status, None where nobody answered; on a connection of its own."""
        body = {"app_id": app, "room_id": room, "source": "qiscus", "latest_service": None}
        try:
            return requests.post(f"{self.url}/allocate-agent/webhook", json=body, timeout=5).status_code
        except requests.RequestException:
            return None

    def resolve(self, room: str, service: int, app: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"service": {"id": service, "room_id": room, "is_resolved": True, **more}}
        answer = self.post(body, f"/{app}/mark-as-solved/webhook" if app else "/mark-as-solved/webhook")
        assert answer.status_code == 200, answer.text
        return answer.json()

    # --- what a test looks at

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """On one connection that is kept, as tests look often; opened again where PostgreSQL was killed meanwhile."""
        kept = self._looks is not None
        try:
            return self._look(sql, values)
        except psycopg2.OperationalError:
            self._close_looks()
            if not kept:
                raise
        return self._look(sql, values)

    def _look(self, sql: str, values: Sequence[Any]) -> list[Any]:
        if self._looks is None:
            self._looks = psycopg2.connect(self.database_url, cursor_factory=NamedTupleCursor)
            self._looks.autocommit = True
        with self._looks.cursor() as cur:
            cur.execute(sql, values)
            return cur.fetchall()

    def _close_looks(self) -> None:
        if self._looks is not None:
            self._looks.close()
            self._looks = None

    def run(self, sql: str, *values: Any) -> int:
        """How many rows were written."""
        conn = psycopg2.connect(self.database_url)
        try:
            with conn, conn.cursor() as cur:
                cur.execute(sql, values)
                return cur.rowcount
        finally:
            conn.close()

    def states(self, tenant: str = APP) -> dict[str, int]:
        """How many visits are in each state."""
        sql = "SELECT state, count(*)::integer AS n FROM visits WHERE tenant = %s GROUP BY state"
        return {row.state: row.n for row in self.rows(sql, tenant)}

    def seats(self, tenant: str = APP) -> dict[str, int]:
        """Agent → seats that the ledger knows of."""
        sql = (
            "SELECT agent, count(*)::integer AS n FROM visits"
            " WHERE tenant = %s AND state IN ('reserved', 'held') GROUP BY 1"
        )
        return {row.agent: row.n for row in self.rows(sql, tenant)}

    def reserved_order(self, tenant: str = APP) -> list[str]:
        """Rooms in the order in which they were first reserved."""
        sql = (
            "SELECT v.room FROM decisions d JOIN visits v ON v.id = d.visit WHERE d.tenant = %s"
            " GROUP BY v.id, v.room ORDER BY min(d.id)"
        )
        return [row.room for row in self.rows(sql, tenant)]

    def arrival_order(self, tenant: str = APP) -> list[str]:
        sql = "SELECT room FROM visits WHERE tenant = %s ORDER BY priority DESC, arrived_us, id"
        return [row.room for row in self.rows(sql, tenant)]

    def drift(self, tenant: str = APP) -> dict[str, int]:
        return {r.kind: r.healed for r in self.rows("SELECT kind, healed FROM drifts WHERE tenant = %s", tenant)}

    def until(self, condition: Callable[[], Any], within_s: float = 10.0, what: str = "the condition") -> Any:
        """`eventually`, with the state of the house in the complaint."""
        try:
            return eventually(condition, within_s, what)
        except AssertionError as error:
            tail = "\n".join(line for line in self.log().splitlines()[-40:])
            states = self.rows("SELECT tenant, state, count(*) FROM visits GROUP BY 1, 2 ORDER BY 1, 2")
            drifts = self.rows("SELECT tenant, kind, healed FROM drifts ORDER BY 1, 2")
            shown = "\n".join(map(str, [*states, *drifts]))
            raise AssertionError(f"{error}\n{shown}\n{tail}") from None


def _all_ended(processes: Sequence["subprocess.Popen[bytes]"], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    try:
        for process in processes:
            process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


class Tenant:
    """One tenant of a house, with its desk: what a test looks at, and how all of it is judged."""

    def __init__(self, home: House, sim: Sim) -> None:
        self.home, self.sim, self.id = home, sim, sim.app_id

    # --- what a test looks at

    def states(self) -> dict[str, int]:
        return self.home.states(self.id)

    def visit(self, room: str) -> Any:
        """The room's latest visit, None where there is none."""
        found = [visit for visit in self.visits() if visit.room == room]
        return found[-1] if found else None

    def visits(self) -> list[Any]:
        """All of them, in the order in which they were written."""
        names = "id, room, state, agent, last_agent, learned, parked, attempt, refusals, aside, reason, suspect"
        return self.home.rows(f"SELECT {names} FROM visits WHERE tenant = %s ORDER BY id", self.id)

    def learned_until(self) -> dict[str, float]:
        """Rooms whose webhook did not come in time to bring their place → when their pause was over, on the clock of
        the simulator's `mono`."""
        sql = "SELECT room, extract(epoch FROM opened_at)::float8 AS s FROM visits WHERE tenant = %s AND learned"
        offset_s = time.monotonic() - time.time()
        return {row.room: row.s + LAG_S + offset_s for row in self.home.rows(sql, self.id)}

    def told(self, room: str) -> list[str]:
        """What happened to the room's visits beside the plain way, in order."""
        visits = "SELECT id FROM visits WHERE tenant = %s AND room = %s"
        found = self.home.rows(f"SELECT what FROM events WHERE visit IN ({visits}) ORDER BY id", self.id, room)
        return [row.what for row in found]

    def drift(self) -> dict[str, int]:
        return self.home.drift(self.id)

    def available(self) -> list[dict[str, Any]]:
        return [agent for agent in self.sim.agents() if agent["online"]]

    def happened(self, *kinds: str) -> list[Event]:
        return self.sim.history(kinds=",".join(kinds))["events"]

    def calls(self, room: str | None = None) -> list[Event]:
        """Assign calls, oldest first."""
        return [event for event in self.happened("call") if room in (None, event["room"])]

    def holder(self, room: str) -> list[int]:
        """The agents in the room, by the desk."""
        return self.sim.holders().get(room, [])

    def resolve(self, room: str, service: int, **more: Any) -> dict[str, Any]:
        """The webhook alone; `sim.resolve` ends the chat at the desk, too."""
        return self.home.resolve(room, service, self.id, **more)

    def until_states(self, within_s: float = 10.0, **wanted: int) -> None:
        """States that are not named may have any number; `closed=0` means none."""
        self.until(lambda: self._has(wanted), within_s, f"{self.id} has {wanted}")

    def until_webhooks(self, count: int, within_s: float = 20.0) -> None:
        """So many were taken with 200. The ledger may not have them yet."""
        self.until(lambda: self._taken() >= count, within_s, f"{count} webhooks are taken")

    def _taken(self) -> int:
        return sum(event["outcome"] == "200" for event in self.happened("webhook"))

    def until_ledger_has_all(self, webhooks: int) -> None:
        """So many were taken with 200, and nothing of them is left in Redis."""
        self.until_webhooks(webhooks)
        self.until(lambda: not self.home.redis.xlen(key(self.id, "inbox")), what="the inbox is taken over")

    def all_over(self, rooms: int, waiting: int = 0) -> bool:
        """Exactly so many visits had an agent and are closed; beside them nothing is open but those that wait. Visits
        that no agent had are left out: a late copy of a webhook may open one, which the desk's word then ends."""
        states = self.states()
        open_states = (states.get("waiting", 0), states.get("reserved", 0), states.get("held", 0))
        served = "SELECT count(*) AS n FROM visits WHERE tenant = %s AND state = 'closed' AND last_agent IS NOT NULL"
        return self.home.rows(served, self.id)[0].n == rooms and open_states == (waiting, 0, 0)

    def _has(self, wanted: dict[str, int]) -> bool:
        states = self.states()
        return all(states.get(state, 0) == count for state, count in wanted.items())

    def until(self, condition: Callable[[], Any], within_s: float = 10.0, what: str = "the condition") -> Any:
        return self.home.until(condition, within_s, what)

    # --- what is judged

    def judge(self, limit: int = 2, *, within_s: float = 10.0, in_order: bool = True) -> None:
        """P2, P3, P4 and P7 by the desk's own history and by the decisions; then the ledger has to agree with the
        desk, within the time given. `in_order=False`: a person or a fault has changed the order."""
        events = self.happened("arrived", "assigned", "removed", "resolved", "call")
        wrong = [*_over(events, limit), *judge.shared(events), *judge.pairs_changed(events)]
        wrong += self.strangers()
        wrong += self.out_of_order() if in_order else []
        assert not wrong, f"{self.id}: {len(wrong)} wrong: {wrong[:20]}"
        self.until(lambda: not self.differences(), within_s, f"the ledger of {self.id} agrees with its desk")

    def differences(self) -> list[str]:
        """What the ledger has otherwise than the desk now, rooms and seats; and seats that were counted wrongly."""
        state = self.sim.state()
        desk = {room: str(agents[0]) for room, agents in _holders(state).items()}
        desk |= {row["room"]: "waiting" for row in state["waiting"]}
        sql = "SELECT room, coalesce(agent, 'waiting') AS who FROM visits WHERE tenant = %s AND state <> 'closed'"
        ours = {row.room: row.who for row in self.home.rows(sql, self.id)}
        rooms = [f"room {r}: {ours.get(r)}, desk {desk.get(r)}" for r in desk | ours if ours.get(r) != desk.get(r)]
        counted = Counter(who for who in ours.values() if who != "waiting")
        agents = self.home.rows("SELECT id, open_seats FROM agents WHERE tenant = %s", self.id)
        return rooms + [f"agent {a.id}: open_seats {a.open_seats}" for a in agents if a.open_seats != counted[a.id]]

    def strangers(self) -> list[str]:
        """Supervisors, and agents who were never online, to whom we gave a room."""
        events = self.happened("presence", "assigned")
        ever = {event["agent"] for event in events if event["kind"] == "presence"}
        ours = {event["agent"] for event in events if event["kind"] == "assigned" and event["by"] == "api"}
        return [
            f"{agent['type']} {agent['id']} was given a room"
            for agent in self.sim.state()["agents"]
            if agent["id"] in ours and (agent["type"] != "agent" or not (agent["online"] or agent["id"] in ever))
        ]

    def out_of_order(self) -> list[str]:
        """First reservations, against the order of arrival: no room was passed over without a reason."""
        line = self._line()
        arrived = [row.room for row in line]
        reserved = [row.room for row in sorted((r for r in line if r.first is not None), key=lambda row: row.first)]
        expected = arrived[: len(reserved)]
        return [f"place {n}: {r} before {e}" for n, (r, e) in enumerate(zip(reserved, expected, strict=True)) if r != e]

    def _line(self) -> list[Any]:
        """Visits without an exception to P4 (learned, verified, refused), in the order of arrival; those that were
        closed while they waited are left out."""
        return self.home.rows(
            "SELECT v.room, d.first FROM visits v"
            " LEFT JOIN (SELECT visit, min(id) AS first FROM decisions GROUP BY visit) d ON d.visit = v.id"
            " WHERE v.tenant = %s AND NOT v.learned AND v.refusals = 0 AND v.aside IS NULL"
            " AND (d.first IS NOT NULL OR (v.state <> 'closed' AND v.look_at IS NULL))"
            " AND NOT EXISTS (SELECT FROM events e WHERE e.visit = v.id AND e.what IN ('refused', 'set aside'))"
            " ORDER BY v.priority DESC, v.arrived_us, v.id",
            self.id,
        )

    def excepted(self) -> set[str]:
        """Rooms that P4 excepts: learned late, refused, set aside, verified by the desk."""
        sql = (
            "SELECT DISTINCT v.room FROM visits v LEFT JOIN events e ON e.visit = v.id WHERE v.tenant = %s"
            " AND (v.learned OR v.refusals > 0 OR v.aside IS NOT NULL OR e.what IN ('refused', 'set aside', 'doubted'))"
        )
        return {row.room for row in self.home.rows(sql, self.id)}

    def next_calls_ms(self, limit: int = 2) -> list[float]:
        """For each resolve: milliseconds from the sending of its webhook to its agent's next assign call. Only where
        all agents were full at the start, a room always waited, and nobody's call failed."""
        sent: dict[str, float] = {}
        freed: dict[int, list[str]] = defaultdict(list)
        calls: dict[int, list[float]] = defaultdict(list)
        for event in self.happened("webhook", "removed", "call"):
            if event["kind"] == "webhook" and event["hook"] == "resolved" and "ms" in event:
                began = event["mono"] - event["ms"] / 1000
                sent[event["room"]] = min(began, sent.get(event["room"], began))
            elif event["kind"] == "removed" and event["by"] == "resolve":
                freed[event["agent"]].append(event["room"])
            elif event["kind"] == "call":
                calls[int(event["agent"])].append(event["mono"])
        return [
            (called - sent[room]) * 1000
            for agent, rooms in freed.items()
            for room, called in zip(rooms, calls[agent][limit:], strict=False)
            if room in sent
        ]


def _holders(state: dict[str, Any]) -> dict[str, list[int]]:
    return {room["room"]: room["agents"] for agent in state["agents"] for room in agent["rooms"]}


def _over(events: Sequence[Event], limit: int) -> list[str]:
    """Assignments of ours (not those by hand) that made one chat too many, at any instant."""
    given = [e for e in events if e["kind"] == "assigned" and e["by"] == "api"]
    return [f"agent {e['agent']} had {e['held']} with {e['room']}" for e in given if e["held"] > limit]


def percentile(values: Collection[float], per_cent: float) -> float:
    """Of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * per_cent / 100))]


def figures(what: str, values: Collection[float]) -> None:
    """Shown by `pytest -s` and in the report of a failure. Not asserted: the machine of a test run is shared."""
    shown = ", ".join(f"p{p} {percentile(values, p):.0f}" for p in (50, 90, 99)) if values else "none"
    sys.stdout.write(f"\n{what}: {shown} (of {len(values)})\n")


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
    """Settings of the product as keyword arguments, upper case. Fast clocks by default: a test has no minutes."""
    with tempfile.TemporaryDirectory(prefix="giliran-house-") as folder:
        given = {
            **{name: value for name, value in os.environ.items() if not name.startswith("QISCUS")},
            "DEMO": "1",
            "HOST": "127.0.0.1",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "GILIRAN_DATA": folder,
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


def stack_traces(log: str) -> list[str]:
    """Ours stand on the line of their record, those of libraries below it."""
    return re.findall(r"^[^\n]*Traceback \(.*?(?=^\d{4}-\d\d-\d\dT|\Z)", log, flags=re.M | re.S)


SECRETS = ("demo-secret", "sdk-key-example", "abcde_agent", "customer@example.com", "Customer One", "timezone_offset")


def leaks(log: str) -> list[str]:
    """Lines of a log that hold a customer's name or e-mail, a secret or a token of the payloads."""
    from scripts.simulator.names import FIRST, LAST  # noqa: PLC0415 - the names that the simulator gives to customers

    names = {f"{first} {last}" for first in FIRST for last in LAST}
    words = (*SECRETS, "@example.com", "ecret=", "Qiscus-Secret")
    suspects = [line for line in log.splitlines() if '"' in line or "@" in line or any(w in line for w in words)]
    return [line for line in suspects if any(w in line for w in words) or any(name in line for name in names)]


def wait_s(seconds: float) -> None:
    """Let time pass on purpose: for tests that show that something does *not* happen."""
    time.sleep(seconds)


def room_names(count: int, prefix: str = "room") -> list[str]:
    """Ids that no other test has."""
    stem = f"{prefix}-{secrets.token_hex(3)}"
    return [f"{stem}-{n}" for n in range(count)]


def as_json(value: Any) -> str:
    return json.dumps(value)
