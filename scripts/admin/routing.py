"""`giliran routing`: a file that says who may serve whom. Here it is checked and tried, which needs no server."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from receiver import payloads
from receiver.payloads import BadPayload
from routing import facts, file
from routing.file import Checked
from routing.model import CHANNEL, Rules
from routing.reading import span
from routing.route import BY_DEFAULT, BY_RULE, BY_TOPIC, Route, named, route
from scripts.admin import routing_apply, routing_read, why_routing
from scripts.admin.errors import Refused
from scripts.admin.installation import as_json, say
from scripts.admin.table import clean, moment

PAYLOAD_BYTES_MAX = 1024 * 1024  # as the receiver takes


@click.group()
def routing() -> None:
    """Who may serve whom: check, try and apply a rules file."""


@routing.command()
@click.argument("file", metavar="FILE")
@as_json
@click.pass_context
def check(ctx: click.Context, file: str, as_json: bool) -> None:
    """Check a rules file; - reads standard input. Nothing is applied.

    Every fault is named with its line, what is wrong and what would be right. Warnings are about rules that can be
    used but hardly mean what they say. Exit code 0: it can be used, 2: it can't.
    """
    checked = _checked(file)
    say(as_json, routing_read.as_data(file, checked), routing_read.text(file, checked))
    ctx.exit(routing_read.FAULTY if checked.faults else 0)


@routing.command("try")
@click.argument("payload", metavar="PAYLOAD.json")
@click.option("--file", "rules_file", metavar="FILE", required=True, help="The rules file to try.")
@click.option(
    "--at", metavar="TIME", help="When it arrives, 2026-12-25T08:00 say; by the clock of the file's time zone."
)
@as_json
@click.pass_context
def try_(ctx: click.Context, payload: str, rules_file: str, at: str | None, as_json: bool) -> None:
    """Show where a webhook's body would lead. Nothing is stored.

    PAYLOAD.json is the body of a Custom Agent Allocation webhook; - reads standard input. Which agents of a division
    are there only the desk knows: here they are shown as the file names them.
    """
    checked = _checked(rules_file)
    if checked.rules is None:
        say(as_json, routing_read.as_data(rules_file, checked), routing_read.text(rules_file, checked))
        ctx.exit(routing_read.FAULTY)
    body, now = _body(payload), _moment(at, checked.rules)
    known = facts.of_webhook(body, named(checked.rules))
    found = route(known, checked.rules, now)
    data = _route_data(found, checked.rules)
    say(as_json, data, _route_text(found, checked.rules, known))


def _checked(path: str) -> Checked:
    return file.check(routing_read.content(path))


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
        return (found if found.tzinfo else found.replace(tzinfo=_zone(rules))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"--at {clean(text)!r} is not a time: write 2026-12-25T08:00, say") from error


def _zone(rules: Rules) -> ZoneInfo:
    return ZoneInfo(rules.hours.zone if rules.hours else "UTC")


def _route_data(found: Route, rules: Rules) -> dict[str, Any]:
    agents = rules.queue(found.queue).agents
    return {
        "rule": found.rule,
        "by": found.by,
        "queue": found.queue,
        "priority": found.priority,
        "agents": [_agent_data(one) for one in (*agents.ids, *agents.emails)],
        "served_by": asdict(agents),
        "steps": [{**why_routing.step_data(due.step), "due_at": due.due_at} for due in found.steps],
        "hours": found.hours,
        "serve_from": found.serve_from,
    }


def _agent_data(named_as: str) -> dict[str, Any]:
    """What the file says of an agent: an id or an e-mail. The rest only the desk knows."""
    unknown = dict.fromkeys(("name", "online", "load", "limit"))
    return {"id": None, "email": named_as, **unknown} if "@" in named_as else {"id": named_as, **unknown}


def _route_text(found: Route, rules: Rules, known: facts.Facts) -> str:
    rows = [
        ("queue", _queue_text(found)),
        ("priority", str(found.priority)),
        ("served by", why_routing.agents_text(rules.queue(found.queue).agents)),
        *(("then", f"after {span(due.step.after_s)} {why_routing.step_text(due.step)}") for due in found.steps),
        ("hours", _hours_text(found, rules)),
        ("known", _known_text(known)),
    ]
    return "\n".join(f"{name:<9}  {text}" for name, text in rows)


def _queue_text(found: Route) -> str:
    why = {
        BY_RULE: f"by the rule '{clean(found.rule)}'",
        BY_TOPIC: "by the topic that the customer chose",
        BY_DEFAULT: "by default: no rule fits",
    }
    shown = clean(found.queue).removeprefix(CHANNEL)
    return f"{shown}, {why[found.by]}" if found.by in why else f"of the channel '{shown}': no rule fits, and no default"


def _hours_text(found: Route, rules: Rules) -> str:
    if found.hours == "open":
        return "open" if rules.hours else "always open"
    opens = found.serve_from if rules.hours and rules.hours.outside == "wait" else None
    if opens is None:
        return "closed, and served all the same" if found.serve_from else "closed, with no next opening"
    return f"closed until {moment(opens)} ({opens.astimezone(_zone(rules)):%a %H:%M} in {clean(_zone(rules).key)})"


def _known_text(known: facts.Facts) -> str:
    data = facts.as_data(known)
    shown = {**data, **{facts.PROPERTY + key: value for key, value in data["properties"].items()}}
    pairs = [f"{name} {clean(value)}" for name, value in shown.items() if name not in ("properties", "proved")]
    return ", ".join(pairs) or "nothing"


for command in (routing_apply.apply, routing_apply.show, routing_apply.history, routing_apply.reset):
    routing.add_command(command)
