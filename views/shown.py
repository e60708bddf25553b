"""What a view shows: a head, and rows with keys in an order. Pure; before `now`, `waiting`, `agents`, `decided`.

A page gets such a picture once, and then what has changed in it. Times are moments, so that nothing changes by itself.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Shown(NamedTuple):
    head: Mapping[str, Any]
    order: list[str]
    rows: Mapping[str, Mapping[str, Any]]


def change(before: Shown, now: Shown) -> dict[str, Any]:
    """What makes `now` of `before`; empty where nothing differs. A row that is gone is None; one that differs is whole.
    The heads of one view have the same fields."""
    found: dict[str, Any] = {}
    if head := {field: value for field, value in now.head.items() if before.head.get(field) != value}:
        found["head"] = head
    if before.order != now.order:
        found["order"] = now.order
    rows: dict[str, Any] = {key: row for key, row in now.rows.items() if before.rows.get(key) != row}
    rows |= dict.fromkeys(before.rows.keys() - now.rows.keys())
    if rows:
        found["rows"] = rows
    return found
