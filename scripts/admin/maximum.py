"""`giliran max`: the limit keys that exist, what each means, and what is in force."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
from psycopg2.extensions import cursor

from db import limits
from db.inbox import limit_key
from policies.policy import LIMIT_MAX
from scripts.admin import setting
from scripts.admin.installation import Installation, as_json, say, some
from scripts.admin.table import table
from views import in_force, team
from views.in_force import ENVIRONMENT, TenantLimits
from views.words import clean

TEXT_MOST = 100  # characters of a key's value worth showing


@dataclass(frozen=True)
class Key:
    """One key that exists. `value` None: what it holds is no limit; `text` None: not even a text."""

    key: str
    text: str | None
    value: int | None
    tenant: str | None
    agent: str | None
    known: bool  # whether such a tenant, and such an agent, exist


@dataclass(frozen=True)
class Maximum:
    keys: list[Key]
    tenants: list[TenantLimits]
    agents: dict[str, list[str]]  # tenant → its agents
    default: int


@click.command("max", context_settings={"ignore_unknown_options": True})
@click.argument("n", metavar="[N]", required=False)
@click.option("--tenant", metavar="TENANT", help="The limit of this tenant's agents.")
@click.option("--agent", metavar="AGENT", help="The limit of this agent, by id or e-mail; see `giliran agent list`.")
@click.option("--clear", is_flag=True, help="Remove the key: the next wider one applies.")
@as_json
@click.pass_obj
def max_(
    installation: Installation, n: str | None, tenant: str | None, agent: str | None, clear: bool, as_json: bool
) -> None:
    """Show or set how many chats an agent may have.

    Without N it shows every key, and the limits in force. With N (0 to 1000; 0 pauses) it sets the global limit, or
    that of a tenant or an agent. The narrowest valid key applies; without one, MAX_AGENT_CHAT of the environment does.
    Nobody loses a chat when a limit is lowered.
    """
    if n is not None and n.startswith("-") and not n[1:].isdigit():
        raise click.UsageError(f"No such option: {n}")
    if n is not None and clear:
        raise click.UsageError("N and --clear exclude one another")
    if n is None and not clear:
        _show(installation, tenant, agent, as_json)
        return
    value = setting.checked(n) if n is not None else None
    tenant, agent = _scope(installation, tenant, agent)
    if value is None:
        key, was_there = setting.clear(installation, tenant, agent)
        say(as_json, {"key": key, "cleared": was_there}, setting.cleared_text(key, was_there))
        return
    key = setting.put(installation, tenant, agent, value)
    say(as_json, {"key": key, "value": value}, setting.done_text(key, value))


def _scope(installation: Installation, tenant: str | None, agent: str | None) -> tuple[str | None, str | None]:
    """The tenant and the agent whose key is meant, both None for the global one."""
    if tenant is None and agent is None:
        return None, None
    with installation.reading() as cur:
        if agent is None:
            return some(cur, tenant)[0], None
        found = setting.meant(cur, tenant, agent)
    return found.tenant, found.agent


def _show(installation: Installation, tenant: str | None, agent: str | None, as_json: bool) -> None:
    with installation.reading() as cur:
        meant = setting.meant(cur, tenant, agent) if agent is not None else None
        tenants = [meant.tenant] if meant else some(cur, tenant)
        found = read(installation, cur, tenants, meant.agent if meant else None)
    keys = [key for key in found.keys if tenant is None or key.tenant in (None, tenant)]
    shown = Maximum(keys, found.tenants, found.agents, found.default)
    say(as_json, as_data(shown), text(shown))


def read(installation: Installation, cur: cursor, tenants: Sequence[str], agent: str | None) -> Maximum:
    known = {t: [row.id for row in team.rows_of(cur, t)] for t in some(cur, None)}
    in_forces = [in_force.read(installation.source(), cur, t, known[t]) for t in tenants]
    agents = {t: [a for a in known[t] if agent in (None, a)] for t in tenants}
    keys = [_key(name, value, known) for name, value in _stored(installation)]
    return Maximum(keys, in_forces, agents, installation.settings.max_agent_chat)


def _stored(installation: Installation) -> list[tuple[str, str | None]]:
    """Every key of ours with its text; None where it holds something else than a text."""
    client = installation.redis
    names = sorted(name for name in client.scan_iter(match=f"{limit_key()}*", count=1000) if _ours(name))
    texts = installation.inbox.limit_texts(names) if names else []
    return [(name, text) for name, text in zip(names, texts, strict=True) if text is not None or client.exists(name)]


def _ours(name: str) -> bool:
    return name == limit_key() or name.startswith(f"{limit_key()}:")


def _key(name: str, text: str | None, known: dict[str, list[str]]) -> Key:
    value = limits.parse(text) if text is not None else None
    shown = text[:TEXT_MOST] if text is not None else None
    if name == limit_key():
        return Key(name, shown, value, None, None, True)
    for tenant, agents in known.items():
        if name == limit_key(tenant):
            return Key(name, shown, value, tenant, None, True)
        if name.startswith(f"{limit_key(tenant)}:"):
            agent = name.removeprefix(f"{limit_key(tenant)}:")
            return Key(name, shown, value, tenant, agent, agent in agents)
    return Key(name, shown, value, name.removeprefix(f"{limit_key()}:"), None, False)


def text(found: Maximum) -> str:
    parts = [_keys_text(found)]
    tenants = [(clean(t.tenant), t.general, clean(t.source(None), 200)) for t in found.tenants]
    parts.append(table(("TENANT", "IN FORCE", "BY"), tenants) if tenants else "no tenant yet")
    agents = [_agent_row(t, agent) for t in found.tenants for agent in _special(found, t)]
    if agents:
        parts.append(table(("TENANT", "AGENT", "IN FORCE", "BY"), agents))
    parts.append(f"without any valid key: {found.default} ({ENVIRONMENT} of the environment)")
    return "\n\n".join(parts)


def _keys_text(found: Maximum) -> str:
    lost = [(t, scope) for t in found.tenants for scope in sorted(t.lost)]
    rows: list[tuple[object, ...]] = [(clean(key.key, 200), _shown(key), meaning(key, found)) for key in found.keys]
    rows += [(_lost_key(t, scope), t.limits.values[scope], "lost by Redis, a worker puts it back") for t, scope in lost]
    return table(("KEY", "VALUE", "MEANING"), rows) if rows else f"no {limit_key()} key is set"


def _lost_key(of: TenantLimits, scope: str) -> str:
    return clean(limits.key_of(of.tenant, scope), 200)


def _shown(key: Key) -> str:
    return clean(key.text, 40) if key.text is not None else "(not a text)"


def meaning(key: Key, found: Maximum) -> str:
    if key.value is None:
        ignored = click.style("ignored", fg="red", bold=True)
        return f"{ignored}: not a whole number from 0 to {LIMIT_MAX}; {_instead(key, found)}"
    if not key.known:
        return "no such agent yet: no effect" if key.agent else "no such tenant: no effect"
    return "valid, pauses: 0" if key.value == 0 else "valid"


def _instead(key: Key, found: Maximum) -> str:
    """What holds where this key should have spoken."""
    about = [t for t in found.tenants if key.tenant in (None, t.tenant)]
    if not key.known or not about:
        return "it would have no effect anyway" if not key.known else f"{found.default} ({ENVIRONMENT}) holds"
    if key.agent is not None:
        return _holds(about[0].of(key.agent), about[0].source(key.agent))
    return ", ".join(dict.fromkeys(_holds(t.general, t.source(None)) for t in about))


def _holds(value: int, source: str) -> str:
    return f"{value} ({clean(source, 200)}) holds"


def _special(found: Maximum, of: TenantLimits) -> Iterable[str]:
    """Agents whose limit is their own."""
    return [agent for agent in found.agents[of.tenant] if limits.agent_scope(agent) in of.limits.values]


def _agent_row(of: TenantLimits, agent: str) -> tuple[str, str, int, str]:
    return clean(of.tenant), clean(agent), of.of(agent), clean(of.source(agent), 200)


def as_data(found: Maximum) -> dict[str, Any]:
    keys = [{**asdict(key), "valid": key.value is not None} for key in found.keys]
    tenants = [
        {
            "tenant": t.tenant,
            "limit": t.general,
            "by": t.source(None),
            "agents": {a: {"limit": t.of(a), "by": t.source(a)} for a in found.agents[t.tenant]},
            "lost": {_lost_key(t, scope): t.limits.values[scope] for scope in sorted(t.lost)},
        }
        for t in found.tenants
    ]
    return {"keys": keys, "tenants": tenants, "default": found.default}
