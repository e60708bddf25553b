"""Migrations: each once, in order, all or nothing; and `db/schema.sql` tells the whole of what they make."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from db import migrate, postgres
from db.migrate import MigrationError
from testbed.servers import Databases
from tests.variants import first_of

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "db" / "schema.sql"

# What makes two databases the same for everybody who uses them: one line of text for each thing.
CATALOG = {
    "columns": """
        SELECT format('%s.%s %s', c.relname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname),
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
               pg_get_expr(d.adbin, d.adrelid), co.collname
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          LEFT JOIN pg_collation co ON co.oid = a.attcollation
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'c', 'p')
           AND a.attnum > 0 AND NOT a.attisdropped""",
    "relations": """
        SELECT c.relname, c.relkind, c.relpersistence, c.reloptions::text, c.relrowsecurity, pg_get_viewdef(v.oid)
          FROM pg_class c LEFT JOIN pg_class v ON v.oid = c.oid AND v.relkind IN ('v', 'm')
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind <> 'i'""",
    "indexes": """
        SELECT indexname, indexdef, c.reloptions::text FROM pg_indexes JOIN pg_class c ON c.relname = indexname
         WHERE schemaname = 'public'""",
    "constraints": """
        SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace""",
    "triggers": """
        SELECT tgrelid::regclass, tgname, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace""",
    "sequences": """
        SELECT s.seqrelid::regclass, format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcycle,
               seqcache, d.refobjid::regclass, d.refobjsubid
          FROM pg_sequence s
          LEFT JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass
               AND d.refclassid = 'pg_class'::regclass""",
    "enums": "SELECT enumtypid::regtype, enumsortorder, enumlabel FROM pg_enum",
    "comments": """
        SELECT classoid::regclass, objoid::regclass, objsubid, description FROM pg_description
         WHERE objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)""",
}


def catalog(url: str, change: str = "SELECT") -> set[str]:
    """What is there, after a change that is not kept."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cur:
        cur.execute(change)
        found = set()
        for kind, sql in CATALOG.items():
            cur.execute(sql)
            found |= {f"{kind}: {' | '.join(map(str, row))}" for row in cur.fetchall()}
        return found


