"""Real servers for the tests, started by the launcher's own code; they end with the test process whatever happens."""

import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import redis

from scripts.launch import ports, postgres, valkey
from scripts.launch.postgres import Postgres
from scripts.launch.spawn import spawn
from scripts.launch.valkey import Valkey
from testbed.databases import Databases
from testbed.deadlines import eventually

START_S = 30


class OwnServer:
    """A server with its process in hand: kill it, freeze it, start it again on the same data and the same port."""

    def __init__(
        self, server: Postgres | Valkey, answers: Callable[[], bool], env: Mapping[str, str] | None = None
    ) -> None:
        """`env`: for its process, besides its own."""
        self.server = server
        self._env = dict(env or {})
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process, f"{self.server.folder.name} is not running"
        return self._process

    def start(self) -> None:
        """Returns when it answers. A PostgreSQL that was killed may refuse a few times: its children end first."""
        eventually(self._started_and_answering, START_S, f"an answer of {self.server.program().name}")

    def stop(self) -> None:
        """Clean: everything is on disk."""
        self._end(self.server.program().stop_signal)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def _started_and_answering(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            program = self.server.program()
            self._process = spawn(replace(program, env={**program.env, **self._env}))
        return self._answers()

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)  # a frozen one can't stop
            self._process.send_signal(number)
            self._process.wait(START_S)
            self._process = None


@contextmanager
def folder() -> Iterator[Path]:
    """Not pytest's own: those are closed to other users, and as root PostgreSQL runs as one."""
    place = Path(tempfile.mkdtemp(prefix="giliran-test-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _with_port(place: Path) -> Path:
    """A folder that remembers a port of its own: several test processes would all start at the preferred one."""
    place.mkdir()
    (place / "port").write_text(f"{free_port()}\n")
    return place


@contextmanager
def running_postgres(fast: bool, env: Mapping[str, str] | None = None) -> Iterator[OwnServer]:
    with folder() as place:
        server = postgres.prepare(_with_port(place / "postgres"), (), fast=fast)
        own = OwnServer(server, lambda: postgres.answers(server), env)
        with _running(own):
            postgres.make_database(server)
            yield own


@contextmanager
def running_valkey(fast: bool, databases: int = 16, env: Mapping[str, str] | None = None) -> Iterator[OwnServer]:
    with folder() as place:
        server = valkey.prepare(_with_port(place / "valkey"), (), databases, fast)
        with _running(OwnServer(server, lambda: valkey.answers(server), env)) as own:
            yield own


@contextmanager
def _running(own: OwnServer) -> Iterator[OwnServer]:
    try:
        own.start()
        yield own
    finally:
        own.stop()  # not kill: a PostgreSQL leaves shared memory behind, and nobody starts it again to clean up


NUMBERS_LEAST = 4  # two for tests in turn, two for houses that outlast them


class RedisDatabases:
    """Hands out database numbers of one server in turn, emptied. FLUSHALL hits all of them: see `own_valkey`. Test
    processes that share the server have numbers of their own."""

    def __init__(self, url: str, part: int = 0, parts: int = 1) -> None:
        self._url = url
        with redis.Redis.from_url(url) as client:
            numbers = range(part, int(client.config_get("databases")["databases"]), parts)
        if len(numbers) < NUMBERS_LEAST:
            raise RuntimeError(
                f"each of {parts} test processes needs {NUMBERS_LEAST} database numbers of that Redis: give it"
                f" `databases {parts * NUMBERS_LEAST}`, or run ./scripts/test --numprocesses with a smaller number"
            )
        half = len(numbers) // 2
        self._of_tests, self._of_houses = itertools.cycle(numbers[:half]), itertools.cycle(numbers[half:])

    def next_of_a_test(self) -> str:
        """For one test; the one after the next may get it again."""
        return self._emptied(next(self._of_tests))

    def next_url(self) -> str:
        """For whatever outlasts a test: what tests are given meanwhile is another one."""
        return self._emptied(next(self._of_houses))

    def _emptied(self, number: int) -> str:
        url = urlsplit(self._url)._replace(path=f"/{number}").geturl()
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


@contextmanager
def databases() -> Iterator[Databases]:
    """On GILIRAN_TEST_DATABASE_URL, else on an embedded PostgreSQL."""
    given = os.environ.get("GILIRAN_TEST_DATABASE_URL")
    if given:
        yield from _closing(Databases(given, given))
        return
    with running_postgres(fast=True) as own:
        assert isinstance(own.server, Postgres)
        yield from _closing(Databases(own.server.admin_url, own.server.url))


@contextmanager
def redis_databases() -> Iterator[RedisDatabases]:
    """On GILIRAN_TEST_REDIS_URL, else on an embedded Valkey."""
    given = os.environ.get("GILIRAN_TEST_REDIS_URL")
    if given:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield RedisDatabases(given, int(worker), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
        return
    with running_valkey(fast=True, databases=64) as own:
        yield RedisDatabases(own.url)


PORT_SLOTS, PORTS_A_SLOT = 8, 1_800


def free_port() -> int:
    """A port that nobody listens on now. Outgoing connections don't get it: it is below their range."""
    return next(port for port in _candidates() if ports.problem_with(ports.LOOPBACK, port) is None)


@contextmanager
def own_ports() -> Iterator[None]:
    """For as long as the block lasts `free_port` gives ports from a range that no other such block has; tests, which
    count their ranges from the first one, are met last."""
    for slot in range(PORT_SLOTS - 1, -1, -1):
        with (Path(tempfile.gettempdir()) / f"giliran-ports-{slot}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            _given["slot"] = slot
            yield
            return
    raise RuntimeError(f"{PORT_SLOTS} storms are under way on this machine")


_given: dict[str, int] = {}


def _candidates() -> Iterator[int]:
    """Each of the test processes that run at once has a range of its own; two runs begin at different places of it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    slot = _given.get("slot", worker) % PORT_SLOTS
    first, begin = 15_000 + slot * PORTS_A_SLOT, os.getpid()
    return (first + (begin + step) % PORTS_A_SLOT for step in itertools.count(next(_steps)))


_steps = itertools.count(step=7)  # a port that was given out is not given out again soon


def _closing(made: Databases) -> Iterator[Databases]:
    try:
        yield made
    finally:
        made.close()
