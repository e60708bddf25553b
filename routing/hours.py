"""Pure: when a tenant serves. Judged in the tenant's time zone, by the clock on its wall.

A span opens and closes at the first moment at which that clock shows its time, or has just jumped over it. So a clock
that is set back opens nothing for a second time, and one that is set forward delays nothing.
"""

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
INSTANT = timedelta(microseconds=1)
SHIFT_MAX = timedelta(hours=26)  # no clock was ever set by more than a day and its offset's change
WAIT, SERVE = "wait", "serve"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Minutes of a day, 0 is Monday. `end` is after `start` and beyond 24 h where the span crosses midnight."""

    day: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """`closed`: first and last day, sorted, none touching another. A span that begins on a closed day is left out; one
    that reaches into a closed day ends at midnight."""

    zone: str
    spans: tuple[Span, ...]
    closed: tuple[tuple[date, date], ...] = ()
    outside: str = WAIT

    def is_open(self, now: datetime) -> bool:
        wall = _wall(now, ZoneInfo(self.zone))
        return any(start <= wall < end for start, end in self._around(wall.date()))

    def opens(self, now: datetime) -> datetime | None:
        """The next moment at which it is open: `now`, if it is open; None: never again."""
        if self.is_open(now):
            return now
        zone = ZoneInfo(self.zone)
        wall = _wall(now, zone)
        for start in self._starts(wall):
            moment = _first_moment(start, zone)
            if self.is_open(moment):  # else the clock jumps over the whole span
                return moment
        return None

    def _around(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The openings that can hold a moment of the day."""
        for start_day in (day - timedelta(days=1), day):
            yield from self._of(start_day)

    def _of(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Openings that begin on the day, on the wall's clock."""
        if self._closed_until(day) is not None:
            return
        midnight = datetime.combine(day, time())
        tomorrow_closed = self._closed_until(day + timedelta(days=1)) is not None
        for span in self.spans:
            if span.day == day.weekday():
                end = min(span.end, DAY_MIN) if tomorrow_closed else span.end
                yield midnight + timedelta(minutes=span.start), midnight + timedelta(minutes=end)

    def _closed_until(self, day: date) -> date | None:
        """The last day of the closed ones that hold this day."""
        at = bisect.bisect_right(self.closed, (day, date.max)) - 1
        return self.closed[at][1] if at >= 0 and day <= self.closed[at][1] else None

    def _starts(self, wall: datetime) -> Iterator[datetime]:
        """Of the openings to come, in order. Two weeks without a closed day show all spans, also one that a clock set
        forward jumps over in the first of them."""
        day, last = wall.date(), max(wall.date(), self.closed[-1][1] if self.closed else date.min)
        while day <= last + timedelta(days=15):
            if (closed_until := self._closed_until(day)) is not None:
                day = closed_until
            else:
                yield from sorted(start for start, _ in self._of(day) if start > wall)
            day += timedelta(days=1)


def _wall(now: datetime, zone: ZoneInfo) -> datetime:
    """The latest time that the clock has shown so far: where it was set back, it stands until it is there again."""
    local = now.astimezone(zone)
    if not local.fold:
        return local.replace(tzinfo=None)
    before = local.replace(fold=0).utcoffset() or timedelta()
    after = local.utcoffset() or timedelta()
    moment = now.astimezone(UTC)
    changed = _first(moment - (before - after), moment, lambda at: at.astimezone(zone).utcoffset() == after)
    return (changed + before).replace(tzinfo=None) - INSTANT


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """At which the clock shows this time or a later one."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    return _first(moment - SHIFT_MAX, moment, lambda at: at.astimezone(zone).replace(tzinfo=None) >= wall)


def _first(low: datetime, high: datetime, is_true: Callable[[datetime], bool]) -> datetime:
    """The first full second after `low` for which it is true; it is for `high`, and stays so from then on."""
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if is_true(middle) else (middle, high)
    return high.replace(microsecond=0)
