"""What a page may know before its chat begins: is somebody there, how long is the line, when do we open, what may be
chosen, how large may a file be; and what the first page shows.

Beside `sessions`; a page asks it when it opens, the widget each time that its panel does, and both go on asking while
the form is shown that begins a chat. Names no agent and no customer, except in a demo. Anybody may ask, so PostgreSQL
is asked once a second for each tenant, at most, and an address has a budget.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from psycopg2.extensions import cursor

from db import chat, people
from sidecar.live import positions
from sidecar.live.parts import Demo, Parts
from sidecar.live.positions import Line, eta
from sidecar.web.answers import Refused, answer, answering
from sidecar.web.lately import Lately

KEPT_S = 1.0  # who has just come online is here as soon as this
TENANTS_MOST = 1000


class Reception:
    def __init__(self, parts: Parts) -> None:
        self._parts, self._store = parts, parts.store
        self._about: Lately[None, dict[str, Any]] = Lately(self._read_about, KEPT_S, 1)
        self._tenants: Lately[None, Mapping[str, Any]] = Lately(self._read_tenants, KEPT_S, 1)
        self._lines: Lately[str, Line] = Lately(self._read_line, KEPT_S, TENANTS_MOST)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/public/desk", answering(self.desk)),
            web.get("/api/v1/about", answering(self.about)),
        ]

    async def desk(self, request: web.Request) -> web.StreamResponse:
        """`?tenant_id=`, needed only where there are several."""
        self._count(request)
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
            "closed": line.rules.closed,
            "topics": line.rules.topics,
            "upload_max_mb": self._parts.config.upload_most_mb,
        }
        return answer(told, headers={"Cache-Control": "no-store"})

    async def about(self, request: web.Request) -> web.StreamResponse:
        """Which tenants there are is told in a demo, or where there is only one."""
        self._count(request)
        return answer(await self._about.get(None))

    def _count(self, request: web.Request) -> None:
        """Raises `Refused`."""
        self._parts.strangers.ask(self._parts.door.subject(request))

    async def _read_tenants(self, _: None) -> Mapping[str, Any]:
        return await self._store.run(lambda cur: {row.id: row for row in chat.tenants(cur)})

    async def _read_line(self, tenant: str) -> Line:
        return await self._store.run(lambda cur: positions.read(cur, tenant, 0))

    async def _read_about(self, _: None) -> dict[str, Any]:
        demo = self._parts.config.demo
        shown = [{"id": row.id, "name": row.name or row.id} for row in (await self._read_tenants(None)).values()]
        told = shown if demo or len(shown) == 1 else []
        return {"demo": await self._store.run(lambda cur: _accounts(cur, demo)) if demo else None, "tenants": told}


def _accounts(cur: cursor, demo: Demo) -> dict[str, Any]:
    rows = people.accounts(cur, demo.tenant)
    accounts = [{"email": row.email, "password": demo.password, "role": row.role} for row in rows]
    return {"accounts": accounts, "simulator_url": demo.simulator_url}
