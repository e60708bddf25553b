"""Pure: the bytes of a webhook → the few fields that are kept, or a `BadPayload` that names what is wrong.

Stands between the routes (webhooks.py) and the door to Redis (door.py). What Qiscus sends is loose: ids are numbers or
strings, whole objects may be null, unknown fields come and go. Only what decides is checked; all else may be anything.
Messages never repeat a value of the payload: payloads can carry credentials.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from db.inbox import ARRIVED, RESOLVED
from db.push import Webhook
from room_ids import ROOM_DIGITS, ROOM_ID
from tenant_ids import TENANT_ID

INVALID_JSON, INVALID_PAYLOAD = "invalid_json", "invalid_payload"

ID_MOST = 2**63 - 1  # a bigint of PostgreSQL; a greater id would fail there, so it counts as not told
WORD_MOST = 64

CAA, SOLVED = "Custom Agent Allocation", "Mark As Resolved"
CAA_PATH, SOLVED_PATH = "/allocate-agent/webhook", "/mark-as-solved/webhook"


class BadPayload(Exception):
    """A webhook that can't be used. `field` names the culprit; the message is fit to be shown to the sender."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, field


@dataclass(frozen=True, slots=True)
class Posted:
    """A usable webhook, and the app id that it names itself (None: it names none)."""

    webhook: Webhook
    app_id: str | None
    payload: Any = field(default=None, compare=False)  # of an arrival: what facts are picked from


def arrived(body: bytes) -> Posted:
    """A Custom Agent Allocation webhook: a room needs an agent. Raises `BadPayload`."""
    payload = _object(_parse(body))
    if type(payload.get("room_id")) is float:  # the fast parser makes floats of whole numbers beyond 64 bits
        payload = _object(_parse_slowly(body))
    if "room_id" not in payload:
        raise _missing(payload, "room_id", CAA)
    room = _room(payload["room_id"], "room_id")
    source = _word(payload.get("source"))
    latest = _closed_service(payload.get("latest_service"))
    return Posted(Webhook(ARRIVED, room, _channel(payload) or source, source, latest), _app_id(payload), payload)


def resolved(body: bytes) -> Posted:
    """A Mark As Resolved webhook: a service of a room is over. Raises `BadPayload`."""
    payload = _object(_parse(body))
    service = _service(payload)
    if type(service["room_id"]) is float:
        payload = _object(_parse_slowly(body))
        service = _service(payload)
    room = _room(service["room_id"], "service.room_id")
    webhook = Webhook(
        RESOLVED, room, service=_id(service.get("id")), first_comment_id=_word(service.get("first_comment_id"))
    )
    return Posted(webhook, _app_id(payload))


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # also for half an emoji in a customer's name: that must not lose the room
        return _parse_slowly(body)


def _parse_slowly(body: bytes) -> Any:
    if not body.strip():
        raise BadPayload(INVALID_JSON, "the body is empty: a JSON object was expected")
    try:
        text = body.decode(json.detect_encoding(body), "replace")
        return json.loads(text, parse_int=_whole, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadPayload(INVALID_JSON, "the body is nested too deeply") from None
    except ValueError:
        raise BadPayload(INVALID_JSON, "the body is not valid JSON") from None


def _whole(digits: str) -> int | float:
    """Thousands of digits are no id, and Python refuses to read them; as a float they are no id either."""
    return int(digits) if len(digits) <= ROOM_DIGITS + 1 else math.inf


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _object(payload: Any) -> dict[str, Any]:
    if type(payload) is not dict:
        raise BadPayload(INVALID_PAYLOAD, "the body must be a JSON object", "body")
    return payload


def _service(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    service = payload.get("service")
    if type(service) is not dict or "room_id" not in service:
        raise _missing(payload, "service.room_id", SOLVED)
    return service


def _room(value: object, field: str) -> str:
    if type(value) is str and ROOM_ID.fullmatch(value):
        return value
    if type(value) is int and 0 <= value < 10**ROOM_DIGITS:  # never a bool: its type is not int
        return str(value)
    rule = "must be 1-64 visible ASCII characters without spaces, or a whole number from 0"
    raise BadPayload(INVALID_PAYLOAD, f"{field} {rule}", field)


def _closed_service(service: object) -> str:
    """The id of the previous service where it is proof that this one closed, else ''."""
    if type(service) is not dict or service.get("is_resolved") is not True:
        return ""
    return _id(service.get("id"))


def _id(value: object) -> str:
    """A service id as its digits, or '' for anything that is none."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= ROOM_DIGITS:
        value = int(value)
    return str(value) if type(value) is int and 0 <= value <= ID_MOST else ""


def _channel(payload: Mapping[str, Any]) -> str:
    channel = payload.get("channel")
    return _word(channel.get("id")) if type(channel) is dict else ""


def _word(value: object) -> str:
    """A short word to sort by, without controls, NUL and halves of characters: PostgreSQL and Redis refuse them."""
    if type(value) is int:
        return str(value)[:WORD_MOST]
    if type(value) is not str:
        return ""
    return value[:WORD_MOST] if value.isprintable() else "".join(filter(str.isprintable, value))[:WORD_MOST]


def _app_id(payload: Mapping[str, Any]) -> str | None:
    """`app_id`, in newer payloads also `app_code`: one value."""
    named = {_one_app_id(payload, "app_id"), _one_app_id(payload, "app_code")} - {None}
    if len(named) > 1:
        raise BadPayload(INVALID_PAYLOAD, "app_id and app_code disagree", "app_id")
    return named.pop() if named else None


def _one_app_id(payload: Mapping[str, Any], field: str) -> str | None:
    value = payload.get(field)
    if value is None or value == "":
        return None
    if type(value) is str and TENANT_ID.fullmatch(value):
        return value
    raise BadPayload(INVALID_PAYLOAD, f"{field} is not a valid app id", field)


def _missing(payload: Mapping[str, Any], field: str, wanted: str) -> BadPayload:
    seen = _looks_like(payload)
    if seen is None or seen == wanted:
        return BadPayload(INVALID_PAYLOAD, f"{field} is missing", field)
    advice = f"in Qiscus set the URL of {CAA} to {CAA_PATH} and that of {SOLVED} to {SOLVED_PATH}"
    return BadPayload(INVALID_PAYLOAD, f"{field} is missing: this looks like a {seen} webhook; {advice}", field)


def _looks_like(payload: Mapping[str, Any]) -> str | None:
    wrapped, service = payload.get("payload"), payload.get("service")
    if type(wrapped) is dict and "room" in wrapped:
        return "New Session" if payload.get("webhook_type") == "new_session" else "Bot"
    if type(service) is dict and "room_id" in service:
        return SOLVED
    return CAA if "room_id" in payload else None
