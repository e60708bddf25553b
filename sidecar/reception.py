"""What a page may know before its chat begins: is somebody there, how long is the line, how large may a file be.

Beside `sessions`; a page asks it when it opens, the widget each time that its panel does, and both go on asking while
the form is shown that begins a chat. Names no agent and no customer. Anybody may ask, so PostgreSQL is asked
once a second for each tenant, at most, and an address has a budget.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from db import chat
from sidecar import places
from sidecar.lately import Lately
from sidecar.places import Line, eta
from sidecar.refusals import Refused, answer, answering
from sidecar.store import Store
from sidecar.strangers import Strangers

KEPT_S = 1.0  # who has just come online is here as soon as this
TENANTS_MOST = 1000


class Reception:
    def __init__(
        self, store: Store, upload_most_mb: int, strangers: Strangers, address_of: Callable[[web.Request], str]
    ) -> None:
        """`address_of`: as `Door.subject`."""
        self._store, self._upload_most_mb = store, upload_most_mb
        self._strangers, self._address_of = strangers, address_of
        self._tenants: Lately[None, Mapping[str, Any]] = Lately(self._read_tenants, KEPT_S, 1)
        self._lines: Lately[str, Line] = Lately(self._read_line, KEPT_S, TENANTS_MOST)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/public/desk", answering(self.desk))]

    async def desk(self, request: web.Request) -> web.StreamResponse:
        """`?tenant_id=`, needed only where there are several."""
        self._strangers.ask(self._address_of(request))
        known = await self._tenants.get(None)
        named = request.query.get("tenant_id", "")
        tenant = named or (next(iter(known)) if len(known) == 1 else "")
        if tenant not in known:
            raise Refused("not_found", "there is no such chat")
        line = await self._lines.get(tenant)
        told = {
            "tenant_id": tenant,
            "name": known[tenant].name,
            "color": known[tenant].color,
            "agents_online": line.online,
            "waiting": line.waiting,
            **eta(line.wait(line.waiting + 1)),
            "upload_max_mb": self._upload_most_mb,
        }
        return answer(told, headers={"Cache-Control": "no-store"})

    async def _read_tenants(self, _: None) -> Mapping[str, Any]:
        return await self._store.run(lambda cur: {row.id: row for row in chat.tenants(cur)})

    async def _read_line(self, tenant: str) -> Line:
        return await self._store.run(lambda cur: places.read(cur, tenant, 0))
