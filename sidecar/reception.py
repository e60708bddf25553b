"""What a page may know before its chat begins: is somebody there, how long is the line, how large may a file be.

Beside `sessions`; the customer's page and the widget ask it once, when they open. Names no agent and no customer.
"""

from typing import Any

from aiohttp import web
from psycopg2.extensions import cursor

from db import chat
from sidecar import places
from sidecar.refusals import Refused, answer, answering
from sidecar.store import Store


class Reception:
    def __init__(self, store: Store, upload_most_mb: int) -> None:
        self._store, self._upload_most_mb = store, upload_most_mb

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/public/desk", answering(self.desk))]

    async def desk(self, request: web.Request) -> web.StreamResponse:
        """`?tenant_id=`, needed only where there are several."""
        named = request.query.get("tenant_id", "")
        found = await self._store.run(lambda cur: _desk(cur, named))
        if found is None:
            raise Refused("not_found", "there is no such chat")
        return answer({**found, "upload_max_mb": self._upload_most_mb}, headers={"Cache-Control": "no-store"})


def _desk(cur: cursor, named: str) -> dict[str, Any] | None:
    known = {row.id: row.name for row in chat.tenants(cur)}
    tenant = named or (next(iter(known)) if len(known) == 1 else "")
    if tenant not in known:
        return None
    line = places.read(cur, tenant, 0)
    return {
        "tenant_id": tenant,
        "name": known[tenant],
        "agents_online": line.online,
        "waiting": line.waiting,
        **places.eta(line.wait(line.waiting + 1)),
    }
