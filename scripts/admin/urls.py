"""`giliran urls`: where PostgreSQL and Redis are, with their passwords, for the owner of the data folder only."""

import os
from pathlib import Path

import click

from scripts.admin.errors import Refused
from scripts.admin.installation import Installation, as_json, say


@click.command()
@click.argument("server", type=click.Choice(["postgres", "redis"]), required=False)
@as_json
@click.pass_obj
def urls(installation: Installation, server: str | None, as_json: bool) -> None:
    """Print the addresses of the servers, with their passwords. With SERVER that one alone, for another program:

    \b
      psql "$(./scripts/giliran urls postgres)"
      redis-cli -u "$(./scripts/giliran urls redis)"

    Only the owner of the data folder may do this.
    """
    _refuse_others(installation.settings.data)
    found = {"postgres": installation.servers.database_url, "redis": installation.servers.redis_url}
    shown = found if server is None else {server: found[server]}
    text = found[server] if server else "\n".join(f"{name:<9} {url}" for name, url in found.items())
    say(as_json, shown, text)


def _refuse_others(data: Path) -> None:
    """Who owns the folder can read everything in there anyway, and so can root."""
    try:
        owner = data.stat().st_uid
    except FileNotFoundError:  # servers of one's own: their addresses are in this user's settings
        return
    except OSError as error:
        raise Refused(f"{data} can't be looked at ({error.strerror}): only its owner is told") from error
    if os.geteuid() not in (owner, 0):
        raise Refused(f"{data} belongs to another user: only its owner is told")
