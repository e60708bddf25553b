"""The whole product with our own chat for a path test: a house (receiver, workers) with real sidecars, and its shops.

with chat_house(databases, redis_databases, sidecars=2) as home:
    shop = home.new_shop(limit=3)     # a tenant of our own chat
    shop.hire("ani")
    home.sidecar.kill()               # kill -9, and it stays dead until `start`

Who talks in it: `tests/chatpeople.py`. For pages in a browser, with one sidecar alone, see `tests/chat_house.py`.
"""

import itertools
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from db import people
from db.inbox import limit_key
from db.people import PEOPLE
from db.postgres import Ledger
from sidecar.login import TOKEN_LIFE_S
from tests.house import House, house, stack_traces
from tests.passwords import hash_of
from tests.servers import Databases, RedisDatabases, free_port

PASSWORD = "Test@1234"
FINISH_S = 10.0  # what a sidecar gets after SIGTERM


class Sidecar:
    """A process, and the port that it has whenever it runs."""

    def __init__(self, home: "ChatHouse", port: int, env: dict[str, str]) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self._home, self._env = home, env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it is ready."""
        self.begin()
        self._home.house.until(self.is_ready, 20, "the sidecar's readiness")

    def begin(self) -> None:
        """The same without waiting."""
        command = [sys.executable, "-m", "sidecar"]
        env = {"CHAT_PORT": str(self.port), **self._env}
        self.process = self._home.house._start(command, f"sidecar{self.port}", env)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._home.house.log(f"sidecar{self.port}")[-3000:]
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(FINISH_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def end(self) -> None:
        """Whatever it is doing."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self.stop()

    def rss_kib(self) -> int:
        assert self.process is not None
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4


class ChatHouse:
    """A house with sidecars. Pages find one of those that run, the first one first."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.sidecars: list[Sidecar] = []
        self._ledger = Ledger(house.database_url, "chathouse")
        self._names = itertools.count(1)

    @property
    def sidecar(self) -> Sidecar:
        return self.sidecars[0]

    def start_sidecar(self, port: int | None = None, **env: str) -> Sidecar:
        made = Sidecar(self, port or free_port(), env)
        self.sidecars.append(made)
        made.start()
        return made

    def replace(self, dead: Sidecar) -> Sidecar:
        """Another one on another port, in the place of the dead one."""
        made = Sidecar(self, free_port(), dead._env)
        self.sidecars[self.sidecars.index(dead)] = made
        made.start()
        return made

    def new_shop(self, name: str = "shop", *, limit: int | None = None) -> "Shop":
        """A tenant of our own chat."""
        tenant = f"{name}-{next(self._names)}"
        sql = "INSERT INTO tenants (id, desk, name, base_url, secret_key) VALUES (%s, 'native', %s, '', '')"
        self.house.run(sql, tenant, name)
        if limit is not None:
            self.house.redis.set(limit_key(tenant), limit)
        return Shop(self, tenant)

    def log(self) -> str:
        return self.house.log("sidecar*")

    def stop(self) -> None:
        for sidecar in self.sidecars:
            sidecar.end()
        self._ledger.close()


class Shop:
    """A tenant: its people, and what the ledger says of it."""

    def __init__(self, home: ChatHouse, tenant: str) -> None:
        self.home, self.id = home, tenant
        self.ids: dict[str, str] = {}  # name → agent's id

    def hire(self, *names: str, role: str = "agent") -> None:
        for name in names:
            with self.home._ledger.transaction() as cur:
                email = self.email(name)
                self.ids[name] = people.add_account(cur, self.id, email, name, hash_of(PASSWORD), role)

    def email(self, name: str) -> str:
        return f"{name}@{self.id}.test"

    def token(self, name: str) -> str:
        """As after a login, without the price of one."""
        token = secrets.token_urlsafe(32)
        with self.home._ledger.transaction() as cur:
            digest = people.token_digest(token)
            PEOPLE.run(cur, "put_token", digest=digest, tenant=self.id, agent=self.ids[name], life_s=TOKEN_LIFE_S)
        return token

    def rows(self, room: str) -> list[Any]:
        """What is stored of one room, in order."""
        sql = (
            "SELECT m.seq, m.id, m.sender_type, m.sender_id, m.client_id, m.body, m.event FROM messages m"
            " JOIN sessions s ON s.id = m.session WHERE s.tenant = %s AND s.room = %s ORDER BY m.seq"
        )
        return self.home.house.rows(sql, self.id, room)

    def most_at_once(self) -> dict[str, int]:
        """Agent → the most chats they had at any instant, from reservation to end by the ledger's own times."""
        sql = (
            "SELECT last_agent AS agent, reserved_at, coalesce(closed_at, 'infinity') AS over FROM visits"
            " WHERE tenant = %s AND last_agent IS NOT NULL"
        )
        rows = self.home.house.rows(sql, self.id)
        return {
            row.agent: max(
                sum(o.agent == row.agent and o.reserved_at <= r.reserved_at < o.over for o in rows)
                for r in rows
                if r.agent == row.agent
            )
            for row in rows
        }


@contextmanager
def chat_house(
    databases: Databases | str,
    redis_databases: RedisDatabases | str,
    *,
    sidecars: int = 1,
    workers: int = 1,
    sim_port: int | None = None,
    port: int | None = None,
    clean: bool = True,
    **env: str,
) -> Iterator[ChatHouse]:
    """As `house`; limits of speed are out of the way. `clean`: no process may have written a stack trace."""
    given = {"SESSIONS_PER_MINUTE": "1000000", "MESSAGES_PER_SECOND": "1000", "UPLOADS_PER_MINUTE": "10000", **env}
    with (
        _pieces(databases, redis_databases) as (database_url, redis_url),
        house(database_url, redis_url, sim_port or free_port(), port=port, workers=workers, **given) as base,
    ):
        home = ChatHouse(base)
        try:
            for _ in range(sidecars):
                home.start_sidecar()
            yield home
        finally:
            home.stop()
        if clean:
            traces = stack_traces(base.log("sidecar*")) + stack_traces(base.log("worker*"))
            assert not traces, traces[0][:3000]


@contextmanager
def _pieces(databases: Databases | str, redis_databases: RedisDatabases | str) -> Iterator[tuple[str, str]]:
    redis_url = redis_databases if isinstance(redis_databases, str) else redis_databases.next_url()
    if isinstance(databases, str):
        yield databases, redis_url
        return
    with databases.clone() as database_url:
        yield database_url, redis_url
