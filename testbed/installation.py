"""The processes of the product, started and stopped at will, and what its ledger and its log say."""

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis
import requests
from psycopg2.extras import NamedTupleCursor

from testbed.deadlines import eventually
from testbed.orphans import ends_with_us
from testbed.simulated import Sim

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
APP = "demo-qiscus"
LAG_S = 2  # DESK_LAG_SECONDS of these houses
READY_S = 30  # a receiver, and a worker that publishes the tenants; a second on a machine that has nothing else to do
FINISH_S = 4.0  # what a process gets after SIGTERM at the end of a test; then a second one, then SIGKILL

Event = dict[str, Any]


class Installation:
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
                ends_with_us(command),
                cwd=ROOT,
                env={**self.env, **(env or {})},
                stdout=out,
                stderr=out,
                start_new_session=True,
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

    def giliran(self, *words: str, within_s: float = 30) -> subprocess.CompletedProcess[str]:
        """The admin tool, on this installation."""
        command = [sys.executable, "-m", "scripts.admin", *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.env, text=True, capture_output=True, timeout=within_s, check=False
        )

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
