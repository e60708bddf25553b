"""Qiscus's office hours as a part of a rules file: what was set there is what is read here."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.file import read
from routing.office_hours import NoOfficeHours, section
from tests.variants import each

ANSWER = json.loads((Path(__file__).parents[2] / "testbed" / "payloads" / "api_office_hours.json").read_text())


def answer(rows: list[tuple[Any, Any, Any]], timezone: Any = "+07:00") -> dict[str, Any]:
    hours = [{"day": day, "starttime": start, "endtime": end} for day, start, end in rows]
    return {"data": {"timezone": timezone, "office_hours": hours}}


def opened(text: str) -> list[str]:
    return [line.strip(' ",') for line in text.splitlines() if line.startswith("    ")]


def test_what_qiscus_answers_becomes_a_part_of_a_file() -> None:
    text = section(ANSWER)
    assert text == '[hours]\ntimezone = "Asia/Jakarta"\nopen = [\n    "mon 09:00-17:00",\n]\n'
    hours = read(text).hours
    assert hours and hours.is_open(datetime(2026, 11, 30, 2, tzinfo=UTC))


def test_days_with_the_same_times_are_joined_in_the_order_of_the_week() -> None:
    rows = [(day, "08:00", "17:00") for day in (5, 4, 1, 2, 3)] + [(0, "00:00", "23:59:59"), (6, "09:00:00", "13:00")]
    assert opened(section(answer(rows))) == ["mon-fri 08:00-17:00", "sat 09:00-13:00", "sun 00:00-24:00"]
    assert opened(section(answer([(day, "22:00", "02:00") for day in (1, 3, 4)]))) == ["mon,wed,thu 22:00-02:00"]


@each(
    ("offset", "zone", "noon"),
    [
        ("+07:00", "Asia/Jakarta", 5),
        ("+08:00", "Asia/Makassar", 4),
        ("+03:00", "Etc/GMT-3", 9),
        ("-05:00", "Etc/GMT+5", 17),
    ],
)
def test_an_offset_becomes_a_zone_with_that_offset(offset: str, zone: str, noon: int) -> None:
    text = section(answer([(day, "12:00", "12:01") for day in range(7)], offset))
    hours = read(text).hours
    assert hours and hours.zone == zone and hours.is_open(datetime(2026, 11, 30, noon, tzinfo=UTC))


@each(
    "given_answer",
    [
        None,
        [],
        {},
        {"data": []},
        {"data": {"office_hours": {}}},
        answer([]),
        answer([(1, "08:00", "17:00")], "+05:30"),
        answer([(1, "08:00", "17:00")], None),
        answer([(7, "08:00", "17:00")]),
        answer([(True, "08:00", "17:00")]),
        answer([("1", "08:00", "17:00")]),
        answer([(1, "08:00", "08:00")]),
        answer([(1, "8", "17:00")]),
        answer([(1, "08:00", "24:30")]),
        answer([(1, None, "17:00")]),
        {"data": {"timezone": "+07:00", "office_hours": [7]}},
    ],
)
def test_what_is_no_office_hours_is_refused_in_a_sentence(given_answer: Any) -> None:
    with pytest.raises(NoOfficeHours, match=r"^(the desk|no office hours|an entry)"):
        section(given_answer)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(0, 6), st.tuples(st.integers(0, 1300), st.integers(1, 100)), min_size=1),
    st.integers(0, 10_079),
)
def test_any_hours_are_open_when_qiscus_says_so(days: dict[int, tuple[int, int]], minute: int) -> None:
    rows = [(d, f"{s // 60:02}:{s % 60:02}", f"{(s + n) // 60:02}:{(s + n) % 60:02}") for d, (s, n) in days.items()]
    hours = read(section(answer(rows, "+00:00"))).hours
    day, now = minute // 1440, datetime(2026, 11, 29, tzinfo=UTC) + timedelta(minutes=minute)  # from a Sunday on
    start, length = days.get(day, (0, 0))
    assert hours and hours.is_open(now) is (start <= minute % 1440 < start + length)
