"""What a storm writes down by its own clock while it blows: when seats were reserved, who was held up, and why.

The ledger's clock may be stepped by an act, so the moment of a decision is bounded by two looks at the ledger: it was
not there at `low`, and there at `high`. All times are this process's monotonic seconds, as the simulator's `mono`.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any

import psycopg2

LOOK_S = 0.2
LATE_S = 0.5  # a sleep that took so much longer: the machine stood still
BEHIND = 500  # numbers are drawn before their commit: looked for again so far back
SQL = (
    "SELECT d.id, d.tenant, v.room, d.visit, d.agent, d.seat_limit FROM decisions d JOIN visits v ON v.id = d.visit"
    " WHERE d.id > %s"
)


@dataclass(frozen=True)
class Decision:
    """One seat that was reserved. `number`: the order of reserving."""

    number: int
    tenant: str
    room: str
    visit: int
    agent: str
    limit: int
    low: float
    high: float


@dataclass(frozen=True)
class Span:
    """From, to, and the reason why everybody may have had to wait meanwhile."""

    begin: float
    end: float
    why: str


class Watch:
    """Two threads: one looks at the ledger, one listens whether the machine itself stands still."""

    def __init__(self, database_url: str) -> None:
        self.decisions: dict[int, Decision] = {}
        self.stalls: list[Span] = []
        self._url = database_url
        self._stop = threading.Event()
        self._low = time.monotonic()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._look_again, self._listen)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """And one last look."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        conn = self._connected()
        if conn is not None:
            self._look(conn)
            conn.close()

    def _look_again(self) -> None:
        conn: Any = None
        while not self._stop.wait(LOOK_S):
            conn = conn or self._connected()
            try:
                if conn is not None:
                    self._look(conn)
            except psycopg2.Error:
                conn.close()
                conn = None
        if conn is not None:
            conn.close()

    def _connected(self) -> Any:
        try:
            conn = psycopg2.connect(self._url, connect_timeout=2, options="-c statement_timeout=3000")
        except psycopg2.Error:
            return None
        conn.autocommit = True
        return conn

    def _look(self, conn: Any) -> None:
        began = time.monotonic()
        with conn.cursor() as cur:
            cur.execute(SQL, (max(self.decisions, default=0) - BEHIND,))
            rows = cur.fetchall()
        high = time.monotonic()
        for row in rows:
            self.decisions.setdefault(row[0], Decision(*row, low=self._low, high=high))  # type: ignore[misc]
        self._low = began

    def _listen(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(LOOK_S):
            now = time.monotonic()
            if now - before > LOOK_S + LATE_S:
                self.stalls.append(Span(before, now, "the machine stood still"))
            before = now
