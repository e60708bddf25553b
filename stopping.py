"""How a process is told to stop before it has begun, and how it begins anew. Loaded before everything else: knows the
standard library only.

SIGTERM and SIGINT end a process; SIGHUP has it begin anew with the settings as they are now, as gunicorn does.
"""

import os
import signal
import sys
from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def leave_at_once() -> None:
    """From now on, as long as nothing is begun that has to be ended. As process 1 the kernel ignores a SIGTERM that
    nobody handles."""
    for number in heeded():
        signal.signal(number, _leave)


def heeded() -> list[signal.Signals]:
    """All but a hang-up that `nohup` had us ignore."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP]


def again() -> NoReturn:
    """This very process from its first line on."""
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves, no shell


def _leave(number: int, frame: Any) -> None:
    if number == signal.SIGHUP:
        again()
    os._exit(0)
