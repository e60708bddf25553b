"""Pure: values of a rules file, checked one by one. Each reader gives the value, or notes a fault and gives None.

Comes after `tomllib`; file.py puts the readers together. Messages name the value only where it is a short word.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, TypeVar

from routing.faults import At, shown, suggestion
from routing.texts import VALUE_MAX

TYPE_NAMES: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
    datetime: "a date with a time",
    date: "a date",
    time: "a time",
}

DURATION = re.compile(r"([0-9]{1,9})([smhd])")
LIST_MAX = 400  # elements: more closed days, or agents by name, than a list is good for
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATIONS = "write a number with s, m, h or d, as in 30s, 2m, 1h, 30d"


T = TypeVar("T")
Read = Callable[[Any, At], T | None]


def kind(value: object) -> str:
    return TYPE_NAMES.get(type(value), "something else")


def wrong_type(at: At, value: object, wanted: str) -> Any:
    return at.fault(f"must be {wanted}, is {kind(value)}")


def text(longest: int, on_one_line: bool = True) -> Read[str]:
    """Without control characters: names are shown on terminals and pages, and PostgreSQL refuses NUL."""

    def read(value: Any, at: At) -> str | None:
        if type(value) is not str:
            return wrong_type(at, value, "a text")
        if not value.strip():
            return at.fault("is empty")
        if len(value) > longest:
            return at.fault(f"has {len(value)} characters", f"{longest} are the most")
        if any(unicodedata.category(char) == "Cc" and (on_one_line or char != "\n") for char in value):
            return at.fault("holds a control character", "write it on one line" if on_one_line else "take it out")
        return value

    return read


def whole(low: int, high: int) -> Read[int]:
    def read(value: Any, at: At) -> int | None:
        if type(value) is not int:
            return wrong_type(at, value, f"a whole number from {low} to {high}")
        if not low <= value <= high:
            return at.fault("is out of range", f"write a whole number from {low} to {high}")
        return value

    return read


def flag(value: Any, at: At) -> bool | None:
    return value if type(value) is bool else wrong_type(at, value, "true or false")


def duration(low_s: int, high_s: int) -> Read[int]:
    """In seconds."""

    def read(value: Any, at: At) -> int | None:
        if type(value) is not str:
            return at.fault(f"must be a duration in quotes, is {kind(value)}", DURATIONS)
        found = DURATION.fullmatch(value)
        if not found:
            return at.fault(f"'{shown(value)}' is not a duration", DURATIONS)
        seconds = int(found[1]) * UNIT_S[found[2]]
        if not low_s <= seconds <= high_s:
            return at.fault(f"'{value}' is out of range", f"from {span(low_s)} to {span(high_s)}")
        return seconds

    return read


def span(seconds: int) -> str:
    """As it is written in the file, in the largest unit that has no rest."""
    unit = next(unit for unit in "dhms" if seconds % UNIT_S[unit] == 0 and (seconds or unit == "s"))
    return f"{seconds // UNIT_S[unit]}{unit}"


def choice(*words: str) -> Read[str]:
    def read(value: Any, at: At) -> str | None:
        if type(value) is not str:
            return wrong_type(at, value, " or ".join(f"'{word}'" for word in words))
        if value not in words:
            return at.fault(f"'{shown(value)}' is not known here", suggestion(value, words))
        return value

    return read


def listed(read_one: Read[T], example: str) -> Read[tuple[T, ...]]:
    """A list of at least one and LIST_MAX at most; elements that can't be read are noted and left out."""

    def read(value: Any, at: At) -> tuple[T, ...] | None:
        if type(value) is not list:
            return at.fault(f"must be a list, is {kind(value)}", f"write {example}")
        if not value:
            return at.fault("is an empty list", f"write {example}, or leave it out")
        if len(value) > LIST_MAX:
            return at.fault(f"has {len(value)} elements", f"{LIST_MAX} are the most")
        found = [read_one(one, at / index) for index, one in enumerate(value)]
        return tuple(one for one in found if one is not None)

    return read


def one_or_more(read_one: Read[T]) -> Read[tuple[T, ...]]:
    """A value, or a list of at least one."""

    def read(value: Any, at: At) -> tuple[T, ...] | None:
        if type(value) is list and not value:
            return at.fault("is an empty list, which nothing fits", "name a value, or leave it out")
        values = value if type(value) is list else [value]
        places = [at / index for index in range(len(values))] if type(value) is list else [at]
        found = [read_one(one, place) for one, place in zip(values, places, strict=True)]
        return tuple(one for one in found if one is not None)

    return read


class Section:
    """A table of the file. What is no table counts as an empty one; unknown keys are noted at once."""

    def __init__(self, value: Any, at: At, known: Sequence[str], remedy: str = "") -> None:
        self.at, self.is_table = at, type(value) is dict
        self.values: Mapping[str, Any] = value if self.is_table else {}
        if not self.is_table:
            at.fault(f"must be a table, is {kind(value)}", remedy)
        for key in self.values:
            if key not in known:
                (at / key).fault("unknown key", suggestion(key, known))

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, read: Read[T]) -> T | None:
        return read(self.values[key], self.at / key) if key in self.values else None

    def need(self, key: str, read: Read[T], remedy: str) -> T | None:
        if self.is_table and key not in self.values:
            return self.at.fault(f"has no '{key}'", remedy)
        return self.get(key, read)


def tables(value: Any, at: At, header: str, most: int) -> list[tuple[Any, At]]:
    """The elements of an array of tables, `most` at most."""
    if type(value) is list:
        if len(value) > most:
            (at / most).fault(f"is one more than {most}", f"{most} are the most")
        return [(one, at / index) for index, one in enumerate(value[:most])]
    at.fault(f"must be a list of tables, is {kind(value)}", f"begin each with [[{header}]]")
    return []


VALUE = text(VALUE_MAX)
