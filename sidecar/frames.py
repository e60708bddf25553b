"""Frames: the text of a socket ↔ what it means. Pure. Before it `connection`, which has the bytes.

A frame in is checked here once and for all: what comes out of `read` has the fields of its type, of the right kind and
size, with nothing in it that a database can't hold.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

FRAME_MOST = 64 * 1024  # bytes of one frame in
BODY_MOST = 10_000  # characters of a message
CLIENT_ID_MOST = 64
SEQ_MOST = 2**53

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,64}")
_ROOM = re.compile(r"[0-9A-Za-z_-]{1,64}")
_NOT_KEPT = re.compile("[\0\ud800-\udfff]")  # PostgreSQL refuses the first, UTF-8 the others


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
        raise BadFrame("unknown_type", f"there is no frame {kind[:60]!r}", client_id_of(payload))
    return Frame(kind, _checked(payload, _IN[kind]))


def client_id_of(payload: Mapping[str, Any]) -> str | None:
    """For an error that has to name it, whatever else is wrong."""
    found = payload.get("client_id")
    return found if isinstance(found, str) and _CLIENT_ID.fullmatch(found) else None


def _checked(payload: Mapping[str, Any], fields: Mapping[str, "Check"]) -> dict[str, Any]:
    checked = {}
    for name, check in fields.items():
        try:
            checked[name] = check(payload.get(name))
        except ValueError as error:
            raise BadFrame("invalid_payload", f"{name}: {error}", client_id_of(payload)) from None
    return checked


def body(value: object) -> str:
    """The text of a message, as it can be kept. Raises `ValueError`; also the REST handlers' check."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if len(value) > BODY_MOST:
        raise ValueError(f"has {len(value)} characters, at most {BODY_MOST} are taken")
    kept = clean(value)
    if not kept.strip():
        raise ValueError("is empty")
    return kept


def clean(value: str) -> str:
    """Without what no UTF-8 database can hold."""
    return _NOT_KEPT.sub("\ufffd", value)


def client_id(value: object) -> str:
    if not isinstance(value, str) or not _CLIENT_ID.fullmatch(value):
        raise ValueError(f"must be 1 to {CLIENT_ID_MOST} visible ASCII characters")
    return value


def room(value: object) -> str | None:
    """A customer's frames need none."""
    if value is None:
        return None
    if not isinstance(value, str) or not _ROOM.fullmatch(value):
        raise ValueError("is not a valid session id")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def seq(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= SEQ_MOST:
        raise ValueError("must be a whole number, 0 or more")
    return value


def _token(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError("must be the token of a login")
    return value


Check = Callable[[object], Any]
_IN: Mapping[str, Mapping[str, Check]] = {
    "auth": {"token": _token},
    "chat.message.send": {"session_id": room, "client_id": client_id, "body": body},
    "chat.typing": {"session_id": room, "is_typing": _flag},
    "chat.message.read": {"session_id": room, "up_to_seq": seq},
    "chat.message.delivered": {"session_id": room, "up_to_seq": seq},
    "ping": {},
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
