"""`giliran agent`: who serves, how full they are, the limit of one of them; the accounts of our own chat."""

import click

from db.admin import ADMIN
from db.views import VIEWS
from scripts.admin import account, crew, setting
from scripts.admin.installation import Installation, as_json, say, some, tenant_filter, tenant_option
from views import in_force, team
from views.words import clean, counted


@click.group()
def agent() -> None:
    """Agents: who is online, how full, with which limit."""


@agent.command("list")
@tenant_filter
@as_json
@click.pass_obj
def list_(installation: Installation, tenant: str | None, as_json: bool) -> None:
    """List the agents of Qiscus and the accounts of the native chat; those who can get chats come first.

    CHATS are seats that Giliran assigned or reserved. OTHERS are the agent's chats that Giliran did not assign,
    estimated from the desk's count. ONLINE and DESK SAYS are the desk's last answer, from when the agent was SEEN:
    Giliran asks while rooms wait. For accounts of the native chat, ONLINE is the present state: `online`, `away` (the
    page is open, no chats are assigned) or `offline`. LIMIT is the limit in force; `giliran max` shows which key sets
    it. DIVISIONS are those of accounts; whom Qiscus has in which division only Qiscus knows.
    """
    with installation.reading() as cur:
        now = VIEWS.one(cur, "now").at
        teams = {name: team.read(installation.source(), cur, name) for name in some(cur, tenant)}
        own = {row.id for row in ADMIN.all(cur, "native_tenants")}
    shown = {
        name: crew.text(members, now) if members else _nobody(name, name in own) for name, members in teams.items()
    }
    parts = [_titled(name, text, len(teams)) for name, text in shown.items()]
    data = {"agents": [team.as_data(member) for members in teams.values() for member in members], "at": now}
    say(as_json, data, "\n\n".join(parts) or "no tenant yet: see `giliran tenant add --help`")


def _titled(tenant: str, text: str, tenants: int) -> str:
    return f"{click.style(clean(tenant), bold=True)}\n{text}" if tenants > 1 else text


def _nobody(tenant: str, own_chat: bool) -> str:
    if own_chat:
        return f"no account yet: giliran agent add E-MAIL --name NAME --tenant {tenant}"
    return "no agent seen yet: the desk is asked for them when the first room waits"


@agent.command(context_settings={"ignore_unknown_options": True})
@click.argument("who", metavar="AGENT")
@click.argument("n", metavar="[N]", required=False)
@click.option("--clear", is_flag=True, help="Remove the agent's own limit: the next wider key applies.")
@tenant_option
@as_json
@click.pass_obj
def limit(installation: Installation, who: str, n: str | None, clear: bool, tenant: str | None, as_json: bool) -> None:
    """Show or set the limit of one agent. N is 0 to 1000; 0 pauses.

    AGENT is an id or, in a native chat, an e-mail of `giliran agent list`. --tenant is needed only where several
    tenants have such an agent.
    """
    if any(text.startswith("-") and not text[1:].isdigit() for text in (who, n or "")):
        raise click.UsageError("No such option")
    if n is not None and clear:
        raise click.UsageError("N and --clear exclude one another")
    value = setting.checked(n) if n is not None else None
    with installation.reading() as cur:
        found = setting.meant(cur, tenant, who)
        limits = in_force.read(installation.source(), cur, found.tenant, [found.agent])
    if clear:
        key, was_there = setting.clear(installation, found.tenant, found.agent)
        say(as_json, {"key": key, "cleared": was_there}, setting.cleared_text(key, was_there))
    elif value is not None:
        key = setting.put(installation, found.tenant, found.agent, value)
        say(as_json, {"key": key, "value": value}, setting.done_text(key, value))
    else:
        holds = {"limit": limits.of(found.agent), "by": limits.source(found.agent)}
        name = f"{clean(found.agent)} ({clean(found.email)})" if found.email else clean(found.agent)
        text = f"{name} may have {counted(limits.of(found.agent), 'chat')} (by {holds['by']})"
        say(as_json, {**found._asdict(), **holds}, text)


for command in (account.add, account.divisions, account.password, account.disable, account.enable, account.unlock):
    agent.add_command(command)
