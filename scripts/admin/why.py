"""`giliran why ROOM`: the story of a room from the ledger: its visits, who got it and why, why it still waits."""

from collections.abc import Iterable

import click

from db import inbox
from db.views import VIEWS
from scripts.admin import why_text
from scripts.admin.errors import NotFound
from scripts.admin.installation import Installation, as_json, say, some
from views import story
from views.words import clean, counted, listed


@click.command(short_help="A room's story: who got it and why, or why it waits.")
@click.argument("room")
@click.option("--tenant", metavar="TENANT", help="Only this tenant; a room id may exist in several.")
@click.option("--visits", default=3, show_default=True, help="How many visits to show, latest first; 0: all.")
@as_json
@click.pass_obj
def why(installation: Installation, room: str, tenant: str | None, visits: int, as_json: bool) -> None:
    """Show a room's story: each visit, the candidates, why this agent, what went wrong; or why it waits.

    ROOM is a room id of Qiscus, or the id of a session of the native chat.
    """
    with installation.reading() as cur:
        among = some(cur, tenant)
        owners = [row.tenant for row in VIEWS.all(cur, "room_tenants", room=room) if row.tenant in among]
        stories = [
            story.read(installation.source(), cur, owner, room, visits if visits > 0 else None) for owner in owners
        ]
    if not stories:
        raise NotFound(f"no room {clean(room, 64)!r}{_where(tenant)}{_hint(installation, among)}")
    head = [f"{len(owners)} tenants have a room {clean(room, 64)}: {listed(owners)}"] if len(owners) > 1 else []
    text = "\n\n".join([*head, *map(why_text.text, stories)])
    say(as_json, {"room": room, "stories": [story.as_data(each) for each in stories]}, text)


def _where(tenant: str | None) -> str:
    return f" in {clean(tenant)}" if tenant else ""


def _hint(installation: Installation, tenants: Iterable[str]) -> str:
    """It may have come a moment ago."""
    if away := installation.redis_away():
        return f" in the ledger; it may be among the webhooks in Redis, but {away}"
    size = sum(installation.redis.xlen(inbox.key(tenant, "inbox")) for tenant in tenants)
    if size:
        return f" ({counted(size, 'webhook')} in the inbox, not taken over by a worker yet)"
    return ": no webhook and no desk told of it (`giliran queue` shows who waits)"
