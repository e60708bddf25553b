"""`giliran routing apply`, `show`, `history` and `reset`: versions of a tenant's rules file."""

from dataclasses import dataclass, field
from typing import Any

import click

from db.acts import ACTS
from db.admin import ADMIN
from db.rules import NO_FILE, names_of
from db.views import VIEWS
from routing import file as rules_file
from routing.file import Checked
from routing.model import Rules
from scripts.admin import routing_desk, routing_plan, routing_read
from scripts.admin.errors import NotFound, Refused
from scripts.admin.installation import Installation, as_json, one, say, tenant_option, typing_user
from scripts.admin.routing_desk import Desk
from scripts.admin.table import table
from views import plan, queue, rulebook
from views.plan import Plan
from views.words import clean, moment
from worker.desk.base import DeskError


@dataclass(frozen=True)
class Asked:
    """How a change was asked for; `notes` are shown with it, `trouble` is why the desk could not check it."""

    yes: bool
    as_json: bool
    notes: list[str] = field(default_factory=list)
    trouble: str | None = None


yes_option = click.option("--yes", is_flag=True, help="Apply it without asking.")


@click.command()
@click.argument("file", metavar="FILE")
@tenant_option
@yes_option
@as_json
@click.pass_context
def apply(ctx: click.Context, file: str, tenant: str | None, yes: bool, as_json: bool) -> None:
    """Check a rules file, show what it changes, ask, and apply it as a new version; - reads standard input.

    Workers go by it within a second, also for rooms that wait: each keeps its arrival. Exit code 2: the file has
    faults, or names divisions or agents that the desk does not know, and nothing changed. A desk that does not answer
    stops nobody: that is said, and the file is applied unchecked by it if you agree.

    With --json it does not ask: without --yes it shows the changes and applies nothing.
    """
    here: Installation = ctx.obj
    content = routing_read.content(file)
    checked = rules_file.check(content)
    if checked.rules is None:
        say(as_json, routing_read.as_data(file, checked), routing_read.text(file, checked))
        ctx.exit(routing_read.FAULTY)
    with here.reading() as cur:
        tenant = one(cur, tenant)
        now = VIEWS.one(cur, "rules_in_force", tenant=tenant)
    if content.decode() == now.content:
        _say_same(as_json, tenant, now)
        return
    checked, trouble = _checked_at_desk(Desk(here, tenant, now), content.decode(), checked)
    if checked.faults:
        say(as_json, routing_read.as_data(file, checked), routing_read.text(file, checked))
        ctx.exit(routing_read.FAULTY)
    notes = routing_read.findings(file, checked) + ([f"warning: {trouble}"] if trouble else [])
    asked = Asked(yes, as_json, notes, trouble)
    _change(here, tenant, now, content.decode(), checked.rules or Rules(), asked)


def _checked_at_desk(desk: Desk, content: str, checked: Checked) -> tuple[Checked, str | None]:
    """Rules can be changed while the desk is away: what it does not have is found by the workers, and told by `why`."""
    try:
        return desk.checked(content, checked), None
    except DeskError as error:
        return checked, f"{routing_desk.trouble(error)}; whom it knows was not checked"


@click.command()
@tenant_option
@yes_option
@as_json
@click.pass_obj
def reset(here: Installation, tenant: str | None, yes: bool, as_json: bool) -> None:
    """Take the rules away: each channel has its queue again. This is a new version, too; `show` has the earlier ones.

    Show what that changes, and ask. With --json it does not ask: without --yes nothing changes.
    """
    with here.reading() as cur:
        tenant = one(cur, tenant)
        now = VIEWS.one(cur, "rules_in_force", tenant=tenant)
    if not now.content:
        _say_same(as_json, tenant, now)
        return
    _change(here, tenant, now, "", Rules(), Asked(yes, as_json))


@click.command()
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="This one (default: the one in force).")
@tenant_option
@as_json
@click.pass_obj
def show(here: Installation, version: int | None, tenant: str | None, as_json: bool) -> None:
    """Print the rules file that is in force, or version N, to the byte as it was applied."""
    with here.reading() as cur:
        tenant = one(cur, tenant)
        now = VIEWS.one(cur, "rules_in_force", tenant=tenant)
        row = now if version is None else VIEWS.one(cur, "rule_file", tenant=tenant, version=version)
    if row is None:
        raise NotFound(f"{clean(tenant)} has no version {version}: see `giliran routing history`")
    if as_json:
        say(True, {"tenant": tenant, **_version_data(row, now), "content": row.content}, "")
        return
    click.echo(row.content.encode(), nl=False)
    if not row.content:
        click.echo("no rules are in force" if version is None else "this version took the rules away", err=True)


