"""A value that the desk tells late, as the real one does; the model keeps counts and views of rooms in it. Pure."""

from typing import Generic, TypeVar

LAG_MEMORY_S = 120.0  # how far back a late value can be asked for

T = TypeVar("T")


class Lagging(Generic[T]):
    """A value that can be told late: `at(t)` is what it was at t."""

    def __init__(self, first: T) -> None:
        self._steps: list[tuple[float, T]] = [(float("-inf"), first)]

    def set(self, mono: float, value: T) -> None:
        self._steps.append((mono, value))
        if len(self._steps) > 64 and self._steps[32][0] < mono - LAG_MEMORY_S:
            del self._steps[:32]

    def at(self, mono: float) -> T:
        for since, value in reversed(self._steps):
            if since <= mono:
                return value
        return self._steps[0][1]
