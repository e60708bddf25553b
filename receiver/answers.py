"""What the receiver says: every answer is JSON, errors are `{"error":{"code","message"}}`, nothing is ever a 500.

Last on the path of a request; used by the routes (webhooks.py, health.py) and by the app for what Flask refuses.
"""

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

import logs
from db.inbox import InboxDown
from receiver.payloads import BadPayload

JSON = "application/json"
RETRY_AFTER_S = 2  # a Redis that restarts is back by then
CODES = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not know that method"),
    413: ("payload_too_large", "the body is larger than 1 MiB"),
    415: ("unsupported_media_type", "the body must be sent as application/json"),
}
TRY_AGAIN = "the webhook could not be stored; send it again"

log = logging.getLogger("receiver")


class Refusal(Exception):
    """A request that is not served; `code` None takes the usual one of the status."""

    def __init__(self, status: int, code: str | None = None, message: str | None = None, **ids: object) -> None:
        usual_code, usual_message = CODES.get(status, ("invalid_payload", "the request can't be used"))
        super().__init__(code or usual_code)
        self.status, self.code, self.message, self.ids = status, code or usual_code, message or usual_message, ids


def said(status: int, content: Mapping[str, object]) -> Response:
    return Response(orjson.dumps(content), status, content_type=JSON)


def error(status: int, code: str, message: str, **ids: object) -> Response:
    """An error answer, and the line in the log that goes with it."""
    log.log(logging.WARNING if status >= 500 else logging.INFO, logs.line("refused", status=status, code=code, **ids))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return unavailable(message)
    return said(status, {"error": {"code": code, "message": message}})


def unavailable(message: str) -> Response:
    """A 503, without a line in the log."""
    response = said(503, {"error": {"code": "queue_unavailable", "message": message}})
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def set_up(app: Flask) -> None:
    app.register_error_handler(Refusal, _refusal)
    app.register_error_handler(BadPayload, _bad_payload)
    app.register_error_handler(InboxDown, _inbox_down)
    app.register_error_handler(HTTPException, _of_flask)
    app.register_error_handler(Exception, _unexpected)


def _refusal(refusal: Refusal) -> Response:
    return error(refusal.status, refusal.code, refusal.message, **refusal.ids)


def _bad_payload(bad: BadPayload) -> Response:
    return error(400, bad.code, bad.message, field=bad.field)


def _inbox_down(down: InboxDown) -> Response:
    """The door has told of it: once, not for each webhook."""
    return unavailable(TRY_AGAIN)


def _of_flask(refused: HTTPException) -> Response:
    status = refused.code or 400
    if status < 400 or status >= 500:  # a redirect or an error page that nobody here asked for
        return _unexpected(refused)
    code, message = CODES.get(status, ("invalid_payload", "the request can't be used"))
    response = error(status, code, message)
    allowed = getattr(refused, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(bug: Exception) -> Response:
    """Where it happened, never its text: that can quote a payload."""
    frames = traceback.extract_tb(bug.__traceback__)[-3:]
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    log.error(logs.line("bug", error=type(bug).__name__, where=where))
    return error(503, "queue_unavailable", TRY_AGAIN, why="bug")
