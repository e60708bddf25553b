"""What /metrics is made of: labels stay few, those of several processes are one, each call says what came of it."""

import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from meters import CHANNELS_MOST, OTHER, QUEUES_MOST, Names, Process, Served
from receiver.board import Board
from tests.variants import each
from worker.desk.base import DeskTrouble, RoomRefused, RoomTaken
from worker.desk.timed import TimedDesk, outcome_of

CALLS = {
    "taken": RoomTaken("has an agent"),
    "refused": RoomRefused("unknown room"),
    "denied": DeskTrouble("401", maybe_applied=False, permanent=True),
    "limited": DeskTrouble("429", maybe_applied=False, retry_after_s=3.0),
    "unclear": DeskTrouble("timeout", maybe_applied=True),
    "failed": DeskTrouble("refused", maybe_applied=False),
    "bug": KeyError("room"),
}


def text_of(*collectors: object) -> str:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)  # type: ignore[arg-type]
    return generate_latest(registry).decode()


def test_strangers_channels_never_take_the_names_of_queues_and_are_few() -> None:
    names = Names()
    channels = {names.of("shop", f"channel:{n}") for n in range(1000)}
    queues = {names.of("shop", f"queue {n}") for n in range(QUEUES_MOST)}
    assert len(channels) == CHANNELS_MOST + 1 and OTHER in channels
    assert OTHER not in queues
    assert names.of("shop", "one more") == OTHER
    assert names.of("shop", "queue 7") == "queue 7"
    assert names.of("bank", "channel:999") == "channel:999"


def test_waits_and_chats_are_counted_by_tenant() -> None:
    registry = CollectorRegistry()
    Served(registry).note("shop", [("sales", 0.4), ("sales", 90.0)], [50.0])
    text = generate_latest(registry).decode()
    assert 'giliran_wait_seconds_bucket{le="0.5",queue="sales",tenant="shop"} 1.0' in text
    assert 'giliran_wait_seconds_sum{queue="sales",tenant="shop"} 90.4' in text
    assert 'giliran_handling_seconds_bucket{le="60.0",tenant="shop"} 1.0' in text


@pytest.mark.skipif(sys.platform != "linux", reason="process_* are read from /proc")
def test_the_figures_of_several_processes_are_one_and_one_that_ended_counts_nothing() -> None:
    def memory(*pids: int) -> float:
        text = text_of(Process("1.2.3", lambda: pids))
        assert 'giliran_build_info{version="1.2.3"} 1.0' in text
        return float(text.partition("\nprocess_virtual_memory_bytes ")[2].partition("\n")[0] or 0)

    with subprocess.Popen(["/bin/sleep", "60"]) as other:  # noqa: S603
        alone = memory(other.pid)
        assert 0 < alone < memory(os.getpid(), other.pid)
        other.kill()
    assert memory(other.pid) == 0


def test_a_receivers_processes_are_known_while_they_live() -> None:
    board = Board()
    assert board.pids() == [os.getpid()]
    slot = board.reserve()
    board.use(slot)
    board.add(("webhooks", "x"), 2)
    assert board.pids() == [os.getpid()] * 2
    board.release(slot)
    assert board.pids() == [os.getpid()]
    assert board.totals() == {("webhooks", "x"): 2.0}, "what it counted stays"


@each("outcome", CALLS)
def test_each_failure_of_a_call_has_a_name(outcome: str) -> None:
    assert outcome_of(CALLS[outcome]) == outcome


class Broken:
    def look(self, room: str) -> None:
        raise CALLS["limited"]

    def agents_in(self, room: str) -> list[str]:
        return [room]


def test_a_desk_with_a_clock_answers_and_fails_as_the_one_inside() -> None:
    said: list[tuple[str, str]] = []
    desk = TimedDesk(Broken(), lambda verb, outcome, took_s: said.append((verb, outcome)))  # type: ignore[arg-type]
    assert desk.agents_in("7") == ["7"]
    with pytest.raises(DeskTrouble, match="429"):
        desk.look("7")
    assert said == [("agents_in", "ok"), ("look", "limited")]
