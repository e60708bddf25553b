"""The way to PostgreSQL: connections with deadlines, transactions, and queries that live in `queries/*.sql`.

A connection opened here can't hold a lock for ever: a process that is stopped inside a transaction loses it after
`IDLE_IN_TRANSACTION_MS`, so that nobody waits longer than that for a tenant's row.
"""

import re
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED, connection, cursor
from psycopg2.extras import NamedTupleCursor

T = TypeVar("T")
QUERIES = Path(__file__).parent / "queries"
CONNECT_SECONDS = 5
IDLE_IN_TRANSACTION_MS = 2000
LOCK_MS = 2000
STATEMENT_MS = 5000
CONSTRAINT_SEAT_LIMIT = "seat_limit"


class LedgerTrouble(Exception):
    """PostgreSQL did not do it; trying again later can help. Callers that do the same in both cases catch this."""


class LedgerBusy(LedgerTrouble):
    """A lock, a slow statement or a deadlock was in the way. Nothing was written, the connection is as good as before;
    it concerns only the work that met it."""


class LedgerDown(LedgerTrouble):
    """PostgreSQL can't be reached, dropped the connection, or can't write. It concerns everybody. `is_undone`: the
    connection was lost before the commit was sent, so nothing was written."""

    is_undone = False


BUSY = {
    "55P03": "lock_not_available",
    "57014": "query_canceled",
    "40P01": "deadlock_detected",
    "40001": "serialization_failure",
}
CANNOT_WRITE = {
    "25006": "PostgreSQL is read-only (a standby, or default_transaction_read_only is on)",
    "53100": "PostgreSQL's disk is full",
}


def trouble_of(error: psycopg2.Error, lost: bool) -> LedgerTrouble | None:
    """What an error means to whoever wants to go on: busy, down, or None: the statement itself is refused. `lost`: the
    connection is closed."""
    if error.pgcode in CANNOT_WRITE:
        return LedgerDown(CANNOT_WRITE[error.pgcode])
    if error.pgcode in BUSY and not lost:
        return LedgerBusy(why(error))
    if lost or isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
        return LedgerDown(why(error))
    return None


def connect(url: str, name: str, statement_ms: int = STATEMENT_MS, lock_ms: int = LOCK_MS) -> connection:
    """One connection, READ COMMITTED, with every wait bounded. Raises `LedgerDown`."""
    try:
        conn = psycopg2.connect(
            url,
            application_name=f"giliran {name}",
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=15000,
            cursor_factory=NamedTupleCursor,
        )
        _set_bounds(conn, statement_ms, lock_ms)
    except psycopg2.Error as error:
        raise trouble_of(error, lost=True) or LedgerDown(why(error)) from error
    return conn


def _set_bounds(conn: connection, statement_ms: int, lock_ms: int) -> None:
    """Set once connected, not in the start-up packet: a pooler refuses that one, and `options` in the URL stay."""
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute(
            f"SET statement_timeout = {statement_ms}; SET lock_timeout = {lock_ms};"
            f" SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}; SET timezone = 'UTC'; SET jit = off"
        )
    conn.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED, autocommit=False)


def refuse_pooling(url: str) -> None:
    """Locks, time limits and listeners belong to a session. A pooler that gives the session of one transaction to
    somebody else's next one breaks all of them, unseen: raises `LedgerDown` where two connections that are open at once
    have the same session, or one changes its own."""
    with closing(connect(url, "check")) as one, closing(connect(url, "check")) as two:
        one.autocommit = two.autocommit = True
        sessions = [(_session(one), _session(two)) for _ in range(3)]
    if len(set(sessions)) > 1 or any(first == second for first, second in sessions):
        raise LedgerDown(
            "the pooler in DATABASE_URL shares sessions between connections (pool_mode = transaction or statement):"
            " Giliran needs pool_mode = session, or PostgreSQL itself"
        )


def _session(conn: connection) -> int:
    with conn.cursor() as cur:
        cur.execute("SELECT pg_backend_pid()")
        row = cur.fetchone()
    return int(row[0]) if row else 0


