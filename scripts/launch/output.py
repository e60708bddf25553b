"""Where everything that the launcher and its children say comes out: one stream, a short name before each line.

The launcher must never wait for its reader: whoever started it may read until `ready` and then look away, and a full
pipe would stop the supervision. So lines queue here, and the oldest are dropped (and counted) when the queue is full.
"""

import os
import select
import time

BACKLOG_MAX = 256 * 1024  # bytes; some seconds of busy logs
CHUNK = select.PIPE_BUF  # a pipe that polls as writable takes this much without blocking
NAME_WIDTH = 10  # characters; the longest usual name is "simulator"
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)  # ANSI, none of them red: red reads as an error
OWN_NAME = "run"


class Output:
    def __init__(self, fd: int, colour: bool) -> None:
        self._fd = fd
        self._colour = colour
        self._names: list[str] = []
        self._backlog: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._closed = False
        self._begun = False  # the first of the backlog is partly written
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def note(self, text: str) -> None:
        """Something the launcher itself has to say."""
        self.line(OWN_NAME, text)

    def line(self, name: str, text: str) -> None:
        self.block(f"{self._prefix(name)} {text}\n")

    def block(self, text: str) -> None:
        """Text without a prefix, kept together."""
        self._queue(text.encode(errors="replace"))
        self.pass_on()

    def pass_on(self) -> None:
        """Write what the reader takes at this moment; never blocks."""
        while self._backlog and not self._closed and self._poll.poll(0):
            self._write_some()

    def drain(self, within_s: float) -> None:
        """At the end: give the reader a moment to take the rest."""
        deadline = time.monotonic() + within_s
        while self._backlog and not self._closed and time.monotonic() < deadline:
            self._poll.poll(100)
            self.pass_on()

    def _queue(self, data: bytes) -> None:
        if self._closed:
            return
        oldest = 1 if self._begun else 0  # half of that line is out already
        while len(self._backlog) > oldest and self._size + len(data) > BACKLOG_MAX:
            self._size -= len(self._backlog.pop(oldest))
            self._dropped += 1
        self._backlog.append(data)
        self._size += len(data)

    def _write_some(self) -> None:
        if self._dropped and not self._begun:
            notice = f"{self._prefix(OWN_NAME)} {self._dropped} lines not shown: nobody read this output\n".encode()
            self._dropped = 0
            self._backlog.insert(0, notice)
            self._size += len(notice)
        try:
            written = os.write(self._fd, self._backlog[0][:CHUNK])
        except BlockingIOError:
            return
        except OSError:  # the reader is gone (closed terminal, `| head`); the processes go on without a listener
            self._closed = True
            return
        self._took(written)

    def _took(self, written: int) -> None:
        self._size -= written
        rest = self._backlog[0][written:]
        self._backlog[:1] = [rest] if rest else []
        self._begun = bool(rest)

    def _prefix(self, name: str) -> str:
        if name not in self._names:
            self._names.append(name)
        label = f"{name:<{NAME_WIDTH}}|"
        colour = COLOURS[self._names.index(name) % len(COLOURS)]
        return f"\033[{colour}m{label}\033[0m" if self._colour else label
