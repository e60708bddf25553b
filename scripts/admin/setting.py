"""Writes the admin's limit keys, for `max` and `agent limit`: the same keys as by the admin's Redis browser."""

from typing import Any

import click
from psycopg2.extensions import cursor

from db import acts, limits
from db.admin import ADMIN
from db.inbox import limit_key
from policies.policy import LIMIT_MAX
from scripts.admin.errors import NotFound, Refused
from scripts.admin.installation import Installation, one
from views.words import clean, listed


def checked(text: str) -> int:
    value = limits.parse(text)
    if value is None:
        raise Refused(f"{clean(text)!r} is no limit: use a whole number from 0 (pause) to {LIMIT_MAX}")
    return value


def put(installation: Installation, tenant: str | None, agent: str | None, value: int) -> str:
    """The key that was written."""
    key = limit_key(tenant, agent)
    with installation.writing() as cur:
        before, _ = acts.set_limit(cur, installation.inbox, tenant, agent, value)
        installation.audit(cur, tenant, "limit", key, before, value)
    return key


def clear(installation: Installation, tenant: str | None, agent: str | None) -> tuple[str, bool]:
    """The key, and whether it was there. Its copy goes too: if Redis lost the key just now, nobody puts it back."""
    key = limit_key(tenant, agent)
    with installation.writing() as cur:
        before, was_kept = acts.set_limit(cur, installation.inbox, tenant, agent, None)
        was_there = before is not None or was_kept
        if was_there:
            installation.audit(cur, tenant, "limit", key, before)
    return key, was_there


def done_text(key: str, value: int) -> str:
    meaning = "nobody under it gets a new room" if value == 0 else "in force within a second, no restart"
    return f"{key} = {value} ({meaning})"


def cleared_text(key: str, was_there: bool) -> str:
    return f"{key} is gone: the next wider key holds" if was_there else f"{key} was not set"


def meant(cur: cursor, tenant: str | None, who: str) -> Any:
    """The agent whose limit is meant, by id or e-mail: (tenant, agent, email). Without `tenant`: of the only one that
    knows such an agent."""
    if tenant is not None:
        one(cur, tenant)
    found = ADMIN.all(cur, "agents_called", tenant=tenant, who=who)
    if len(found) > 1:
        names = listed(row.tenant for row in found)
        raise click.UsageError(f"several tenants have an agent {clean(who)!r}: say --tenant with one of {names}")
    if not found:
        raise NotFound(f"no agent {clean(who)!r} in {one(cur, tenant)}: `giliran agent list` shows who was ever seen")
    return found[0]
