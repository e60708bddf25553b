"""Says that this worker lives: an advisory lock on a connection on which nothing else runs. Beside all other threads.

Whoever claims abandoned reservations goes by these locks, so this one must not depend on anybody's luck with another
statement. Where the connection breaks, the lock is taken again at once, on a new one.
"""

import logging
import random
import threading
from contextlib import closing

import psycopg2
from psycopg2.extensions import connection

import logs
from db import postgres
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.postgres import LedgerTrouble

log = logging.getLogger("worker.liveness")

STEP_S = 0.25  # between two looks at whether the worker stops
BEAT_S = 5.0  # an idle connection is asked whether it still holds the lock: a network that is cut says nothing
AGAIN_S = 0.2  # until the next try, give or take half


class Liveness:
    def __init__(self, database_url: str, owner: int) -> None:
        self._url, self._owner = database_url, owner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)
        self._outage = logs.Outage(log, "liveness_lost", "liveness_back", worker=owner)
        self.held = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """The lock is free when this returns."""
        self._stop.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(postgres.connect(self._url, "live")) as conn:
                    conn.autocommit = True
                    self._hold(conn)
            except (LedgerTrouble, psycopg2.Error) as error:
                self._outage.goes_on(error)
            except Exception:  # the lock must come back; what gets here is a bug
                log.exception(logs.line("liveness_bug"))
            self.held.clear()
            self._stop.wait(AGAIN_S * random.uniform(0.5, 1.5))

    def _hold(self, conn: connection) -> None:
        """Until the worker stops; raises where the connection is lost."""
        while not self._stop.is_set():
            if self._take(conn):
                self._outage.over()
                self.held.set()
                self._rest(conn, BEAT_S)
            else:  # an old session of ours lingers, and the lock with it
                self._stop.wait(AGAIN_S)

    def _take(self, conn: connection) -> bool:
        with conn.cursor() as cur:
            row = LEDGER.one(cur, "live", lock_class=WORKER_LOCK_CLASS, owner=self._owner)
        return row is None or bool(row[0])

    def _rest(self, conn: connection, seconds: float) -> None:
        """Until it is time to ask again, or the server says something: mostly that the connection ends."""
        for _ in range(round(seconds / STEP_S)):
            if self._stop.is_set() or postgres.is_spoken_to(conn, STEP_S):
                return
