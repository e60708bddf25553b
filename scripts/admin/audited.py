"""`giliran audit`: who changed what by hand, on `/ops` or by this tool."""

import json
from typing import Any

import click

from db import audit as kept
from scripts.admin.installation import Installation, as_json, one, say, tenant_filter
from scripts.admin.table import table
from views.words import clean, moment

ROWS_MOST = 2**31  # more than there are


@click.command(short_help="Who changed what by hand.")
@tenant_filter
@click.option("--rows", type=click.IntRange(0), default=40, show_default=True, help="How many to show; 0: all.")
@as_json
@click.pass_obj
def audit(installation: Installation, tenant: str | None, rows: int, as_json: bool) -> None:
    """Show who changed what by hand, latest first: on /ops, or by this tool (`giliran:` and the system's account).

    Without --tenant also what concerns the whole installation. Secrets and passwords are never in it.
    """
    with installation.reading() as cur:
        if tenant is not None:
            one(cur, tenant)
        found = kept.read(cur, tenant, min(rows, ROWS_MOST) or None)
    head = ("AT", "WHO", "TENANT", "WHAT", "OF", "BEFORE", "AFTER", "FROM")
    told = table(head, [_row(each) for each in found]) if found else "nothing was changed by hand yet"
    say(as_json, {"acts": found}, told)


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    values = (_short(each["before"]), _short(each["after"]))
    who = (moment(each["at"]), clean(each["who"], 40), clean(each["tenant"] or ""))
    return (*who, clean(each["what"]), clean(each["subject"], 60), *values, clean(each["address"] or ""))


def _short(value: Any) -> str:
    return "" if value is None else clean(json.dumps(value, ensure_ascii=False), 60)
