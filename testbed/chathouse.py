"""Our own chat for a path test: real sidecars and their shops, in a house whose receiver and workers may be left out.

with chat_house(databases, redis_databases, sidecars=2) as home:
    shop = home.new_shop(limit=3)     # a tenant of our own chat
    shop.hire("ani")
    home.sidecar.kill()               # kill -9, and it stays dead until `start`

with page_shop(databases, redis_databases) as shop:     # for pages in a browser: one sidecar, and a shop with staff
    shop.post("public/sessions", tenant_id=shop.id, name="Maya", email="maya@example.com")
    with shop.home.house.worker(): ...                   # only then somebody is served by themselves

Who talks in it without a browser: `testbed/chatpeople.py`.
"""

import itertools
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from db import console, people
from db.inbox import limit_key
from db.logins import TOKEN_LIFE_S
from db.people import PEOPLE
from db.postgres import Ledger
from testbed.deadlines import eventually
from testbed.house import House, house, piece_of
from testbed.log_checks import stack_traces
from testbed.passwords import PASSWORD, hash_of
from testbed.servers import Databases, RedisDatabases, free_port

STAFF = {  # of the shop for pages
    "agent@demo.com": ("Ani Lestari", "agent"),
    "agent2@demo.com": ("Budi Santoso", "agent"),
    "supervisor@demo.com": ("Sri Wahyuni", "supervisor"),
}
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
        self.http = requests.Session()
        self.ledger = Ledger(house.database_url, "chathouse")
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

    def new_shop(self, name: str = "shop", *, tenant: str | None = None, limit: int | None = None) -> "Shop":
        """A tenant of our own chat. `tenant`: its id, where that matters."""
        tenant = tenant or f"{name}-{next(self._names)}"
        sql = "INSERT INTO tenants (id, desk, name, base_url, secret_key) VALUES (%s, 'native', %s, '', '')"
        self.run(sql, tenant, name)
        if limit is not None:
            self.house.redis.set(limit_key(tenant), limit)
        return Shop(self, tenant)

    def forget_others(self, shop: "Shop") -> None:
        """All tenants but that one."""
        self.run("DELETE FROM visits WHERE tenant <> %s", shop.id)
        self.run("DELETE FROM tenants WHERE id <> %s", shop.id)

    def run(self, sql: str, *values: Any) -> None:
        """As `house.run`, on a connection that is kept."""
        with self.ledger.transaction() as cur:
            cur.execute(sql, values)

    def log(self) -> str:
        return self.house.log("sidecar*")

    def stop(self) -> None:
        self.http.close()
        for sidecar in self.sidecars:
            sidecar.end()
        self.ledger.close()


class Shop:
    """A tenant: its people, what they do by REST, and what the ledger says of it."""

    def __init__(self, home: ChatHouse, tenant: str) -> None:
        self.home, self.id = home, tenant
        self.ids: dict[str, str] = {}  # name → agent's id

    # --- its people

    def hire(self, *names: str, role: str = "agent") -> None:
        for name in names:
            self.add_account(self.email(name), name, role)

    def add_account(self, email: str, name: str, role: str) -> None:
        with self.home.ledger.transaction() as cur:
            self.ids[name] = people.add_account(cur, self.id, email, name, hash_of(PASSWORD), role)

    def email(self, name: str) -> str:
        return f"{name}@{self.id}.test"

    def token(self, name: str) -> str:
        """As after a login, without the price of one."""
        token = secrets.token_urlsafe(32)
        with self.home.ledger.transaction() as cur:
            digest = people.token_digest(token)
            PEOPLE.run(cur, "put_token", digest=digest, tenant=self.id, agent=self.ids[name], life_s=TOKEN_LIFE_S)
        return token

    def staff_token(self, email: str) -> str:
        """The same for one of `STAFF`."""
        return self.token(STAFF[email][0])

    # --- what people do by REST

    @property
    def url(self) -> str:
        return self.home.sidecar.url

    def get(self, path: str) -> Any:
        return _told(self.home.http.get(f"{self.url}/api/v1/{path}", timeout=10))

    def post(self, path: str, token: str | None = None, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return _told(self.home.http.post(f"{self.url}/api/v1/{path}", json=body, headers=headers, timeout=10))

    def until_told(self, **facts: Any) -> None:
        """Anybody is told so. A sidecar keeps what it says to everybody for a second, and writes anew who is there each
        ten seconds."""

        def told() -> bool:
            answer = self.home.http.get(f"{self.url}/api/v1/public/desk", params={"tenant_id": self.id}, timeout=10)
            return answer.ok and all(answer.json()[name] == fact for name, fact in facts.items())

        eventually(told, 20, f"customers of {self.id} are told {facts}")

    def pick(self, email: str, room: str) -> None:
        """By an agent who has no page open."""
        self.post(f"queue/{room}/pick", self.staff_token(email))

    # --- in the ledger

    def empty(self) -> None:
        """Nobody waits, nobody is served, nobody is signed in."""
        for table in ("visits", "sessions", "customers", "tokens", "presence", "canned_replies"):
            self.home.run(f"DELETE FROM {table} WHERE tenant = %s", self.id)
        self.home.run("DELETE FROM login_tries")
        self.home.run("UPDATE accounts SET wish = DEFAULT, disabled = false WHERE tenant = %s", self.id)
        self.home.run("UPDATE tenants SET identity_secret = NULL WHERE id = %s", self.id)
        self.home.house.redis.delete(limit_key(self.id), *(limit_key(self.id, agent) for agent in self.ids.values()))

    def revoke_all(self) -> None:
        """Everybody's sign-in has ended."""
        self.home.run("UPDATE tokens SET revoked_at = clock_timestamp() WHERE tenant = %s", self.id)

    def canned(self, replies: Mapping[str, str]) -> None:
        with self.home.ledger.transaction() as cur:
            console.replace_canned(cur, self.id, replies)

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


def _told(answer: requests.Response) -> Any:
    assert answer.ok, f"{answer.status_code} {answer.text[:300]}"
    return answer.json() if answer.content else {}


@contextmanager
def chat_house(
    databases: Databases | str,
    redis_databases: RedisDatabases | str,
    *,
    sidecars: int = 1,
    workers: int = 1,
    receiver: bool = True,
    sim_port: int | None = None,
    port: int | None = None,
    clean: bool = True,
    **env: str,
) -> Iterator[ChatHouse]:
    """As `house`; limits of speed are out of the way. `clean`: no process may have written a stack trace."""
    given = {"SESSIONS_PER_MINUTE": "1000000", "MESSAGES_PER_SECOND": "1000", "UPLOADS_PER_MINUTE": "10000", **env}
    with (
        piece_of(databases, redis_databases) as (database_url, redis_url),
        house(
            database_url, redis_url, sim_port or free_port(), port=port, workers=workers, receiver=receiver, **given
        ) as base,
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
def page_shop(databases: Databases, redis_databases: RedisDatabases, **env: str) -> Iterator[Shop]:
    """For pages in a browser: one sidecar alone, as a real installation has it, and the tenant `shop` with its staff.
    No receiver and no worker runs."""
    given: Any = {"DEMO": "0", "SECRET_KEY": "a-secret-of-this-test-only", **env}
    with chat_house(databases, redis_databases, sidecars=0, workers=0, receiver=False, **given) as home:
        shop = home.new_shop("Shop", tenant="shop")
        for email, (name, role) in STAFF.items():
            shop.add_account(email, name, role)
        home.start_sidecar()
        yield shop
