"""Databases for tests: copies of one that was migrated once, and one that tests have one after the other."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql

from db import migrate


class Databases:
    """Makes databases by cloning one that was migrated once: some 20 ms each in memory, instead of a migration."""

    def __init__(self, admin_url: str, app_url: str) -> None:
        """The admin creates and drops; the application's role owns."""
        self._app_url = app_url
        self._admin = psycopg2.connect(admin_url)
        self._admin.autocommit = True
        self._template = self._create("template_of_tests")
        migrate.migrate(self.url_of(self._template))

    def url_of(self, name: str) -> str:
        return urlsplit(self._app_url)._replace(path=f"/{name}").geturl()

    @contextmanager
    def clone(self) -> Iterator[str]:
        """The URL of a fresh, migrated database."""
        name = self._create("test", self._template)
        try:
            yield self.url_of(name)
        finally:
            self._drop(name)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database that no migration has seen."""
        name = self._create("empty")
        try:
            yield self.url_of(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        self._drop(self._template)
        self._admin.close()

    def _create(self, prefix: str, template: str = "template1") -> str:
        name = f"{prefix}_{secrets.token_hex(6)}"
        owner = urlsplit(self._app_url).username or "postgres"
        self._run("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY", name, template, owner)
        return name

    def _drop(self, name: str) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _run(self, statement: str, *names: str) -> None:
        self._admin.cursor().execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


KEPT = ("test", "giliran test")  # how sessions call themselves that tests keep open from one to the next

END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND NOT application_name = ANY(%s)
"""

# The tables that no other one takes its rows with.
EMPTY = """
DELETE FROM decisions; DELETE FROM refused; DELETE FROM visits; DELETE FROM tenants;
DELETE FROM sidecars; DELETE FROM operators; DELETE FROM audit; DELETE FROM login_tries; DELETE FROM installation
"""


class EmptiedDatabase:
    """A migrated database, as after its migrations for each test: fifty times as quick as another one. For tests that
    change rows only."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg2.connect(url, application_name="test")
        self._connection.autocommit = True

    def emptied(self) -> str:
        """Its URL."""
        with self._connection.cursor() as cur:
            cur.execute(END_OTHERS, [list(KEPT)])
            cur.execute(EMPTY)
            cur.execute("SELECT relname FROM pg_stat_user_tables WHERE relname <> 'migrations'")
            left = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for (name,) in cur)
            cur.execute(left)
            assert not cur.rowcount, f"rows are left: {cur.fetchall()}"
        return self._url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
