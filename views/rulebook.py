"""A tenant's rules as the ledger has them, for commands that show what they mean for a room."""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from psycopg2.extensions import cursor

from db.views import VIEWS
from routing import file
from routing.model import Rules
from routing.route import serve_start

NONE = Rules()


class Book(NamedTuple):
    """`version` 0: there were never any."""

    version: int
    rules: Rules

    def shut(self, now: datetime) -> "Shut | None":
        """None while rooms are served."""
        opens = serve_start(self.rules, now)
        return None if opens == now else Shut(opens)


class Shut(NamedTuple):
    """Outside the hours, and rooms wait. `until` None: the hours have no next opening."""

    until: datetime | None


def in_force(cur: cursor, tenant: str) -> Book:
    row = VIEWS.one(cur, "rules_in_force", tenant=tenant)
    return Book(row.version, read(row.content))


def version(cur: cursor, tenant: str, wanted: int) -> Book:
    """Which waiting rooms may still go by."""
    row = VIEWS.one(cur, "rule_file", tenant=tenant, version=wanted)
    return Book(wanted, read(row.content) if row else NONE)


@lru_cache(maxsize=64)
def read(content: str) -> Rules:
    """None that this release can use: none, as for the workers."""
    return file.check(content).rules or NONE
