"""Redis emptied, Redis killed, PostgreSQL killed, in the middle of a line: on servers of these tests' own."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from db import migrate
from db.inbox import TENANTS, key, limit_key
from testbed import servers
from testbed.deadlines import wait_s
from testbed.house import House, street
from testbed.servers import OwnServer
from testbed.tenant import Tenant, room_names

AGENTS, LIMIT = 20, 2
WAITING = 300


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnServer]:
    with servers.running_valkey(fast=False) as own:
        yield own


@pytest.fixture(scope="module")
def postgres() -> Iterator[OwnServer]:
    with servers.running_postgres(fast=False) as own:
        migrate.migrate(own.url)
        yield own


@pytest.fixture(scope="module")
def _home(valkey, postgres) -> Iterator[House]:
    with street(postgres.url, valkey.url, DESK_LAG_SECONDS="1", MAX_AGENT_CHAT="7") as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    yield _home
    _home.only_worker()
    _home.forget_tenants()
    _home.until(lambda: _home.redis.exists(TENANTS))


def held_and_waiting(home: House) -> Tenant:
    """40 rooms held and 300 waiting, under limits that only the admin's keys set: 2, and 1 for one agent."""
    tenant = home.new_tenant("full", agents=AGENTS, offline=1)
    home.redis.set(limit_key(tenant.id), LIMIT)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    one = tenant.visits()[0].agent
    home.redis.set(limit_key(tenant.id, one), 1)
    home.redis.set(limit_key(tenant.id), 0)  # a room that the desk's list tells of first comes before rooms with seats
    tenant.sim.add_customers(AGENTS * LIMIT + WAITING - 2)
    tenant.until_ledger_has_all(AGENTS * LIMIT + WAITING - 1)
    home.redis.set(limit_key(tenant.id), LIMIT)
    tenant.until_states(20, held=AGENTS * LIMIT - 1, waiting=WAITING, reserved=0)
    return tenant


def test_a_flush_changes_neither_the_line_nor_a_seat_nor_a_limit(home):
    """P6, H2, H3: 300 wait, the seats are taken, and webhooks come right after the flush."""
    tenant = held_and_waiting(home)
    order, limits = home.arrival_order(tenant.id), keys(home)
    holders = tenant.sim.holders()
    home.redis.flushall()
    late = room_names(20, "late")
    answers = [home.arrive(room, app=tenant.id) for room in late]
    assert {answer["status"] for answer in answers} == {"queued"}
    tenant.until(lambda: keys(home) == limits, 10, "the limits are back")
    tenant.until(lambda: home.arrival_order(tenant.id) == order + late, 20, "everybody has the old place")
    tenant.until_states(held=AGENTS * LIMIT - 1, waiting=WAITING + len(late), reserved=0)
    assert tenant.sim.holders() == holders
    tenant.until(lambda: home.redis.zcard(key(tenant.id, "line")) == WAITING + len(late), 20, "the caches are back")
    tenant.sim.resolve_all()
    tenant.until_states(20, closed=AGENTS * LIMIT - 1, held=AGENTS * LIMIT - 1, reserved=0)
    assert set(tenant.sim.holders()) == set(order[AGENTS * LIMIT - 1 :][: AGENTS * LIMIT - 1])
    assert home.reserved_order(tenant.id) == order[: 2 * (AGENTS * LIMIT - 1)]
    tenant.sim.control("POST", "customers", {"rooms": late})  # the desk knows those of the posted webhooks now
    tenant.judge(LIMIT, within_s=20)


def keys(home: House) -> dict[str, str]:
    names = sorted(home.redis.keys("config:max_agent_chat*"))
    return dict(zip(names, home.redis.mget(names), strict=True)) if names else {}


