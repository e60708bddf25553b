"""Hours: judged minute by minute over a year by somebody slow, in zones whose clocks are set forward and back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.hours import Hours, Span
from tests.variants import each

ZONES = ("Asia/Jakarta", "Europe/Berlin", "America/Santiago")
MINUTE = timedelta(minutes=1)


def at(text: str, zone: str = "UTC") -> datetime:
    """A moment by the wall's clock of a zone; +1 at the end: the second time that the clock shows it."""
    moment = datetime.fromisoformat(text.removesuffix("+1")).replace(fold=int(text.endswith("+1")))
    return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def shown_times(
    zone: str, first: datetime, last: datetime, stride: timedelta = MINUTE
) -> Iterator[tuple[datetime, datetime]]:
    """Each moment, and the latest time that a clock on the wall has shown until then."""
    latest, moment = datetime.min, first
    while moment < last:
        latest = max(latest, moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
        yield moment, latest
        moment += stride


def slowly_open(hours: Hours, wall: datetime) -> bool:
    """Written from the words of the docs: the day on which a span began, and the day itself, are not closed."""
    closed = [first + timedelta(days=n) for first, last in hours.closed for n in range((last - first).days + 1)]
    minute = wall.hour * 60 + wall.minute
    for span in hours.spans:
        today = span.day == wall.weekday() and span.start <= minute < span.end
        since_yesterday = (span.day + 1) % 7 == wall.weekday() and minute < span.end - 1440
        if today and wall.date() not in closed:
            return True
        if since_yesterday and not {wall.date(), wall.date() - timedelta(days=1)} & set(closed):
            return True
    return False


def agree(hours: Hours, first: datetime, last: datetime, stride: timedelta) -> None:
    """Each moment is judged as the slow one does, and `opens` finds the first open one from there on."""
    judged = [(moment, slowly_open(hours, wall)) for moment, wall in shown_times(hours.zone, first, last, stride)]
    following: datetime | None = None
    for moment, is_open in reversed(judged):
        assert hours.is_open(moment) is is_open, moment
        was_open, following = following, moment if is_open else following
        change = is_open != (was_open == moment + stride)
        if following is not None and (change or moment.minute == 30):
            assert hours.opens(moment) == following, moment


YEAR_HOURS = [
    Hours(
        "",
        (Span(0, 480, 1020), Span(2, 0, 1440), Span(5, 1380, 1620), Span(6, 60, 150)),
        ((date(2026, 12, 23), date(2026, 12, 27)),),
    ),
    Hours("", tuple(Span(day, 1320, 1530) for day in range(7)), ((date(2026, 3, 29), date(2026, 3, 29)),)),
    Hours("", (Span(5, 1410, 1440), Span(6, 0, 30), Span(6, 120, 180)), ()),
]  # fmt: skip


@each("zone", ZONES)
def test_around_each_change_of_the_clock_every_moment_is_judged_rightly(zone: str) -> None:
    for hours in YEAR_HOURS:
        here = Hours(zone, hours.spans, hours.closed)
        for month, day in ((3, 28), (4, 3), (9, 5), (10, 24), (12, 22)):
            agree(
                here,
                datetime(2026, month, day, 12, tzinfo=UTC),
                datetime(2026, month, day + 2, 12, tzinfo=UTC),
                10 * MINUTE,
            )


@pytest.mark.long
@each("zone", ZONES)
@each("number", range(len(YEAR_HOURS)))
def test_over_a_year_every_minute_is_judged_rightly(zone: str, number: int) -> None:
    hours = Hours(zone, YEAR_HOURS[number].spans, YEAR_HOURS[number].closed)
    agree(hours, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), MINUTE)


