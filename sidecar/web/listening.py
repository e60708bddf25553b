"""Where connections begin: the port, and the answer to bytes that are not HTTP, in the contract's shape.

Before: `__main__`, which has set the application up. After: the application's middlewares, for every request that can
be read. aiohttp answers the others by itself, in plain text that quotes them, unless `handle_error` says otherwise.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

import logs
from sidecar.web.answers import answer
from sidecar.web.crowd import Crowd

log = logging.getLogger("sidecar.listening")

BACKLOG = 2048  # a sidecar that went away sends all its sockets at once
FIRST_S = 30.0  # for the head of a connection's first request
UNREADABLE = "the request is not readable HTTP"


class Connection(web.RequestHandler):
    """One client's connection. One too many of an address ends at once, one that never asks anything after a while."""

    def __init__(self, server: web.Server, crowd: Crowd, **handler_args: Any) -> None:
        super().__init__(server, **handler_args)
        self._crowd, self._peer = crowd, ""
        self._first: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        peer = str(name[0]) if isinstance(name, tuple) else ""
        if not self._crowd.enter(peer):
            self.force_close()
            return
        self._peer = peer
        self._first = asyncio.get_running_loop().call_later(FIRST_S, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.has_asked()
        if self._peer:
            self._crowd.leave(self._peer)
            self._peer = ""
        super().connection_lost(exc)

    def has_asked(self) -> None:
        """A request of it can be read; from here on aiohttp's own deadline holds, between requests."""
        if self._first:
            self._first.cancel()
            self._first = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer without a word of what was sent: `message` and `exc` quote it. The connection closes."""
        log.info(logs.line("request_broken", status=status, why=type(exc).__name__))
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        made = error_answer(status)
        made.force_close()
        return made


def error_answer(status: int) -> web.Response:
    if status >= 500:
        return answer({"error": {"code": "unavailable", "message": "the request was not served; try again"}}, 503)
    return answer({"error": {"code": "invalid_request", "message": UNREADABLE}}, status)


async def expect(request: web.Request) -> None:
    """The only thing that a client may expect is `100-continue` (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # or the answer proper would count as begun
        return
    raise _expectation_failed()


def _expectation_failed() -> web.HTTPException:
    made = error_answer(417)
    return web.HTTPExpectationFailed(text=made.text, content_type="application/json")


async def listen(runner: web.AppRunner, host: str, port: int, crowd: Crowd, **handler_args: Any) -> asyncio.Server:
    """Raises `OSError`. `handler_args`: of aiohttp's `RequestHandler`. What connects ends with the runner's cleanup."""
    loop = asyncio.get_running_loop()
    server = runner.server
    if server is None:
        raise RuntimeError("listen comes after runner.setup()")
    return await loop.create_server(
        lambda: Connection(server, crowd, loop=loop, **handler_args), host, port, backlog=BACKLOG, reuse_address=True
    )
