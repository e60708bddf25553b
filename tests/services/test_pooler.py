"""Through PgBouncer, where this machine has it: sessions with their bounds, and pools that would break them refused."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg2
import pytest

from db import migrate, postgres
from db.postgres import LedgerDown
from testbed.deadlines import eventually
from testbed.servers import folder, free_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
BOUNDS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "2s"}

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="no PgBouncer here")


@contextmanager
def pooler(url: str, mode: str) -> Iterator[str]:
    """Its own configuration, but for where it listens and to whom it leads."""
    server, port = urlsplit(url), free_port()
    name = server.path.lstrip("/")
    with folder() as place:
        place.chmod(0o777)
        target = (
            f"host={server.hostname} port={server.port} dbname={name} user={server.username} password={server.password}"
        )
        (place / "ini").write_text(
            f"[databases]\n{name} = {target}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\n"
        )
        assert PGBOUNCER
        process = subprocess.Popen([PGBOUNCER, "-q", "-u", "nobody", str(place / "ini")], stderr=subprocess.DEVNULL)
        pooled = f"postgresql://anybody@127.0.0.1:{port}/{name}"
        try:
            eventually(lambda: _answers(pooled), 10, "PgBouncer")
            yield pooled
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def test_a_session_pool_is_taken_and_every_wait_is_bounded(database_url: str) -> None:
    with pooler(database_url, "session") as url:
        postgres.refuse_pooling(url)
        conn = postgres.connect(url, "test")
        for name, value in BOUNDS.items():
            with conn, conn.cursor() as cur:
                cur.execute(f"SHOW {name}")
                assert cur.fetchone() == (value,)
        conn.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pool_that_shares_sessions_is_refused_in_a_sentence(database_url: str, mode: str) -> None:
    with pooler(database_url, mode) as url:
        with pytest.raises(LedgerDown, match="pool_mode = session"):
            postgres.refuse_pooling(url)
        with pytest.raises(LedgerDown, match="pool_mode = session"):
            migrate.migrate(url)


def test_postgresql_itself_is_no_pooler(database_url: str) -> None:
    postgres.refuse_pooling(database_url)
