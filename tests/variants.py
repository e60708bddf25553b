"""Which variants of a test the default run has: the first ones; the others are long ones."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def first_of(values: Iterable[Any], number: int = 1) -> list[Any]:
    """For `parametrize` with one name."""
    return [
        value if place < number else pytest.param(value, marks=pytest.mark.long) for place, value in enumerate(values)
    ]


def first_rows(rows: Iterable[Sequence[Any]], number: int = 1) -> list[Any]:
    """The same for several names."""
    return [
        tuple(row) if place < number else pytest.param(*row, marks=pytest.mark.long) for place, row in enumerate(rows)
    ]
