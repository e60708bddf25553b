"""The simulator as a server: joins the Qiscus half, the control half and the page; started by `__main__` or by a test.

with start_in_thread([Plan(webhooks=url)]) as running:
    requests.get(f"{running.url}/control/state")
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from scripts.simulator import control, qiscus_api
from scripts.simulator.app import App, Plan
from scripts.simulator.ids import Ids
from scripts.simulator.senders import Senders

PAGE = Path(__file__).parent / "page"
PAGE_FILES = sorted(path.name for path in PAGE.iterdir() if path.suffix in (".html", ".css", ".js", ".svg"))
BODY_MAX = 4 * 1024 * 1024
LAST_CALLS_S = 0.5  # how long a stop waits for calls in progress; hanging ones are part of the game
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Simulator:
    """All apps of one server, and the senders that they share."""

    def __init__(self, plans: list[Plan], senders: int) -> None:
        self.began = time.time()  # one moment for all apps: their rooms get the same ids, as tests of tenants want
        self.senders = Senders(senders)
        self.apps: dict[str, App] = {}
        for plan in plans:
            self.add_app(plan)

    def add_app(self, plan: Plan) -> App:
        app = App(plan, Ids.begun_at(self.began), self.senders)
        self.apps[plan.app_id] = app
        return app

    def routes(self) -> list[web.RouteDef]:
        return [*qiscus_api.routes(self.apps), *control.routes(self.apps, self.add_app), *_page_routes()]


def _page_routes() -> list[web.RouteDef]:
    async def page_file(request: web.Request) -> web.StreamResponse:
        name = request.path.lstrip("/") or "index.html"
        return web.FileResponse(PAGE / name, headers=PAGE_HEADERS)

    return [web.get("/", page_file), *(web.get(f"/{name}", page_file) for name in PAGE_FILES)]


@asynccontextmanager
async def serving(simulator: Simulator, host: str, port: int) -> AsyncIterator[str]:
    """Serves until the block ends; gives the base URL. Port 0 takes a free one."""
    web_app = web.Application(client_max_size=BODY_MAX)
    web_app.add_routes(simulator.routes())
    runner = web.AppRunner(web_app, access_log=None, shutdown_timeout=LAST_CALLS_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await simulator.senders.start()
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        yield f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
    finally:
        await simulator.senders.stop()
        await runner.cleanup()


@dataclass
class Running:
    url: str
    simulator: Simulator  # belongs to the server's thread: read it, change it through HTTP


@contextmanager
def start_in_thread(plans: list[Plan], *, port: int = 0, senders: int = 32) -> Iterator[Running]:
    """A real server on loopback, in a thread of this process."""
    loop = asyncio.new_event_loop()
    simulator = Simulator(plans, senders)
    stop = asyncio.Event()
    urls: list[str] = []
    ready = threading.Event()

    async def run() -> None:
        async with serving(simulator, "127.0.0.1", port) as url:
            urls.append(url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=_run_loop, args=(loop, run(), ready), daemon=True, name="simulator")
    thread.start()
    ready.wait()
    if not urls:
        raise RuntimeError("the simulator did not start: its error is printed above")
    try:
        yield Running(urls[0], simulator)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _run_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[None, None, None], ready: threading.Event) -> None:
    try:
        loop.run_until_complete(work)
    finally:
        ready.set()
        loop.close()
