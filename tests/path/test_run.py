"""`./scripts/run` as a person uses it: the real command, the real Procfile, processes really killed."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import psycopg2
import pytest
import redis
import requests

from testbed import servers
from testbed.deadlines import eventually
from testbed.servers import free_port
from tests.variants import first_of, first_rows

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(ROOT / "scripts" / "run")
READY_S = 60  # the first start makes a database; the machine may be busy
STOP_S = 60
CHILDREN = {
    "postgres": "bin/postgres",
    "valkey": "valkey-server",
    "simulator": "scripts.simulator",
    "worker": "-m worker",
    "sidecar": "-m sidecar",
    "receiver": "gunicorn",
}


class Run:
    """One `./scripts/run` with ports of its own on the given data folder."""

    def __init__(self, data: Path, **env: str) -> None:
        self.data = data / "demo"
        names = ("PORT", "CHAT_PORT", "SIM_PORT")
        self.port, self.chat_port, self.sim_port = (_number(env.get(name)) or free_port() for name in names)
        own = {"GILIRAN_DATA": str(data), "DEMO": "1"}
        own |= dict(zip(names, map(str, (self.port, self.chat_port, self.sim_port)), strict=True))
        cleared = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "WORKER_PORT", "HOST"), "")
        self.lines: list[str] = []
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [COMMAND],
            cwd="/",
            env={**os.environ, **cleared, **own, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until_ready(self) -> float:
        """Seconds from the command to the line."""
        self.until(lambda: any(line.startswith("ready") for line in self.lines), "ready", READY_S)
        return time.monotonic() - self.started_at

    def until(self, condition, what: str, within_s: float = 30.0):
        def seen():
            if (value := condition()) or self.process.poll() is None:
                return value
            raise AssertionError(f"ended with {self.process.returncode} before {what}:\n{self.text}")

        try:
            return eventually(seen, within_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from error

    def refused(self) -> str:
        """The one sentence of a start that did not happen."""
        assert self.process.wait(READY_S) == 1, self.text
        eventually(lambda: not self._reader_alive())
        assert "Traceback" not in self.text
        return self.lines[-1]

    def child(self, name: str) -> int | None:
        """The pid of the launcher's own child."""
        parent = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in map(int, parent.read_text().split()):
            if CHILDREN[name] in _command_line(pid):
                return pid
        return None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def _reader_alive(self) -> bool:
        return any(
            thread.is_alive() for thread in threading.enumerate() if getattr(thread, "_target", None) == self._read
        )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@contextmanager
def _run(data: Path, **env: str) -> Iterator[Run]:
    run = Run(data, **env)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.stop()


def _left_of(data: Path) -> list[str]:
    """Processes that still hold the run's lock."""
    return [f"{pid} {_command_line(pid)}" for pid in _holders(data / "demo" / "run.lock")]


