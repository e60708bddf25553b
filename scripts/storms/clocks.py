"""Clocks of servers that can be stepped while they run: libfaketime under the server, its offset in a file.

Only the clock on the wall is stepped, as `date -s` does it; the monotonic one goes on.
"""

import os
import shutil
import subprocess
from pathlib import Path

INSTALL_S = 180
MISSING = "libfaketime is not here (apt-get install libfaketime): the acts with clocks are left out"


class Clock:
    """The clock of one server. `env` goes into its process."""

    def __init__(self, library: Path, place: Path) -> None:
        self._file = place
        self._step_to("+0")
        place.chmod(0o644)  # PostgreSQL is somebody else
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(place),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }

    def step(self, by_s: int) -> None:
        """So far from the true time, at once; 0 puts it right."""
        self._step_to(f"{by_s:+d}")

    def _step_to(self, offset: str) -> None:
        """A reader sees the old offset or the new one, never half of it."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset}\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)


def library() -> Path | None:
    """Where libfaketime is; installed first where that is possible without asking anybody."""
    if not _found() and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "libfaketime"]):
            env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            try:
                subprocess.run(command, env=env, capture_output=True, timeout=INSTALL_S, check=False)
            except subprocess.TimeoutExpired:
                return None
    return _found()


def _found() -> Path | None:
    places = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return places[0] if places else None
