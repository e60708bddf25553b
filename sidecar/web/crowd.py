"""How many connections one address may have. Before `listening`, for each; a proxy of ours has as many as it
likes, for it stands for all people: theirs are counted where their own address is known.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

import logs
from sidecar.web.door import counted_as
from sidecar.web.pace import Repeats

log = logging.getLogger("sidecar.crowd")

SAID_EVERY_S = 60.0


class Crowd:
    """Of one event loop."""

    def __init__(self, most: int, is_ours: Callable[[str], bool]) -> None:
        """`is_ours`: whether this address has no bound: a proxy of ours, a program of this machine."""
        self._most, self._is_ours = most, is_ours
        self._here: Counter[str] = Counter()
        self._said = Repeats(SAID_EVERY_S)

    def enter(self, peer: str) -> bool:
        """Whether one more of this peer may stay; then `leave` follows."""
        subject = counted_as(peer)
        if self._here[subject] >= self._most and not self._is_ours(peer):
            self._say(subject)
            return False
        self._here[subject] += 1
        return True

    def leave(self, peer: str) -> None:
        subject = counted_as(peer)
        self._here[subject] -= 1
        if self._here[subject] <= 0:
            del self._here[subject]

    def _say(self, subject: str) -> None:
        if self._said.is_news(subject, True, time.monotonic()):
            log.warning(logs.line("refused", code="rate_limited", what="connections", address=subject))
