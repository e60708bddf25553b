"""The way to PostgreSQL: bounded waits, whole transactions, locks that end with whoever held them."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import cursor

from db.postgres import IDLE_IN_TRANSACTION_MS, Ledger, LedgerBusy, LedgerDown, LedgerTrouble, Statements, connect

ROOT = Path(__file__).resolve().parents[2]
IDLE_S = IDLE_IN_TRANSACTION_MS / 1000

HOLDER = """
import sys
from db.ledger import lock
from db.postgres import Ledger, LedgerDown
ledger = Ledger(sys.argv[1], "holder")
try:
    with ledger.transaction() as cur:
        lock(cur, sys.argv[2])
        print("locked", flush=True)
        sys.stdin.readline()
        lock(cur, sys.argv[2])
    print("committed", flush=True)
except LedgerDown:
    print("lost", flush=True)
"""


@pytest.fixture
def tenants(database_url: str) -> str:
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cur:
        cur.execute("INSERT INTO tenants (id, base_url, secret_key) VALUES ('a', '', ''), ('b', '', '')")
    connection.close()
    return database_url


def _bump(url: str, tenant: str) -> int:
    """Another writer's decision, started again if it gives up waiting."""
    ledger = Ledger(url, "other")
    while True:
        try:
            with ledger.transaction() as cur:
                cur.execute("SELECT rev FROM tenants WHERE id = %s FOR NO KEY UPDATE", (tenant,))
                cur.execute("UPDATE tenants SET rev = rev + 1 WHERE id = %s RETURNING rev", (tenant,))
                rev = cur.fetchone().rev
            ledger.close()
            return rev
        except LedgerTrouble:
            continue


def test_a_holder_frozen_or_idle_in_its_transaction_loses_the_tenant_and_another_goes_on(tenants: str) -> None:
    command = [sys.executable, "-c", HOLDER, tenants, "a"]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin and holder.stdout
    idle = Ledger(tenants, "idle")
    try:
        assert holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(LedgerDown), idle.transaction() as cur:
            cur.execute("SELECT 1 FROM tenants WHERE id = 'b' FOR NO KEY UPDATE")
            waited = _seconds_of_both(tenants)
            cur.execute("UPDATE tenants SET rev = 99 WHERE id = 'b'")
        assert all(IDLE_S / 2 < seconds < IDLE_S + 1.0 for seconds in waited), waited
        holder.send_signal(signal.SIGCONT)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "lost\n"
        assert _bump(tenants, "b") == 2, "nothing of the idle transaction is left"
    finally:
        holder.kill()
        holder.wait(5)
        idle.close()


def _seconds_of_both(url: str) -> list[float]:
    """How long another writer of `a` and one of `b` waited."""
    started, found = time.monotonic(), []
    others = [
        threading.Thread(target=lambda t=tenant: (_bump(url, t), found.append(time.monotonic() - started)))
        for tenant in ("a", "b")
    ]
    for other in others:
        other.start()
    for other in others:
        other.join(10)
    assert len(found) == 2
    return found


def _pid(ledger: Ledger) -> int:
    with ledger.transaction() as cur:
        cur.execute("SELECT pg_backend_pid() AS pid")
        return int(cur.fetchone().pid)


@pytest.fixture
def second(tenants: str) -> Iterator[Ledger]:
    """A ledger; at the end it still has the connection that it began with."""
    with closing(Ledger(tenants, "second")) as made:
        pid = _pid(made)
        yield made
        assert _pid(made) == pid, "the connection was given up"


def test_waiting_for_a_lock_ends_busy_and_keeps_the_connection(tenants: str, second: Ledger) -> None:
    first = Ledger(tenants, "first")
    with first.transaction() as holding:
        holding.execute("SELECT 1 FROM tenants WHERE id = 'a' FOR NO KEY UPDATE")
        with pytest.raises(LedgerBusy, match="lock timeout"), second.transaction(lock_ms=50) as cur:
            cur.execute("UPDATE tenants SET rev = 5 WHERE id = 'b'")
            cur.execute("SELECT 1 FROM tenants WHERE id = 'a' FOR NO KEY UPDATE")
    first.close()
    with second.transaction() as cur:
        cur.execute("SELECT rev FROM tenants WHERE id = 'b'")
        assert cur.fetchone().rev == 0, "rolled back"


