"""Keeps children running: passes their lines on, starts again what ends, stops all in reverse order.

One thread, one loop: everything that waits does so inside `tick`, so a signal is obeyed within a tenth of a second.
"""

import os
import random
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from types import FrameType

from scripts.launch.errors import Refusal, Stopped
from scripts.launch.output import Output
from scripts.launch.spawn import Program, spawn

TICK_S = 0.1
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_AFTER_S = 10.0  # a child that ran this long starts again without a past
SAME_SIGNAL_S = 1.0  # `timeout` and some terminals deliver one stop twice
GONE_WITHIN_S = 3.0  # after SIGKILL; longer only for a process stuck in the kernel
READ_MAX = 65536  # bytes for each child and tick, so that a talkative one can't starve the rest
LINE_MAX = 8192  # bytes without a newline before they are shown anyway


def delay_s(failures: int, share: float) -> float:
    """How long to wait before start number `failures` + 1; `share` (0..1) spreads it over half to all of the time."""
    full = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 16))
    return full * (0.5 + share / 2)


def how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


class Child:
    """One program and its present process, if it has one."""

    def __init__(self, program: Program, keep_open: tuple[int, ...]) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0  # ends in a row without a healthy time between
        self.ending = ""  # how the last process ended
        self.start_at = 0.0
        self._keep_open = keep_open
        self._started_at = 0.0
        self._rest = b""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def start(self) -> None:
        self._started_at = time.monotonic()
        try:
            self.process = spawn(self.program, self._keep_open)
        except OSError as error:
            self._count_failure(f"it can't be started, {error.strerror or error}")
            return
        if self.process.stdout:
            os.set_blocking(self.process.stdout.fileno(), False)

    def ended(self) -> bool:
        """True once for each process that ended."""
        if self.process is None or self.process.poll() is None:
            return False
        self._count_failure(how_it_ended(self.process.returncode))
        return True

    def close(self) -> None:
        """Forget the ended process."""
        if self.process and self.process.stdout:
            self.process.stdout.close()
        self.process, self._rest = None, b""

    def read_lines(self) -> list[str]:
        """The complete lines that are there now. An end of file is no news: `ended` tells."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return []
        try:
            data = os.read(self.process.stdout.fileno(), READ_MAX)
        except BlockingIOError:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._rest and (not data or len(self._rest) > LINE_MAX):
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def signal(self, number: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """The process and whatever it started in its session."""
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # all gone

    def _count_failure(self, ending: str) -> None:
        now = time.monotonic()
        self.ending = ending
        self.failures = 1 if now - self._started_at >= HEALTHY_AFTER_S else self.failures + 1
        self.start_at = now + delay_s(self.failures, random.random())


class Supervisor:
    def __init__(self, output: Output, keep_open: tuple[int, ...] = ()) -> None:
        self.output = output
        self.keep_open = keep_open
        self.children: list[Child] = []  # in the order of their start
        self._stop_asked = 0
        self._first_asked_at = 0.0

    def listen(self) -> None:
        """Take the stop signals. SIGHUP only when nobody (`nohup`) had it ignored."""
        signal.signal(signal.SIGINT, self._ask_stop)
        signal.signal(signal.SIGTERM, self._ask_stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._ask_stop)

    def add(self, program: Program) -> Child:
        child = Child(program, self.keep_open)
        self.children.append(child)
        child.start()
        return child

    def tick(self, timeout_s: float = TICK_S) -> None:
        """Raises Stopped when a stop was asked for."""
        self._listen_to_children(timeout_s)
        self.output.pass_on()
        for child in self.children:
            self._look_after(child)
        if self._stop_asked:
            raise Stopped

    def wait_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """False: the deadline came first. Everything else goes on meanwhile."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.tick()
        return True

    def wait_for_child(
        self, child: Child, condition: Callable[[], bool], within_s: float, starts: int, sentence: Callable[[], str]
    ) -> None:
        """Like `wait_until`, but refuse at the deadline, or when the child failed `starts` times before."""

        def settled() -> bool:
            return child.failures >= starts or condition()

        if not self.wait_until(settled, within_s) or child.failures >= starts:
            raise Refusal(sentence())

    def run_once(self, program: Program) -> None:
        """A program that is to end by itself; refuse when it does not end well."""
        child = Child(program, self.keep_open)
        child.start()
        self.children.append(child)
        try:
            while child.process and child.process.poll() is None:
                self._listen_to_children(TICK_S)
                if self._stop_asked:
                    raise Stopped
            self._last_words(child)
            code = child.process.returncode if child.process else None
        finally:
            if child.process is None or child.process.poll() is not None:
                self.children.remove(child)
        if code != 0:
            ending = child.ending if code is None else how_it_ended(code)
            raise Refusal(f"{program.name} failed ({ending}), its lines above say why: nothing else was started")

    def run_for_ever(self) -> None:
        while True:
            self.tick()

    def stop(self) -> None:
        """Reverse order, each child in its own time; a second signal ends the patience."""
        for child in reversed(self.children):
            self._stop_one(child)
        self.output.drain(1)

    def _ask_stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._stop_asked:
            self._first_asked_at = now
            self._stop_asked = 1
        elif now - self._first_asked_at > SAME_SIGNAL_S:
            self._stop_asked = 2

    def _listen_to_children(self, timeout_s: float) -> None:
        with selectors.PollSelector() as selector:
            for child in self.children:
                if child.process and child.process.stdout and child.process.poll() is None:
                    selector.register(child.process.stdout, selectors.EVENT_READ, child)
            if not selector.get_map():
                time.sleep(timeout_s)
            for key, _ in selector.select(timeout_s if selector.get_map() else 0):
                self._pass_lines(key.data)

    def _pass_lines(self, child: Child) -> bool:
        lines = child.read_lines()
        for line in lines:
            self.output.line(child.name, line)
        return bool(lines)

    def _last_words(self, child: Child) -> None:
        while self._pass_lines(child):
            pass

    def _look_after(self, child: Child) -> None:
        if child.ended():
            self._last_words(child)
            child.kill_group()  # a gunicorn killed with -9 leaves workers that hold the port
            child.close()
            wait = f"starts again in {child.start_at - time.monotonic():.1f} s"
            self.output.note(f"{child.name} ended ({child.ending}), {wait}")
        elif child.process is None and time.monotonic() >= child.start_at:
            child.start()
            if child.process is None:
                self.output.note(f"{child.name}: {child.ending}")

    def _stop_one(self, child: Child) -> None:
        if child.process is None:
            return
        impatient = self._stop_asked > 1
        child.signal(child.program.stop_now_signal if impatient else child.program.stop_signal)
        if not self._gone(child, GONE_WITHIN_S if impatient else child.program.stop_within_s):
            self.output.note(f"{child.name} did not stop in time and is killed")
        child.kill_group()
        self._gone(child, GONE_WITHIN_S)
        self._last_words(child)
        child.close()

    def _gone(self, child: Child, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        hurried = self._stop_asked > 1
        while child.process and child.process.poll() is None:
            if time.monotonic() > deadline:
                return False
            if self._stop_asked > 1 and not hurried:
                hurried = True
                child.signal(child.program.stop_now_signal)
                deadline = time.monotonic() + GONE_WITHIN_S
            self._listen_to_children(TICK_S / 2)
            self.output.pass_on()
        return True
