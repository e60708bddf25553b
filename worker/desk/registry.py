"""The desks of all tenants, each of its kind, kept for their connections; made anew when credentials change."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import logs
from db import inbox
from db.ledger import NATIVE_DESK
from worker.callers import TENANT_CALLS
from worker.desk.base import Desk
from worker.desk.connections import Connections
from worker.desk.native import NativeDesk, publisher
from worker.desk.qiscus import NAMES_SECONDS, QiscusDesk
from worker.desk.timed import Say, TimedDesk

log = logging.getLogger("worker.desks")

Make = Callable[[Any], Desk]
# From the URLs of database and Redis, whose events are told, and how old the names of divisions may be.
Kinds = Callable[[str, str, str, float], Make]

REDIS_S = 3.0
REDIS_CONNECTIONS = 4


def qiscus(row: Any, names_s: float = NAMES_SECONDS) -> Desk:
    """From a row of the block `tenants`."""
    return QiscusDesk(row.base_url, row.id, row.secret_key, pool_size=TENANT_CALLS, names_seconds=names_s)


def timed(make: Make, say: Say) -> Make:
    """The same desks, each with a clock."""
    return lambda row: TimedDesk(make(row), say)


def every_kind(database_url: str, redis_url: str, scope: str, names_s: float) -> Make:
    """Makes the desk that a row names. The native ones share a few connections, and tell the sidecars of `scope`."""
    connections = Connections(database_url)
    tell = publisher(inbox.connect(redis_url, REDIS_S, REDIS_CONNECTIONS), scope)
    return lambda row: NativeDesk(row.id, connections, tell) if row.desk == NATIVE_DESK else qiscus(row, names_s)


class Desks:
    def __init__(self, make: Make = qiscus) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Any, Desk]] = {}

    def refresh(self, rows: Iterable[Any]) -> None:
        """The tenants as the ledger has them now."""
        with self._lock:
            self._known = {row.id: kept for row in rows if (kept := self._kept(row)) is not None}

    def of(self, tenant: str) -> Desk | None:
        with self._lock:
            known = self._known.get(tenant)
        return known[1] if known else None

    def tenants(self) -> list[str]:
        with self._lock:
            return sorted(self._known)

    def _kept(self, row: Any) -> tuple[Any, Desk] | None:
        known = self._known.get(row.id)
        if known and known[0] == row:
            return known
        try:
            return row, self._make(row)
        except ValueError as error:  # one tenant's unusable URL must not stop the others
            log.error(logs.line("desk_unusable", tenant=row.id, why=error))
            return None
