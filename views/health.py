"""The health of an installation, for operators: its servers, its processes, each desk."""

from typing import Any

import redis
from psycopg2.extensions import cursor

from db import processes
from db.inbox import InboxDown
from db.views import VIEWS
from views.shown import Shown
from views.source import Source
from views.words import clean

KEPT_BACK = ("seen_s", processes.UNTRUSTED)
CIRCUIT_OPEN, CIRCUIT_CLOSED = "open", "closed"


def read(source: Source, cur: cursor) -> Shown:
    rows = {f"desk:{row.tenant}": _desk(source, row) for row in VIEWS.all(cur, "desks")}
    for one in _processes(source):
        rows[one["id"]] = one
    postgres = {"ok": True, **VIEWS.one(cur, "postgres")._asdict()}
    return Shown({"postgres": postgres, "redis": _redis(source)}, list(rows), rows)


def _processes(source: Source) -> list[dict[str, Any]]:
    if source.away:
        return []
    try:
        found = processes.read(source.inbox)
    except InboxDown:
        return []
    return [{name: value for name, value in one.items() if name not in KEPT_BACK} for one in found]


def _redis(source: Source) -> dict[str, Any]:
    """A user of few rights may not ask for the memory."""
    unknown = {"used_bytes": None, "most_bytes": None, "policy": None}
    if source.away:
        return {"ok": False, "trouble": source.away, **unknown}
    try:
        with source.inbox.guarded() as client:
            info = client.info("memory")
    except (InboxDown, redis.ResponseError):
        return {"ok": True, "trouble": None, **unknown}
    used, most = info.get("used_memory"), info.get("maxmemory") or None
    return {"ok": True, "trouble": None, "used_bytes": used, "most_bytes": most, "policy": info.get("maxmemory_policy")}


def _desk(source: Source, row: Any) -> dict[str, Any]:
    return {
        "id": f"desk:{row.tenant}",
        "kind": "desk",
        "tenant": row.tenant,
        "circuit": CIRCUIT_OPEN if row.paused_until else CIRCUIT_CLOSED,
        "failures": row.desk_failures,
        "trouble": clean(row.desk_trouble, 160) if row.desk_trouble else None,
        "paused_until": row.paused_until,
        "drift": row.drift,
        "refused": row.refused,
        "inbox": None if source.away else source.inbox.size(row.tenant),
    }
