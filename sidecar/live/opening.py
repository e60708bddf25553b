"""What the rules of a tenant say to its customers' pages: whether we are closed, until when, and the topics to choose
from. Pure; before `positions` and `reception`, which tell it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from db import payloads
from routing.facts import LANGUAGES
from routing.messages import opening
from routing.model import Rules
from routing.route import serve_start


class Reading(NamedTuple):
    """`closed`: rooms wait until we open; its payload, else None. `has_hours`: time may change that."""

    closed: dict[str, Any] | None = None
    has_hours: bool = False
    topics: tuple[Mapping[str, str], ...] = ()


NO_RULES = Reading()


def reading(rules: Rules | None, now_s: float) -> Reading:
    if rules is None:
        return NO_RULES
    topics = tuple(dict(topic.label) for topic in rules.topics)
    return Reading(_closed(rules, datetime.fromtimestamp(now_s, UTC)), rules.hours is not None, topics)


def _closed(rules: Rules, now: datetime) -> dict[str, Any] | None:
    """`opens` as people say it, by language; both None where the file knows no day on which we open."""
    opens = serve_start(rules, now)
    if rules.hours is None or opens == now:
        return None
    said = {language: opening(opens, now, rules.hours.zone, language) for language in LANGUAGES}
    return {"opens_at": payloads.iso(opens), "opens": said if opens else None}
