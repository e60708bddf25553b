"""`giliran installation`: which installation this is, and to which one the Redis database belongs."""

import time

import click

from db import installation as ids
from scripts.admin.errors import Refused
from scripts.admin.installation import Installation, as_json, say

SETTLED_S = 2.0  # a worker of another installation that still runs puts its id back twice a second

yes_option = click.option("--yes", is_flag=True, help="Do it; without this nothing is changed.")


@click.group()
def installation() -> None:
    """Which installation this is, and whose the Redis database is."""


@installation.command()
@as_json
@click.pass_obj
def show(here: Installation, as_json: bool) -> None:
    """Show this installation's id, and whose the Redis database of REDIS_URL is.

    The id is in the ledger, so a dump that is restored brings it along. One database number of a Redis is for one
    installation; another one's workers are refused there.
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
    """Make the Redis database of REDIS_URL this installation's.

    For a Redis that another installation has left for good: stop that one's processes first. Keys that it left are
    used as they are, its limits too; where it shall begin empty, run FLUSHDB on that database before.
    """
    if not yes:
        raise Refused("this takes the Redis database from whoever has it: say --yes")
    own = _id(here)
    here.upkeep.own(own, take=True)
    time.sleep(SETTLED_S)
    holder = here.upkeep.owner()
    if holder not in (None, own):
        raise Refused("the other installation still runs and has taken it back: stop its workers first")
    say(as_json, {"installation": own, "redis": own}, f"the Redis database is this one's ({own}) from now on")


@installation.command()
@yes_option
@as_json
@click.pass_obj
def new(here: Installation, yes: bool, as_json: bool) -> None:
    """Give this ledger another id: for a copy of a ledger whose original goes on.

    A staging system that is made from production's dump, say. Stop its processes before, and give it a Redis database
    of its own.
    """
    if not yes:
        raise Refused("this makes the ledger another installation's, which its Redis will refuse: say --yes")
    with here.writing() as cur:
        made = ids.rename(cur)
    say(as_json, {"installation": made}, f"this ledger is installation {made} now: start its processes anew")


def _id(here: Installation) -> str:
    with here.writing() as cur:
        return ids.id_of(cur)
