"""`giliran routing try`: where a webhook's body would lead, and who could serve it now."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from db import routes, rules
from db.ledger import LEDGER
from db.push import Webhook
from db.views import VIEWS
from receiver import payloads
from receiver.payloads import BadPayload
from routing import facts, file
from routing.model import CHANNEL, Agents, Rules
from routing.route import BY_CHANNEL, named, route
from scripts.admin import routing_read, routing_tried
from scripts.admin.errors import Refused
from scripts.admin.installation import Installation, as_json, one, say
from scripts.admin.routing_desk import Desk
from scripts.admin.routing_tried import DESK, FILE, LAST_READ, Able, Trial, zone
from views import in_force, team
from views.rulebook import read
from views.team import Member
from views.words import clean
from worker.desk.base import DeskError, RosterAgent

PAYLOAD_BYTES_MAX = 1024 * 1024  # as the receiver takes


@click.command("try")
@click.argument("payload", metavar="PAYLOAD.json")
@click.option("--file", "rules_file", metavar="FILE", help="The rules file to try (default: the version in force).")
@click.option(
    "--at", metavar="TIME", help="When it arrives, 2026-12-25T08:00 say; by the clock of the file's time zone."
)
@click.option("--tenant", metavar="TENANT", help="Whose rules and agents; with --file: whose agents.")
@as_json
@click.pass_context
def try_(
    ctx: click.Context, payload: str, rules_file: str | None, at: str | None, tenant: str | None, as_json: bool
) -> None:
    """Show where a webhook's body would lead, and which agents may serve it. Nothing is stored.

    PAYLOAD.json is the body of a Custom Agent Allocation webhook; - reads standard input. Agents are as they are now,
    also with --at: as the desk names them, or, if it does not answer, as a worker last read them. With --file and
    without --tenant no server is needed; agents are then shown as the file names them.
    """
    here: Installation = ctx.obj
    checked = file.check(routing_read.content(rules_file)) if rules_file is not None else None
    if rules_file is not None and checked and checked.rules is None:
        say(as_json, routing_read.as_data(rules_file, checked), routing_read.text(rules_file, checked))
        ctx.exit(routing_read.FAULTY)
    body = _body(payload)
    if checked and checked.rules and tenant is None:
        trial = _routed(body, checked.rules, at)
    else:
        trial = _of_tenant(here, tenant, checked.rules if checked else None, body, at)
    say(as_json, routing_tried.as_data(trial), routing_tried.text(trial))


def _body(path: str) -> bytes:
    """Refused with the receiver's own words where the receiver would refuse it."""
    body = routing_read.content(path, PAYLOAD_BYTES_MAX)
    if len(body) > PAYLOAD_BYTES_MAX:
        raise Refused(f"{routing_read.shown(path)} is larger than a webhook may be")
    try:
        payloads.arrived(body)
    except BadPayload as error:
        raise Refused(f"{routing_read.shown(path)}: {error.message}") from error
    return body


def _moment(text: str | None, rules: Rules) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone(rules))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"--at {clean(text)!r} is not a time: write 2026-12-25T08:00, say") from error


def _routed(body: bytes, rules: Rules, at: str | None) -> Trial:
    known = facts.of_webhook(body, named(rules))
    found = route(known, rules, _moment(at, rules))
    if found.by == BY_CHANNEL:
        found = replace(found, queue=CHANNEL + payloads.arrived(body).webhook.class_)
    return Trial(found, rules, known, _of_file(rules.queue(found.queue).agents))


def _of_file(who: Agents) -> Able:
    """What the file says of an agent: an id or an e-mail. The rest only the desk knows."""
    unknown = dict.fromkeys(("name", "online", "load", "limit"))
    ids = [{"id": id_, **unknown} for id_ in who.ids]
    return Able(ids + [{"id": None, "email": email, **unknown} for email in who.emails], FILE)


def _of_tenant(here: Installation, tenant: str | None, given: Rules | None, body: bytes, at: str | None) -> Trial:
    """By the rules in force, or a file's; with the agents of the tenant."""
    with here.reading() as cur:
        tenant = one(cur, tenant)
        row = VIEWS.one(cur, "rules_in_force", tenant=tenant)
    trial = _routed(body, given if given is not None else read(row.content), at)
    webhook, who = payloads.arrived(body).webhook, trial.rules.queue(trial.found.queue).agents
    asked = _asked(Desk(here, tenant, row), webhook.room, who)
    with here.reading() as cur:
        members = {member.id: member for member in team.read(here.source(), cur, tenant)}
        if asked is not None:
            limits = in_force.read(here.source(), cur, tenant, [agent.id for agent in asked[0]])
            able = Able([_agent(agent, members, limits) for agent in asked[0]], DESK, asked[1])
        else:
            able = _last_read(cur, tenant, _class(trial, row, given, webhook), members) or trial.able
        served_by = _served_by(cur, tenant, webhook.room, trial)
    version = row.version if given is None else None
    return replace(trial, able=able, tenant=tenant, version=version, served_by=served_by)


def _asked(desk: Desk, room: str, who: Agents) -> tuple[list[RosterAgent], tuple[str, ...]] | None:
    """None where the desk does not answer, or does not know the room by which it would name agents."""
    try:
        found = desk.team(room, who)
    except DeskError:
        return None
    return list(found.agents), found.missing


def _agent(agent: RosterAgent, members: dict[str, Member], limits: in_force.TenantLimits) -> dict[str, Any]:
    """Somebody who was never seen has the chats that the desk counts."""
    member = members.get(agent.id)
    load = member.load if member else agent.count or 0
    name = agent.name or (member.name if member else "")
    return {"id": agent.id, "name": name, "online": agent.available, "load": load, "limit": limits.of(agent.id)}


def _class(trial: Trial, row: Any, given: Rules | None, webhook: Webhook) -> str:
    """The key under which workers keep who may serve it, by the rules in force."""
    is_own = trial.found.by == BY_CHANNEL
    book = rules.Book(row.version, trial.rules if row.content and given is None else None)
    return routes.class_of(book, None if is_own else trial.found.queue, 0, webhook.class_)


def _last_read(cur: Any, tenant: str, class_: str, members: dict[str, Member]) -> Able | None:
    (row,) = VIEWS.all(cur, "classes", tenant=tenant, classes=[class_])
    if row.read_at is None:
        return None
    kept = [members[agent] for agent in row.named if agent in members]
    return Able([_member(member) for member in kept], LAST_READ, tuple(row.missing))


def _member(member: Member) -> dict[str, Any]:
    found = {"id": member.id, "name": member.name, "online": member.online}
    return {**found, "load": member.load, "limit": member.limit}


def _served_by(cur: Any, tenant: str, room: str, trial: Trial) -> str | None:
    if trial.found.sticky is None:
        return None
    row = LEDGER.one(cur, "served_by", tenant=tenant, rooms=[room], within_s=trial.found.sticky.within_s)
    return row.agent if row else None
