"""Pure: Qiscus's office hours → the `[hours]` of a rules file.

Comes from the desk's answer to `GET /api/v1/admin/office_hours`; what it makes is text, to be read and applied by a
person. Qiscus knows no closed days, and a time zone only by its offset.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from routing.hours_text import DAYS

ZONES = {"+07:00": "Asia/Jakarta", "+08:00": "Asia/Makassar", "+09:00": "Asia/Jayapura", "+00:00": "UTC"}
OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4]):00")
TIME = re.compile(r"([01][0-9]|2[0-3]|24(?=:00)):([0-5][0-9])(:[0-5][0-9])?")
SUNDAY_FIRST = ("sun", *DAYS[:6])


class NoOfficeHours(ValueError):
    """An answer of the desk that holds no hours which a file could have; the message says which part."""


def section(answer: Any) -> str:
    """The lines of `[hours]`. Raises `NoOfficeHours`."""
    data = answer.get("data") if type(answer) is dict else None
    if type(data) is not dict or type(data.get("office_hours")) is not list:
        raise NoOfficeHours("the desk's answer has no list of office hours")
    spans = [_span(row) for row in data["office_hours"]]
    if not spans:
        raise NoOfficeHours("no office hours are set at the desk")
    lines = ",\n    ".join(f'"{text}"' for text in _joined(spans))
    return f'[hours]\ntimezone = "{_zone(data.get("timezone"))}"\nopen = [\n    {lines},\n]\n'


def _zone(offset: Any) -> str:
    """Of Indonesia's offsets the zone. The names of the others' turn the sign around: Etc/GMT-3 is three hours east."""
    found = OFFSET.fullmatch(offset) if type(offset) is str else None
    if not found:
        raise NoOfficeHours("the desk's time zone can't be read: write timezone into the file by hand")
    west_is_plus = "-" if found[1] == "+" else "+"
    return ZONES.get(found[0]) or f"Etc/GMT{west_is_plus}{int(found[2])}"


def _span(row: Any) -> tuple[str, str]:
    """A day, and its times."""
    body: Mapping[str, Any] = row if type(row) is dict else {}
    day, start, end = body.get("day"), _time(body.get("starttime")), _time(body.get("endtime"))
    if type(day) is not int or not 0 <= day <= 6 or start is None or end is None or start == end:
        raise NoOfficeHours("an entry of the desk's office hours can't be read")
    return SUNDAY_FIRST[day], f"{start}-{end}"


def _time(text: Any) -> str | None:
    """The last minute of a day stands for its end: Qiscus's page offers no 24:00."""
    found = TIME.fullmatch(text) if type(text) is str else None
    if not found:
        return None
    return "24:00" if found[1] + found[2] == "2359" else f"{found[1]}:{found[2]}"


def _joined(spans: Iterable[tuple[str, str]]) -> list[str]:
    """Days with the same times in one text, in the order of the week."""
    by_times: dict[str, set[str]] = {}
    for day, times in spans:
        by_times.setdefault(times, set()).add(day)
    ordered = sorted(by_times.items(), key=lambda item: (min(map(DAYS.index, item[1])), item[0]))
    return [f"{_days(days)} {times}" for times, days in ordered]


def _days(days: set[str]) -> str:
    """`mon-fri` for three or more in a row, else `mon,wed`."""
    runs: list[list[str]] = []
    for day in (day for day in DAYS if day in days):
        if runs and DAYS.index(day) == DAYS.index(runs[-1][-1]) + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs)
