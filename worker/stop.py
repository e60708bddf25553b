"""How a worker is told to stop: signals, before everything else of a worker is loaded. Knows the standard library only.

SIGTERM and SIGINT end it; SIGHUP too, and then it is begun anew with the settings as they are now, as gunicorn does.
"""

import os
import random
import signal
import sys
import threading
import time
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TWICE_S = 1.0  # two signals within it are one: a terminal sends its own to the whole group


class Stop:
    """Told by the first signal; the handlers only leave word. A second one, later than a moment, leaves at once."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.anew = False
        self._told_at = 0.0

    def leave_at_once(self) -> None:
        """From now on, as long as nothing is begun that has to be ended. As process 1 the kernel ignores a SIGTERM
        that nobody handles."""
        for number in _heeded():
            signal.signal(number, _leave)

    def finish_first(self) -> None:
        """From now on somebody watches `told`."""
        for number in _heeded():
            signal.signal(number, self.signal)

    def signal(self, number: int, frame: Any = None) -> None:
        if self.told.is_set() and time.monotonic() - self._told_at > TWICE_S:
            raise SystemExit
        if not self.told.is_set():
            self._told_at = time.monotonic()
            self.anew = number == signal.SIGHUP
            self.told.set()

    def wait_about(self, seconds: float) -> None:
        """Give or take half, unless told."""
        self.told.wait(random.uniform(0.5, 1.5) * seconds)


def again() -> None:
    """This very process from its first line on; returns never."""
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves, no shell


def _heeded() -> list[signal.Signals]:
    """All but a hang-up that `nohup` had us ignore."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP]


def _leave(number: int, frame: Any) -> None:
    if number == signal.SIGHUP:
        again()
    os._exit(0)
