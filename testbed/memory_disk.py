"""Where the tests keep their files: in memory where there is room, for a slow disk makes a database take ten times as
long. What a kill leaves behind is the same on both."""

import os
import shutil
import tempfile
from pathlib import Path

PLACE = Path("/dev/shm")
ROOM = 4 * 1024**3  # bytes: four PostgreSQL servers with their logs
PREFIX = "giliran-tests-of-"


def begin() -> Path | None:
    """The folder that temporary files of this process and its children are in from here on, or None."""
    if not PLACE.is_dir() or not os.access(PLACE, os.W_OK):
        return None
    _forget_dead()
    if shutil.disk_usage(PLACE).free < ROOM:
        return None
    folder = PLACE / f"{PREFIX}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o755)  # as root, PostgreSQL runs as somebody else
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def _forget_dead() -> None:
    """Of runs that were killed: they would stay in memory."""
    for folder in PLACE.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX)
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)
