"""Frames: the text of a socket ↔ what it means. Pure. Before it `connection`, which has the bytes.

A frame in is checked here once and for all: what comes out of `read` has the fields of its type, of the right kind and
size, with nothing in it that a database can't hold.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from sidecar.web.fields import (
    body,
    client_id,
    client_id_of,
    flag,
    maybe_name,
    maybe_seq,
    maybe_text,
    name,
    room,
    seq,
    token,
)

FRAME_MOST = 64 * 1024  # bytes of one frame in


class Frame(NamedTuple):
    type: str
    payload: dict[str, Any]


class BadFrame(Exception):
    """`code` and text of the `error` frame to answer with."""

    def __init__(self, code: str, message: str, client_id: str | None = None) -> None:
        super().__init__(message)
        self.code, self.client_id = code, client_id


def read(text: str | bytes) -> Frame:
    """Raises `BadFrame`. Fields that nobody knows are dropped."""
    try:
        found = orjson.loads(text)
    except ValueError:
        raise BadFrame("invalid_json", "a frame is one JSON text") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise BadFrame("invalid_payload", 'a frame is {"type": "…", "payload": {…}}')
    kind, payload = found["type"], found.get("payload", {})
    if not isinstance(payload, dict):
        raise BadFrame("invalid_payload", "payload: must be an object")
    if kind not in _IN:
        raise BadFrame("unknown_type", f"there is no frame {kind[:60]!r}", client_id_of(payload.get("client_id")))
    return Frame(kind, _checked(payload, _IN[kind]))


def _checked(payload: Mapping[str, Any], fields: Mapping[str, "Check"]) -> dict[str, Any]:
    checked = {}
    for field, check in fields.items():
        try:
            checked[field] = check(payload.get(field))
        except ValueError as error:
            raise BadFrame("invalid_payload", f"{field}: {error}", client_id_of(payload.get("client_id"))) from None
    return checked


Check = Callable[[object], Any]
_IN: Mapping[str, Mapping[str, Check]] = {
    "auth": {"token": token},
    "chat.message.send": {"session_id": room, "client_id": client_id, "body": body},
    "chat.typing": {"session_id": room, "is_typing": flag},
    "chat.message.read": {"session_id": room, "up_to_seq": seq},
    "chat.message.delivered": {"session_id": room, "up_to_seq": seq},
    "ping": {},
    "ops.watch": {
        "watch": client_id,
        "view": name,
        "tenant": maybe_name,
        "room": maybe_name,
        "queue": maybe_name,
        "state": maybe_name,
        "q": maybe_text,
        "agent": maybe_name,
        "policy": maybe_name,
        "offset": maybe_seq,
        "limit": maybe_seq,
    },
    "ops.unwatch": {"watch": client_id},
}


# --- out


def frame(kind: str, payload: Mapping[str, Any]) -> bytes:
    """The bytes of a text frame of a server (RFC 6455, 5.2: final, unmasked), the same for everybody who gets it."""
    return framed(orjson.dumps({"type": kind, "payload": payload}))


def framed(text: bytes) -> bytes:
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text


def goodbye(code: int) -> bytes:
    """A close frame (RFC 6455, 5.5.1)."""
    return b"\x88\x02" + code.to_bytes(2, "big")


def error(code: str, message: str, client_id: str | None = None, **more: object) -> bytes:
    payload: dict[str, Any] = {"code": code, "message": message, **more}
    if client_id is not None:
        payload["client_id"] = client_id
    return frame("error", payload)
