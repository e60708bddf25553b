"""What PostgreSQL says of itself, of this database and of the clock, and whether its sessions are our own."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

from db import migrate, postgres
from db.admin import ADMIN
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.postgres import LedgerTrouble
from db.views import VIEWS
from scripts.admin import troubles
from scripts.admin.doctor.facts.at_once import CantRead
from scripts.admin.doctor.facts.places import is_near

SETTINGS = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "transaction_read_only",
    "log_min_error_statement",
    "superuser_reserved_connections",
    "reserved_connections",
)


@dataclass(frozen=True)
class Postgres:
    """`misfit`, `pooled`: what `migrate.misfit` and `postgres.refuse_pooling` say. `denied`: tables that our user may
    not write to. `ahead_s`: of its clock before this machine's, `unsure_s` more or less. `people`: who may sign in."""

    version: str
    settings: Mapping[str, str]
    most: int
    connections: int
    tls: bool
    verified: bool
    near: bool
    misfit: str | None
    pooled: str | None
    ahead_s: float
    unsure_s: float
    installation: str | None = None
    workers: int = 0
    denied: tuple[str, ...] = ()
    tenants: Mapping[str, str] = field(default_factory=dict)  # id → desk
    people: int = 0


def read(url: str) -> Postgres:
    """Raises `CantRead`."""
    try:
        with closing(postgres.connect(url, "doctor")) as conn:
            return _read(conn, url)
    except (LedgerTrouble, psycopg2.Error) as error:
        raise CantRead(troubles.postgres(error)) from error


def _read(conn: connection, url: str) -> Postgres:
    misfit = migrate.misfit(conn)
    with conn, conn.cursor() as cur:
        ahead_s, unsure_s = _clock(cur)
        server = VIEWS.one(cur, "postgres")
        ours = {} if misfit else _ours(cur)
        return Postgres(
            version=server.version,
            settings={row.name: row.setting for row in ADMIN.all(cur, "server_settings", names=list(SETTINGS))},
            most=server.most,
            connections=server.connections,
            tls=bool(conn.info.ssl_in_use),
            verified=str(conn.info.dsn_parameters.get("sslmode")).startswith("verify-"),
            near=is_near(conn.info.host),
            misfit=misfit,
            pooled=_pooled(url),
            ahead_s=ahead_s,
            unsure_s=unsure_s,
            **ours,
        )


def _ours(cur: cursor) -> dict[str, Any]:
    """Of a database of this version only."""
    row = LEDGER.one(cur, "installation")
    return {
        "installation": row.id if row else None,
        "workers": VIEWS.one(cur, "workers", lock_class=WORKER_LOCK_CLASS).alive,
        "denied": tuple(row.name for row in ADMIN.all(cur, "denied_tables")),
        "tenants": {row.id: row.desk for row in ADMIN.all(cur, "desks_of_tenants")},
        "people": ADMIN.one(cur, "people_who_watch").number,
    }


def _clock(cur: cursor) -> tuple[float, float]:
    """Of three askings the quickest."""
    return min((_asked(cur) for _ in range(3)), key=lambda found: found[1])


def _asked(cur: cursor) -> tuple[float, float]:
    before = time.time()
    at = VIEWS.one(cur, "now").at.timestamp()
    after = time.time()
    return at - (before + after) / 2, (after - before) / 2


def _pooled(url: str) -> str | None:
    try:
        postgres.refuse_pooling(url)
    except LedgerTrouble as error:
        told = str(error)
        return told if told.startswith("the pooler") else None  # another trouble has a check of its own
    return None
