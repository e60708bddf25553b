"""A rules file as the judge of `ruled_judge` reads it: from its words alone, with code of its own. Pure.

It shares nothing with the product that it judges, and knows only the words that the storm's files have; any other is an
error of the storm.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
KEY_MAX, VALUE_MAX = 64, 256
NEVER = 1e18
WORDS = {"hours", "sticky", "messages", "queues", "rules", "default"}


class Who(NamedTuple):
    divisions: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    channel: bool = False


class Led(NamedTuple):
    """Where a room belongs. `queue` None: its channel's own."""

    queue: str | None
    rule: str | None
    priority: int


@dataclass(frozen=True)
class Customer:
    """What one stay's webhook said."""

    source: str
    channel: str
    channel_name: str
    email: str
    name: str
    returning: bool
    properties: Mapping[str, Any]


class File:
    """One version, in force from `since` (unix seconds) until the next."""

    def __init__(self, version: int, since: float, text: str) -> None:
        self.version, self.since = version, since
        self._of = tomllib.loads(text) if text else {}
        if strange := set(self._of) - WORDS:
            raise ValueError(f"the judge does not know {strange}")
        self.queues: dict[str, dict[str, Any]] = self._of.get("queues", {})

    # --- hours

    def openings(self, around: float) -> Iterator[tuple[float, float]]:
        """From two days before to nine days after."""
        hours = self._of["hours"]
        zone = ZoneInfo(hours["timezone"])
        today = datetime.fromtimestamp(around, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for ahead in range(-2, 10):
            day = today + timedelta(days=ahead)
            for days, begin, end in map(_span, hours["open"]):
                if day.weekday() in days:
                    yield (day + timedelta(minutes=begin)).timestamp(), (day + timedelta(minutes=end)).timestamp()

    def is_open(self, at: float) -> bool:
        return "hours" not in self._of or any(begin <= at < end for begin, end in self.openings(at))

    def opens(self, at: float) -> float:
        """When a room that comes then can first be served."""
        if self.is_open(at) or self._of["hours"].get("outside", "wait") == "serve":
            return at
        return min((begin for begin, _ in self.openings(at) if begin > at), default=NEVER)

    def serves(self, at: float) -> bool:
        return self.opens(at) == at

    # --- where a room belongs

    def led(self, who: Customer, is_open: bool) -> Led:
        for rule in self._of.get("rules", ()):
            if all(_fits(key, wanted, who, is_open) for key, wanted in rule["when"].items()):
                return self._led(rule["queue"], rule["name"], rule.get("priority"))
        name = self._of.get("default", {}).get("queue")
        return self._led(name, None, None) if name else Led(None, None, 0)

    def _led(self, queue: str, rule: str | None, priority: int | None) -> Led:
        return Led(queue, rule, self.queues[queue].get("priority", 0) if priority is None else priority)

    def afters(self, queue: str | None) -> list[int]:
        """When the steps of a queue come, in seconds."""
        return [seconds(step["after"]) for step in self._steps(queue)]

    def _steps(self, queue: str | None) -> list[dict[str, Any]]:
        return list(self.queues[queue].get("steps", ())) if queue in self.queues else []

    def step_at(self, queue: str | None, waited_s: float) -> int:
        return sum(after_s <= waited_s for after_s in self.afters(queue))

    def priority_at(self, queue: str | None, base: int, step: int) -> int:
        return max([base, *(each["priority"] for each in self._steps(queue)[:step] if "priority" in each)])

    def who(self, queue: str | None, step: int) -> list[Who]:
        """All lists that count after so many steps."""
        if queue not in self.queues:
            return [Who(channel=True)]
        lists = [self.queues[queue].get("agents")] + [s["agents"] for s in self._steps(queue)[:step] if "agents" in s]
        return [_who(each) for each in lists]

    def limit(self, queue: str | None) -> int | None:
        return self.queues[queue].get("limit") if queue in self.queues else None

    @property
    def sticky_s(self) -> int:
        return seconds(self._of["sticky"].get("wait", "0s")) if "sticky" in self._of else 0

    @property
    def again_s(self) -> float:
        """Between two texts about the place; for ever, where it is told once."""
        found = self._of.get("messages", {}).get("again_every")
        return seconds(found) if found else NEVER


def seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def same(text: str) -> str:
    """How two texts are compared: case, the kind of an accent, spare spaces make no difference."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def _span(text: str) -> tuple[set[int], int, int]:
    """`mon-fri,sun 08:00-17:00`: days, and minutes of a day."""
    days, times = text.split()
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    begin, end = (int(hour) * 60 + int(minute) for hour, minute in (each.split(":") for each in times.split("-")))
    return found, begin, end if end > begin else end + 24 * 60


def _who(given: Mapping[str, Any] | None) -> Who:
    if given is None:
        return Who(channel=True)
    return Who(
        frozenset(map(same, given.get("divisions", ()))),
        frozenset(str(each) for each in given.get("ids", ())),
        frozenset(map(same, given.get("emails", ()))),
        given.get("channel", False),
    )


def _fits(key: str, wanted: Any, who: Customer, is_open: bool) -> bool:
    if key == "property":
        known = _known(who.properties)
        return all(known.get(same(name)) in _texts(values) for name, values in wanted.items())
    if key == "channel":
        return bool({same(who.channel), same(who.channel_name)} & set(_texts(wanted)))
    if key in ("email", "name"):
        return any(re.match(translate(text or ""), same(getattr(who, key))) for text in _texts(wanted))
    found = {"source": same(who.source), "returning": _text(who.returning), "hours": "open" if is_open else "closed"}
    return found[key] in _texts(wanted)


def _texts(wanted: Any) -> list[str | None]:
    return [_text(each) for each in (wanted if isinstance(wanted, list) else [wanted])]


def _known(properties: Mapping[str, Any]) -> dict[str, str | None]:
    return {same(key): _text(value) for key, value in properties.items() if 0 < len(same(key)) <= KEY_MAX}


def _text(value: Any) -> str | None:
    """Texts, numbers, true and false can be compared."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = same(str(value)) if isinstance(value, str | int) else ""
    return text if 0 < len(text) <= VALUE_MAX else None


def shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-4]
