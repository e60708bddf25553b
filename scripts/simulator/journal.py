"""What happened in one simulated app, in order: the model and the shells write, tests and the page's stream read.

Pure. Bounded: the oldest events are forgotten after `KEEP`, the counters never are.
"""

from collections import Counter, deque
from itertools import islice
from typing import Any, NamedTuple

KEEP = 200_000  # events; with 125,000 rooms beside them the whole process took 290 MB

Event = dict[str, Any]


class Instant(NamedTuple):
    """One moment on two clocks: `mono` for differences, `wall` (unix seconds) for people."""

    mono: float
    wall: float


class Journal:
    """Numbered events. Numbers rise by one and never start again, so a reader can say what it has seen."""

    def __init__(self, keep: int = KEEP) -> None:
        self._events: deque[Event] = deque(maxlen=keep)
        self.last = 0
        self.counts: Counter[str] = Counter()

    def add(self, now: Instant, kind: str, **facts: object) -> None:
        self.last += 1
        self.counts[kind] += 1
        self._events.append({"n": self.last, "kind": kind, "mono": now.mono, "wall": now.wall, **facts})

    def clear(self) -> None:
        self._events.clear()
        self.counts.clear()

    def after(self, n: int, limit: int | None = None) -> list[Event]:
        """The events newer than number `n`, oldest first; where `limit` is given only the newest so many."""
        wanted = min(self.last - n, len(self._events))
        if limit is not None:
            wanted = min(wanted, limit)
        return list(islice(reversed(self._events), max(0, wanted)))[::-1]