def run(url: str, sql: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cur:
        cur.execute(sql)
        return cur.fetchall() if cur.description else []


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations' folder, with our own in it, to be changed at will."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder)
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    return folder


@pytest.fixture(scope="module")
def by_schema(_databases: Databases) -> Iterator[str]:
    with _databases.empty() as url:
        run(url, SCHEMA.read_text())
        yield url


def test_the_schema_file_and_the_migrations_make_the_same_database(by_schema: str, own_database_url: str) -> None:
    """Where they differ, change db/schema.sql by hand until they don't: it is for people to read."""
    told, made = catalog(by_schema), catalog(own_database_url)
    missing, wrong = sorted(made - told), sorted(told - made)
    assert not missing, "db/schema.sql does not tell of:\n" + "\n".join(missing)
    assert not wrong, "only db/schema.sql tells of:\n" + "\n".join(wrong)


def test_the_comparison_sees_every_kind_of_difference(by_schema: str) -> None:
    before = catalog(by_schema)
    for change in (
        "ALTER TABLE visits ADD COLUMN extra text",
        "ALTER TABLE visits ALTER COLUMN priority TYPE bigint",
        "ALTER TABLE visits ALTER COLUMN priority SET DEFAULT 1",
        "ALTER TABLE visits ALTER COLUMN class DROP NOT NULL",
        "ALTER TABLE agents DROP COLUMN load; ALTER TABLE agents ADD COLUMN load integer",
        "ALTER TABLE tenants SET (fillfactor = 60)",
        "ALTER TABLE visits DROP CONSTRAINT seat_has_agent",
        "DROP INDEX line_order; CREATE INDEX line_order ON visits (tenant, class, id) WHERE state = 'waiting'",
        "ALTER TABLE visits DISABLE TRIGGER count_seats_delete",
        "CREATE OR REPLACE FUNCTION count_seats() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "ALTER SEQUENCE worker_ids NO CYCLE",
        "ALTER TABLE agents DROP CONSTRAINT agents_tenant_fkey, ADD FOREIGN KEY (tenant) REFERENCES tenants",
    ):
        assert catalog(by_schema, change) != before, change


def test_a_migration_runs_once(empty_database_url: str) -> None:
    names = [path.name for path in sorted(migrate.MIGRATIONS.glob("*.sql"))]
    assert migrate.migrate(empty_database_url) == names
    assert migrate.migrate(empty_database_url) == []


def test_what_is_missing_runs_in_the_order_of_names(empty_database_url: str, files: Path) -> None:
    (files / "0093_c.sql").write_text("ALTER TABLE memos ADD COLUMN third text")
    (files / "0092_b.sql").write_text("CREATE TABLE memos (id integer)")
    assert migrate.migrate(empty_database_url)[-2:] == ["0092_b.sql", "0093_c.sql"]
    (files / "0094_d.sql").write_text("ALTER TABLE memos DROP COLUMN third")
    assert migrate.migrate(empty_database_url) == ["0094_d.sql"]


def test_two_who_migrate_at_once_run_each_file_once(empty_database_url: str, files: Path) -> None:
    (files / "0092_slow.sql").write_text("SELECT pg_sleep(0.3); CREATE TABLE made_once (id integer)")
    ran: list[list[str]] = []
    threads = [threading.Thread(target=lambda: ran.append(migrate.migrate(empty_database_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    everything = [path.name for path in sorted(files.glob("*.sql"))]
    assert sorted(ran) == [[], [], everything]


def test_a_file_that_was_changed_after_it_ran_is_refused_by_name(own_database_url: str, files: Path) -> None:
    first = sorted(files.glob("*.sql"))[0]
    first.write_text(first.read_text() + "\n-- a late thought\n")
    (files / "0092_more.sql").write_text("CREATE TABLE more (id integer)")
    with pytest.raises(MigrationError, match=f"^{first.name} was changed after it had run here; add a new migration"):
        migrate.migrate(own_database_url)
    assert run(own_database_url, "SELECT to_regclass('more')") == [(None,)]


def test_a_database_that_is_newer_than_the_files_is_refused(own_database_url: str, files: Path) -> None:
    run(own_database_url, "INSERT INTO migrations (name, checksum) VALUES ('0099_from_tomorrow.sql', 'x')")
    with pytest.raises(MigrationError, match=r"the database is newer than this version .*0099_from_tomorrow\.sql"):
        migrate.migrate(own_database_url)


def test_a_migration_that_fails_leaves_nothing_of_itself_or_of_those_before_it(
    empty_database_url: str, files: Path
) -> None:
    (files / "0092_good.sql").write_text("CREATE TABLE good (id integer)")
    (files / "0093_bad.sql").write_text("CREATE TABLE half (id integer); ALTER TABLE nowhere ADD COLUMN x text")
    before = catalog(empty_database_url)
    with pytest.raises(MigrationError, match='the database refused the migration: relation "nowhere" does not exist'):
        migrate.migrate(empty_database_url)
    assert catalog(empty_database_url) == before
    (files / "0093_bad.sql").write_text("CREATE TABLE half (id integer)")
    assert migrate.migrate(empty_database_url)[-1] == "0093_bad.sql", "repaired, it runs"


def test_a_migration_that_fails_leaves_a_database_as_it_was(own_database_url: str, files: Path) -> None:
    run(own_database_url, "INSERT INTO tenants (id, base_url, secret_key) VALUES ('toko', '', '')")
    (files / "0092_bad.sql").write_text("DELETE FROM tenants; SELECT 1 / 0")
    before = catalog(own_database_url)
    with pytest.raises(MigrationError, match="division by zero"):
        migrate.migrate(own_database_url)
    assert catalog(own_database_url) == before
    assert run(own_database_url, "SELECT id FROM tenants") == [("toko",)]


def test_a_tenant_with_a_colon_in_its_id_is_migrated_as_it_is_and_no_new_one_is_let_in(
    empty_database_url: str, files: Path
) -> None:
    later = sorted(path for path in files.iterdir() if path.name >= "0010")
    for path in later:
        path.rename(path.with_suffix(".later"))
    migrate.migrate(empty_database_url)
    add = "INSERT INTO tenants (id, base_url, secret_key) VALUES (%s, '', '')"
    with closing(psycopg2.connect(empty_database_url)) as connection, connection, connection.cursor() as cur:
        cur.execute(add, ("a:b",))
    for path in later:
        path.with_suffix(".later").rename(path)
    migrate.migrate(empty_database_url)
    with closing(psycopg2.connect(empty_database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cur:
            cur.execute("UPDATE tenants SET rev = rev + 1 WHERE id = 'a:b'")
            assert cur.rowcount == 1
            cur.execute(add, ("a.b",))
            for each in ("c:d", "é", "a b", "", "x" * 65, "a\n"):
                with pytest.raises(psycopg2.errors.CheckViolation):
                    cur.execute(add, (each,))
            cur.execute("DELETE FROM tenants WHERE id = 'a:b'")
            assert cur.rowcount == 1


def test_checksums_are_those_of_the_files(own_database_url: str) -> None:
    kept = dict(run(own_database_url, "SELECT name, checksum FROM migrations"))
    assert kept == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in migrate.MIGRATIONS.glob("*.sql")}


def test_no_process_starts_on_a_database_that_is_older_or_newer_than_it_is(
    empty_database_url: str, own_database_url: str, files: Path
) -> None:
    def misfit(url: str) -> str | None:
        with closing(postgres.connect(url, "test")) as connection:
            return migrate.misfit(connection)

    assert "not migrated" in str(misfit(empty_database_url))
    assert misfit(own_database_url) is None
    (files / "0092_new.sql").write_text("SELECT 1")
    assert "not migrated" in str(misfit(own_database_url))
    migrate.migrate(own_database_url)
    assert misfit(own_database_url) is None
    (files / "0092_new.sql").unlink()
    assert "newer than this version" in str(misfit(own_database_url)) and "0092_new.sql" in str(
        misfit(own_database_url)
    )


@pytest.mark.parametrize("process", first_of(["worker", "sidecar"]))
def test_a_process_of_an_older_version_says_that_it_is_one(own_database_url: str, redis_url: str, process: str) -> None:
    run(
        own_database_url,
        "INSERT INTO migrations (name, checksum) VALUES ('9999_of_the_future.sql', 'x') RETURNING name",
    )
    env = {"PATH": os.environ["PATH"], "DEMO": "0", "DATABASE_URL": own_database_url, "REDIS_URL": redis_url}
    done = subprocess.run(
        [sys.executable, "-m", process],
        cwd=migrate.MIGRATIONS.parents[1],
        env={**env, "GILIRAN_DATA": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{process}: the database is newer than this version" in done.stderr.splitlines()[-1]


def test_the_command_says_in_one_line_why_it_can_not(
    own_database_url: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", own_database_url)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert migrate.main() == 0
    (files / "0092_bad.sql").write_text("SELECT 1 / 0")
    assert migrate.main() == 1
    assert capsys.readouterr().err == "migrate: the database refused the migration: division by zero\n"