def must_write(cur: cursor) -> None:
    """Raises `LedgerDown` where the server answers but can't write: a standby, above all."""
    cur.execute("SELECT current_setting('transaction_read_only')")
    row = cur.fetchone()
    if row and row[0] == "on":
        raise LedgerDown(CANNOT_WRITE["25006"])


def why(error: psycopg2.Error) -> str:
    """The first line of PostgreSQL's complaint; never the URL, which holds a password."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Ledger:
    """One thread's connection, opened when first needed and again after it broke. Not shared between threads."""

    def __init__(self, url: str, name: str, lock_ms: int = LOCK_MS) -> None:
        """`lock_ms`: how long a statement waits for somebody's lock before it raises `LedgerBusy`."""
        self._url = url
        self._name = name
        self._lock_ms = lock_ms
        self._conn: connection | None = None
        self.sessions = 0  # how many connections there have been

    @contextmanager
    def transaction(self, lock_ms: int | None = None) -> Iterator[cursor]:
        """Commit on success, roll back on any error. `LedgerBusy`: rolled back. `LedgerDown`: the outcome of a commit
        may be unknown, so the caller must not act on it."""
        conn, commits = self._open(), False
        try:
            with conn, conn.cursor() as cur:
                if lock_ms is not None:
                    cur.execute(f"SET LOCAL lock_timeout = {lock_ms}")
                yield cur
                commits = True
        except psycopg2.Error as error:
            trouble = trouble_of(error, bool(conn.closed))
            if trouble is None:
                raise
            if isinstance(trouble, LedgerDown):
                trouble.is_undone = bool(conn.closed) and not commits
                self.close()
            raise trouble from error

    def do(self, work: Callable[[cursor], T], lock_ms: int | None = None) -> T:
        """`work` in one transaction; where its connection was lost before the commit, once more over a new one: the
        server was restarted, or has ended the session of a process that got no time. Raises as `transaction`."""
        try:
            with self.transaction(lock_ms) as cur:
                return work(cur)
        except LedgerDown as error:
            if not error.is_undone:
                raise
        with self.transaction(lock_ms) as cur:
            return work(cur)

    def _open(self) -> connection:
        if self._conn is not None and not self._conn.closed and is_spoken_to(self._conn):
            self.close()
        if self._conn is None or self._conn.closed:
            self._conn = connect(self._url, self._name, lock_ms=self._lock_ms)
            self.sessions += 1
        return self._conn

    def close(self) -> None:
        if self._conn is not None and not self._conn.closed:
            self._conn.close()
        self._conn = None


def is_spoken_to(conn: connection, within_s: float = 0.0) -> bool:
    """A server says nothing to an idle connection, except that it ends it: a restart, or a transaction that was left
    alone for too long."""
    poll = select.poll()  # not select(): a process with thousands of sockets has high numbers
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(within_s * 1000))


class Statements:
    """The named blocks of some `queries/<name>.sql`: `-- name: reserve` opens one, up to the next is its SQL. `$part`
    in it stands for `queries/shared/part.sql`: what several statements must mean in the same way is written once."""

    def __init__(self, *names: str) -> None:
        text = "\n".join((QUERIES / f"{name}.sql").read_text() for name in names)
        text = _with_shared(text)
        blocks = re.split(r"^-- name: (\w+)\n", text, flags=re.M)[1:]
        self.blocks = dict(zip(blocks[::2], (block.strip() for block in blocks[1::2]), strict=True))

    def all(self, cur: cursor, block: str, **values: Any) -> list[Any]:
        cur.execute(self.blocks[block], values)
        return cur.fetchall()

    def one(self, cur: cursor, block: str, **values: Any) -> Any:
        """The first row, None where there is none."""
        cur.execute(self.blocks[block], values)
        return cur.fetchone()

    def run(self, cur: cursor, block: str, **values: Any) -> int:
        """How many rows were written."""
        cur.execute(self.blocks[block], values)
        return cur.rowcount


def columns(rows: Sequence[Any], fields: Sequence[str]) -> dict[str, list[Any]]:
    """What a block unnests: field → its values, row by row."""
    return {field: [getattr(row, field) for row in rows] for field in fields}


def _with_shared(text: str) -> str:
    return re.sub(
        r"\$(\w+)", lambda part: _with_shared((QUERIES / "shared" / f"{part[1]}.sql").read_text().rstrip()), text
    )
