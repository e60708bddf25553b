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
    """What makes `now` of `before`; empty where nothing differs. A row that is gone is None, a new one is whole; of
    others, as of the head, the fields that differ. The heads of one view have the same fields, and so have its rows."""
    found: dict[str, Any] = {}
    if head := _differing(before.head, now.head):
        found["head"] = head
    if before.order != now.order:
        found["order"] = now.order
    rows: dict[str, Any] = {key: _differing(before.rows.get(key, {}), row) for key, row in now.rows.items()}
    rows = {key: fields for key, fields in rows.items() if fields or key not in before.rows}
    rows |= dict.fromkeys(before.rows.keys() - now.rows.keys())
    if rows:
        found["rows"] = rows
    return found


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in now.items() if field not in before or before[field] != value}
