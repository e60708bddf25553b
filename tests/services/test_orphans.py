"""A test run that is killed leaves no process of the product behind."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.deadlines import eventually

ROOT = Path(__file__).resolve().parents[2]
STARTS = """import subprocess, sys, time
from testbed.orphans import ends_with_us
long = [sys.executable, "-c", "import time; time.sleep(60)"]
print(subprocess.Popen(ends_with_us(long), start_new_session=True).pid, flush=True)
time.sleep(60)"""


SLOWLY = """
started = ends_with_us(long)
slow = ["sh", "-c", 'sleep 0.3; exec "$@"', "sh", *started]
print(subprocess.Popen(slow, start_new_session=True).pid, flush=True)
time.sleep(60)"""


@pytest.mark.parametrize("starts", [STARTS, STARTS.split("print", maxsplit=1)[0] + SLOWLY], ids=["at once", "too late"])
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
def test_who_is_killed_takes_along_what_it_started(starts: str) -> None:
    """Also what had not yet asked the kernel for it when its parent died."""
    with subprocess.Popen([sys.executable, "-c", starts], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        child = int(run.stdout.readline())
        run.send_signal(signal.SIGKILL)
    eventually(lambda: not _is_alive(child), 10, "its process is gone, too")


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
