"""Fixtures with real servers: one PostgreSQL and one Valkey for the whole run, a clean piece of them for each test."""

import os
import shutil
from collections.abc import Iterator

import hypothesis
import pytest

from db import migrate
from testbed import memory_disk, servers
from testbed.databases import Databases, EmptiedDatabase
from testbed.servers import OwnServer, RedisDatabases

# Milliseconds of one example say how busy the machine is, not whether the answer is right.
hypothesis.settings.register_profile("giliran", deadline=None)
hypothesis.settings.load_profile("giliran")

LONGEST = (
    "test_run.py",
    "test_chat_pages.py",
    "test_walk.py",
    "test_agent_page.py",
    "test_outcomes.py",
    "test_chat_attacks.py",
    "test_drift.py",
    "test_widget.py",
    "test_chat_sockets.py",
    "test_kills.py",
    "test_agent_everybody.py",
    "test_admin_chat.py",
    "test_flush.py",
    "test_chat_losses.py",
    "test_chat_storm.py",
    "test_login.py",
    "test_admin_process.py",
    "test_late_counts.py",
    "test_stop.py",
    "test_chat_crowd.py",
    "test_presence.py",
    "test_receiver.py",
    "test_limits_live.py",
)


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:  # it has inherited the folder
        return
    if folder := memory_disk.begin():
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def _databases() -> Iterator[Databases]:
    with servers.databases() as made:
        yield made


@pytest.fixture(scope="session")
def _redis_databases() -> Iterator[RedisDatabases]:
    with servers.redis_databases() as made:
        yield made


@pytest.fixture(scope="module")
def _database(_databases: Databases) -> Iterator[EmptiedDatabase]:
    with _databases.clone() as url, EmptiedDatabase(url) as made:
        yield made


@pytest.fixture
def database_url(_database: EmptiedDatabase) -> str:
    """A migrated PostgreSQL database without a row: that of the test before, as far as it is of the same file."""
    return _database.emptied()


@pytest.fixture
def own_database_url(_databases: Databases) -> Iterator[str]:
    """One for a test that changes more than rows."""
    with _databases.clone() as url:
        yield url


@pytest.fixture
def empty_database_url(_databases: Databases) -> Iterator[str]:
    """A PostgreSQL database before its first migration."""
    with _databases.empty() as url:
        yield url


@pytest.fixture
def redis_url(_redis_databases: RedisDatabases) -> str:
    """An empty database of the shared Valkey. No FLUSHALL here: it empties other tests' too; see `own_valkey`."""
    return _redis_databases.next_of_a_test()


@pytest.fixture
def own_valkey() -> Iterator[OwnServer]:
    """A Valkey of this test alone, with the production's durability: flush, freeze, kill and restart it at will."""
    with servers.running_valkey(fast=False) as own:
        yield own


@pytest.fixture
def own_postgres() -> Iterator[OwnServer]:
    """A migrated PostgreSQL of this test alone, with the production's durability."""
    with servers.running_postgres(fast=False) as own:
        migrate.migrate(own.url)
        yield own


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pages come first, since they share a browser for as long as they follow one another; then the longest files, so
    that no process is left alone with one at the end."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        name = item.path.name
        return item.path.parent.name != "pages", LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)