@click.command()
@click.option("--rows", default=40, show_default=True, help="How many versions to show; 0: all.")
@tenant_option
@as_json
@click.pass_obj
def history(here: Installation, rows: int, tenant: str | None, as_json: bool) -> None:
    """List the versions, the latest first: when and by whom each was applied, and how large it is."""
    with here.reading() as cur:
        tenant = one(cur, tenant)
        now = VIEWS.one(cur, "rules_in_force", tenant=tenant)
        versions = VIEWS.all(cur, "rule_files", tenant=tenant, most=rows if rows > 0 else None)
    found = [{**_version_data(row, now), **_sizes(row.content)} for row in versions]
    data = {"tenant": tenant, "in_force": now.version, "versions": found}
    more = f"\n… and {versions[0].of - len(versions):,} more (see --rows)" if _is_cut(versions) else ""
    text = table(("VERSION", "APPLIED", "BY", "QUEUES", "RULES", ""), map(_version_row, found)) + more
    say(as_json, data, text if found else "no rules were ever applied: see `giliran routing apply --help`")


def _is_cut(versions: list[Any]) -> bool:
    return bool(versions) and versions[0].of > len(versions)


def _version_data(row: Any, now: Any) -> dict[str, Any]:
    return {
        "version": row.version,
        "in_force": row.version == now.version,
        "applied_at": row.applied_at,
        "applied_by": row.applied_by,
    }


def _sizes(content: str) -> dict[str, int | None]:
    """None of a file that this release can't read any more."""
    rules = rules_file.check(content).rules
    return {"queues": len(rules.queues) if rules else None, "rules": len(rules.rules) if rules else None}


def _version_row(found: dict[str, Any]) -> tuple[object, ...]:
    sizes = ("?" if found[name] is None else found[name] for name in ("queues", "rules"))
    force = "in force" if found["in_force"] else ""
    return found["version"], moment(found["applied_at"]), clean(found["applied_by"], 40), *sizes, force


def _say_same(as_json: bool, tenant: str, now: Any) -> None:
    name = f"version {now.version}" if now.version else "none"
    text = f"this file is in force already, as {name}: nothing changed" if now.content else "no rules are in force"
    say(as_json, {"tenant": tenant, "version": now.version, "applied": False}, text)


def _change(
    here: Installation,
    tenant: str,
    now: Any,
    content: str,
    rules: Rules,
    asked: Asked,
) -> None:
    """Show what it changes, ask, apply."""
    with here.reading() as cur:
        rooms = plan.rooms_of(cur, tenant, rules)
        clock = VIEWS.one(cur, "now").at
    found = plan.plan(rulebook.read(now.content), rules, rooms, clock)
    if not asked.as_json:
        click.echo("\n".join([*asked.notes, routing_plan.text(found)]))
    agreed = asked.yes or (not asked.as_json and _agrees(tenant, now.version + 1))
    version = _put(here, tenant, now.version, content) if agreed else now.version
    if asked.as_json:
        data = {"tenant": tenant, "version": version, "applied": agreed, "desk_trouble": asked.trouble}
        say(True, {**data, **plan.as_data(found)}, "")
    if not agreed:
        raise Refused("nothing was applied; --yes agrees beforehand")
    if not asked.as_json:
        click.echo(_done(here, version, content, found))


def _agrees(tenant: str, version: int) -> bool:
    try:
        return click.confirm(f"Apply it to {clean(tenant)} as version {version}?")
    except click.Abort:  # nobody is there to be asked, or Ctrl-C
        click.echo()
        return False


def _put(here: Installation, tenant: str, before: int, content: str) -> int:
    """The new version. Refused where somebody else was faster: what was shown would not be what happens. Receivers are
    told before it is in force, so that nobody comes whose facts are not kept."""
    rules = rules_file.read(content) if content else NO_FILE
    with here.writing() as cur:
        ADMIN.one(cur, "lock_tenant", tenant=tenant)
        now = VIEWS.one(cur, "rules_in_force", tenant=one(cur, tenant))
        if now.version != before:
            raise Refused(f"version {now.version} was applied meanwhile: nothing else was; say it again")
        version = int(ACTS.one(cur, "add_rules", tenant=tenant, content=content, who=typing_user()).version)
        here.audit(cur, tenant, "routing apply" if content else "routing reset", f"version {version}", before, version)
        here.tell_receivers(tenant, names_of(version, rules))
    here.ask_for_a_look(tenant)
    return version


def _done(here: Installation, version: int, content: str, found: Plan) -> str:
    with here.reading() as cur:
        workers = queue.workers(cur)
    return routing_plan.done_text(version, content, found, workers)