def test_a_flush_in_the_middle_of_a_burst_loses_no_room(home):
    """What was only in Redis is learned again from the desk's list."""
    tenant = home.new_tenant("burst", agents=AGENTS)
    home.redis.set(limit_key(tenant.id), LIMIT)
    tenant.sim.faults(webhook_copies=1)
    tenant.sim.add_customers(WAITING)
    tenant.until(lambda: len(tenant.visits()) > WAITING // 4)
    home.redis.flushall()
    tenant.until(lambda: len(tenant.visits()) == WAITING, 30, "every room is in the ledger")
    tenant.until_states(20, held=AGENTS * LIMIT, reserved=0)
    tenant.judge(LIMIT, in_order=False)


@pytest.mark.long
def test_resolves_that_a_flush_swallowed_are_found_by_the_sweep(home):
    tenant = home.new_tenant("swallowed", agents=3)
    home.redis.set(limit_key(tenant.id), LIMIT)
    tenant.sim.add_customers(12)
    tenant.until_states(held=6, waiting=6)
    tenant.sim.faults(webhook_drop_p=1)
    tenant.sim.resolve_all()
    home.redis.flushall()
    tenant.until_states(30, closed=6, held=6, reserved=0)
    assert tenant.drift()["missed_resolve"] == 6
    tenant.judge(LIMIT, within_s=20)


@pytest.mark.long
def test_a_redis_that_was_killed_and_comes_back_keeps_what_it_had_taken(home, valkey):
    tenant = home.new_tenant("redis", agents=5)
    home.redis.set(limit_key(tenant.id), LIMIT)
    tenant.sim.faults(webhook_retries=8)
    tenant.sim.add_customers(100)
    tenant.until_ledger_has_all(100)
    tenant.until_states(held=10, reserved=0)
    valkey.kill()
    rooms = tenant.sim.add_customers(20)
    tenant.until(lambda: "503" in outcomes(tenant), 15, "a webhook is refused while Redis is away")
    valkey.start()
    home.only_worker()  # what the launcher does: see the next test
    tenant.until(lambda: len(tenant.visits()) == 120, 30, "every room is in the ledger")
    tenant.sim.resolve_all()
    tenant.until_states(30, closed=10, held=10, reserved=0)
    assert {room for room in rooms if tenant.visit(room)} == set(rooms)
    tenant.judge(LIMIT, in_order=False, within_s=20)


@pytest.mark.long
def test_a_worker_outlives_a_redis_that_dies_under_its_job(home, valkey):
    tenant = home.new_tenant("under", agents=1)
    with closing(psycopg2.connect(home.database_url)) as conn, conn.cursor() as cur:
        cur.execute("SELECT 1 FROM tenants WHERE id = %s FOR UPDATE", (tenant.id,))
        tenant.sim.add_customers(1)
        blocked = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        tenant.until(lambda: home.rows(blocked, conn.info.backend_pid), what="the job waits for the tenant's row")
        valkey.kill()
        conn.rollback()
    wait_s(3)
    valkey.start()
    assert home.workers[0].poll() is None
    tenant.until_states(15, held=1)


def outcomes(tenant: Tenant) -> set[str]:
    return {event["outcome"] for event in tenant.happened("webhook")}


@pytest.mark.long
def test_a_postgres_that_was_killed_and_comes_back_finds_the_webhooks_of_the_meantime(home, postgres):
    tenant = home.new_tenant("postgres", agents=5)
    home.redis.set(limit_key(tenant.id), LIMIT)
    tenant.sim.faults(latency_ms=300)
    tenant.sim.add_customers(50)
    tenant.until(lambda: tenant.states().get("reserved", 0) > 0)
    postgres.kill()  # calls are under way
    tenant.sim.faults(latency_ms=0)
    rooms = tenant.sim.add_customers(50)
    tenant.until_webhooks(100)  # Redis takes them while nobody can look at them
    postgres.start()
    tenant.until(lambda: len(tenant.visits()) == 100, 30, "every room is in the ledger")
    assert all(tenant.visit(room) for room in rooms)
    tenant.until_states(40, held=10, reserved=0)
    tenant.judge(LIMIT, within_s=20)
