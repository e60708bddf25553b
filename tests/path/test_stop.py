"""A stop is a feature: once finishes what is under way, twice leaves at once, and nothing is lost either way."""

import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from testbed.deadlines import wait_s
from testbed.house import AS_INSTALLED, House, street
from testbed.log_checks import stack_traces
from testbed.tenant import room_names
from tests.receivers import answer_on

LIMIT = 2


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS="1", **AS_INSTALLED) as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    yield _home
    _home.only_worker()
    _home.forget_tenants()


@pytest.mark.long
def test_a_worker_told_to_stop_finishes_its_calls_and_leaves_nothing_half_done(home):
    tenant = home.new_tenant("stop", agents=4)
    tenant.sim.faults(latency_ms=800)
    tenant.sim.add_customers(12)
    tenant.until(lambda: tenant.states().get("reserved", 0) == 8)
    home.signal_worker(signal.SIGTERM)
    assert home.ended() == 0
    assert tenant.states() == {"held": 8, "waiting": 4}
    assert not any(visit.parked for visit in tenant.visits())
    assert len(tenant.calls()) == 8
    tenant.judge(LIMIT)


@pytest.mark.long
def test_a_worker_told_twice_leaves_at_once_and_another_finishes_its_rooms(home):
    tenant = home.new_tenant("twice", agents=4)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    tenant.sim.faults(hang_assign_p=1, hang_assign_from_s=12, hang_assign_to_s=12, hang_assign_kinds=["late"])
    tenant.sim.add_customers(12)
    tenant.until(lambda: tenant.states().get("reserved", 0) == 7)
    before = home.log("worker0").count("worker_stops")
    home.signal_worker(signal.SIGTERM)
    home.until(lambda: home.log("worker0").count("worker_stops") > before, what="the first is heeded")
    wait_s(2)  # two within one second count as one: a terminal may send both to the whole group
    home.signal_worker(signal.SIGTERM)
    assert home.ended(within_s=5) == 0, "the calls take longer"
    assert tenant.states()["reserved"] == 7
    tenant.sim.faults(hang_assign_p=0)
    home.start_worker(0)
    tenant.until_states(15, held=8, waiting=5, reserved=0)
    tenant.judge(LIMIT)


@pytest.mark.long
def test_the_other_worker_goes_on_while_one_stops(home):
    home.start_worker()
    tenant = home.new_tenant("other", agents=6)
    tenant.sim.faults(webhook_copies=2, webhook_copy_gap_s=0.2, auto_resolve_s=0.5)
    tenant.sim.add_customers(60)
    tenant.until(lambda: tenant.states().get("closed", 0) > 5)
    home.signal_worker(signal.SIGTERM)
    assert home.ended() == 0
    tenant.until(lambda: tenant.all_over(60), 90, "all rooms are over")
    tenant.judge(LIMIT)


def test_a_receiver_that_stops_and_starts_in_a_burst_loses_no_webhook_that_it_took(home):
    tenant = home.new_tenant("door", agents=1)
    taken: list[str] = []
    sender = threading.Thread(target=lambda: taken.extend(post_all(home, tenant.id, room_names(300))))
    sender.start()
    tenant.until(lambda: tenant.states().get("waiting", 0) > 30)
    home.restart_receiver()
    sender.join(30)
    assert len(taken) > 30
    tenant.until(lambda: {visit.room for visit in tenant.visits()} >= set(taken), what="all that got a 200 are known")


@pytest.mark.long
def test_connections_that_are_kept_open_are_ended_by_the_stop_without_a_complaint(home):
    port = int(home.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), 10) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(idle).startswith(b"HTTP/1.1 200")
        home.restart_receiver()
        assert idle.recv(1) == b"", "the end of the stream"
    assert not stack_traces(home.log("receiver"))


def post_all(home: House, app: str, rooms: list[str]) -> list[str]:
    """Rooms whose webhook was answered with 200; what fails is not sent again."""
    return [room for room in rooms if home.try_arrive(room, app) == 200]
