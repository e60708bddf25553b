"""How one process is started: its own session, its account, and a signal that reaches it when the launcher dies.

Linux sends the "parent died" signal when the *thread* that forked ends: start children from the main thread only.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
CLONE_NEWUSER = 0x10000000  # <linux/sched.h>
LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """Who a process runs as: ourselves, another uid (root only), or ourselves renamed by a user namespace."""

    uid: int | None = None
    gid: int | None = None
    namespace: bool = False

    def popen(self) -> dict[str, Any]:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Program:
    """One process to keep alive. `log`: a file for its output; without one its lines go through the launcher."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    account: Account = field(default_factory=Account)
    log: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_now_signal: signal.Signals = signal.SIGKILL
    stop_within_s: float = 10.0


def spawn(program: Program, keep_open: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start it now. Raises OSError when the command can't be started at all."""
    if program.log is None:
        return _popen(program, keep_open, subprocess.PIPE)
    with open(program.log, "ab", opener=_private) as log:  # noqa: PTH123 - Path.open has no opener
        return _popen(program, keep_open, log)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _popen(program: Program, keep_open: tuple[int, ...], output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(program.command),
            env=dict(program.env),
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal is for the launcher alone; it decides the order
            pass_fds=keep_open,
            preexec_fn=before_exec(program.account, program.stop_signal),  # noqa: PLW1509 - the launcher has no threads
            **program.account.popen(),
        )
    except subprocess.SubprocessError as error:  # preexec_fn failed
        raise OSError(f"{program.command[0]} could not be given its account") from error


def before_exec(account: Account, death_signal: signal.Signals | None) -> Callable[[], None]:
    """What the new process does before it becomes the program. Runs between fork and exec: as little as possible."""
    parent = os.getpid()
    inner_uid = _named_uid() if account.namespace else 0

    def prepare() -> None:
        if account.namespace:
            _enter_namespace(inner_uid)
        if LINUX and death_signal is not None:  # after every change of account: such a change clears it
            LIBC.prctl(PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0)
            if os.getppid() != parent:  # died between fork and prctl
                os._exit(1)

    return prepare


def _enter_namespace(inner_uid: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if not LINUX or LIBC.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inner_uid} {uid} 1")
    _write("/proc/self/gid_map", f"{inner_uid} {gid} 1")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, text.encode())
    os.close(fd)


def _named_uid() -> int:
    """A uid other than root's that has a name: `initdb` looks its own up."""
    return next((entry.pw_uid for entry in reversed(pwd.getpwall()) if entry.pw_uid != 0), 65534)
