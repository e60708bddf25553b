"""How fast somebody may go: so many at once, then so many a second. In this process, and bounded. Pure: the clock is
handed in.
"""

from collections import OrderedDict
from dataclasses import dataclass

SUBJECTS_MOST = 10_000


@dataclass
class Pace:
    """A bucket of `burst` that fills with `rate` a second."""

    rate: float
    burst: float
    left: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> "Pace":
        return cls(rate, burst, burst, now)

    def take(self, now: float) -> float:
        """0: one is taken. Else in how many seconds there will be one."""
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) / self.rate


class Paces:
    """One pace for each subject. Forgets who was longest away: their bucket is full again by then."""

    def __init__(self, rate: float, burst: float, most: int = SUBJECTS_MOST) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def take(self, subject: str, now: float) -> float:
        pace = self._paces.pop(subject, None) or Pace.full(self._rate, self._burst, now)
        self._paces[subject] = pace
        if len(self._paces) > self._most:
            self._paces.popitem(last=False)
        return pace.take(now)
