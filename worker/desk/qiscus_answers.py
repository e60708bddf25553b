"""What Qiscus answered, judged and turned into the desk's values; pure. `qiscus_http.py` fetched it, `qiscus.py` hands
it on.

Everything here meets text from outside: whatever JSON comes in, a value comes out or a `DeskError` is raised.
"""

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from room_ids import ROOM_DIGITS, ROOM_ID
from worker.desk.base import (
    Assigned,
    DeskError,
    DeskTrouble,
    RoomRefused,
    RoomTaken,
    RoomView,
    RosterAgent,
    UnservedRoom,
)

RETRY_AFTER_MAX_S = 300.0  # a desk that asks for hours is asked again after five minutes: one probe is cheap
REASON_MAX = 100  # characters; with verb and status in front a desk's error stays below 120
LOOKED_AT_MAX = 2000  # characters of an error text that are cleaned; the patterns below are quadratic at worst
NAME_MAX = 200
CURSOR_MAX = 2000  # a cursor travels in a URL; gateways refuse lines from 4,096 or 8,192 bytes on
COUNT_MAX = 1_000_000  # above that the desk's count is nonsense, and may not fit an integer column

_CURSOR = re.compile(rf"[!-~]{{1,{CURSOR_MAX}}}")
_TAGS = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)|<[^>]*(?:>|$)", re.DOTALL | re.IGNORECASE)
_PRIVATE = re.compile(
    r"\S*@\S*"  # e-mail address
    r"|(?:token|secret|password|key|authorization)[\"']?\s*[:=]\s*(?:bearer\s+)?\S+|bearer\s+\S+"
    r"|[\w+/=.~-]{20,}"  # token, hash, signed URL
    r"|\+?\d[\d ()-]{7,}\d",  # telephone number: on WhatsApp the customer's user id is one
    re.IGNORECASE,
)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ask:
    """What was asked: enough to judge the answer."""

    verb: str
    method: str
    path: str
    about_room: bool = False  # or one division: a 400, 404 or 422 is definite: of it, or of room and agent
    changes: bool = False  # then a 403 is one, too; the request may take effect, so that a lost answer leaves doubt
    is_form: bool = False  # its fields go as a form: the vendor shows no JSON for it


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None


@dataclass(frozen=True)
class Page:
    """One page of a listing: rows as they came, and the cursor of the next page, None on the last."""

    rows: list[Any]
    after: str | None


class Malformed(ValueError):
    """A row that can't be read. It is skipped and counted: one bad row must not hide the others."""


# The answer as a whole


def accepted(answer: Answer, ask: Ask, secret: str = "") -> dict[str, Any]:
    """The JSON object of a success; anything else raises what it means."""
    if not 200 <= answer.status < 300:
        raise refusal(answer, ask, secret)
    told = _json(answer.body)
    if not isinstance(told, dict):
        raise broken(ask, "unreadable answer")
    if told.get("errors") or told.get("error"):
        raise broken(ask, f"{answer.status} with errors: {reason(answer.body, secret)}")
    return told


def refusal(answer: Answer, ask: Ask, secret: str = "") -> DeskError:
    """The error that a status other than 2xx stands for."""
    what = f"{ask.verb} {answer.status}: {reason(answer.body, secret) or 'no reason given'}"
    definite = (400, 403, 404, 422) if ask.changes else (400, 404, 422)
    if answer.status in definite and ask.about_room and not _is_html(answer.body):
        taken = ask.changes and _says_exceeded(answer.body)
        return RoomTaken(what) if taken else RoomRefused(what)
    wait_s = retry_after_s(answer.retry_after, answer.date)
    return DeskTrouble(
        what,
        maybe_applied=ask.changes and _unclear(answer.status, wait_s),
        permanent=answer.status in (401, 402, 403),
        retry_after_s=wait_s,
    )


def said(answer: Answer, ask: Ask, secret: str = "") -> None:
    """Raises unless the answer is a success. It need not be JSON here, but a gateway's page is none, nor is what names
    an error."""
    if not 200 <= answer.status < 300:
        raise refusal(answer, ask, secret)
    told = _json(answer.body)
    if _is_html(answer.body) or isinstance(told, dict) and (told.get("errors") or told.get("error")):
        raise broken(ask, f"{answer.status}: {reason(answer.body, secret)}")