def _holders(path: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if any(fd.samefile(path) for fd in (entry / "fd").iterdir() if fd.exists()):
                found.append(int(entry.name))
        except OSError:  # ended meanwhile
            continue
    return found


def _readyz(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with servers.folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def first(data: Path) -> Iterator[Run]:
    """The first start of all, on an empty folder, ready; it runs while others look at it."""
    with _run(data) as run:
        run.until_ready()
        run.until(lambda: "Redis" in run.text, "the whole block")
        yield run


@pytest.fixture
def started_before(data: Path, first: Run) -> Path:
    """A folder that has been started once, and runs no more."""
    if first.process.poll() is None:
        first.stop()
    return data


@pytest.fixture
def empty() -> Iterator[Path]:
    with servers.folder() as folder:
        yield folder


# What runs after the first start


def test_the_first_start_says_ready_and_where_everything_is(first: Run) -> None:
    door = f"http://127.0.0.1:{first.port}"
    assert f"POST {door}/allocate-agent/webhook" in first.text
    assert f"POST {door}/mark-as-solved/webhook" in first.text
    assert "app id demo-qiscus, secret key demo-secret" in first.text
    assert requests.get(f"http://127.0.0.1:{first.sim_port}/", timeout=5).status_code == 200
    assert requests.get(f"{door}/readyz", timeout=5).status_code == 200
    with redis.Redis.from_url(re.search(r"redis://\S+", first.text)[0]) as client:
        assert client.exists("giliran:tenants")
    psycopg2.connect(re.search(r"postgresql://\S+", first.text)[0]).close()
    chat = f"http://127.0.0.1:{first.chat_port}"
    assert f"{chat}/chat for customers, {chat}/agent for agents" in first.text
    for page in ("/", "/chat", "/agent", "/readyz"):
        assert requests.get(f"{chat}{page}", timeout=5).status_code == 200, page


def test_the_servers_addresses_are_private(first: Run) -> None:
    file = first.data / "servers.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert _servers(first).keys() == {"database_url", "redis_url"}


@pytest.mark.long
def test_a_customer_of_the_demo_meets_an_agent_and_the_admin_tool_knows_it_all(first: Run) -> None:
    told = asyncio.run(_chat(first))
    room = told["session_id"]
    assert "Ani Wijaya: Hello Budi" in _giliran(first, "transcript", room)
    agents = json.loads(_giliran(first, "agent", "list", "--tenant", "demo-tenant", "--json"))["agents"]
    assert {each["email"]: each["role"] for each in agents} == {
        "agent@demo.com": "agent",
        "agent2@demo.com": "agent",
        "supervisor@demo.com": "supervisor",
    }
    assert "least_loaded: 1 of 1 online agents had a free seat" in _giliran(first, "why", room)


def test_a_second_launcher_on_the_same_folder_is_refused(first: Run, data: Path) -> None:
    with _run(data) as second:
        assert "in use by another ./scripts/run" in second.refused()
    assert _readyz(first.port)


@pytest.mark.long
def test_whatever_crashes_is_started_again(first: Run) -> None:
    for name in CHILDREN:
        before = first.child(name)
        assert before, name
        os.kill(before, signal.SIGKILL)
        first.until(lambda name=name, before=before: first.child(name) not in (None, before), f"another {name}")
    first.until(lambda: _readyz(first.port), "the receiver's readiness")
    first.until(lambda: _readyz(first.chat_port), "the sidecar's readiness")


def test_sigterm_stops_everything(first: Run, data: Path) -> None:
    assert first.stop(signal.SIGTERM) == 0
    assert "Traceback" not in first.text
    assert not (first.data / "servers.json").exists()
    assert _left_of(data) == []


# Later starts


@pytest.mark.long
def test_a_second_start_installs_nothing_and_the_one_after_a_kill_finds_everything_and_ends_with_ctrl_c(
    started_before: Path,
) -> None:
    """How long it takes is printed: five seconds are promised where nothing else runs, here the other tests do."""
    with _run(started_before) as run:
        print(f"ready after {run.until_ready():.1f} s")
        assert "installing" not in run.text and "making the PostgreSQL data folder" not in run.text
        with redis.Redis.from_url(_servers(run)["redis_url"]) as client:
            client.set("kept", "yes")
        before = [pid for name in CHILDREN if (pid := run.child(name))]
        run.process.kill()
        run.process.wait()
        ports = {"PORT": run.port, "CHAT_PORT": run.chat_port, "SIM_PORT": run.sim_port}
        with _run(started_before, **{name: str(port) for name, port in ports.items()}) as after:
            after.until_ready()
            assert [pid for pid in before if _command_line(pid)] == [], "nothing of the killed one runs on"
            _expect_the_demo_once(after)
            os.killpg(after.process.pid, signal.SIGINT)  # as a terminal does
            assert after.process.wait(STOP_S) == 0
        assert "Traceback" not in after.text
    assert _left_of(started_before) == []


def _expect_the_demo_once(run: Run) -> None:
    with redis.Redis.from_url(_servers(run)["redis_url"]) as client:
        assert client.get("kept") == b"yes"
    for email in ("agent@demo.com", "agent2@demo.com", "supervisor@demo.com"):
        assert _login(run, email).status_code == 200, email
    assert _login(run, "agent@demo.com", "wrong").status_code == 401
    with closing(psycopg2.connect(_servers(run)["database_url"])) as conn, conn.cursor() as cur:
        cur.execute("SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM faq)")
        people, answers = cur.fetchone()
    assert people == 3 and answers > 3, "the demo's people are there once"


@pytest.mark.long
def test_a_signal_during_the_start_stops_it_too(started_before: Path) -> None:
    with _run(started_before) as run:
        run.until(lambda: run.child("postgres"), "PostgreSQL")
        assert run.stop() == 0
    assert _left_of(started_before) == []


@pytest.mark.parametrize("seen", ["scripts/run", "scripts.launch"])
def test_a_signal_in_the_first_moments_ends_a_start_also_of_process_1(empty: Path, seen: str) -> None:
    """While bash looks for Python, and while the launcher still imports: as process 1 no signal ends by default."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("a process 1 of its own is made by root")
    command = ["unshare", "--pid", "--fork", "--mount-proc", COMMAND]
    env = {**os.environ, "GILIRAN_DATA": str(empty), "DEMO": "1", "PORT": str(free_port())}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as outer:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        (first,) = eventually(lambda: children.read_text().split(), 10, "process 1")
        eventually(lambda: seen in _command_line(int(first)), 20, f"{seen} as process 1")
        eventually(lambda: _handles_sigterm(int(first)), 10, "a handler")
        os.kill(int(first), signal.SIGTERM)
        assert outer.wait(5) == 0
        assert b"Traceback" not in outer.stdout.read()


def _handles_sigterm(pid: int) -> bool:
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(caught and int(caught[1], 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.long
def test_with_such_a_host_all_of_it_listens_on_ipv6(empty: Path) -> None:
    """The simulator's webhooks, with their secret, reach the receiver there too; it is given no key of the database."""
    worker_port = free_port()
    secret = "a-secret-of-webhooks"
    with _run(empty, HOST="::1", WORKER_PORT=str(worker_port), WEBHOOK_SECRET=secret) as run:
        run.until_ready()
        assert f"ready http://[::1]:{run.port} " in run.text
        for port, path in ((run.port, "readyz"), (run.chat_port, "readyz"), (worker_port, "healthz")):
            assert requests.get(f"http://[::1]:{port}/{path}", timeout=5).status_code == 200, path
        receiver, simulator = run.child("receiver"), run.child("simulator")
        given = Path(f"/proc/{receiver}/environ").read_text()
        assert "REDIS_URL=" in given and "DATABASE_URL=" not in given
        assert secret not in _command_line(simulator)


# Refusals: one sentence, exit code 1, nothing touched


@pytest.mark.parametrize("name", first_of(["PORT", "CHAT_PORT", "SIM_PORT"]))
def test_a_taken_port_is_refused_before_anything_starts(empty: Path, name: str) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), _run(empty, **{name: str(port)}) as run:
        assert f"port {port} is taken by another program: stop it, or set {name}" in run.refused()
    assert not (empty / "demo" / "postgres").exists()


@pytest.mark.long
def test_the_folder_of_another_version_is_refused_and_untouched(empty: Path) -> None:
    place = empty / "demo" / "postgres"
    (place / "data").mkdir(parents=True)
    (place / "data" / "PG_VERSION").write_text("16\n")
    with _run(empty) as run:
        assert "was made by PostgreSQL 16 and this is PostgreSQL 18" in run.refused()
    assert [entry.name for entry in place.rglob("*")] == ["data", "PG_VERSION"]


@pytest.mark.parametrize(
    ("name", "value"),
    first_rows([("DATABASE_URL", "mysql://u:hush@h/d"), ("PORT", "eight"), ("DEMO", "maybe"), ("HOST", "no host")]),
)
def test_nonsense_in_a_setting_is_one_sentence(empty: Path, name: str, value: str) -> None:
    with _run(empty, **{name: value}) as run:
        sentence = run.refused()
    assert sentence.startswith("run: ")
    assert name in sentence
    assert "hush" not in run.text
    assert len(run.lines) == 1


@pytest.mark.long
def test_a_server_that_does_not_answer_is_named_without_its_password(empty: Path) -> None:
    port = free_port()
    with _run(empty, DATABASE_URL=f"postgresql://u:hush@127.0.0.1:{port}/d") as run:
        assert f"DATABASE_URL postgresql://u:***@127.0.0.1:{port}/d did not answer" in run.refused()
    assert "hush" not in run.text


def test_help_starts_nothing() -> None:
    done = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True, cwd="/")
    assert "Usage: ./scripts/run" in done.stdout
    assert subprocess.run([COMMAND, "--nonsense"], capture_output=True, check=False, cwd="/").returncode == 2


