"""The pool of desk callers: tenants side by side, bounds, turns, and the end. Real threads, held by events."""

import functools
import logging
import threading
import time

import pytest

from testbed.deadlines import eventually
from worker.callers import Callers

WITHIN_S = 10.0


class Hold:
    """Tasks that say when they begin and stay until let go."""

    def __init__(self):
        self.began = threading.Semaphore(0)
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = self.done = 0

    def task(self):
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.began.release()
        assert self.go.wait(WITHIN_S)
        with self.lock:
            self.at_once -= 1
            self.done += 1

    def wait_for(self, tasks):
        for _ in range(tasks):
            assert self.began.acquire(timeout=WITHIN_S), "a task did not begin"


@pytest.fixture
def hold():
    made = Hold()
    yield made
    made.go.set()


def pool(**bounds):
    return Callers(**{"threads": 8, "tenant_calls": 4, "queue": 50, **bounds})


def ran(callers, tenant="t"):
    """Whether a task of this tenant is served."""
    done = threading.Event()
    assert callers.submit(tenant, done.set)
    return done.wait(WITHIN_S)


def test_a_tenant_whose_desk_hangs_holds_up_nobody_else(hold):
    callers = pool(threads=6, tenant_calls=4)
    for _ in range(20):
        assert callers.submit("hangs", hold.task)
    hold.wait_for(4)
    assert all(ran(callers, f"other {n}") for n in range(10))
    assert (hold.at_once, hold.done) == (4, 0)


def test_no_tenant_has_more_calls_at_once_than_allowed(hold):
    callers = pool(threads=8, tenant_calls=3)
    for _ in range(12):
        callers.submit("t", hold.task)
    hold.wait_for(3)
    hold.go.set()
    assert callers.close(WITHIN_S)
    assert (hold.done, hold.most_at_once) == (12, 3)


def test_no_more_threads_than_allowed_however_many_tenants_come(hold):
    callers = pool(threads=5, tenant_calls=4)
    for n in range(20):
        callers.submit(f"tenant {n}", hold.task)
    hold.wait_for(5)
    hold.go.set()
    assert callers.close(WITHIN_S)
    assert (hold.done, hold.most_at_once) == (20, 5)


def test_a_burst_is_served_side_by_side_though_one_thread_was_idle():
    """A burst comes faster than an idle thread wakes: it must not wait for that one thread, which may hang."""
    callers = pool(threads=8, tenant_calls=8)
    assert ran(callers)
    eventually(lambda: callers._idle == 1, WITHIN_S, "an idle thread")
    together = threading.Barrier(8)
    met = []
    for _ in range(8):
        callers.submit("t", lambda: met.append(together.wait(WITHIN_S)))
    eventually(lambda: len(met) == 8, WITHIN_S, "eight calls side by side")


def test_tenants_take_turns(hold):
    callers = pool(threads=1, tenant_calls=1)
    callers.submit("first", hold.task)
    hold.wait_for(1)
    order = []
    for tenant in ("a", "a", "a", "b", "b", "c"):
        callers.submit(tenant, functools.partial(order.append, tenant))
    hold.go.set()
    assert callers.close(WITHIN_S)
    assert order == ["a", "b", "c", "a", "b", "a"]


def test_rooms_that_wait_go_before_housekeeping_and_in_their_order(hold):
    callers = pool(threads=1, tenant_calls=1)
    callers.submit("t", hold.task)
    hold.wait_for(1)
    order = []
    for name, urgent in (("sweep 1", False), ("room 1", True), ("sweep 2", False), ("room 2", True)):
        callers.submit("t", functools.partial(order.append, name), urgent)
    hold.go.set()
    assert callers.close(WITHIN_S)
    assert order == ["room 1", "room 2", "sweep 1", "sweep 2"]


def test_a_roster_goes_before_the_rooms_that_stand_in_the_queue(hold):
    callers = pool(threads=1, tenant_calls=1)
    callers.submit("t", hold.task)
    hold.wait_for(1)
    order = []
    for name, first in (("room 1", False), ("room 2", False), ("roster", True)):
        callers.submit("t", functools.partial(order.append, name), first=first)
    hold.go.set()
    assert callers.close(WITHIN_S)
    assert order == ["roster", "room 1", "room 2"]


def test_a_full_queue_refuses_and_says_beforehand_how_much_it_takes(hold):
    callers = pool(threads=1, tenant_calls=1, queue=3)
    assert callers.room_for("t") == 3
    callers.submit("t", hold.task)
    hold.wait_for(1)
    assert callers.room_for("t") == 3  # what is under way stands in no queue
    assert [callers.submit("t", hold.task, urgent) for urgent in (True, False, True, True)] == [True, True, True, False]
    assert (callers.room_for("t"), callers.room_for("another")) == (0, 3)
    assert callers.submit("another", hold.task)
    hold.go.set()
    assert callers.close(WITHIN_S)
    assert hold.done == 5


def test_closing_takes_nothing_new_and_finishes_what_is_queued(hold):
    callers = pool(threads=2, tenant_calls=2)
    for _ in range(10):
        callers.submit("t", hold.task)
    hold.wait_for(2)
    closed = []
    closer = threading.Thread(target=lambda: closed.append(callers.close(WITHIN_S)))
    closer.start()
    eventually(lambda: callers.room_for("t") == 0, WITHIN_S, "closing")
    assert not callers.submit("t", hold.task)
    assert not callers.submit("new", hold.task)
    assert closed == []
    hold.go.set()
    closer.join(WITHIN_S)
    assert closed == [True]
    assert hold.done == 10
    for thread in callers._threads:
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def test_closing_says_when_it_could_not_wait_any_longer(hold):
    callers = pool()
    callers.submit("t", hold.task)
    hold.wait_for(1)
    started = time.monotonic()
    assert not callers.close(0.05)
    assert time.monotonic() - started < WITHIN_S / 2
    hold.go.set()
    assert callers.close(WITHIN_S)


def test_an_empty_pool_closes_at_once():
    assert pool().close(0.0)


def test_a_task_that_raises_costs_neither_its_thread_nor_its_tenants_calls(caplog):
    callers = pool(threads=1, tenant_calls=1)
    with caplog.at_level(logging.ERROR, "worker.callers"):
        for _ in range(5):
            callers.submit("t", functools.partial(int, "a bug"))
        assert ran(callers)
        assert callers.close(WITHIN_S)
    assert [record.message for record in caplog.records] == ["caller_bug tenant=t"] * 5
    assert len(callers._threads) == 1


def test_many_threads_may_hand_in_at_once():
    callers = pool(threads=8, tenant_calls=4, queue=10_000)
    lock, done = threading.Lock(), []

    def task(name):
        with lock:
            done.append(name)

    def hand_in(giver):
        for n in range(200):
            assert callers.submit(f"tenant {n % 3}", functools.partial(task, (giver, n)), urgent=n % 2 == 0)

    givers = [threading.Thread(target=hand_in, args=(g,)) for g in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join(WITHIN_S)
    assert callers.close(WITHIN_S)
    assert sorted(done) == [(g, n) for g in range(4) for n in range(200)]


def test_threads_are_started_as_needed_and_kept():
    callers = pool(threads=8)
    for _ in range(30):
        assert ran(callers)
        eventually(lambda: callers._idle == len(callers._threads), WITHIN_S, "rest")
    assert len(callers._threads) == 1
