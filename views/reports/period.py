"""Which days a report is about, and in which time zone they are cut. Pure: what somebody typed → a period.

Comes from `giliran report`; `report_figures` counts what happened between the two moments of `bounds`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

YEARS = range(2000, 2200)
DAY, WEEK, MONTH = "day", "week", "month"


class PeriodError(ValueError):
    """Not a period, or not a time zone; the message says what would be right."""


class Period(NamedTuple):
    """`first` to `last`, both included. `name`: as it is typed."""

    kind: str
    name: str
    first: date
    last: date

    def days(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """From midnight to midnight, as the clocks of that zone show it."""
        return _midnight(self.first, zone), _midnight(self.last + timedelta(days=1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def of_day(text: str) -> Period:
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
    try:
        day = date.fromisoformat(text) if found and int(found[1]) in YEARS else None
    except ValueError:
        day = None
    if day is None:
        raise PeriodError(f"{text!r} is not a day: write it as 2026-11-30")
    return Period(DAY, text, day, day)


def of_week(text: str) -> Period:
    found = re.fullmatch(r"(\d{4})-W(\d\d)", text, re.ASCII)
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found and int(found[1]) in YEARS else None
    except ValueError:
        monday = None
    if monday is None:
        raise PeriodError(f"{text!r} is not a week: write it as 2026-W48, Monday to Sunday by ISO 8601")
    return Period(WEEK, text, monday, monday + timedelta(days=6))


def of_month(text: str) -> Period:
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if not found or int(found[1]) not in YEARS:
        raise PeriodError(f"{text!r} is not a month: write it as 2026-11")
    first = date(int(found[1]), int(found[2]), 1)
    return Period(MONTH, text, first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def yesterday(now: datetime, zone: ZoneInfo) -> Period:
    day = now.astimezone(zone).date() - timedelta(days=1)
    return Period(DAY, day.isoformat(), day, day)


def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PeriodError(f"{name!r} is not a time zone: write its name, as Asia/Jakarta or UTC") from None
