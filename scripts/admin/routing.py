"""`giliran routing`: a file that says who may serve whom. Here it is checked, and Qiscus's office hours are printed."""

import click

from db.views import VIEWS
from routing import file as rules_file
from routing import office_hours
from routing.office_hours import NoOfficeHours
from scripts.admin import routing_apply, routing_desk, routing_read, routing_try
from scripts.admin.errors import CantDo, Refused
from scripts.admin.installation import Installation, as_json, one, say, tenant_option
from scripts.admin.routing_desk import Desk
from views.words import clean
from worker.desk.base import DeskError


@click.group()
def routing() -> None:
    """Who may serve whom: check, try and apply a rules file."""


@routing.command()
@click.argument("file", metavar="FILE")
@click.option("--tenant", metavar="TENANT", help="Also ask this tenant's desk whether it knows whom the file names.")
@as_json
@click.pass_context
def check(ctx: click.Context, file: str, tenant: str | None, as_json: bool) -> None:
    """Check a rules file; - reads standard input. Nothing is applied.

    Every fault is named with its line, what is wrong and what would be right. Warnings are about rules that can be
    used but hardly mean what they say. Exit code 0: it can be used, 2: it can't. With --tenant, divisions and agents
    that the desk does not know are faults, too; exit code 1: it could not be asked.
    """
    content = routing_read.content(file)
    checked = rules_file.check(content)
    trouble = None
    if tenant is not None and checked.rules is not None:
        try:
            checked = _desk(ctx.obj, tenant).checked(content.decode(), checked)
        except DeskError as error:
            trouble = routing_desk.trouble(error)
    data = {**routing_read.as_data(file, checked), "desk_trouble": trouble}
    say(as_json, data, routing_read.text(file, checked))
    if trouble:
        raise CantDo(f"{trouble}; whom it knows was not checked")
    ctx.exit(routing_read.FAULTY if checked.faults else 0)


@routing.command()
@tenant_option
@as_json
@click.pass_obj
def hours(here: Installation, tenant: str | None, as_json: bool) -> None:
    """Print Qiscus's office hours as the [hours] of a rules file. Nothing is changed.

    Qiscus knows no closed days and tells its time zone only as an offset: look at the lines before you use them.
    """
    desk = _desk(here, tenant)
    if desk.is_native:
        raise Refused(f"{clean(desk.tenant)} is a native chat: it has no office hours but those of its rules file")
    try:
        section = office_hours.section(desk.office_hours())
    except NoOfficeHours as error:
        raise CantDo(str(error)) from error
    except DeskError as error:
        raise CantDo(routing_desk.trouble(error)) from error
    say(as_json, {"tenant": desk.tenant, "hours": section}, section.rstrip("\n"))


def _desk(here: Installation, tenant: str | None) -> Desk:
    with here.reading() as cur:
        tenant = one(cur, tenant)
        return Desk(here, tenant, VIEWS.one(cur, "rules_in_force", tenant=tenant))


for command in (
    routing_try.try_,
    routing_apply.apply,
    routing_apply.show,
    routing_apply.history,
    routing_apply.reset,
):
    routing.add_command(command)
