"""What `/ops` would show of each tenant, and what it does not: limits, drift, whom its rules name in vain."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import cursor

from db import files
from db.admin import ADMIN
from db.inbox import InboxDown
from db.limits import key_of
from db.postgres import Ledger, LedgerTrouble
from db.views import VIEWS
from scripts.admin import troubles
from scripts.admin.doctor.facts.at_once import CantRead
from views import glance, in_force, now
from views.source import Source


@dataclass(frozen=True)
class Tenant:
    """`problems`: of `views.now`. `limit`: of agents without a key of their own; `limits`: of each agent. `invalid`:
    limit key → its text. `missed_s`: seconds since a webhook was last found missing, None: never."""

    id: str
    desk: str
    problems: Sequence[Mapping[str, Any]]
    limit: int
    limits: Sequence[int]
    invalid: Mapping[str, str]
    missed_s: float | None
    missed: int
    files_bytes: int


@dataclass(frozen=True)
class Tenants:
    """`doors`: rows of the block `doors_of_tenants`. `rules`: tenant → the row of the block `rules_in_force`."""

    of: list[Tenant]
    doors: list[Any]
    rules: Mapping[str, Any]

    def names(self) -> list[str]:
        return [each.id for each in self.of]


def read(database_url: str, source: Source, names: Sequence[str]) -> Tenants:
    """Raises `CantRead`."""
    try:
        with closing(Ledger(database_url, "doctor")) as ledger, ledger.transaction() as cur:
            cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return _read(cur, source, names)
    except (LedgerTrouble, psycopg2.Error) as error:
        raise CantRead(troubles.postgres(error)) from error
    except InboxDown as error:
        raise CantRead(str(error)) from error


def _read(cur: cursor, source: Source, names: Sequence[str]) -> Tenants:
    used = files.of_tenants(cur)
    return Tenants(
        of=[_tenant(cur, source, name, used.get(name, 0)) for name in names],
        doors=[row for row in ADMIN.all(cur, "doors_of_tenants") if row.id in names],
        rules={name: VIEWS.one(cur, "rules_in_force", tenant=name) for name in names},
    )


def _tenant(cur: cursor, source: Source, name: str, files_bytes: int) -> Tenant:
    seen = now.glance(source, cur, name, glance.today(cur, name, source.target_s))
    crew = [member for member in seen.line.team.values() if member.role in ("", "agent")]
    limits = in_force.read(source, cur, name, [member.id for member in crew])
    missed_s, missed = _missed(seen.line.drifts, seen.line.now)
    return Tenant(
        id=name,
        desk=seen.tenant.desk,
        problems=now.problems(seen),
        limit=limits.general,
        limits=[member.limit for member in crew],
        invalid=_invalid(cur, name, limits.limits.complaints),
        missed_s=missed_s,
        missed=missed,
        files_bytes=files_bytes,
    )


def _invalid(cur: cursor, tenant: str, new: Mapping[str, str]) -> dict[str, str]:
    """Limit keys whose text is no limit: those that a worker has seen, and `new` ones."""
    seen = {row.scope: row.invalid for row in VIEWS.all(cur, "copies", tenant=tenant) if row.invalid is not None}
    return {key_of(tenant, scope): text for scope, text in sorted({**seen, **new}.items())}


def _missed(drifts: Sequence[Any], at: datetime) -> tuple[float | None, int]:
    row = next((row for row in drifts if row.kind == "missed_arrival"), None)
    return (None, 0) if row is None or row.last_at is None else ((at - row.last_at).total_seconds(), row.healed)
