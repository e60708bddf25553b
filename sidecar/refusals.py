"""Answers that say no: one shape for all of REST, `{"error":{"code","message"}}`, and who turns what into which.

`answering` wraps a handler; what it raises becomes the answer of the contract. `json_of` and the checks read what a
request brings, and name the field that is wrong.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

import logs
from db.chat import NotTaken
from db.postgres import LedgerBusy, LedgerTrouble
from sidecar import frames
from sidecar.turns import TurnRefused

log = logging.getLogger("sidecar.refusals")

RETRY_S = 2
JSON_MOST = 256 * 1024
TOKEN_MOST = 200  # characters
BODY_S = 30.0  # for all of it

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STATUS_OF: Mapping[str, int] = {
    "invalid_json": 400,
    "invalid_payload": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "origin_not_allowed": 403,
    "not_yours": 403,
    "not_found": 404,
    "already_taken": 409,
    "at_max_load": 409,
    "session_ended": 409,
    "too_many_files": 409,
    "storage_full": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "upgrade_required": 426,
    "rate_limited": 429,
    "unavailable": 503,
}


class Refused(Exception):
    """`code` as in the contract; its status follows. `wait_s`: for Retry-After. `closes`: nothing more can be read."""

    def __init__(self, code: str, message: str, wait_s: float | None = None, closes: bool = False) -> None:
        super().__init__(message)
        self.code, self.wait_s, self._closes = code, wait_s, closes

    def response(self) -> web.Response:
        headers = {} if self.wait_s is None else {"Retry-After": str(max(1, math.ceil(self.wait_s)))}
        if self.code == "unauthorized":
            headers["WWW-Authenticate"] = "Bearer"
        if self.code == "upgrade_required":
            headers["Upgrade"] = "websocket"
        body = {"error": {"code": "forbidden" if self.code == "not_yours" else self.code, "message": str(self)}}
        made = answer(body, STATUS_OF[self.code], headers)
        if self._closes:
            made.force_close()
        return made


def not_taken(answer: NotTaken) -> Refused:
    """Why a message was not stored."""
    texts = {
        "session_ended": "this chat is over",
        "not_yours": "this chat has another agent",
        "not_found": "no such session",
    }
    known = answer.code in texts
    return Refused(answer.code if known else "invalid_payload", texts.get(answer.code, "body: can't be stored"))


def why_not(error: LedgerTrouble) -> str:
    """For people. A lock or a slow statement concerns what met it alone."""
    return "the database is busy" if isinstance(error, LedgerBusy) else "the database can't be reached at the moment"


def answering(handler: Handler) -> Handler:
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return refused.response()
        except TurnRefused as refused:
            return Refused(refused.code, str(refused)).response()
        except LedgerTrouble as error:
            log.warning(logs.line("unavailable", path=request.match_info.route.resource, why=error))
            return Refused("unavailable", f"{why_not(error)}: try again", RETRY_S).response()

    return answered


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")


# --- what a request brings


async def json_of(request: web.Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The JSON object of the body."""
    text = await _body(request)
    if not text and may_be_empty:
        return {}
    if request.content_type != "application/json":
        raise Refused("unsupported_media_type", "send application/json")
    try:
        found = orjson.loads(text)
    except ValueError:
        raise Refused("invalid_json", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Refused("invalid_payload", "the body must be an object")
    return found


async def _body(request: web.Request) -> bytes:
    too_large = Refused("payload_too_large", f"at most {JSON_MOST // 1024} KiB are taken")
    if (request.content_length or 0) > JSON_MOST:
        raise too_large
    text = b""
    try:
        async with asyncio.timeout(BODY_S):
            while len(text) <= JSON_MOST and (more := await request.content.read(JSON_MOST + 1)):
                text += more
    except TimeoutError:
        raise Refused("invalid_json", "the body came too slowly", closes=True) from None
    except (
        HttpProcessingError,
        ClientPayloadError,
        web.RequestPayloadError,
    ):  # not what its Content-Encoding or its length says
        raise Refused("invalid_json", "the body can't be read", closes=True) from None
    if len(text) > JSON_MOST:
        raise too_large
    return text


def token_of(request: web.Request) -> str:
    """An agent's; empty where none is sent."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip()[:TOKEN_MOST] if kind.lower() == "bearer" else ""


def text_of(found: Mapping[str, Any], name: str, most: int, *, least: int = 1) -> str:
    """A text field without what no database can hold, trimmed."""
    value = found.get(name)
    if not isinstance(value, str):
        raise Refused("invalid_payload", f"{name}: must be a string")
    kept = frames.clean(value).strip()
    if not least <= len(kept) <= most:
        raise Refused("invalid_payload", f"{name}: must have {least} to {most} characters")
    return kept


def checked(name: str, value: object, check: Callable[[object], Any]) -> Any:
    """`check` raises `ValueError`, as those of `frames` do."""
    try:
        return check(value)
    except ValueError as error:
        raise Refused("invalid_payload", f"{name}: {error}") from None


def whole_number(request: web.Request, name: str) -> int | None:
    """Of the query; None where it is not given."""
    value = request.query.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise Refused("invalid_payload", f"{name}: must be a whole number, 0 or more")
    return int(value)


def yes_or_no(request: web.Request, name: str) -> bool:
    """Of the query; not given means no."""
    value = request.query.get(name, "").lower()
    if value not in ("", "0", "1", "true", "false"):
        raise Refused("invalid_payload", f"{name}: must be 0, 1, true or false")
    return value in ("1", "true")
