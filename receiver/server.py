"""How gunicorn speaks HTTP for the receiver: its gevent worker, with answers in one piece and errors that are JSON.

Around app.py, named by gunicorn.conf.py. Parsing and all its refusals stay gunicorn's; only the steps between a
parsed request and the sent answer are shorter (no access log, no hooks, no files), and a sender that stalls in the
middle of a body is let go. Follows gunicorn 27.0's `AsyncWorker.handle_request`: look there when it is raised.
"""

import logging
import socket
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import gevent
import orjson
from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

import logs

STALL_S = 10  # nothing of the body came, or nothing of the answer was taken, for so long
LOOK_EVERY_S = 0.5

log = logging.getLogger("receiver")


class Worker(GeventWorker):
    def init_process(self) -> None:
        self._idle: dict[Any, float] = {}  # connections between two requests, since when
        plain = {name: setting.get() for name, setting in self.cfg.settings.items()}
        self.cfg.__dict__.update(plain)  # gunicorn looks each up through two calls, some twenty times for a request
        super().init_process()

    def run(self) -> None:
        gevent.spawn(self._end_idle)
        super().run()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """One connection, from its first request to its last."""
        self._idle[client] = time.monotonic()
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle.pop(client, None)

    def timeout_ctx(self) -> Any:
        """gunicorn would set a timer for each request; `_end_idle` looks at all connections together."""
        return nullcontext()

    def _end_idle(self) -> None:
        """End what was kept open, or has been sending a head, for too long; at the end of the process all of it:
        it would hold up the stop for all of `graceful_timeout`."""
        while self._idle or self.alive:
            oldest = time.monotonic() - (self.cfg.keepalive if self.alive else 0)
            for client in [client for client, since in self._idle.items() if since <= oldest]:
                with suppress(OSError):  # it has gone by itself
                    # The system's socket, not gevent's: that one raises in the greenlet that reads, where an end of
                    # the stream is all that was meant.
                    client._sock.shutdown(socket.SHUT_RD)
            gevent.sleep(LOOK_EVERY_S)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """One parsed request. `StopIteration` ends the connection."""
        answer, environ = wsgi.create(req, sock, addr, listener_name, self.cfg, response_class=InOnePiece)
        environ["wsgi.multithread"] = True
        if not self.alive:
            answer.force_close()
        self._idle.pop(sock, None)
        sock.settimeout(STALL_S)
        try:
            chunks = self.wsgi(environ, answer.start_response)
            answer.send(chunks)
            _close(chunks)
        except TimeoutError:
            raise StopIteration from None
        sock.settimeout(None)
        self._idle[sock] = time.monotonic()
        if answer.should_close():
            raise StopIteration
        return True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """What is no HTTP never reaches Flask. Its text is not repeated: it may hold a secret."""
        known = isinstance(exc, ParseException)
        log.warning(logs.line("refused", status=400 if known else 503, code="invalid_http", error=type(exc).__name__))
        try:
            client.sendall(NO_HTTP if known else NOT_SERVED)
        except OSError:
            log.debug(logs.line("gone", error=type(exc).__name__))


class InOnePiece(wsgi.Response):
    """Head and body in one write: one system call less here, one wake-up less at the other end."""

    def send(self, chunks: Iterable[bytes]) -> None:
        body = b"".join(chunks)
        if self.response_length is None:
            self.write(body)
            self.close()
            return
        major, minor = self.req.version
        lines = [f"HTTP/{major}.{minor} {self.status}", "Server: gunicorn", _date(int(time.time()))]
        lines.append("Connection: close" if self.should_close() else "Connection: keep-alive")
        lines += [f"{name}: {value}" for name, value in self.headers]
        head = "\r\n".join([*lines, "", ""])
        self.headers_sent = True
        self.sock.sendall(head.encode("latin-1") + (b"" if self._omits_body else body))


def _close(chunks: Any) -> None:
    if hasattr(chunks, "close"):  # WSGI's rule; a list has none
        chunks.close()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return f"Date: {formatdate(second, usegmt=True)}"


def _whole_answer(status: str, code: str, message: str, *more: str) -> bytes:
    body = orjson.dumps({"error": {"code": code, "message": message}})
    lines = [f"HTTP/1.1 {status}", "Connection: close", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


NO_HTTP = _whole_answer("400 Bad Request", "invalid_http", "this is not a valid HTTP request")
NOT_SERVED = _whole_answer(
    "503 Service Unavailable", "queue_unavailable", "the request was not served; send it again", "Retry-After: 2"
)
