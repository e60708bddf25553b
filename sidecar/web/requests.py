"""What a request brings: its JSON, its token and its fields, checked; the answer names the field that is wrong.

Before the handlers of REST. Every function raises `Refused`.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from sidecar.web import fields
from sidecar.web.answers import Refused

JSON_MOST = 256 * 1024
TOKEN_MOST = 200  # characters
BODY_S = 30.0  # for all of it


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


async def message_of(request: web.Request) -> tuple[str, str | None]:
    """A message's body and `client_id`."""
    found = await json_of(request)
    body, given = checked("body", found.get("body"), fields.body), found.get("client_id")
    return body, None if given is None else checked("client_id", given, fields.client_id)


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
    kept = fields.clean(value).strip()
    if not least <= len(kept) <= most:
        raise Refused("invalid_payload", f"{name}: must have {least} to {most} characters")
    return kept


def checked(name: str, value: object, check: Callable[[object], Any]) -> Any:
    """`check` raises `ValueError`, as those of `fields` do."""
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
