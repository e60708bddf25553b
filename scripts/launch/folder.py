"""The data folder: who may use it now, and which server made what lies in it. Stands before the embedded servers."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.launch.errors import Refusal

UNKNOWN = "unknown"
LOG_MAX = 10 * 1024 * 1024  # bytes; a server's log is turned over at the next start


@dataclass(frozen=True)
class Maker:
    """The server that made a data folder. Another one, or another major version, must not open it: an older Redis
    starts silently empty on a newer one's files."""

    server: str
    version: str

    def __str__(self) -> str:
        return f"{self.server} {self.version}"


class Claim:
    """Two locks. `launcher.lock` says that a launcher runs. `run.lock` is handed to every child, so it stays taken
    until the last process of a killed launcher is gone: only then may a second server open the same files."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._launcher = _open(data / "launcher.lock")
        if not _locked(self._launcher):
            raise Refusal(
                f"{data} is in use by another ./scripts/run: stop that one, or set GILIRAN_DATA to another folder"
            )
        self._run = _open(data / "run.lock")
        self.handed_on = (self._run,)

    def last_run_is_gone(self) -> bool:
        return _locked(self._run)

    def left_over(self) -> list[int]:
        """Pids that still hold `run.lock`, as far as this system shows them."""
        target = os.fstat(self._run)
        return sorted(pid for pid in _pids() if pid != os.getpid() and _has_open(pid, target))

    def release(self) -> None:
        os.close(self._run)
        os.close(self._launcher)


def check_maker(folder: Path, here: Maker, found: Callable[[], str | None]) -> None:
    """Refuse a folder of another server. `found`: what its files look like, for a folder without a marker."""
    marker = folder / "made-by.json"
    made_by = _read_maker(marker) if marker.exists() else found()
    if made_by == UNKNOWN:
        raise Refusal(
            f"{folder} holds files and nothing says which server made them, so nothing was touched: move the folder "
            "away to start empty, or set GILIRAN_DATA to another folder"
        )
    if made_by and made_by != str(here):
        raise Refusal(
            f"{folder} was made by {made_by} and this is {here}, so nothing was touched: move the folder away to start "
            f"empty, carry its data over with {made_by}, or set GILIRAN_DATA to another folder"
        )


def write_maker(folder: Path, maker: Maker) -> None:
    """Once: root must not take the file away from the user whose data it is."""
    if not (folder / "made-by.json").exists():
        write_private(folder / "made-by.json", json.dumps(asdict(maker)) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable for its owner only from the first byte on."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def turn_over(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_MAX:
        log.replace(log.with_name(log.name + ".1"))


def close_logs(place: Path) -> None:
    """Those of an earlier version were open to all."""
    for log in (place / "log", place / "log.1"):
        if log.exists() and log.stat().st_uid == os.geteuid():
            log.chmod(0o600)


def last_complaint(log: Path, words: tuple[str, ...]) -> str:
    """The newest line of a server's log that has one of the words, for a sentence."""
    if not log.exists():
        return "it said nothing"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if any(word in line for word in words)), "it said nothing")


def wait_for(condition: Callable[[], bool], within_s: float) -> bool:
    """For callers without a supervisor (the tests): the condition, or the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _read_maker(marker: Path) -> str:
    try:
        return str(Maker(**json.loads(marker.read_text())))
    except (ValueError, TypeError):
        return UNKNOWN


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pids() -> list[int]:
    proc = Path("/proc")
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()] if proc.is_dir() else []


def _has_open(pid: int, target: os.stat_result) -> bool:
    try:
        return any(os.path.samestat(entry.stat(), target) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # ended meanwhile, or another user's
        return False
