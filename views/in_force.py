"""Which limit holds for whom, and by which key: the admin's keys in Redis, the ledger's copies, the environment.

The rules are the worker's own (`worker.limits`); here they are read beside it and traced back to their key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor

from db import inbox, limits
from db.limits import key_of
from db.views import VIEWS
from views.source import Source

ENVIRONMENT = "MAX_AGENT_CHAT"


@dataclass(frozen=True)
class TenantLimits:
    """`lost`: scopes whose key Redis lost; a worker puts them back, and they hold already."""

    tenant: str
    limits: limits.Limits
    lost: frozenset[str]

    def of(self, agent: str) -> int:
        return self.limits.of(agent)

    def source(self, agent: str | None) -> str:
        """The key, or the setting, that the limit comes from; without an agent: the tenant's."""
        own = [limits.agent_scope(agent)] if agent is not None else []
        for scope in (*own, limits.TENANT, limits.GLOBAL):
            if scope in self.limits.values:
                return key_of(self.tenant, scope)
        return ENVIRONMENT

    @property
    def general(self) -> int:
        """What holds for an agent without a key of their own."""
        values = self.limits.values
        return values.get(limits.TENANT, values.get(limits.GLOBAL, self.limits.default))


def _texts(source: Source, keys: Sequence[str]) -> list[str | None]:
    """Redis away: as if it had lost them. The ledger's copies hold then, for the workers too."""
    return [None] * len(keys) if source.away else source.inbox.limit_texts(keys)


def read(source: Source, cur: cursor, tenant: str, agents: Sequence[str]) -> TenantLimits:
    copies = {row.scope: limits.Copy(row.value, row.invalid) for row in VIEWS.all(cur, "copies", tenant=tenant)}
    scopes = limits.scopes(agents, copies)
    keys = [inbox.key(tenant, "epoch"), *(key_of(tenant, scope) for scope in scopes)]
    epoch, *texts = _texts(source, keys)
    found: dict[str, str | None] = dict(zip(scopes, texts, strict=True))
    lost = limits.to_restore(found, copies) if epoch != VIEWS.one(cur, "epoch", tenant=tenant).epoch else {}
    found.update({scope: str(value) for scope, value in lost.items()})
    in_force = limits.read(found, copies, source.default_limit)
    return TenantLimits(tenant, in_force, frozenset(lost))
