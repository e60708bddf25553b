"""The way to PostgreSQL: connections with deadlines, transactions, and queries that live in `queries/*.sql`.

A connection opened here can't hold a lock for ever: a process that is stopped inside a transaction loses it after
`IDLE_IN_TRANSACTION_MS`, so that nobody waits longer than that for a tenant's row.
"""

import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED, connection, cursor
from psycopg2.extras import NamedTupleCursor

QUERIES = Path(__file__).parent / "queries"
CONNECT_SECONDS = 5
IDLE_IN_TRANSACTION_MS = 2000
LOCK_MS = 2000
STATEMENT_MS = 5000
CONSTRAINT_SEAT_LIMIT = "seat_limit"


class LedgerDown(Exception):
    """PostgreSQL can't be reached or dropped the connection. Trying again later can help."""


def connect(url: str, name: str, statement_ms: int = STATEMENT_MS) -> connection:
    """One connection, READ COMMITTED, with every wait bounded. Raises `LedgerDown`."""
    options = (
        f"-c statement_timeout={statement_ms} -c lock_timeout={LOCK_MS}"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS} -c timezone=UTC -c jit=off"
    )
    try:
        conn = psycopg2.connect(
            url,
            application_name=f"giliran {name}",
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=15000,
            options=options,
            cursor_factory=NamedTupleCursor,
        )
    except psycopg2.OperationalError as error:
        raise LedgerDown(why(error)) from error
    conn.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED)
    return conn


def why(error: psycopg2.Error) -> str:
    """The first line of PostgreSQL's complaint; never the URL, which holds a password."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Ledger:
    """One thread's connection, opened when first needed and again after it broke. Not shared between threads."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._conn: connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[cursor]:
        """Commit on success, roll back on any error. A lost connection raises `LedgerDown`: the outcome of a
        commit may then be unknown, so the caller must not act on it."""
        conn = self._open()
        try:
            with conn, conn.cursor() as cur:
                yield cur
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            self.close()
            raise LedgerDown(why(error)) from error

    def _open(self) -> connection:
        if self._conn is not None and not self._conn.closed and _is_spoken_to(self._conn):
            self.close()
        if self._conn is None or self._conn.closed:
            self._conn = connect(self._url, self._name)
        return self._conn

    def close(self) -> None:
        if self._conn is not None and not self._conn.closed:
            self._conn.close()
        self._conn = None


def _is_spoken_to(conn: connection) -> bool:
    """A server says nothing to an idle connection, except that it ends it: a restart, or a transaction that was left
    alone for too long."""
    poll = select.poll()  # not select(): a process with thousands of sockets has high numbers
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Statements:
    """The named blocks of `queries/<name>.sql`: `-- name: reserve` opens one, up to the next is its SQL."""

    def __init__(self, name: str) -> None:
        blocks = re.split(r"^-- name: (\w+)\n", (QUERIES / f"{name}.sql").read_text(), flags=re.M)[1:]
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