def broken(ask: Ask, what: str) -> DeskTrouble:
    """A success that can't be believed: of a change nobody knows whether it was made."""
    return DeskTrouble(f"{ask.verb}: {what}", maybe_applied=ask.changes)


def _unclear(status: int, wait_s: float | None) -> bool:
    """May the request have taken effect? Not with a 4xx, nor where the desk turned us away and named a time."""
    return not (400 <= status < 500 or (status == 503 and wait_s is not None))


def _says_exceeded(body: bytes) -> bool:
    return any("exceed max agents" in " ".join(text.lower().split()) for text in _strings(_json_or_text(body)))


def _is_html(body: bytes) -> bool:
    """A page comes from a gateway, not from the desk: it says nothing about the room (else one wrong route or one
    firewall would set the whole line aside, room by room)."""
    return body.lstrip()[:1] == b"<"


def retry_after_s(value: str | None, date: str | None = None) -> float | None:
    """Seconds to wait, from either form of Retry-After. A date is measured from the answer's own: clocks differ."""
    value = (value or "").strip()
    if re.fullmatch("[0-9]{1,9}", value):
        return min(float(value), RETRY_AFTER_MAX_S)
    then, now = _http_date(value), _http_date(date or "") or datetime.now(UTC)
    return None if then is None else min(max((then - now).total_seconds(), 0.0), RETRY_AFTER_MAX_S)


