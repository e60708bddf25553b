"""Processes killed, frozen and doubled in the middle of a burst, at a desk that fails one call in five in every way."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from db.inbox import ARRIVED, digest, key
from db.push import PUSH, Sender, Webhook, push_call
from scripts.simulator.faults import FAIL_KINDS
from testbed.deadlines import wait_s
from testbed.figures import figures
from testbed.house import House, street
from testbed.tenant import Tenant, room_names
from worker.callers import TENANT_CALLS
from worker.decision import LEASE_S
from worker.desk.base import CALL_SECONDS

LIMIT = 2
SEED = 20
PATIENCE_S = 90  # longer than any lease: a look at the desk whose caller is gone is repeated after 60 s


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS="1", IDLE_SECONDS="2", RETRY_SECONDS="2") as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    """One worker, running, and no tenant but that of the settings."""
    yield _home
    _home.only_worker()
    _home.forget_tenants()


@pytest.mark.long
def test_kills_and_every_kind_of_fault_lose_no_room_and_seat_none_twice(home):
    rooms, agents = 150, 10
    chance = random.Random(SEED)
    tenant = home.new_tenant("kills", agents=agents, offline=2, supervisors=2, page_size=5)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)  # the roster is known: see below for a kill while it is read
    tenant.sim.resolve_all()
    refused, *_ = given = room_names(rooms)
    tenant.sim.faults(
        fail_p=0.2,
        fail_kinds=FAIL_KINDS,
        hang_s=1,
        fail_rooms={refused: 400},
        webhook_copies=2,
        webhook_copy_gap_s=0.3,
        seed=SEED,
    )
    tenant.sim.add_customers(rooms=given)
    for _ in range(4):
        wait_s(chance.uniform(0.1, 1.0))
        home.kill_worker()
        home.start_worker(0)
    tenant.until(lambda: sum(tenant.states().values()) == rooms + 1, 20, "every room is in the ledger")
    tenant.until(lambda: loads(tenant) == [LIMIT] * agents, 30, "every seat is taken")
    tenant.sim.faults(auto_resolve_s=0.3, fail_p=0.05)
    for _ in range(2):
        wait_s(chance.uniform(0.1, 1.0))
        home.kill_worker()
        home.start_worker(0)
    tenant.until(lambda: tenant.states().get("closed", 0) >= rooms // 2, PATIENCE_S, "half of the rooms are closed")
    tenant.sim.faults(fail_p=0)
    # A copy that comes after its room's resolve may open a visit, which the desk's word ends: more can be closed.
    tenant.until(lambda: tenant.all_over(rooms, waiting=1), PATIENCE_S, "all but the refused room are over")
    tenant.until(lambda: tenant.visit(refused).aside, 20, "the room that is always refused is set aside")
    tenant.judge(LIMIT, within_s=20)


@pytest.mark.long
def test_a_worker_that_dies_while_it_reads_the_roster_holds_nobody_up(home):
    tenant = home.new_tenant("unread", agents=1)
    tenant.sim.faults(latency_ms=2000)
    tenant.sim.add_customers(1)
    claimed = "SELECT 1 FROM rosters WHERE tenant = %s AND claimed_until > clock_timestamp()"
    tenant.until(lambda: home.rows(claimed, tenant.id))
    home.kill_worker()
    tenant.sim.faults(latency_ms=0)
    home.start_worker(0)
    tenant.until_states(8, held=1)


def loads(tenant: Tenant) -> list[int]:
    return sorted(agent["load"] for agent in tenant.available())


def test_a_worker_that_dies_between_reserving_and_the_answer_is_followed_by_one_who_finishes_its_pairs(home):
    tenant = home.new_tenant("orphans", agents=4)
    tenant.sim.faults(latency_ms=700)
    tenant.sim.add_customers(12)
    tenant.until(lambda: tenant.states().get("reserved", 0) == 8, 10, "the calls are under way")
    pairs = {visit.room: visit.agent for visit in tenant.visits() if visit.agent}
    home.kill_worker()
    home.start_worker(0)
    tenant.sim.faults(latency_ms=0)
    tenant.until_states(held=8, waiting=4, reserved=0)
    assert {room: [str(agent) for agent in tenant.holder(room)] for room in pairs} == {r: [a] for r, a in pairs.items()}
    tenant.judge(LIMIT)


@pytest.mark.long
def test_two_workers_at_once_give_each_room_one_agent_in_order(home):
    number = home.start_worker()
    home.until(lambda: "worker_started" in home.log(f"worker{number}"), 20, "both are at work")
    tenant = home.new_tenant("both", agents=10, page_size=4)
    tenant.sim.faults(webhook_copies=2, webhook_copy_gap_s=0.2, latency_ms=5)
    tenant.sim.add_customers(200)
    tenant.until_states(20, held=20, waiting=180)
    tenant.sim.faults(auto_resolve_s=0.2, auto_resolve_jitter_s=0.2)
    tenant.until(lambda: tenant.all_over(200), PATIENCE_S, "all rooms are over")
    tenant.judge(LIMIT)
    figures("two workers: resolve webhook sent -> next assign call, ms", tenant.next_calls_ms(LIMIT))
    assert all("assigned" in home.log(name) for name in ("worker0", "worker1"))


@pytest.mark.long
def test_a_worker_that_freezes_in_a_burst_and_comes_back_makes_nobody_over(home):
    home.start_worker()
    chance = random.Random(SEED)
    tenant = home.new_tenant("frozen", agents=8)
    tenant.sim.faults(latency_ms=20, jitter_ms=40, seed=SEED)
    tenant.sim.add_customers(120)
    tenant.until(lambda: tenant.states().get("held", 0) > 4)
    tenant.sim.faults(auto_resolve_s=0.2)
    for number in (0, 1, 0):
        home.signal_worker(signal.SIGSTOP, number)
        overdue(tenant)  # as after the thirty seconds of a lease: the other takes the frozen one's pairs over
        wait_s(chance.uniform(0.3, 1.2))
        home.signal_worker(signal.SIGCONT, number)
    tenant.until_states(PATIENCE_S, closed=120)
    tenant.judge(LIMIT)


@pytest.mark.long
def test_what_a_frozen_worker_still_sends_repeats_only_what_was_decided(home):
    """H5: it had reserved and not yet sent; another finished its pairs meanwhile, and seats moved on."""
    agents = TENANT_CALLS // LIMIT + 5  # more pairs than it calls for at once: some are still to be sent
    tenant = home.new_tenant("zombie", agents=agents)
    tenant.sim.faults(latency_ms=2500)  # so that it is frozen before the first answer lets it send the rest
    leased_at = time.monotonic()  # or later
    tenant.sim.add_customers(agents * LIMIT + 10)
    tenant.until(lambda: tenant.states().get("reserved", 0) == agents * LIMIT)
    home.signal_worker(signal.SIGSTOP)
    pairs = {visit.room: int(visit.agent) for visit in tenant.visits() if visit.agent}
    wait_s(2.7)  # calls that are on the wire reach the desk
    late = sorted(set(pairs) - {call["room"] for call in tenant.calls()})
    assert len(late) > 2
    tenant.sim.faults(latency_ms=0)
    home.start_worker()
    overdue(tenant)
    tenant.until_states(15, held=agents * LIMIT, reserved=0)
    for room in late[:2]:
        tenant.sim.resolve(room)
    tenant.until_states(closed=2, held=agents * LIMIT, waiting=8, reserved=0)
    before = len(tenant.calls())
    home.signal_worker(signal.SIGCONT)
    if time.monotonic() - leased_at < LEASE_S - CALL_SECONDS - 2:  # later it would not dare
        tenant.until(lambda: len(tenant.calls()) > before, what="the frozen worker sends what it had decided")
    wait_s(1.5)  # the rest of it
    tenant.until_states(closed=2, held=agents * LIMIT, waiting=8, reserved=0)
    assert {room: tenant.holder(room) for room in late[2:]} == {room: [pairs[room]] for room in late[2:]}
    tenant.judge(LIMIT)


def overdue(tenant: Tenant) -> int:
    """Lets the leases of all reservations end now, as after thirty seconds."""
    sql = "UPDATE visits SET lease_until = clock_timestamp() WHERE tenant = %s AND state = 'reserved'"
    return tenant.home.run(sql, tenant.id)


def test_a_worker_frozen_inside_its_transaction_does_not_keep_the_lock_of_the_line(home):
    """H10 (d): PostgreSQL ends a transaction that idles for two seconds."""
    tenant = home.new_tenant("locked", agents=2)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    with closing(psycopg2.connect(home.database_url)) as conn, conn.cursor() as cur:
        cur.execute("SELECT 1 FROM agents WHERE tenant = %s FOR UPDATE", (tenant.id,))
        tenant.sim.add_customers(1)
        blocked = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        tenant.until(lambda: home.rows(blocked, conn.info.backend_pid), what="the worker waits in its transaction")
        home.signal_worker(signal.SIGSTOP)
        conn.rollback()
    home.start_worker()
    tenant.until_states(15, held=2)
    home.signal_worker(signal.SIGCONT)
    tenant.sim.add_customers(1)
    tenant.until_states(held=3)
    tenant.judge(LIMIT)


@pytest.mark.long
def test_a_ticket_whose_job_was_never_put_in_is_replaced_by_the_sweeper(home):
    """H10 (a): the receiver died between the flag and the job. This is what it had done until then."""
    tenant = home.new_tenant("ticket", agents=1)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    tenant.sim.faults(webhook_drop_p=1)
    room = tenant.sim.add_customers(1)[0]
    sender = Sender(tenant.id, named=True, installation_secret_ok=True, secret_digests=digest(None))
    keys, args, _ = push_call(Webhook(ARRIVED, room, "131314", "qiscus"), sender)
    assert home.redis.eval(PUSH.text, len(keys), *keys, *args)[2] == "1"
    began = time.monotonic()
    tenant.until_states(10, held=2)
    figures("lost ticket -> served, ms", [(time.monotonic() - began) * 1000])


@pytest.mark.long
def test_a_room_that_the_caches_take_for_held_is_kept_and_served(home):
    """H1: the worker died between its commit and the caches. The answer is wrong, the webhook is kept."""
    tenant = home.new_tenant("stale", agents=1)
    room = tenant.sim.add_customers(1)[0]
    tenant.until_states(held=1)
    tenant.sim.resolve(room)
    tenant.until_states(closed=1, held=0)
    home.redis.sadd(key(tenant.id, "held"), room)
    tenant.sim.write_again(room)
    tenant.until(lambda: tenant.holder(room), what="the room is served again")
    assert [e["status"] for e in tenant.happened("webhook")] == ["queued", "noted", "already_assigned"]
    tenant.judge(LIMIT)
