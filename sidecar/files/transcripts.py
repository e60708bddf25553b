"""A chat to keep, as a download. After `sessions` and `console`, which know who may have it; before `db/transcript`."""

import orjson
from aiohttp import web
from psycopg2.extensions import cursor

from db import transcript
from sidecar.live.store import Store
from sidecar.web.answers import Refused

TYPES = {"txt": "text/plain", "json": "application/json"}


async def download(request: web.Request, store: Store, tenant: str, room: str) -> web.Response:
    """`?format=txt` or `json`; no browser shows it as a page."""
    kind = request.query.get("format", "txt")
    if kind not in transcript.FORMATS:
        raise Refused("invalid_payload", f"format: must be one of {', '.join(transcript.FORMATS)}")
    body = await store.run(lambda cur: _body(cur, tenant, room, kind))
    if body is None:
        raise Refused("not_found", "no such session")
    headers = {
        "Content-Disposition": f'attachment; filename="{transcript.file_name(room, kind)}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return web.Response(body=body, headers=headers, content_type=TYPES[kind], charset="utf-8")


def _body(cur: cursor, tenant: str, room: str, kind: str) -> bytes | None:
    found = transcript.read(cur, tenant, room)
    if found is None:
        return None
    return transcript.as_text(found).encode() if kind == "txt" else orjson.dumps(found)
