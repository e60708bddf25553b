"""`giliran installation`: which installation this is, and to which one the Redis database belongs."""

import time

import click

from db import installation as ids
from scripts.admin.errors import Refused
from scripts.admin.installation import Installation, as_json, say

SETTLED_S = 2.0  # a worker of another installation that still runs puts its id back twice a second

yes_option = click.option("--yes", is_flag=True, help="Confirm; without it nothing changes.")


@click.group()
def installation() -> None:
    """Show or change which installation this is, and which one the Redis database belongs to."""


@installation.command()
@as_json
@click.pass_obj
def show(here: Installation, as_json: bool) -> None:
    """Show this installation's id, and which installation the database of REDIS_URL belongs to.

    The ledger holds the id, so a restored dump has it, too. A Redis database number serves one installation: workers of
    another one are refused.
    """
    own, holder = _id(here), here.upkeep.owner()
    whose = "nobody's yet: the first worker takes it" if holder is None else "this one's"
    if holder not in (None, own):
        whose = f"another one's ({holder[:16] if holder else ''}): see `giliran installation take --help`"
    say(as_json, {"installation": own, "redis": holder}, f"installation {own}\nthe Redis database is {whose}")


@installation.command()
@yes_option
@as_json
@click.pass_obj
def take(here: Installation, yes: bool, as_json: bool) -> None:
    """Take over the Redis database of REDIS_URL for this installation.

    Use it if the other installation is gone for good, and stop its processes first. Its keys are used as they are, its
    limits too. If you want to begin empty, run FLUSHDB on that database before.
    """
    if not yes:
        raise Refused("this takes the Redis database from whoever has it: say --yes")
    own = _id(here)
    here.upkeep.own(own, take=True)
    time.sleep(SETTLED_S)
    holder = here.upkeep.owner()
    if holder not in (None, own):
        raise Refused("the other installation still runs and has taken it back: stop its workers first")
    with here.writing() as cur:
        here.audit(cur, None, "installation take", own)
    say(as_json, {"installation": own, "redis": own}, f"the Redis database is this one's ({own}) from now on")


@installation.command()
@yes_option
@as_json
@click.pass_obj
def new(here: Installation, yes: bool, as_json: bool) -> None:
    """Give this ledger a new id: for a copy of a ledger whose original goes on.

    Use it for a staging system made from production's dump. Stop its processes before, and give it a Redis database of
    its own.
    """
    if not yes:
        raise Refused("this makes the ledger another installation's, which its Redis will refuse: say --yes")
    with here.writing() as cur:
        before, made = ids.id_of(cur), ids.rename(cur)
        here.audit(cur, None, "installation new", made, before, made)
    say(as_json, {"installation": made}, f"this ledger is installation {made} now: start its processes anew")


def _id(here: Installation) -> str:
    with here.writing() as cur:
        return ids.id_of(cur)
