"""gunicorn's gevent worker as it is, with deadlines for a first head and for a whole request, and with our words for
what is not HTTP.

Around app.py, named by gunicorn.conf.py.
"""

import logging
from typing import Any

import gevent
import orjson
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

import logs

FIRST_HEAD_S = 20  # from the connection's start to the end of its first head; later ones have gunicorn's `keepalive`
REQUEST_S = 20  # from a head to the end of its answer, for who takes none

log = logging.getLogger("receiver")


class Worker(GeventWorker):
    def timeout_ctx(self) -> gevent.Timeout:
        """Bounds the wait for one head, from its connection's start or from the last answer on. One greenlet serves
        one connection."""
        connection = gevent.getcurrent()
        seconds = self.cfg.keepalive if hasattr(connection, "had_a_head") else min(FIRST_HEAD_S, self.cfg.keepalive)
        connection.had_a_head = True
        return gevent.Timeout(seconds, False)

    def handle_request(self, *request: Any) -> Any:
        """One request, from its head on. `StopIteration` ends the connection."""
        with gevent.Timeout(REQUEST_S, False):
            return super().handle_request(*request)
        raise StopIteration

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """What is no HTTP never reaches Flask. Its text is not repeated: it may hold a secret."""
        broken = isinstance(exc, ParseException)
        log.warning(logs.line("refused", status=400 if broken else 503, code="invalid_http", error=type(exc).__name__))
        try:
            client.sendall(NO_HTTP if broken else NOT_SERVED)
        except OSError as error:
            log.debug(logs.line("gone", error=type(error).__name__))


def _whole_answer(status: str, code: str, message: str, *more: str) -> bytes:
    body = orjson.dumps({"error": {"code": code, "message": message}})
    lines = [f"HTTP/1.1 {status}", "Connection: close", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


NO_HTTP = _whole_answer("400 Bad Request", "invalid_http", "this is not a valid HTTP request")
NOT_SERVED = _whole_answer(
    "503 Service Unavailable", "queue_unavailable", "the request was not served; send it again", "Retry-After: 2"
)