# Who uses it


def _login(run: Run, email: str, password: str = "Test@1234") -> requests.Response:
    body = {"tenant_id": "demo-tenant", "email": email, "password": password}
    return requests.post(f"http://127.0.0.1:{run.chat_port}/api/v1/auth/login", json=body, timeout=10)


def _servers(run: Run) -> dict[str, str]:
    return json.loads((run.data / "servers.json").read_text())


async def _chat(run: Run) -> dict[str, str]:
    """One chat from its start to its end: the customer over a socket, the agent too, the worker between them."""
    site = f"http://127.0.0.1:{run.chat_port}"
    token = _login(run, "agent@demo.com").json()["token"]
    async with aiohttp.ClientSession() as http, asyncio.timeout(30), http.ws_connect(f"{site}/ws") as agent:
        await agent.send_json({"type": "auth", "payload": {"token": token}})
        await _heard(agent, "auth.ok")
        body = {"tenant_id": "demo-tenant", "name": "Budi", "email": "budi@example.com", "message": "Good morning"}
        async with http.post(f"{site}/api/v1/public/sessions", json=body) as answer:
            assert answer.status == 201
            begun = await answer.json()
        async with http.ws_connect(f"{site}/ws/public/{begun['session_key']}") as customer:
            assert (await _heard(customer, "chat.agent.joined"))["name"] == "Ani Wijaya"
            said = {"session_id": begun["session_id"], "client_id": "1", "body": "Hello Budi"}
            await agent.send_json({"type": "chat.message.send", "payload": said})
            await _heard(agent, "chat.message.ack")
            while (await _heard(customer, "chat.message.new"))["body"] != "Hello Budi":
                pass
            async with http.post(f"{site}/api/v1/public/sessions/{begun['session_key']}/end") as answer:
                assert answer.status == 200
            await _heard(agent, "chat.session.ended")
    return begun


async def _heard(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, str]:
    """The payload of the next frame of this kind."""
    while True:
        frame = await socket.receive_json()
        if frame["type"] == kind:
            return frame["payload"]


def _giliran(run: Run, *words: str) -> str:
    env = {**os.environ, "GILIRAN_DATA": str(run.data.parent), "DEMO": "1", "DATABASE_URL": "", "REDIS_URL": ""}
    tool = str(ROOT / "scripts" / "giliran")
    return subprocess.run([tool, *words], env=env, capture_output=True, text=True, check=True, timeout=30).stdout
