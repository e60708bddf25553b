"""A real sidecar for tests of the pages: one native tenant with two agents and a supervisor, on the test's own servers.

with chat_house(databases, redis_databases) as home:
    home.post("public/sessions", tenant_id=home.tenant, name="Maya", email="maya@example.com")
    with home.worker(): ...       # only then somebody is served by themselves
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from db import console, people
from db.postgres import Ledger
from tests.deadlines import eventually
from tests.house import ROOT, stack_traces
from tests.passwords import hash_of
from tests.servers import Databases, RedisDatabases, free_port

PASSWORD = "Test@1234"  # noqa: S105 - of this test's own people
PEOPLE = {
    "agent@demo.com": ("Ani Lestari", "agent"),
    "agent2@demo.com": ("Budi Santoso", "agent"),
    "supervisor@demo.com": ("Sri Wahyuni", "supervisor"),
}
STOP_S = 10.0


class ChatHouse:
    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env, self.tenant = dict(env), "shop"
        self.url = f"http://127.0.0.1:{env['CHAT_PORT']}"
        self._folder, self._numbers = folder, itertools.count()
        self._sidecar: subprocess.Popen[bytes] | None = None
        self._ledger = Ledger(env["DATABASE_URL"], "test")
        self._http = requests.Session()
        self._hire()

    def _hire(self) -> None:
        with self._ledger.transaction() as cur:
            cur.execute(
                "INSERT INTO tenants (id, desk, name, base_url, secret_key) VALUES (%s, 'native', 'Shop', '', '')",
                (self.tenant,),
            )
            for email, (name, role) in PEOPLE.items():
                people.add_account(cur, self.tenant, email, name, hash_of(PASSWORD), role)

    # --- processes

    def start_sidecar(self) -> None:
        self._sidecar = self._start("sidecar")
        eventually(self._answers, 20, "the sidecar's readiness")

    def kill_sidecar(self) -> None:
        assert self._sidecar is not None
        self._sidecar.kill()
        self._sidecar.wait(STOP_S)

    @contextmanager
    def worker(self) -> Iterator[None]:
        process = self._start("worker")
        try:
            yield
        finally:
            _stop(process)

    def stop(self) -> None:
        self._http.close()
        if self._sidecar:
            _stop(self._sidecar)
        self._ledger.close()

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("*.log")))

    def _start(self, module: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{module}{next(self._numbers)}.log").open("ab") as out:
            command = [sys.executable, "-m", module]
            return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=out, stderr=out, start_new_session=True)

    def _answers(self) -> bool:
        assert self._sidecar is not None and self._sidecar.poll() is None, self.log()[-2000:]
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    # --- what people do by REST

    def get(self, path: str) -> Any:
        return self._told(self._http.get(f"{self.url}/api/v1/{path}", timeout=10))

    def post(self, path: str, **body: Any) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        return self._told(self._http.post(f"{self.url}/api/v1/{path}", json=given, timeout=10))

    def _told(self, answer: requests.Response) -> Any:
        assert answer.ok, f"{answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else {}

    def token_of(self, email: str) -> str:
        return str(self.post("auth/login", tenant_id=self.tenant, email=email, password=PASSWORD)["token"])

    def pick(self, email: str, room: str) -> None:
        """By an agent who has no page open."""
        headers = {"Authorization": f"Bearer {self.token_of(email)}"}
        self._told(self._http.post(f"{self.url}/api/v1/queue/{room}/pick", headers=headers, timeout=10))

    # --- in the ledger

    def run(self, sql: str, *values: Any) -> None:
        with self._ledger.transaction() as cur:
            cur.execute(sql, values)

    def empty(self) -> None:
        """Nobody waits, nobody is served, nobody is signed in."""
        for table in ("visits", "sessions", "customers", "tokens", "presence", "canned_replies"):
            self.run(f"DELETE FROM {table} WHERE tenant = %s", self.tenant)
        self.run("DELETE FROM login_tries")

    def revoke_all(self) -> None:
        self.run("UPDATE tokens SET revoked_at = clock_timestamp() WHERE tenant = %s", self.tenant)

    def canned(self, replies: Mapping[str, str]) -> None:
        with self._ledger.transaction() as cur:
            console.replace_canned(cur, self.tenant, replies)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


@contextmanager
def chat_house(databases: Databases, redis_databases: RedisDatabases, **env: str) -> Iterator[ChatHouse]:
    """Settings as keyword arguments, upper case. Ended without a stack trace, or the test fails."""
    with databases.clone() as database_url, tempfile.TemporaryDirectory(prefix="giliran-chat-") as folder:
        given = {
            **os.environ,
            "DEMO": "0",
            "HOST": "127.0.0.1",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_databases.next_url(),
            "GILIRAN_DATA": folder,
            "CHAT_PORT": str(free_port()),
            "RETRY_SECONDS": "3",
            "IDLE_SECONDS": "5",
            "SECRET_KEY": "a-secret-of-this-test-only",
            **env,
        }
        home = ChatHouse(given, Path(folder))
        try:
            home.start_sidecar()
            yield home
        finally:
            home.stop()
        traces = stack_traces(home.log())
        assert not traces, traces[0][:3000]
