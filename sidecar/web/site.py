"""The pages: files of `pages/` as they were at the start, under a policy that lets nothing else run.

`/static/…` serves the folder; a page has a short name. A browser asks again each time whether a file has changed. Only
the widget's file, which every page of somebody's site asks for, is kept by browsers unasked.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from aiohttp import web

from sidecar.web.kept import Kept, all_of, kept, served
from sidecar.web.widget import joined

FOLDER = Path(__file__).resolve().parents[1] / "pages"
WIDGET = FOLDER / "widget" / "entry.js"
PAGES: Mapping[str, str] = {
    "/": "index.html",
    "/chat": "chat.html",
    "/agent": "agent.html",
    "/ops": "ops.html",
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


class Site:
    def __init__(self) -> None:
        """Raises `NotJoined`."""
        self._files, self._script = _read()

    def routes(self) -> list[web.RouteDef]:
        pages = [web.get(path, self.page) for path in PAGES]
        widget = web.get("/chat-widget.js", self.widget)
        return [*pages, widget, web.get("/static/{path:.+}", self.static)]

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


@cache
def _read() -> tuple[dict[str, Kept], Kept]:
    """All files and the widget: packing them is most of a start, and several sidecars may start in one process."""
    return all_of(FOLDER), kept(joined(WIDGET).encode(), WIDGET.suffix)
