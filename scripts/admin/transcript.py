"""`giliran transcript`: one chat of our own, from its first word to its last, to read or to keep."""

import click
from psycopg2.extensions import cursor

from db import transcript as transcripts
from db.admin import ADMIN
from db.views import VIEWS
from scripts.admin import native
from scripts.admin.errors import NotFound
from scripts.admin.installation import Installation, as_json, say, tenant_option
from views.words import clean, harmless, listed


@click.command()
@click.argument("session", metavar="SESSION")
@click.option("--format", "kind", type=click.Choice(["txt", "json"]), default="txt", show_default=True)
@tenant_option
@as_json
@click.pass_obj
def transcript(installation: Installation, session: str, kind: str, tenant: str | None, as_json: bool) -> None:
    """Print a chat as text or JSON, without the agents' private notes. SESSION is its id.

    The agent page shows the id beside the chat; `giliran queue` shows those that wait. The chat holds what the customer
    wrote: give it only to people who may read it. --json is the same as --format json.
    """
    with installation.reading() as cur:
        owner = _owner(cur, session, tenant)
        found = transcripts.read(cur, owner, session) if owner else None
        if found is None:
            place = f" in {clean(tenant)}" if tenant else ""
            raise NotFound(f"no session {clean(session)!r}{place}{_instead(cur, session)}")
    say(as_json or kind == "json", found, _harmless(transcripts.as_text(found)))


def _owner(cur: cursor, session: str, tenant: str | None) -> str | None:
    """The tenant whose session is meant, None where there is no such session."""
    if tenant is not None:
        native.one(cur, tenant)
    known = [row.tenant for row in ADMIN.all(cur, "session_tenants", room=session)] if session.isprintable() else []
    owners = [owner for owner in known if tenant in (None, owner)]
    if len(owners) > 1:
        raise click.UsageError(f"several tenants have this session: say --tenant with one of {listed(owners)}")
    return owners[0] if owners else None


def _instead(cur: cursor, session: str) -> str:
    """A room of Qiscus has its messages there."""
    rooms = [row.tenant for row in VIEWS.all(cur, "room_tenants", room=session)] if session.isprintable() else []
    verb = "knows" if len(rooms) == 1 else "know"
    return f": {listed(rooms)} {verb} a room with this id: see `giliran why {session}`" if rooms else ""


def _harmless(text: str) -> str:
    """A terminal obeys control bytes, and customers write what they like."""
    return "\n".join(map(harmless, text.rstrip().split("\n")))
