"""How fast somebody may go: so many at once and then so many a second, or so many in any minute; and how long a slow
sender is waited for. In this process, and bounded. Pure: the clock is handed in.
"""

import math
from collections import OrderedDict, deque
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
        wait_s = self.wait_s(now)
        if not wait_s:
            self.left -= 1
        return wait_s

    def wait_s(self, now: float) -> float:
        """The same, and takes nothing."""
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
        return 0.0 if self.left >= 1 else (1 - self.left) / self.rate


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

    def wait_s(self, subject: str, now: float) -> float:
        """As `take`, and takes nothing."""
        pace = self._paces.get(subject)
        return pace.wait_s(now) if pace else 0.0


class Repeats:
    """What was said of each subject in the last `within_s`: saying it again is no news."""

    def __init__(self, within_s: float, most: int = SUBJECTS_MOST) -> None:
        self._within_s, self._most = within_s, most
        self._said: OrderedDict[str, tuple[object, float]] = OrderedDict()

    def is_news(self, subject: str, what: object, now: float) -> bool:
        """Whether it may be said; then it is taken to be said."""
        said, at = self._said.get(subject, (None, now - self._within_s))
        if said == what and now - at < self._within_s:
            return False
        self._said.pop(subject, None)
        self._said[subject] = what, now
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return True

    def forget(self, subject: str) -> None:
        self._said.pop(subject, None)


class Windows:
    """At most `most` in any `period_s`, for each subject: the limit to the letter, where a bucket of `most` would let
    twice as many through in its first period. What is refused does not count."""

    def __init__(self, most: int, period_s: float, subjects_most: int = SUBJECTS_MOST) -> None:
        self._most, self._period_s, self._subjects_most = most, period_s, subjects_most
        self._free_at: OrderedDict[str, deque[float]] = OrderedDict()  # of the last `most`; who took last is last

    def wait_s(self, subject: str, now: float) -> float:
        """0: one may be taken. Else in how many seconds. Takes nothing."""
        free_at = self._free_at.get(subject)
        return _until(free_at[0], now) if free_at and len(free_at) == self._most else 0.0

    def take(self, subject: str, now: float) -> float:
        """0: one is taken. Else in how many seconds one may be."""
        wait_s = self.wait_s(subject, now)
        if wait_s:
            return wait_s
        self._free_at.setdefault(subject, deque(maxlen=self._most)).append(now + self._period_s)
        self._free_at.move_to_end(subject)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Those whose window is over; and where there are too many, those who are next."""
        while next(iter(self._free_at.values()))[-1] <= now or len(self._free_at) > self._subjects_most:
            self._free_at.popitem(last=False)


def _until(due: float, now: float) -> float:
    """So that `now` plus this is not before `due`, rounded as it may be."""
    if now >= due:
        return 0.0
    wait_s = due - now
    return wait_s if now + wait_s >= due else math.nextafter(wait_s, math.inf)


class Patience:
    """How long a slow sender is waited for: `most_s` at first, and a second more for each `bytes_s` that come, but
    never more than `most_s` in hand. So an upload of n bytes is waited for no longer than most_s + n / bytes_s, and one
    that trickles not much longer than `most_s`."""

    def __init__(self, most_s: float, bytes_s: float) -> None:
        self._most_s, self._bytes_s = most_s, bytes_s
        self.left_s = most_s

    def spend(self, waited_s: float, came: int) -> None:
        self.left_s = min(self._most_s, self.left_s - waited_s + came / self._bytes_s)
