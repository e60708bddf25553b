"""`giliran transcript`: one chat of our own, from its first word to its last, to read or to keep."""

import click

from db import transcript as transcripts
from db.admin import ADMIN
from scripts.admin.errors import NotFound
from scripts.admin.installation import Installation, as_json, say, tenant_option
from scripts.admin.table import clean, listed


@click.command()
@click.argument("session", metavar="SESSION")
@click.option("--format", "kind", type=click.Choice(["txt", "json"]), default="txt", show_default=True)
@tenant_option
@as_json
@click.pass_obj
def transcript(installation: Installation, session: str, kind: str, tenant: str | None, as_json: bool) -> None:
    """A chat as text or JSON, without the agents' private notes. SESSION is its id, as the agents' page shows it.

    It holds what the customer wrote: give it to nobody who may not read it.
    """
    with installation.reading() as cur:
        tenants = (
            [row.tenant for row in ADMIN.all(cur, "session_tenants", room=session)] if session.isprintable() else []
        )
        if tenant is None and len(tenants) > 1:
            raise click.UsageError(f"several tenants have this session: say --tenant with one of {listed(tenants)}")
        found = transcripts.read(cur, tenant or tenants[0], session) if tenants else None
    if found is None:
        raise NotFound(f"no session {clean(session)!r}")
    say(as_json or kind == "json", found, _harmless(transcripts.as_text(found)))


def _harmless(text: str) -> str:
    """A terminal obeys control bytes, and customers write what they like."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in part) for part in text.rstrip().split("\n"))
