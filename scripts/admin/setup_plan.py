"""Pure: what `giliran setup qiscus` has to register at Qiscus, and what a person must press where the API refuses."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from worker.desk.qiscus_hooks import ALLOCATION, HOOKS, Hook, Registered

NAMES = {"agent_allocation": "Custom Agent Allocation", "mark_as_resolved": "Mark As Resolved"}
SHOWN = "<WEBHOOK_SECRET>"


def address(public: str, tenant: str, hook: Hook, secret: str | None) -> str:
    """Where Qiscus posts. Every character of the secret that means something in a URL is encoded."""
    query = f"?secret={quote(secret, safe='')}" if secret else ""
    return f"{public}/{tenant}{hook.path}{query}"


def shown(public: str, tenant: str, hook: Hook, secret: str | None) -> str:
    """The same address without the secret."""
    return address(public, tenant, hook, None) + (f"?secret={SHOWN}" if secret else "")


def missing(known: Iterable[Registered], public: str, tenant: str, secret: str | None) -> list[Hook]:
    """Those that Qiscus's list does not have exactly so, and enabled. Registering one again is harmless."""
    right = {(one.kind, one.url) for one in known if one.is_active}
    return [hook for hook in HOOKS if (hook.kind, address(public, tenant, hook, secret)) not in right]


def contradicts(known: Iterable[Registered], hook: Hook, url: str) -> bool:
    """Whether the list has the webhook otherwise than its registration said. Which kinds the list names is not
    documented: one that it leaves out says nothing."""
    rows = [one for one in known if one.kind == hook.kind]
    return bool(rows) and not any(one.url == url and one.is_active for one in rows)


def by_hand(hook: Hook, base_url: str, tenant: str, public: str, secret: str | None) -> str:
    where = shown(public, tenant, hook, secret)
    if hook == ALLOCATION:
        steps = [f"in Qiscus's dashboard open Settings > {NAMES[hook.kind]}, switch it on, enter this URL, and save:"]
        steps += [f"    {where}"]
    else:
        steps = ["Qiscus's dashboard has no page for it. Ask with the token of an admin (without Bearer):"]
        steps += [f"    curl -X POST {base_url}{hook.ask.path} -H 'Authorization: <token>' \\"]
        steps += [f"      -H 'Qiscus-App-Id: {tenant}' --data-urlencode 'webhook_url={where}' \\"]
        steps += ["      --data-urlencode 'is_webhook_enabled=true'"]
    return "\n".join([f"{NAMES[hook.kind]}: {steps[0]}", *steps[1:], *_about_secret(secret)])


def _about_secret(secret: str | None) -> list[str]:
    """How the secret must be written there, without showing it."""
    odd = sorted({char for char in secret or "" if quote(char, safe="") != char})
    if not secret:
        return []
    how = ", with " + ", ".join(f"{char} as {quote(char, safe='')}" for char in odd) if odd else ""
    return [f"    {SHOWN} is the webhook secret{how}."]


def env_lines(tenant: str, is_first: bool) -> str:
    """What .env needs before webhooks can be registered. Secrets are for the person to enter."""
    app = [f"QISCUS_APP_ID={tenant}", "QISCUS_SECRET_KEY=<the secret key>"] if is_first else []
    lines = [*app, "WEBHOOK_SECRET=<16 characters or more, such as from `openssl rand -hex 24`>"]
    return "\n".join(f"  {line}" for line in lines)


def planned(hooks: Sequence[Hook], public: str, tenant: str, secret: str | None) -> list[str]:
    return [f"  {NAMES[hook.kind]:<24} {shown(public, tenant, hook, secret)}" for hook in hooks]