spans = st.builds(
    lambda day, start, length: Span(day, start, start + length),
    st.integers(0, 6),
    st.integers(0, 1439),
    st.integers(1, 1440),
)
closed_days = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=3)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.lists(spans, min_size=1, max_size=4),
    closed_days,
    st.sampled_from([86, 246, 296]),
    st.integers(0, 1439),
)
def test_any_hours_are_judged_as_somebody_slow_does(zone, some, closed, start, minute) -> None:
    ranges, day = [], date(2026, 1, 1) + timedelta(days=start)
    for after, length in closed:
        day += timedelta(days=after % 6 + 2)
        ranges.append((day, day + timedelta(days=length)))
        day += timedelta(days=length)
    hours = Hours(zone, tuple(sorted(some)), tuple(ranges))
    first = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=start, minutes=minute)
    walls = list(shown_times(zone, first - timedelta(days=1), first + timedelta(days=3)))[1440::7]
    for moment, wall in walls:
        assert hours.is_open(moment) is slowly_open(hours, wall), (moment, wall)
    opens = hours.opens(first)
    assert opens is not None and opens >= first and hours.is_open(opens)
    assert opens == first or not hours.is_open(opens - MINUTE)


def test_a_clock_that_is_set_back_opens_nothing_twice_and_ends_nothing_early() -> None:
    night = Hours("Europe/Berlin", (Span(6, 0, 150),))  # until 02:30, which comes twice on 2026-10-25
    assert night.is_open(at("2026-10-25 02:29", "Europe/Berlin"))
    assert not night.is_open(at("2026-10-25 02:30", "Europe/Berlin"))
    assert not night.is_open(at("2026-10-25 02:10+1", "Europe/Berlin"))
    early = Hours("Europe/Berlin", (Span(6, 150, 600),))
    assert early.opens(at("2026-10-25 00:00", "Europe/Berlin")) == at("2026-10-25 02:30", "Europe/Berlin")
    assert early.is_open(at("2026-10-25 02:10+1", "Europe/Berlin")), "it has opened, and does not close again"


def test_a_clock_that_is_set_forward_over_the_opening_opens_at_once_and_leaves_out_what_it_jumps_over() -> None:
    early = Hours("Europe/Berlin", (Span(6, 150, 600),))
    assert early.opens(at("2026-03-29 00:00", "Europe/Berlin")) == at("2026-03-29 03:00", "Europe/Berlin")
    within = Hours("Europe/Berlin", (Span(6, 130, 170),))
    assert within.opens(at("2026-03-29 00:00", "Europe/Berlin")) == at("2026-04-05 02:10", "Europe/Berlin")
    assert within.opens(at("2026-03-23 12:00", "Europe/Berlin")) == at("2026-04-05 02:10", "Europe/Berlin")
    midnight = Hours("America/Santiago", (Span(6, 0, 120),))  # on 2026-09-06 no clock there shows 00:00
    assert midnight.opens(at("2026-09-05 12:00", "America/Santiago")) == at("2026-09-06 01:00", "America/Santiago")


def test_closed_days_are_jumped_over_however_many_and_the_whole_day() -> None:
    hours = Hours("Asia/Jakarta", (Span(4, 1320, 1560), Span(5, 540, 780)), ((date(2026, 12, 26), date(2126, 1, 1)),))
    assert hours.is_open(at("2026-12-25 23:59", "Asia/Jakarta")) and not hours.is_open(
        at("2026-12-26 00:00", "Asia/Jakarta")
    )
    assert hours.opens(at("2026-12-26 00:00", "Asia/Jakarta")) == at("2126-01-04 22:00", "Asia/Jakarta")


@each("zone", ["Pacific/Apia", "Pacific/Kwajalein", "Asia/Manila"])
def test_zones_that_have_left_out_whole_days_are_no_trouble(zone: str) -> None:
    hours = Hours(zone, tuple(Span(day, 0, 1440) for day in range(7)))
    for year in (1844, 1993, 2011):
        assert hours.opens(datetime(year, 12, 30, 10, 5, tzinfo=UTC)) == datetime(year, 12, 30, 10, 5, tzinfo=UTC)
