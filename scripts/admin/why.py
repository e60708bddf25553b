"""`giliran why ROOM`: the story of a room from the ledger: its visits, who got it and why, why it still waits."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click
from psycopg2.extensions import cursor

from db import inbox
from db.views import VIEWS
from scripts.admin import why_text
from scripts.admin.errors import NotFound
from scripts.admin.installation import Installation, as_json, say, some
from scripts.admin.why_text import Story
from views import queue, rulebook
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
        stories = [_story(installation, cur, owner, room, visits if visits > 0 else None) for owner in owners]
    if not stories:
        raise NotFound(f"no room {clean(room, 64)!r}{_where(tenant)}{_hint(installation, among)}")
    head = [f"{len(owners)} tenants have a room {clean(room, 64)}: {listed(owners)}"] if len(owners) > 1 else []
    text = "\n\n".join([*head, *map(why_text.text, stories)])
    say(as_json, {"room": room, "stories": [why_text.as_data(story) for story in stories]}, text)


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


def _story(installation: Installation, cur: cursor, tenant: str, room: str, most: int | None) -> Story:
    visits = VIEWS.all(cur, "visits", tenant=tenant, room=room, most=most)
    ids = [visit.id for visit in visits]
    waits = bool(visits) and visits[0].state == "waiting"
    classes = queue.classes(cur, tenant, visits, rulebook.in_force(cur, tenant))
    return Story(
        tenant=tenant,
        room=room,
        now=VIEWS.one(cur, "now").at,
        visits=visits,
        of=visits[0].of if visits else 0,
        decisions=_by_visit(VIEWS.all(cur, "decisions", visits=ids)),
        events=_by_visit(VIEWS.all(cur, "events", visits=ids)),
        named={name: of.named for name, of in classes.items()},
        names={row.id: row.name for row in VIEWS.all(cur, "names", tenant=tenant)},
        remembered=VIEWS.one(cur, "remembered", tenant=tenant, room=room),
        line=queue.read(installation.source(), cur, tenant, 1, room) if waits else None,
        book=rulebook.version(cur, tenant, visits[0].rules_version if visits else 0),
    )


def _by_visit(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.visit].append(row)
    return found
