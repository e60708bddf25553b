"""Brings a database to this version: `python -m db.migrate`. Forward only, each file once, checksums kept.

The first thing that runs on a deployment (the Procfile's `release`). Two at once wait for one another.
"""

import hashlib
import logging
import sys
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection, cursor

import logs
import settings
from db import postgres

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_461_920  # any number, the same for all versions: held while migrating
STATEMENT_MS = 600_000

log = logging.getLogger("db.migrate")


class MigrationError(Exception):
    """The database and the migration files don't fit; the text says how."""


def migrate(url: str) -> list[str]:
    """Run what is missing, all in one transaction; the names of what was run. Raises `MigrationError`, `LedgerDown`."""
    postgres.refuse_pooling(url)
    conn = postgres.connect(url, "migrate", statement_ms=STATEMENT_MS)
    try:
        with conn, conn.cursor() as cur:
            cur.execute("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            return _run_missing(cur)
    except psycopg2.Error as error:
        raise MigrationError(f"the database refused the migration: {postgres.why(error)}") from error
    finally:
        conn.close()


def misfit(conn: connection) -> str | None:
    """Why a process of this version must not start on the database, and what to do; None: it may."""
    with conn, conn.cursor() as cur:
        cur.execute("SELECT to_regclass('migrations') IS NOT NULL")
        row = cur.fetchone()
        applied = set(_applied(cur)) if row and row[0] else set()
    known = {path.name for path in _files()}
    if known - applied:
        return "the database is not migrated to this version: run `python -m db.migrate` or `giliran migrate` first"
    return _too_new(applied - known)


def _too_new(unknown: set[str]) -> str | None:
    if not unknown:
        return None
    return f"the database is newer than this version of Giliran (it has {max(unknown)}): start the newer version"


def _run_missing(cur: cursor) -> list[str]:
    cur.execute(
        "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, checksum text NOT NULL,"
        " at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    applied = _applied(cur)
    _refuse_unknown(applied)
    return [path.name for path in _files() if _run(cur, path, applied)]


def _run(cur: cursor, path: Path, applied: dict[str, str]) -> bool:
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    if path.name in applied:
        if applied[path.name] != checksum:
            raise MigrationError(f"{path.name} was changed after it had run here; add a new migration instead")
        return False
    cur.execute(path.read_text())
    cur.execute("INSERT INTO migrations (name, checksum) VALUES (%s, %s)", (path.name, checksum))
    return True


def _refuse_unknown(applied: dict[str, str]) -> None:
    if problem := _too_new(set(applied) - {path.name for path in _files()}):
        raise MigrationError(problem)


def _applied(cur: cursor) -> dict[str, str]:
    cur.execute("SELECT name, checksum FROM migrations")
    return dict(cur.fetchall())


def _files() -> list[Path]:
    return sorted(MIGRATIONS.glob("*.sql"))


def main() -> int:
    try:
        config = settings.load()
        logs.setup(config.log_level)
        for name in migrate(settings.database_url(config)):
            log.info(logs.line("migrated", file=name))
    except (settings.SettingsError, MigrationError, postgres.LedgerTrouble) as error:
        print(f"migrate: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
