"""How many chats may an agent have? Pure: the admin's keys, the ledger's copy, the environment → limits and changes.

H3 (docs/algorithm.md): the keys live in Redis, which may be emptied; the copy in the ledger tells a deletion by the
admin from a loss of Redis.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from db.inbox import LimitKeys, limit_key
from policies.policy import LIMIT_MAX

GLOBAL, TENANT = "", "tenant"


def agent_scope(agent: str) -> str:
    return f"agent:{agent}"


def agent_of(scope: str) -> str:
    return scope.removeprefix("agent:")


def key_of(tenant: str, scope: str) -> str:
    """The admin's key of a scope of the ledger's copy."""
    if scope == GLOBAL:
        return limit_key()
    if scope == TENANT:
        return limit_key(tenant)
    return limit_key(tenant, agent_of(scope))


def scopes(agents: Iterable[str], copies: Iterable[str]) -> list[str]:
    """Every scope whose key has to be read: the two wide ones, each agent's, and those that the ledger remembers."""
    return sorted({GLOBAL, TENANT, *(agent_scope(agent) for agent in agents), *copies})


def keys_of(tenant: str, scopes: Sequence[str], default: int) -> LimitKeys:
    digest = hashlib.sha256("\n".join((str(default), *scopes)).encode()).hexdigest()
    return LimitKeys(scopes, [key_of(tenant, scope) for scope in scopes], digest[:16])


@dataclass(frozen=True)
class Copy:
    """One row of the ledger's copy. `value` None: only an unusable text was ever seen; `invalid`: the last one."""

    value: int | None
    invalid: str | None = None


@dataclass(frozen=True)
class Limits:
    """The limits in force, and what has to be written to keep the ledger's copy true."""

    values: Mapping[str, int]  # scope → limit, valid ones only
    default: int
    keep: Mapping[str, Copy]  # scopes whose copy changes
    forget: Sequence[str]  # scopes whose key the admin deleted
    complaints: Mapping[str, str]  # scope → unusable text seen for the first time

    def of(self, agent: str) -> int:
        """The narrowest valid key wins."""
        for scope in (agent_scope(agent), TENANT, GLOBAL):
            if scope in self.values:
                return self.values[scope]
        return self.default


def parse(text: str) -> int | None:
    """A whole number 0..1000, else None."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit() and len(plain) <= 9 and int(plain) <= LIMIT_MAX:
        return int(plain)
    return None


def read(found: Mapping[str, str | None], copies: Mapping[str, Copy], default: int) -> Limits:
    """`found`: scope → text of its key, None where there is no key. Call it after lost keys were restored: a key that
    is missing now was deleted by the admin."""
    values: dict[str, int] = {}
    keep: dict[str, Copy] = {}
    forget: list[str] = []
    complaints: dict[str, str] = {}
    for scope, text in found.items():
        copy = copies.get(scope)
        if text is None:
            if copy is not None:
                forget.append(scope)
            continue
        value = parse(text)
        if value is None:
            shown = text[:100].replace("\0", "?")
            if copy is None or copy.invalid != shown:
                complaints[scope] = shown
                keep[scope] = Copy(copy.value if copy else None, shown)
            continue  # ignored: the next wider key holds
        values[scope] = value
        if copy != Copy(value):
            keep[scope] = Copy(value)
    return Limits(values, default, keep, forget, complaints)


def to_restore(found: Mapping[str, str | None], copies: Mapping[str, Copy]) -> dict[str, int]:
    """What a Redis that lost its data has to be given back: scope → value."""
    return {
        scope: copy.value for scope, copy in copies.items() if copy.value is not None and found.get(scope, None) is None
    }