def _http_date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
        return parsed.replace(tzinfo=parsed.tzinfo or UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


# The reason of an error, fit for a log


def reason(body: bytes, secret: str = "") -> str:
    """The first text that an error body gives, short and printable, without tags, addresses, tokens and secrets."""
    told = _json_or_text(body)
    if isinstance(told, dict):
        told = next((told[key] for key in ("errors", "error", "message", "detail") if told.get(key)), "")
    return shown(next(_strings(told), ""), secret)


def shown(text: str, secret: str = "") -> str:
    text = _TAGS.sub(" ", html.unescape(text[:LOOKED_AT_MAX]))
    text = "".join(c if c.isprintable() and c not in "<>" else " " for c in text)
    text = " ".join(text.split())
    if secret:
        text = text.replace(secret, "[cut]")
    return _PRIVATE.sub("[cut]", text)[:REASON_MAX].strip()


def _strings(told: object) -> Iterator[str]:
    """All non-empty strings in the order of the text. No recursion: a body can be nested as deep as it is long."""
    stack = [told]
    while stack:
        value = stack.pop()
        if isinstance(value, str) and value.strip():
            yield value
        elif isinstance(value, dict):
            stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            stack.extend(reversed(value))


def _json_or_text(body: bytes) -> object:
    told = _json(body)
    return body[: 4 * LOOKED_AT_MAX].decode("utf-8", "replace") if told is None else told


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # also a number of 5,000 digits, also 10,000 opening brackets
        return None


# Single values


def assigned(told: dict[str, Any], ask: Ask, agent: str) -> Assigned:
    """Raises `RoomTaken` where the desk names another agent than the one who was asked for."""
    added = plain_id(within(told, "data", "added_agent", "id"))
    if added is None:
        raise broken(ask, "no added_agent in the answer")
    if added != agent:
        raise RoomTaken(f"{ask.verb}: the desk added another agent")
    return Assigned(plain_id(within(told, "data", "service", "first_comment_id")))


def room_view(told: dict[str, Any], ask: Ask) -> RoomView:
    row = within(told, "data", "customer_room")
    waiting, resolved = truth(within(row, "is_waiting")), truth(within(row, "is_resolved"))
    if waiting is None or resolved is None:
        raise broken(ask, "no room in the answer")
    return RoomView(waiting=waiting and not resolved, resolved=resolved)


def suggestion(told: dict[str, Any], ask: Ask) -> RosterAgent | None:
    row = within(told, "data", "agent")
    if row is None and isinstance(told.get("data"), dict):
        return None
    try:
        return roster_agent(row)
    except Malformed:
        raise broken(ask, "no agent in the answer") from None


# Listings


def agents_page(told: dict[str, Any], ask: Ask) -> Page:
    return _page(told, agents_of(told), ask)


def rooms_page(told: dict[str, Any], ask: Ask) -> Page:
    return _page(told, within(told, "data", "customer_rooms"), ask)


def agents_of(told: dict[str, Any]) -> Any:
    """`data.agents`, or `data` itself as some lists and one documented example have it."""
    data = told.get("data")
    return data if isinstance(data, list) else within(data, "agents")


def _page(told: dict[str, Any], rows: object, ask: Ask) -> Page:
    if not isinstance(rows, list):
        raise broken(ask, "no list in the answer")
    return Page(rows, _cursor(told, ask))


def meta_of(told: dict[str, Any]) -> Any:
    return told.get("meta") or within(told, "data", "meta")


def _cursor(told: dict[str, Any], ask: Ask) -> str | None:
    meta = meta_of(told)
    after = within(meta, "after") or within(meta, "cursor_after")
    if not after:
        return None
    text = str(after) if isinstance(after, str | int) else ""
    if not _CURSOR.fullmatch(text):
        raise broken(ask, "unreadable page cursor")
    return text


def readable(read: Callable[[Any], Value], rows: Iterable[Any]) -> tuple[list[Value], int]:
    """The rows that could be read, and the number of those that could not."""
    values, skipped = [], 0
    for row in rows:
        try:
            values.append(read(row))
        except Malformed:
            skipped += 1
    return values, skipped


def roster_agent(row: object) -> RosterAgent | None:
    """None for a supervisor or an admin. `force_offline` wins over `is_available`: the reference does not explain it,
    but a chat given to somebody who was taken offline is not answered, while a free colleague costs nothing."""
    id_ = agent_id(row)
    if not _is_agent(row):
        return None
    available = truth(within(row, "is_available")) is True and truth(within(row, "force_offline")) is not True
    ongoing = count(within(row, "current_customer_count"))
    return RosterAgent(id_, _name(row), available, count(within(row, "count")) if ongoing is None else ongoing)


def agent_id(row: object) -> str:
    id_ = plain_id(within(row, "id"))
    if id_ is None:
        raise Malformed
    return id_


def unserved_room(row: object) -> UnservedRoom | None:
    """None for the rows that the list should not have: resolved, or not waiting (seen live)."""
    room = plain_id(within(row, "room_id"))
    resolved, waiting = truth(within(row, "is_resolved")), truth(within(row, "is_waiting"))
    if room is None or resolved is None or waiting is None:
        raise Malformed
    if resolved or not waiting:
        return None
    source = plain_id(within(row, "source")) or ""
    channel = plain_id(within(row, "channel_id")) or source
    return UnservedRoom(room, channel, unix_s(within(row, "last_customer_timestamp")), source)


# Fields


def plain_id(value: object) -> str | None:
    """An id of a room or an agent as text, or a whole number. What fits neither breaks databases."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 <= value < 10**ROOM_DIGITS else None
    return value if isinstance(value, str) and ROOM_ID.fullmatch(value) else None


def truth(value: object) -> bool | None:
    """A boolean, also in the dress of forms and of PHP; None where it is none."""
    word = str(value).lower() if isinstance(value, bool | int | str) else ""
    return {"true": True, "1": True, "false": False, "0": False}.get(word)


def unix_s(value: object) -> float | None:
    """`2019-02-04 04:49:47`, `2021-11-12T01:24:18` or `2022-09-28T06:34:39Z`, taken as UTC where no zone is told."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() if moment else None
    except (ValueError, OverflowError):
        return None
    return seconds if seconds is not None and 1e9 < seconds < 4e9 else None  # 2001 to 2096; zero dates are seen


def _is_agent(row: object) -> bool:
    """Type 2 (1 is an admin, 3 a supervisor), a number or a word as the endpoint likes it."""
    kind = within(row, "type")
    return kind in (2, "2", "agent") or within(row, "type_as_string") == "agent"


def _name(row: object) -> str:
    name = within(row, "name")
    return "".join(c for c in name if c.isprintable())[:NAME_MAX] if isinstance(name, str) else ""


def count(value: object) -> int | None:
    text = plain_id(value) or ""
    return int(text) if re.fullmatch("[0-9]{1,7}", text) and int(text) <= COUNT_MAX else None


def within(value: object, *keys: str) -> Any:
    """The value under a path of keys; None where the path ends early."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
