"""The figures of a report and how they are shown, without servers."""

import csv
import io
import json
import math
import re
import statistics
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest

from db.report import Visit
from db.turn import Drift as Kinds
from scripts.admin.report_text import as_text
from tests.variants import each
from views.reports import period as periods
from views.reports import report
from views.reports.charts import round_time, round_up
from views.reports.figures import Decisions, Drift, Report, Span, Tally, drift, percentile
from views.reports.page import LANGUAGES, as_html
from views.reports.period import Period, PeriodError
from views.reports.spreadsheet import COLUMNS, as_csv, safe
from views.reports.words import WORDS, Tongue

JAKARTA = ZoneInfo("Asia/Jakarta")
DAY = date(2026, 11, 23)
HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[31m"


def at(hour: float, day: date = DAY, zone: ZoneInfo = JAKARTA) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(hours=hour)


def visit(opened: float, waited_s: float | None, took_s: float | None = 60.0, **more: Any) -> Visit:
    """That came at this hour."""
    opened_s = at(opened).timestamp()
    settled_s = None if waited_s is None else opened_s + waited_s
    closed_s = None if took_s is None else (settled_s or opened_s) + took_s
    handled_s = took_s if settled_s is not None else None
    gone = settled_s is None and closed_s is not None
    values = {"queue": "gold", "agent": "ani" if settled_s else "", "opened_s": opened_s, "settled_s": settled_s}
    values |= {"closed_s": closed_s, "waited_s": waited_s, "handled_s": handled_s, "is_abandoned": gone}
    return Visit(**{**values, **more})


def span(period: Period, *, known: datetime | None = None, now: datetime | None = None) -> Span:
    since, until = period.bounds(JAKARTA)
    now = now or until + timedelta(hours=9)
    return Span(period, JAKARTA, since, until, known or since - timedelta(days=9), now, now, report.OF_HOURS)


def reported(visits: list[Visit], covered: Span, **more: Any) -> Report:
    tally = Tally(covered, 60.0).add(visits)
    counted = (tally.total(), tally.days(), tally.hours(), tally.queues(), tally.agents({"ani": "Ani"}, None))
    made = Report("toko", "Toko", covered, 60.0, *counted, None, None, [], [])
    return made._replace(**more)


def one_day(text: str = "2026-11-23") -> Period:
    return periods.of_day(text)


# --- which days


def test_days_weeks_and_months_begin_and_end_at_midnight_of_the_zone() -> None:
    day, week, month = one_day(), periods.of_week("2026-W48"), periods.of_month("2026-02")
    assert day.bounds(JAKARTA) == (datetime(2026, 11, 22, 17, tzinfo=UTC), datetime(2026, 11, 23, 17, tzinfo=UTC))
    assert (week.first, week.last) == (date(2026, 11, 23), date(2026, 11, 29))
    assert (month.first, month.last, len(list(month.days()))) == (date(2026, 2, 1), date(2026, 2, 28), 28)
    late = datetime(2026, 11, 24, 17, 30, tzinfo=UTC)  # the 25th in Jakarta
    assert periods.yesterday(late, JAKARTA).name == "2026-11-24"
    assert periods.yesterday(late, ZoneInfo("UTC")).name == "2026-11-23"


def test_a_day_on_which_the_clock_is_set_has_its_23_or_25_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        since, until = one_day(day).bounds(berlin)
        assert (until - since).total_seconds() == hours * 3600


@each(
    ("read", "text", "right"),
    [
        (periods.of_day, "30.11.2026", "2026-11-30"),
        (periods.of_day, "2026-02-30", "2026-11-30"),
        (periods.of_day, "0001-01-01", "2026-11-30"),
        (periods.of_day, "2026-11-3०", "2026-11-30"),
        (periods.of_week, "48", "2026-W48"),
        (periods.of_week, "2025-W53", "2026-W48"),
        (periods.of_week, "9999-W52", "2026-W48"),
        (periods.of_month, "2026-13", "2026-11"),
        (periods.of_month, "2026-11-01", "2026-11"),
        (periods.zone, "Jakarta", "Asia/Jakarta"),
        (periods.zone, "../etc/passwd", "Asia/Jakarta"),
        (periods.zone, "", "Asia/Jakarta"),
    ],
)
def test_what_is_no_period_is_refused_with_what_would_be_right(read: Any, text: str, right: str) -> None:
    with pytest.raises(PeriodError, match=right):
        read(text)


# --- figures


def test_each_event_counts_in_the_hour_in_which_it_happened() -> None:
    """Came before midnight, assigned after it, over in the next hour."""
    night = visit(-0.25, 1800.0, 3600.0)
    gone = visit(9.9, None, 1200.0)
    found = reported([night, gone], span(one_day()))
    assert found.total[:5] == (1, 1, 0, 1, 1)
    hours = {hour: counts[:5] for hour, counts in found.hours.items() if counts and any(counts[:5])}
    assert hours == {0: (0, 1, 0, 0, 0), 1: (0, 0, 0, 0, 1), 9: (1, 0, 0, 0, 0), 10: (0, 0, 0, 1, 0)}


def test_hours_are_those_of_the_clock_on_the_wall_where_zones_differ_by_half_an_hour() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    period = one_day()
    since, until = period.bounds(kolkata)
    covered = Span(period, kolkata, since, until, since + timedelta(hours=2), until, until, report.ASKED)
    came = at(5.1, zone=kolkata).timestamp()
    tally = Tally(covered, 60.0).add([visit(0, None, None, opened_s=came)])
    hours = tally.hours()
    assert [hour for hour, counts in hours.items() if counts and counts.arrived] == [5]
    assert [hour for hour, counts in hours.items() if counts is None] == [0, 1]


def test_what_was_before_the_data_or_is_still_to_come_is_not_known_and_never_0() -> None:
    found = reported([visit(11.2, 5.0)], span(one_day(), known=at(10.5), now=at(13.2)))
    assert [hour for hour, counts in found.hours.items() if counts is None] == [*range(10), *range(14, 24)]
    week = reported([], span(periods.of_week("2026-W48"), known=at(34), now=at(60)))
    assert [counts is None for counts in week.days.values()] == [True, False, False, True, True, True, True]
    text, page = click.unstyle(as_text(found)), as_html([found], "en")
    assert "data begins on 2026-11-23 10:30" in text and "the day is not over: counted until 2026-11-23 13:12" in text
    assert re.search(r"00:00 – 09:00 +\? +\?", text) and re.search(r"14:00 – 23:00 +\? +\?", text)
    assert "Data begins on 23 November 2026 10:30 Asia/Jakarta" in page
    assert page.count("<td>?</td>") == 2 * 7 and page.count('class="unknown"') == 3 * 2 * 2
    row = next(
        line for line in csv.DictReader(io.StringIO(as_csv([found]))) if (line["scope"], line["name"]) == ("hour", "3")
    )
    assert row["arrived"] == row["served"] == "" and json.loads(_json([found]))["tenants"]["toko"]["hours"]["3"] is None


def _json(reports: list[Report]) -> str:
    return json.dumps(report.all_of(reports), default=str)


def test_a_tenant_without_a_worker_is_known_until_it_stopped() -> None:
    covered = span(one_day())._replace(reached=at(8))
    found = reported([], covered)
    assert [hour for hour, counts in found.hours.items() if counts is not None] == list(range(8))
    assert "no worker has run since 2026-11-23 08:00" in as_text(found)


def test_the_target_itself_is_in_time_and_nobody_served_has_no_level() -> None:
    found = reported([visit(9, 60.0), visit(9, 60.001)], span(one_day()))
    assert found.total.level == 0.5 and found.hours[10] is not None and found.hours[10].level is None


def test_percentiles_are_those_of_postgresql() -> None:
    values = sorted(math.exp(n / 7) for n in range(41))
    assert percentile(values, 0.5) == statistics.median(values)
    assert percentile(values, 0.95) == pytest.approx(statistics.quantiles(values, n=20, method="inclusive")[-1])
    assert percentile([], 0.5) is None and percentile([3.0], 0.95) == 3.0


def test_an_agents_chats_that_are_not_over_have_no_handling_time() -> None:
    found = reported([visit(9, 1.0, 100.0), visit(10, 1.0, 300.0), visit(11, 1.0, None)], span(one_day()))
    (ani,) = found.agents
    assert (ani.name, ani.chats, ani.ended, ani.handling_median_s, ani.handling_total_s) == ("Ani", 3, 2, 200.0, 400.0)
    assert ani.ratings is None


def test_drift_is_told_of_a_period_only_where_its_sums_can_say_so() -> None:
    class Row:
        def __init__(self, last_at: datetime) -> None:
            self.kind, self.healed, self.last_at = "cache", 7, last_at

    def healed(last_at: datetime, created_at: datetime) -> int | None:
        return drift([Row(last_at)], span(one_day()), created_at)[0].healed

    assert healed(at(-1), at(-99)) == 0
    assert healed(at(5), at(-99)) is None
    assert healed(at(30), at(-99)) is None
    assert healed(at(5), at(1)) == 7


# --- how they are shown


def hostile() -> Report:
    row = visit(9, 1.0, queue=HOSTILE, agent=HOSTILE)
    found = reported([row], span(one_day()))
    more = {"drift": [Drift(HOSTILE, None, 3, at(3))], "decisions": [Decisions(HOSTILE, 1, 1)]}
    return found._replace(tenant=HOSTILE, name=HOSTILE, **more)


@each("language", LANGUAGES)
def test_names_of_strangers_are_text_on_the_page(language: str) -> None:
    page = as_html([hostile(), hostile()], language)
    assert "<script" not in page and "\x1b" not in page and "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 8
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_a_terminal_is_told_no_control_bytes() -> None:
    text = click.unstyle(as_text(hostile()))
    assert all(char.isprintable() or char == "\n" for char in text)


@each(
    ("text", "told"),
    [(text, f"'{text}") for text in ("=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1", '=HYPERLINK("x")')]
    + [("\t=1", "' =1"), ("\r=1", "?=1"), ("\n=1", "?=1"), ("a\r\nb", "a??b")],
)
def test_what_a_spreadsheet_would_run_is_text_in_csv(text: str, told: str) -> None:
    assert safe(text) == told
    made = as_csv([reported([visit(9, 1.0, queue=text, agent=text)], span(one_day()), tenant=text)])
    cells = [cell for line in csv.reader(io.StringIO(made)) for cell in line]
    assert told in cells and not [cell for cell in cells if cell and cell.lstrip(" ")[:1] in tuple("=+-@\t\r\n＝")]


def test_every_line_of_csv_has_every_column_and_plain_numbers() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv([reported([visit(9, 75.0)] * 1200, span(one_day()))]))))
    assert all(set(line) == set(COLUMNS) and None not in line.values() for line in lines)
    total = lines[0]
    assert (total["scope"], total["arrived"], total["service_level"], total["wait_median_s"]) == (
        "total",
        "1200",
        "0.0",
        "75.0",
    )
    assert (total["from"], total["zone"]) == ("2026-11-23T00:00:00+07:00", "Asia/Jakarta")