def test_a_ledger_of_its_own_patience_waits_no_longer(tenants: str) -> None:
    first, second = Ledger(tenants, "first"), Ledger(tenants, "second", lock_ms=50)
    with closing(first), closing(second), first.transaction() as holding:
        holding.execute("SELECT 1 FROM tenants WHERE id = 'a' FOR NO KEY UPDATE")
        began = time.monotonic()
        with pytest.raises(LedgerBusy), second.transaction() as cur:
            cur.execute("SELECT 1 FROM tenants WHERE id = 'a' FOR NO KEY UPDATE")
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "sql",
    ["SET LOCAL statement_timeout = 50; SELECT pg_sleep(5)", "SELECT raise('40P01')", "SELECT raise('40001')"],
    ids=["slow statement", "deadlock", "serialization failure"],
)
def test_what_is_in_the_way_for_a_moment_is_busy(second: Ledger, sql: str) -> None:
    with second.transaction() as cur:
        cur.execute(
            "CREATE OR REPLACE FUNCTION raise(code text) RETURNS void LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'on purpose' USING errcode = code; END $$"
        )
    with pytest.raises(LedgerBusy), second.transaction() as cur:
        cur.execute(sql)


def test_two_that_wait_for_each_other_are_busy_not_down(tenants: str) -> None:
    with closing(Ledger(tenants, "one")) as one, closing(Ledger(tenants, "two")) as two:
        met, busy = threading.Barrier(2, timeout=5), []

        def lock(ledger: Ledger, *order: str) -> None:
            try:
                with ledger.transaction(lock_ms=5000) as cur:
                    cur.execute("SELECT 1 FROM tenants WHERE id = %s FOR NO KEY UPDATE", (order[0],))
                    met.wait()
                    cur.execute("SELECT 1 FROM tenants WHERE id = %s FOR NO KEY UPDATE", (order[1],))
            except LedgerBusy as error:
                busy.append(str(error))

        threads = [
            threading.Thread(target=lock, args=(one, "a", "b")),
            threading.Thread(target=lock, args=(two, "b", "a")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert busy == ["deadlock detected"]


def test_a_server_that_can_not_write_is_down_and_said_as_what_it_is(tenants: str) -> None:
    ledger = Ledger(tenants, "test")
    with pytest.raises(LedgerDown, match="PostgreSQL is read-only"), ledger.transaction() as cur:
        cur.execute("SET LOCAL transaction_read_only = on")
        cur.execute("SELECT 1 FROM tenants WHERE id = 'a' FOR NO KEY UPDATE")
    ledger.close()


def test_a_statement_that_is_refused_is_neither_and_keeps_the_connection(second: Ledger) -> None:
    with pytest.raises(psycopg2.errors.UniqueViolation), second.transaction() as cur:
        cur.execute("INSERT INTO tenants (id, base_url, secret_key) VALUES ('a', '', '')")


def test_options_of_the_url_are_kept(database_url: str) -> None:
    mark = "&" if "?" in database_url else "?"
    connection = connect(f"{database_url}{mark}options=-csearch_path%3Delsewhere", "test")
    with connection, connection.cursor() as cur:
        cur.execute("SHOW search_path")
        assert cur.fetchone()[0] == "elsewhere"
        cur.execute("SHOW lock_timeout")
        assert cur.fetchone()[0] == "2s"
    connection.close()


def test_every_connection_has_its_bounds_and_reads_what_is_committed(database_url: str) -> None:
    connection = connect(database_url, "test", statement_ms=4321)
    with connection, connection.cursor() as cur:
        settings = "transaction_isolation statement_timeout lock_timeout idle_in_transaction_session_timeout TimeZone"
        found = []
        for name in settings.split():
            cur.execute(f"SHOW {name}")
            found.append(cur.fetchone()[0])
    connection.close()
    assert found == ["read committed", "4321ms", "2s", "2s", "UTC"]


def test_a_statement_that_takes_too_long_ends(database_url: str) -> None:
    connection = connect(database_url, "test", statement_ms=50)
    with pytest.raises(psycopg2.errors.QueryCanceled), connection, connection.cursor() as cur:
        cur.execute("SELECT pg_sleep(5)")
    connection.close()


def test_an_error_inside_a_transaction_leaves_nothing_of_it(tenants: str) -> None:
    ledger = Ledger(tenants, "test")
    with pytest.raises(ValueError, match="on purpose"), ledger.transaction() as cur:
        cur.execute("UPDATE tenants SET rev = 7")
        raise ValueError("on purpose")
    with ledger.transaction() as cur:
        cur.execute("SELECT max(rev) AS rev FROM tenants")
        assert cur.fetchone().rev == 0
    ledger.close()


def test_a_lost_connection_is_ledger_down_and_the_next_transaction_opens_another(tenants: str) -> None:
    ledger, killer = Ledger(tenants, "test"), Ledger(tenants, "killer")
    with pytest.raises(LedgerDown), ledger.transaction() as cur:
        cur.execute("SELECT pg_backend_pid() AS pid")
        with killer.transaction() as other:
            other.execute("SELECT pg_terminate_backend(%s, 2000)", (cur.fetchone().pid,))
        cur.execute("SELECT 1")
    with ledger.transaction() as cur:
        cur.execute("SELECT 1 AS answer")
        assert cur.fetchone().answer == 1
    ledger.close()
    killer.close()


def test_what_was_cut_before_its_commit_is_done_again_and_what_was_cut_in_it_is_not(tenants: str) -> None:
    ledger, killer = Ledger(tenants, "test"), Ledger(tenants, "killer")
    cuts = 1
    tries = 0

    def work(cur: cursor) -> int:
        nonlocal cuts, tries
        tries += 1
        cur.execute("UPDATE tenants SET rev = rev + 1 RETURNING rev")
        rev = int(cur.fetchone().rev)
        if cuts:
            cuts -= 1
            with killer.transaction() as other:
                other.execute("SELECT pg_terminate_backend(%s, 2000)", (cur.connection.info.backend_pid,))
            cur.execute("SELECT 1")
        return rev

    before = ledger.do(work)
    assert (tries, cuts) == (2, 0)
    cuts, tries = 2, 0
    with pytest.raises(LedgerDown):
        ledger.do(work)
    assert tries == 2, "once more, not for ever"
    tries = 0

    def cut_in_its_commit(cur: cursor) -> None:
        nonlocal tries
        tries += 1
        cur.execute("SELECT 1")
        with killer.transaction() as other:
            other.execute("SELECT pg_terminate_backend(%s, 2000)", (cur.connection.info.backend_pid,))

    with pytest.raises(LedgerDown):
        ledger.do(cut_in_its_commit)
    assert tries == 1, "nobody knows whether it was applied"
    assert ledger.do(work) == before + 1
    ledger.close()
    killer.close()


def test_a_server_that_is_not_there_is_ledger_down_and_its_password_is_not_told() -> None:
    with pytest.raises(LedgerDown) as told:
        connect("postgresql://giliran:quite-secret@127.0.0.1:9/x", "test")
    assert "quite-secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_the_named_blocks_of_every_query_file_are_statements_that_postgresql_can_read(database_url: str) -> None:
    connection = psycopg2.connect(database_url)
    try:
        for name in ("line", "ledger", "admin"):
            blocks = Statements(name).blocks
            assert blocks
            for block, sql in blocks.items():
                assert sql, f"{name}.sql: {block} is empty"
                _prepare(connection, f"{name}.sql: {block}", sql)
    finally:
        connection.close()


def _prepare(connection: psycopg2.extensions.connection, where: str, sql: str) -> None:
    """Parsed and analysed against the real schema, not run. Every %(value)s is a NULL of the type that it wants."""

    class Nulls(dict[str, None]):
        def __missing__(self, name: str) -> None:
            return None

    with connection.cursor() as cur:
        text = cur.mogrify(sql, Nulls()).decode()
        try:
            cur.execute(f"PREPARE checked AS {text}")
            cur.execute("DEALLOCATE checked")
        except psycopg2.Error as error:
            raise AssertionError(f"{where}: {error}") from error
        finally:
            connection.rollback()
