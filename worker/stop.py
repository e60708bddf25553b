"""A worker that is told to stop: its handlers only leave word. Until it has begun, `stopping` heeds signals."""

import os
import random
import signal
import threading
import time
from typing import Any

import stopping

TWICE_S = 1.0  # two signals within it are one: a terminal sends its own to the whole group


class Stop:
    """Told by the first signal. A second one, later than a moment, leaves at once."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.anew = False
        self._told_at = 0.0

    def finish_first(self) -> None:
        """From now on somebody watches `told`."""
        for number in stopping.heeded():
            signal.signal(number, self.signal)

    def signal(self, number: int, frame: Any = None) -> None:
        if self.told.is_set() and time.monotonic() - self._told_at > TWICE_S:
            os._exit(0)  # an exception would pass through whatever is under way, and through its waits
        if not self.told.is_set():
            self._told_at = time.monotonic()
            self.anew = number == signal.SIGHUP
            self.told.set()

    def wait_about(self, seconds: float) -> None:
        """Give or take half, unless told."""
        self.told.wait(random.uniform(0.5, 1.5) * seconds)
