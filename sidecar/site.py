"""The pages: files of `pages/` as they were at the start, under a policy that lets nothing else run; and what the first
page shows.

`/static/…` serves the folder; a page has a short name. A browser asks again each time whether a file has changed. Only
the widget's file, which every page of somebody's site asks for, is kept by browsers unasked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from psycopg2.extensions import cursor

from db import chat
from db.people import PEOPLE
from sidecar.kept import all_of, kept, served
from sidecar.lately import Lately
from sidecar.refusals import answer, answering
from sidecar.store import Store
from sidecar.strangers import Strangers
from sidecar.widget import joined

FOLDER = Path(__file__).resolve().parent / "pages"
WIDGET = FOLDER / "widget" / "entry.js"
PAGES: Mapping[str, str] = {
    "/": "index.html",
    "/chat": "chat.html",
    "/agent": "agent.html",
    "/widget-demo.html": "widget-demo.html",
    "/websocket-test.html": "websocket-test.html",
    "/favicon.ico": "favicon.svg",
}
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self';"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}
WIDGET_HEADERS = {
    **HEADERS,
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",  # its address stands in sites: no hash in it
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}
ABOUT_KEPT_S = 1.0  # anybody may ask


class Site:
    def __init__(
        self, store: Store, demo: "Demo | None", strangers: Strangers, address_of: Callable[[web.Request], str]
    ) -> None:
        """`address_of`: as `Door.subject`. Raises `NotJoined`."""
        self._store, self._demo = store, demo
        self._files, self._script = all_of(FOLDER), kept(joined(WIDGET).encode(), WIDGET.suffix)
        self._strangers, self._address_of = strangers, address_of
        self._about: Lately[None, dict[str, Any]] = Lately(self._read_about, ABOUT_KEPT_S, 1)

    def routes(self) -> list[web.RouteDef]:
        pages = [web.get(path, self.page) for path in PAGES]
        about = web.get("/api/v1/about", answering(self.about))
        widget = web.get("/chat-widget.js", self.widget)
        return [*pages, widget, web.get("/static/{path:.+}", self.static), about]

    async def page(self, request: web.Request) -> web.Response:
        return served(request, self._files[PAGES[request.path]], HEADERS)

    async def widget(self, request: web.Request) -> web.Response:
        """For pages of others, wherever they are."""
        return served(request, self._script, WIDGET_HEADERS)

    async def static(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound
        return served(request, found, HEADERS)

    async def about(self, request: web.Request) -> web.StreamResponse:
        """Which tenants there are is told in a demo, or where there is only one."""
        self._strangers.ask(self._address_of(request))
        return answer(await self._about.get(None))

    async def _read_about(self, _: None) -> dict[str, Any]:
        tenants = await self._store.run(chat.tenants)
        shown = [{"id": row.id, "name": row.name or row.id} for row in tenants]
        told = shown if self._demo or len(shown) == 1 else []
        demo = await self._store.run(self._demo.told) if self._demo else None
        return {"demo": demo, "tenants": told}


@dataclass(frozen=True)
class Demo:
    """What everybody may know of a demo, its password too: its chats are nobody's."""

    tenant: str
    password: str
    simulator_url: str

    def told(self, cur: cursor) -> dict[str, Any]:
        rows = PEOPLE.all(cur, "accounts", tenant=self.tenant)
        accounts = [{"email": row.email, "password": self.password, "role": row.role} for row in rows]
        return {"accounts": accounts, "simulator_url": self.simulator_url}
