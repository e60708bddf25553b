"""No process of a test outlives the test run, however that ends: a run that is killed leaves nothing behind."""

import os
import shutil
import threading
from collections.abc import Sequence

SETPRIV = shutil.which("setpriv")  # of util-linux; where there is none, who kills a run looks after its processes


# Who started us may have died before the kernel was asked: then nobody is left to end us.
STILL_OURS = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'


def ends_with_us(command: Sequence[str]) -> list[str]:
    """The command of a process that the kernel ends when the thread that starts it ends. Only the main thread lasts as
    long as the run: what others start is left alone."""
    if SETPRIV is None or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [SETPRIV, "--pdeathsig", "KILL", "--", "sh", "-c", STILL_OURS, str(os.getpid()), *command]
