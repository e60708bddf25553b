"""The fields that clients send, over sockets and over HTTP: each is checked here, once and for all. Pure.

Before `frames` and the handlers of REST. Every check raises `ValueError`; what it gives can be kept by a database.
"""

import re

BODY_MOST = 10_000  # characters of a message
CLIENT_ID_MOST = 64
SEQ_MOST = 2**53
NAME_MOST = 128
TEXT_MOST = 200

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,64}")
_ROOM = re.compile(r"[0-9A-Za-z_-]{1,64}")
_NOT_KEPT = re.compile("[\0\ud800-\udfff]")  # PostgreSQL refuses the first, UTF-8 the others


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


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def seq(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= SEQ_MOST:
        raise ValueError("must be a whole number, 0 or more")
    return value


def name(value: object) -> str:
    """Of a tenant, room, queue or agent: what a person can read, on one line."""
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MOST or not value.isprintable():
        raise ValueError(f"must be 1 to {NAME_MOST} characters that can be shown")
    return value


def maybe_name(value: object) -> str | None:
    return None if value is None else name(value)


def maybe_text(value: object) -> str | None:
    """Something to look for; nothing where it is empty."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TEXT_MOST:
        raise ValueError(f"must be a string of at most {TEXT_MOST} characters")
    return clean(value).strip() or None


def maybe_seq(value: object) -> int | None:
    return None if value is None else seq(value)


def token(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError("must be the token of a login")
    return value


def client_id_of(value: object) -> str | None:
    """For an error that has to name it, whatever else is wrong."""
    return value if isinstance(value, str) and _CLIENT_ID.fullmatch(value) else None
