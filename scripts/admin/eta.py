"""`giliran eta --backtest`: how often was the truth inside the wait that customers are told?"""

import sys
from typing import Any

import click

from db import minutes
from db.backtest import Result, backtest
from scripts.admin.errors import CantDo
from scripts.admin.installation import Installation, as_json, say, some, tenant_filter
from views.words import clean, counted, span

TOLD_LEAST = 20  # fewer say nothing


@click.command(short_help="How often the expected wait was right.")
@click.option("--backtest", "is_asked", is_flag=True, required=True, help="Go through the visits of the last days.")
@click.option("--days", default=7.0, show_default=True, type=click.FloatRange(0.01, 366), help="How many days.")
@tenant_filter
@as_json
@click.pass_obj
def eta(installation: Installation, is_asked: bool, days: float, tenant: str | None, as_json: bool) -> None:
    """Show how often customers waited as long as expected at their arrival.

    Each visit that waited is put back to that moment: the rooms before it, the seats, the last chats. The range is made
    so that four of five waits end inside. Seats are known for minutes in which a worker ran.
    """
    with installation.reading() as cur:
        found = {name: _tested(name, *minutes.history(cur, name, days)) for name in some(cur, tenant)}
    if not any(result.told >= TOLD_LEAST for result in found.values()):
        raise CantDo(f"too little is known: of fewer than {TOLD_LEAST} waits it can be said what would have been told")
    data = {name: {**result._asdict(), "days": days} for name, result in found.items()}
    say(as_json, {"tenants": data}, "\n".join(_text(name, result) for name, result in found.items()))


def _tested(tenant: str, stays: Any, seats: Any) -> Result:
    with click.progressbar(length=len(stays), label=clean(tenant), file=sys.stderr) as bar:
        return backtest(stays, seats, lambda: bar.update(1))


def _text(tenant: str, result: Result) -> str:
    head = f"{click.style(clean(tenant), bold=True)}  {counted(result.served, 'customer')} waited and were served"
    if result.within is None or result.error_s is None:
        return f"{head}; none of them would have been told a wait"
    told = f"{result.within:.0%} of {result.told:,} waits ended inside the range (aim: 80 %)"
    return f"{head}; {told}; mean error {span(result.error_s)}"
