"""A tenant's rules in force. Each process reads a file once, however many tenants and decisions go by it.

Whoever has the tenant's row locked asks; the row says which version is in force, and the digest of its file.
"""

import json
import logging
from typing import NamedTuple

from psycopg2.extensions import cursor

import logs
from db.inbox import Named
from db.ledger import LEDGER
from db.turn import Turn
from routing import file, route
from routing.faults import FaultyRules
from routing.model import Rules

log = logging.getLogger("db.rules")

KEPT_MOST = 256  # files; then all are read anew
NO_FILE = Rules()

_kept: dict[str, Rules] = {}  # by digest: what a file means never changes


class Book(NamedTuple):
    """`version` 0: the tenant never had rules. `rules` None: there are none now."""

    version: int = 0
    rules: Rules | None = None


def in_force(turn: Turn) -> Book:
    version, digest = turn.row.rules_version, turn.row.rules_digest
    if not digest:
        return Book(version)
    rules = _read(turn.cur, turn.tenant, version, digest)
    return Book(version, None if rules is NO_FILE else rules)


def of(cur: cursor, tenant: str) -> tuple[Book, float]:
    """Without a lock, for who only looks; and PostgreSQL's time, unix seconds."""
    row = LEDGER.one(cur, "rules_of", tenant=tenant)
    if row is None or not row.rules_digest:
        return Book(), row.now_s if row else 0.0
    rules = _read(cur, tenant, row.rules_version, row.rules_digest)
    return Book(row.rules_version, None if rules is NO_FILE else rules), row.now_s


def with_messages(cur: cursor) -> list[str]:
    """Tenants whose rules have something to tell to who waits."""
    rows = [row for row in LEDGER.all(cur, "rule_digests") if row.digest]
    found = {row.tenant: _read(cur, row.tenant, row.version, row.digest).messages for row in rows}
    return [tenant for tenant, messages in found.items() if messages.queued or messages.closed]


def named(cur: cursor) -> dict[str, Named]:
    """What the receiver has to keep of an arrival, for tenants that have rules, or had."""
    found = {row.tenant: (row.version, row.digest) for row in LEDGER.all(cur, "rule_digests")}
    return {
        tenant: names_of(version, _read(cur, tenant, version, digest) if digest else NO_FILE)
        for tenant, (version, digest) in found.items()
    }


def names_of(version: int, rules: Rules) -> Named:
    return Named(version, "" if rules is NO_FILE else json.dumps(route.named(rules).as_list()))


def _read(cur: cursor, tenant: str, version: int, digest: str) -> Rules:
    if digest not in _kept:
        if len(_kept) >= KEPT_MOST:
            _kept.clear()
        content = LEDGER.one(cur, "rule_file", tenant=tenant, version=version).content
        _kept[digest] = _rules(tenant, version, content)
    return _kept[digest]


def _rules(tenant: str, version: int, content: str) -> Rules:
    """A file that an earlier release applied and this one can't read counts as none, loudly: rooms are served."""
    if not content:
        return NO_FILE
    try:
        return file.read(content)
    except FaultyRules as error:
        log.error(logs.line("rules_unreadable", tenant=tenant, version=version, why=error))
        return NO_FILE
