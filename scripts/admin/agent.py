"""`giliran agent`: who serves, how full they are, the limit of one of them; the accounts of our own chat."""

import click

from db.admin import ADMIN
from scripts.admin import account, crew, in_force, setting
from scripts.admin.installation import Installation, as_json, one, say, some, tenant_filter, tenant_option
from scripts.admin.table import clean, counted


@click.group()
def agent() -> None:
    """Agents: who is online, how full, with which limit."""


@agent.command("list")
@tenant_filter
@as_json
@click.pass_obj
def list_(installation: Installation, tenant: str | None, as_json: bool) -> None:
    """Everybody whom the desk ever named, and the accounts of our own chat; those online first.

    CHATS are seats that we gave, reserved or held. OTHERS are chats that are not ours, by the desk's count and with
    its lateness taken off. ONLINE and DESK SAYS are as the desk told when the agent was SEEN last: it is asked while
    rooms wait. LIMIT is what holds now; `giliran max` shows by which key.
    """
    with installation.reading() as cur:
        now = ADMIN.one(cur, "now").at
        teams = {name: crew.read(installation, cur, name) for name in some(cur, tenant)}
    parts = [_titled(name, crew.text(team, now) if team else _nobody(), len(teams)) for name, team in teams.items()]
    data = {"agents": [crew.as_data(member) for team in teams.values() for member in team], "at": now}
    say(as_json, data, "\n\n".join(parts) or "no tenant yet: see `giliran tenant add --help`")


def _titled(tenant: str, text: str, tenants: int) -> str:
    return f"{click.style(clean(tenant), bold=True)}\n{text}" if tenants > 1 else text


def _nobody() -> str:
    return "no agent seen yet: the desk is asked for them when the first room waits"


@agent.command(context_settings={"ignore_unknown_options": True})
@click.argument("agent_id", metavar="AGENT")
@click.argument("n", metavar="[N]", required=False)
@click.option("--clear", is_flag=True, help="Take the agent's own limit away: the next wider key holds.")
@tenant_option
@as_json
@click.pass_obj
def limit(
    installation: Installation, agent_id: str, n: str | None, clear: bool, tenant: str | None, as_json: bool
) -> None:
    """Show or set the limit of one agent. AGENT is an id of `giliran agent list`; N is 0 to 1000, 0 pauses."""
    if any(text.startswith("-") and not text[1:].isdigit() for text in (agent_id, n or "")):
        raise click.UsageError("No such option")
    if n is not None and clear:
        raise click.UsageError("N and --clear exclude one another")
    value = setting.checked(n) if n is not None else None
    with installation.reading() as cur:
        tenant = one(cur, tenant)
        setting.known_agent(cur, tenant, agent_id)
        limits = in_force.read(installation, cur, tenant, [agent_id])
    if clear:
        key, was_there = setting.clear(installation, tenant, agent_id)
        say(as_json, {"key": key, "cleared": was_there}, setting.cleared_text(key, was_there))
    elif value is not None:
        key = setting.put(installation, tenant, agent_id, value)
        say(as_json, {"key": key, "value": value}, setting.done_text(key, value))
    else:
        data = {"tenant": tenant, "agent": agent_id, "limit": limits.of(agent_id), "by": limits.source(agent_id)}
        say(as_json, data, f"{clean(agent_id)} may have {counted(limits.of(agent_id), 'chat')} (by {data['by']})")


for command in (account.add, account.password, account.disable, account.enable):
    agent.add_command(command)
