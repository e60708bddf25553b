"""Pure: `[hours]` of a rules file, `mon-fri 08:00-17:00` and the like, into `Hours`.

Comes between the checked file (file.py) and hours.py, which judges a moment by it.
"""

import itertools
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from routing.faults import At, shown, suggestion
from routing.hours import DAY_MIN, SERVE, WAIT, WEEK_MIN, Hours, Span
from routing.reading import Section, choice, kind, listed

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OPEN = re.compile(r"([a-z]+(?:-[a-z]+)?(?:,[a-z]+(?:-[a-z]+)?)*) ([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2})")
OPEN_EXAMPLE = "mon-fri 08:00-17:00"
OPEN_RULE = f"write days and times, as in '{OPEN_EXAMPLE}' or 'sat,sun 22:00-02:00'"
CLOSED_RULE = "write a day, 2026-12-25, or a first and a last one, 2026-12-24..2026-12-26"
YEARS = (2000, 2199)
ABBREVIATIONS = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}


class Entry(NamedTuple):
    """One text of `open`, and where it stands."""

    at: At
    text: str
    spans: tuple[Span, ...]


def read(section: Section) -> Hours | None:
    zone = section.need("timezone", _zone, 'add timezone = "Asia/Jakarta", say')
    entries = section.need("open", listed(_entry, f'["{OPEN_EXAMPLE}"]'), f'add open = ["{OPEN_EXAMPLE}"], say')
    closed = section.get("closed", listed(_closed, '["2026-12-25"]')) or ()
    outside = section.get("outside", choice(WAIT, SERVE)) or WAIT
    if entries:
        _check_overlaps(entries)
    spans = tuple(sorted(span for entry in entries or () for span in entry.spans))
    return Hours(zone, spans, _merged(closed), outside) if zone and spans else None


def _zone(value: Any, at: At) -> str | None:
    if type(value) is not str:
        return at.fault(f"must be a time zone in quotes, is {kind(value)}", 'write "Asia/Jakarta", say')
    if value in ABBREVIATIONS:
        return at.fault(f"'{value}' is not the name of a time zone", f"write '{ABBREVIATIONS[value]}'")
    if not _is_zone(value):
        near = suggestion(value, sorted(available_timezones()))
        return at.fault(f"'{shown(value)}' is not the name of a time zone", near)
    return value


def _is_zone(name: str) -> bool:
    """Folders, paths and the tables with leap seconds are in the same place as the zones."""
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", name) or name.startswith(("posix", "right/")):
        return False
    try:
        return ZoneInfo(name).key not in ("localtime", "Factory")
    except (KeyError, ValueError, OSError):
        return False


def _entry(value: Any, at: At) -> Entry | None:
    found = OPEN.fullmatch(" ".join(value.lower().split())) if type(value) is str else None
    if not found:
        return at.fault(f"'{shown(value)}' can't be read", OPEN_RULE)
    days, start, end = _days(found[1], at), _minute(found[2], at), _minute(found[3], at)
    if days is None or start is None or end is None:
        return None
    if start in (end, DAY_MIN):
        return at.fault(f"'{shown(value)}' is empty", "for a whole day write 00:00-24:00")
    end += 0 if end > start else DAY_MIN
    return Entry(at, value, tuple(Span(day, start, end) for day in days))


def _days(text: str, at: At) -> list[int] | None:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        for word in (first, last or first):
            if word not in DAYS:
                return at.fault(f"'{shown(word)}' is not a day", suggestion(word, DAYS))
        start, end = DAYS.index(first), DAYS.index(last or first)
        found += [(start + n) % 7 for n in range((end - start) % 7 + 1)]
    return found


def _minute(text: str, at: At) -> int | None:
    minute = int(text[:2]) * 60 + int(text[3:])
    if minute > DAY_MIN or int(text[3:]) > 59:
        return at.fault(f"'{text}' is not a time", "from 00:00 to 24:00")
    return minute


def _closed(value: Any, at: At) -> tuple[date, date] | None:
    if isinstance(value, date) and not isinstance(value, datetime):  # TOML's own dates, without quotes
        value = value.isoformat()
    if type(value) is not str:
        return at.fault(f"must be a day in quotes, is {kind(value)}", CLOSED_RULE)
    first, dots, last = value.partition("..")
    days = [_day(first), _day(last if dots else first)]
    if days[0] is None or days[1] is None:
        return at.fault(f"'{shown(value)}' can't be read", CLOSED_RULE)
    if days[1] < days[0]:
        return at.fault(f"'{value}' ends before it begins", f"write '{last}..{first}'")
    return days[0], days[1]


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        return None
    return day if day and YEARS[0] <= day.year <= YEARS[1] else None


def _merged(closed: Sequence[tuple[date, date]]) -> tuple[tuple[date, date], ...]:
    """Sorted, with those in one that overlap or follow one another."""
    merged: list[tuple[date, date]] = []
    for first, last in sorted(closed):
        if merged and first <= merged[-1][1] + timedelta(days=1):
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _check_overlaps(entries: Sequence[Entry]) -> None:
    """Each pair of entries is noted once, at the later one; days that are named twice make an entry overlap itself."""
    for later, entry in enumerate(entries):
        for other in entries[: later + 1]:
            if (minute := _overlap(entry.spans, other.spans, entry is other)) is not None:
                what = "itself" if other is entry else f"'{shown(other.text)}'"
                problem = f"'{shown(entry.text)}' overlaps {what} on {_week_text(minute)}"
                entry.at.fault(problem, "let one end where the other begins")


def _overlap(spans: Sequence[Span], others: Sequence[Span], same: bool) -> int | None:
    """The first minute of the week that two of them share."""
    for one, other in itertools.combinations(spans, 2) if same else itertools.product(spans, others):
        for shift in (-WEEK_MIN, 0, WEEK_MIN):
            start = max(_week_minute(one.day, one.start), _week_minute(other.day, other.start) + shift)
            if start < min(_week_minute(one.day, one.end), _week_minute(other.day, other.end) + shift):
                return start % WEEK_MIN
    return None


def _week_minute(day: int, minute: int) -> int:
    return day * DAY_MIN + minute


def _week_text(minute: int) -> str:
    return f"{DAYS[minute // DAY_MIN]} {minute % DAY_MIN // 60:02}:{minute % 60:02}"
