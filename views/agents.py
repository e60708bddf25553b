"""The agents of a tenant with their chats, for supervisors."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

from db.inbox import limit_key
from db.views import VIEWS
from views import in_force, queues, team
from views.shown import Shown
from views.source import Source
from views.team import Member

ROOMS_MOST = 50  # of one agent that are named


def today(cur: cursor, tenant: str, since: datetime) -> dict[str, Any]:
    """By agent: how many chats they were given since then, and how long half of those took that ended."""
    return {row.agent: row for row in VIEWS.all(cur, "agents_today", tenant=tenant, since=since)}


def read(source: Source, cur: cursor, tenant: str, today: Mapping[str, Any]) -> Shown:
    """`today`: of the function of that name."""
    rooms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in VIEWS.all(cur, "seated", tenant=tenant, most=ROOMS_MOST):
        held = {"room": row.room, "queue": queues.of(row), "since": row.since, "state": row.state}
        rooms[row.agent].append(held)
    here = {row.agent: row.absent_since for row in VIEWS.all(cur, "presence_since", tenant=tenant)}
    members = team.read(source, cur, tenant)
    rows = {m.id: _row(m, rooms[m.id], today.get(m.id), here) for m in members if m.role in ("", "agent") or m.chats}
    limits = in_force.read(source, cur, tenant, [])
    desk = VIEWS.one(cur, "tenant", tenant=tenant)
    head = {"limit": {"value": limits.general, "by": limits.source(None)}, "draining": desk.draining, "desk": desk.desk}
    return Shown(head, list(rows), rows)


def _row(m: Member, rooms: list[dict[str, Any]], today: Any, here: Mapping[str, datetime | None]) -> dict[str, Any]:
    return {
        "agent": m.id,
        "name": m.name or m.id,
        "email": m.email,
        "role": m.role or "agent",
        "native": m.presence is not None,
        "online": m.online,
        "presence": m.presence or ("online" if m.online else "offline"),
        "since": here.get(m.id),
        "divisions": list(m.divisions),
        "ours": m.chats,
        "external": m.others,
        "limit": m.limit,
        "limit_by": m.limit_by,
        "free": m.free,
        "paused": m.limit == 0 and m.limit_by == limit_key(m.tenant, m.id),
        "rooms": rooms,
        "last_assigned_at": m.last_assigned_at,
        "answered_today": today.answered if today else 0,
        "handling_median_s": round(today.median_s) if today and today.median_s is not None else None,
        "refused": m.refused,
        "disabled": m.disabled,
    }