def test_both_languages_say_the_same_things() -> None:
    english, indonesian = (WORDS[language] for language in ("en", "id"))
    assert set(english) == set(indonesian)
    holes = {key: [set(re.findall(r"\{\w+\}", words[key])) for words in (english, indonesian)] for key in english}
    assert {key for key, (one, other) in holes.items() if one != other} == set()
    assert {f"drift_{kind}" for kind in Kinds} <= set(english)


def test_numbers_and_times_are_written_as_each_language_writes_them() -> None:
    english, indonesian = Tongue("en"), Tongue("id")
    assert (english.number(1234.5, 1), indonesian.number(1234.5, 1)) == ("1,234.5", "1.234,5")
    told = [english.seconds(s).replace("\u00a0", " ") for s in (8.44, 9.97, 59.6, 60, 185, 3600, 7810, 90_000)]
    assert told == ["8.4 s", "10 s", "1 min", "1 min", "3 min 05 s", "1 h", "2 h 10 min", "1 d 1 h"]
    assert indonesian.seconds(185).replace("\u00a0", " ") == "3 mnt 05 dtk"
    assert indonesian.period(one_day()) == "Sen, 23 November 2026"


@each("value", [0, 1, 4, 5, 37, 99, 100, 101, 5000, 123_456])
def test_the_grid_of_a_chart_ends_at_a_round_number_above_its_values(value: float) -> None:
    for top in (round_up(value), round_time(value)):
        assert value <= top and top <= max(4, 4 * value) and (top / 4).is_integer()


def test_a_page_needs_nothing_but_itself_and_each_chart_has_its_table() -> None:
    page = as_html([reported([visit(9, 5.0)], span(periods.of_week("2026-W48")))], "en")
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not [word for word in ("<script", "<link", "<img", "@import", "url(http", " src=") if word in page]
    for section in page.split("<section>")[1:3]:
        assert section.count("<figure") == 3 and section.count("<table") == 1
    assert page.count('role="img" aria-label="') == 2 * 3 * 2
