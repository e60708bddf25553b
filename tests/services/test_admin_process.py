"""`./scripts/giliran` as it is typed, beside a real worker, receiver and simulator, in a pipe and on a terminal."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from settings import ROOT
from testbed.deadlines import eventually
from testbed.house import House, street
from testbed.installation import APP

GILIRAN = str(ROOT / "scripts" / "giliran")
SECRET = "typed-secret-41"


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    """Two agents, two chats each, and a sweep only when it is asked for."""
    with street(_databases, _redis_databases, sim={"agents": 2, "offline": 1}, IDLE_SECONDS="3600") as home:
        yield home


def typed(home: House, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GILIRAN, *words], env={**home.env, **env}, text=True, capture_output=True, timeout=60, check=False
    )


def answer(home: House, *words: str) -> str:
    done = typed(home, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_real_rooms_story_is_told_from_its_arrival_to_its_end(home):
    tenant = home.first_tenant()
    rooms = home.sim.add_customers(5)
    tenant.until_states(held=4, waiting=1)
    (waiting,) = home.sim.waiting()
    shown = answer(home, "why", waiting)
    assert f"room {waiting} of {APP}: waiting, 1st of 1 in line" in shown
    assert "why it waits: all 2 agents online for it: at the limit" in shown
    assert re.search(r"agents who may serve it, asked for [\d.]+ m?s ago", shown)

    held = next(room for room in rooms if room != waiting)
    agent = str(tenant.holder(held)[0])
    told = json.loads(answer(home, "why", held, "--json"))["stories"][0]["visits"][0]
    assert (told["state"], told["agent"], told["decisions"][0]["agent"]) == ("held", agent, agent)
    considered = {one["agent"]: one["load"] for one in told["decisions"][0]["considered"]}
    assert len(considered) == 2 and considered[agent] == min(considered.values())

    home.sim.resolve(held)
    tenant.until(lambda: tenant.visit(held).state == "closed", what="the resolve arrived")
    shown = answer(home, "why", held)
    assert "closed: resolved, service" in shown and "had the fewest chats" in shown
    home.sim.resolve_all()
    tenant.until_states(waiting=0, reserved=0)


@pytest.mark.long
def test_a_raised_limit_gives_waiting_rooms_their_turn_at_once(home):
    tenant = home.first_tenant()
    home.sim.resolve_all()
    tenant.until_states(waiting=0, reserved=0, held=0)
    home.sim.add_customers(6)
    tenant.until_states(held=4, waiting=2)
    assert answer(home, "max", "3", "--tenant", APP).startswith(f"config:max_agent_chat:{APP} = 3")
    tenant.until_states(held=6, waiting=0)
    assert {row[0] for row in home.rows("SELECT max_load FROM agents WHERE available")} == {3}
    answer(home, "max", "--clear", "--tenant", APP)
    assert "over the limit" in eventually(lambda: answer(home, "agent", "list"), 5)
    home.sim.resolve_all()
    tenant.until_states(held=0, waiting=0, reserved=0)


@pytest.mark.long
def test_reconcile_learns_the_room_whose_webhook_never_came(home):
    tenant = home.first_tenant()
    home.sim.faults(webhook_drop_p=1.0)
    (room,) = home.sim.add_customers(1)
    home.sim.no_faults()
    assert typed(home, "why", room).returncode == 3
    done = typed(home, "reconcile", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["finished"] and told["after"]["missed_arrival"] == told["before"].get("missed_arrival", 0) + 1
    tenant.until(lambda: tenant.visit(room).state == "held", what="the learned room has an agent")
    assert "learned from the desk's list" in answer(home, "why", room)


@contextmanager
def watching(home: House, *words: str, out: int = subprocess.PIPE, **env: str) -> Iterator[subprocess.Popen[str]]:
    command = [GILIRAN, "queue", "--watch", *words]
    process = subprocess.Popen(command, env={**home.env, **env}, text=True, stdout=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


@pytest.mark.long
def test_watch_in_a_pipe_draws_again_and_ends_cleanly_with_ctrl_c(home):
    with watching(home, "--json") as process:
        assert process.stdout
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        assert first["lines"][0]["at"] < second["lines"][0]["at"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.long
def test_watch_ends_when_nobody_reads_any_more(home):
    with watching(home) as process:
        assert process.stdout and APP in process.stdout.readline()
        process.stdout.close()
        assert process.wait(10) is not None


@pytest.mark.long
def test_watch_on_a_terminal_draws_over_itself_without_colours_if_asked(home):
    ours, theirs = pty.openpty()
    with watching(home, out=theirs, NO_COLOR="1") as process:
        os.close(theirs)
        shown = until_read(ours, lambda text: text.count("\x1b[H") >= 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    os.close(ours)
    assert APP in shown and "\x1b[J" in shown and "\x1b[1m" not in shown


def until_read(terminal: int, enough, within_s: float = 15.0) -> str:
    text, deadline = "", time.monotonic() + within_s
    while not enough(text):
        assert time.monotonic() < deadline, text
        try:
            text += os.read(terminal, 4096).decode()
        except OSError:
            raise AssertionError(f"ended with {text!r}") from None
    return text


@pytest.mark.long
def test_a_secret_typed_on_a_terminal_is_not_shown(home):
    ours, theirs = pty.openpty()
    command = [GILIRAN, "tenant", "add", "typed-app", "--no-check"]
    process = subprocess.Popen(
        command, env=home.env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = until_read(ours, lambda text: "secret key (not shown):" in text)
    os.write(ours, f"{SECRET}\n".encode())
    shown += until_read(ours, lambda text: "mark-as-solved" in text)
    assert process.wait(10) == 0
    os.close(ours)
    assert SECRET not in shown
    assert home.rows("SELECT secret_key FROM tenants WHERE id = 'typed-app'")[0].secret_key == SECRET
    assert typed(home, "tenant", "remove", "typed-app", "--yes").returncode == 0


@pytest.mark.long
def test_colours_only_where_somebody_sees_them(home):
    assert "\x1b" not in answer(home, "queue")


@pytest.mark.long
def test_bench_gets_every_argument(home):
    command = [str(ROOT / "scripts" / "bench"), "--help"]
    direct = subprocess.run(command, env=home.env, text=True, capture_output=True, timeout=60, check=False)
    done = typed(home, "bench", "--help")
    assert (done.returncode, done.stdout) == (direct.returncode, direct.stdout) and "--rounds" in done.stdout
