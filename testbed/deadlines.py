"""How tests wait: for a condition, with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_EVERY_S = 0.02


def eventually(condition: Callable[[], T], within_s: float = 10.0, what: str = "the condition") -> T:
    """The condition's value once it is true. An exception of the condition goes through."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s} s (last value: {value!r})")
        time.sleep(LOOK_EVERY_S)


def wait_s(seconds: float) -> None:
    """Let time pass on purpose: for tests that show that something does *not* happen."""
    time.sleep(seconds)
