"""The supervisor with small real processes: restarts, backoff, stops, and a reader who looks away."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.launch.errors import Refusal, Stopped
from scripts.launch.output import BACKLOG_MAX, Output
from scripts.launch.spawn import Program
from scripts.launch.supervise import LONGEST_DELAY_S, Child, Supervisor, delay_s, how_it_ended
from testbed.deadlines import eventually

SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(60)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


@pytest.fixture
def supervisor(said: Path) -> Iterator[Supervisor]:
    with said.open("wb") as file:
        made = Supervisor(Output(file.fileno(), colour=False))
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        yield made
        made.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _python(name: str, code: str, stop_within_s: float = 5.0) -> Program:
    return Program(name, [sys.executable, "-c", code], dict(os.environ), Path("/"), stop_within_s=stop_within_s)


def _says(supervisor: Supervisor, said: Path, text: str, within_s: float = 10.0) -> None:
    assert supervisor.wait_until(lambda: text in said.read_text(), within_s), said.read_text()


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# Backoff


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_no_restart_is_immediate_or_later_than_ten_seconds(failures: int, share: float) -> None:
    assert 0.1 <= delay_s(failures, share) <= LONGEST_DELAY_S


def test_the_delay_doubles_and_then_stays() -> None:
    assert [delay_s(n, 1) for n in (1, 2, 3, 4, 5, 6, 7, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


def test_an_end_is_told_by_its_signal_or_code() -> None:
    assert (how_it_ended(3), how_it_ended(-9), how_it_ended(-64)) == ("exit code 3", "SIGKILL", "SIGRTMAX")


# Children


def test_a_crashed_child_is_started_again(supervisor: Supervisor) -> None:
    child = supervisor.add(_python("sleeper", SLEEPER))
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    assert supervisor.wait_until(lambda: child.pid not in (None, first), 10)
    assert (child.failures, child.ending) == (1, "SIGKILL")


def test_a_childs_lines_carry_its_name(supervisor: Supervisor, said: Path) -> None:
    supervisor.add(_python("talker", "print('one'); print('two', end='')"))
    _says(supervisor, said, "talker    | one\ntalker    | two\n")


def test_a_command_that_is_missing_counts_as_a_failed_start(supervisor: Supervisor) -> None:
    child = supervisor.add(Program("ghost", ["no-such-command"], {}, Path("/")))
    assert supervisor.wait_until(lambda: child.failures >= 3, 10)
    assert "No such file" in child.ending


def test_a_child_that_never_comes_up_is_named(supervisor: Supervisor) -> None:
    child = supervisor.add(_python("broken", "raise SystemExit(4)"))
    with pytest.raises(Refusal, match="broken, exit code 4"):
        supervisor.wait_for_child(child, lambda: False, 20, 2, lambda: f"{child.name}, {child.ending}")


def test_a_release_that_fails_is_named(supervisor: Supervisor) -> None:
    supervisor.run_once(_python("release", "print('fine')"))
    with pytest.raises(Refusal, match=r"release failed \(exit code 3\)"):
        supervisor.run_once(_python("release", "raise SystemExit(3)"))
    with pytest.raises(Refusal, match="release failed"):
        supervisor.run_once(Program("release", ["no-such-command"], {}, Path("/")))


def test_a_crashed_childs_own_children_end_with_it(supervisor: Supervisor, said: Path) -> None:
    code = "import os, time\npid = os.fork()\nif pid: print(f'pid={pid}.', flush=True)\ntime.sleep(60)"
    child = supervisor.add(_python("parent", code))
    _says(supervisor, said, ".\n")
    grandchild = int(said.read_text().partition("pid=")[2].partition(".")[0])
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    assert supervisor.wait_until(lambda: child.pid is None, 10)
    eventually(lambda: _gone(grandchild), what="the end of the grandchild")


# Stops


def test_children_stop_in_reverse_order(supervisor: Supervisor, said: Path) -> None:
    code = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye', flush=True)))\n"
    for name in ("first", "second"):
        supervisor.add(_python(name, code + SLEEPER))
        _says(supervisor, said, f"{name:<10}| up")
    supervisor.stop()
    text = said.read_text()
    assert text.index("second    | bye") < text.index("first     | bye")


def test_a_child_that_ignores_the_stop_is_killed_after_its_time(supervisor: Supervisor, said: Path) -> None:
    child = supervisor.add(_python("stubborn", STUBBORN, stop_within_s=0.3))
    _says(supervisor, said, "up")
    pid = child.pid
    assert pid
    supervisor.stop()
    assert _gone(pid)
    assert "stubborn did not stop in time" in said.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_any_wait(supervisor: Supervisor, number: signal.Signals) -> None:
    supervisor.listen()
    os.kill(os.getpid(), number)
    with pytest.raises(Stopped):
        supervisor.wait_until(lambda: False, 10)


def test_a_second_signal_ends_the_patience(supervisor: Supervisor, said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.launch.supervise.SAME_SIGNAL_S", 0.0)
    supervisor.listen()
    supervisor.add(_python("stubborn", STUBBORN, stop_within_s=60))
    _says(supervisor, said, "up")
    started = time.monotonic()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        eventually(lambda: time.monotonic() > started)  # a later tick of the clock
    supervisor.stop()
    assert time.monotonic() - started < 10


def test_one_stop_delivered_twice_is_one_stop(supervisor: Supervisor) -> None:
    supervisor.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    code = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + SLEEPER
    child = Child(_python("polite", code), ())
    child.start()
    assert child.process
    eventually(lambda: "up" in child.read_lines(), what="the first line")
    process = child.process
    supervisor.children.append(child)
    supervisor.stop()
    assert process.returncode == 7


# Output


def test_a_reader_who_looks_away_stops_nothing() -> None:
    reader, writer = os.pipe()
    output = Output(writer, colour=False)
    for number in range(20_000):
        output.line("loud", f"{number} " + "x" * 50)
    taken = os.read(reader, 1 << 20)
    while not taken.endswith(b"x\n") or b"not shown" not in taken:
        output.pass_on()
        taken += os.read(reader, 1 << 20)
    assert taken.startswith(b"loud      | 0 ")
    assert len(taken) < BACKLOG_MAX + (1 << 20)
    os.close(reader)
    output.line("loud", "nobody is there any more")
    output.drain(1)
    os.close(writer)


def test_lines_stay_whole_when_some_are_dropped() -> None:
    reader, writer = os.pipe()
    output = Output(writer, colour=False)
    for number in range(20_000):
        output.line("loud", f"{number} " + "x" * (6000 if number % 100 == 0 else 50) + ".")
    os.set_blocking(reader, False)
    taken = b""
    while chunk := _read(reader):
        taken += chunk
        output.pass_on()
    lines = [line for line in taken.decode().splitlines() if "not shown" not in line]
    assert all(line.startswith("loud      | ") and line.endswith("x.") for line in lines)
    os.close(reader)
    os.close(writer)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return b""
