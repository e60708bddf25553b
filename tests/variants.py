"""Many cases of one test: all of them in one go, or the first ones by default and the others as long ones."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Test = Callable[..., None]


def each(names: str | Sequence[str], values: Iterable[Any], ids: object = None) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, in one test that names all cases that fail: hundreds of tests of a millisecond cost
    each process that collects and reports them seconds. For tests that leave nothing behind. `ids` say nothing here."""
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    cases = [_values(case, alone=isinstance(names, str) and len(keys) == 1) for case in values]
    assert cases, "no case at all"

    def all_in_one(test: Test) -> Test:
        @functools.wraps(test)
        def tried(**others: Any) -> None:
            failed = [error for case in cases if (error := _failure(test, others, dict(zip(keys, case, strict=True))))]
            if failed:
                raise BaseExceptionGroup(f"{len(failed)} of {len(cases)} cases", failed)

        left = [each for each in inspect.signature(test).parameters.values() if each.name not in keys]
        tried.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
        return tried

    return all_in_one


def _values(case: Any, alone: bool) -> Sequence[Any]:
    """`alone`: there is one name, whose value a case is."""
    is_param = isinstance(case, type(pytest.param()))
    return case.values if is_param else (case,) if alone else case


def _failure(test: Test, others: dict[str, Any], case: dict[str, Any]) -> BaseException | None:
    try:
        test(**others, **case)
    except (Exception, pytest.fail.Exception) as error:
        error.add_note(f"in the case {case}")
        return error
    return None


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
