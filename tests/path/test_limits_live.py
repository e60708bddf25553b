"""The admin's keys in Redis, changed under running workers: obeyed by the next decision, narrow ones first."""

import time
from collections.abc import Iterator

import pytest

from db.inbox import limit_key
from testbed.deadlines import wait_s
from testbed.figures import figures
from testbed.house import House, street
from testbed.tenant import Tenant

AGENTS = 4
DEFAULT = 2  # MAX_AGENT_CHAT of the house


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, workers=2, MAX_AGENT_CHAT=str(DEFAULT)) as made:
        yield made


@pytest.fixture
def shop(home) -> Iterator[Tenant]:
    """Every seat of the default limit is taken, and as many rooms wait."""
    tenant = home.new_tenant("shop", agents=AGENTS, offline=1)
    tenant.sim.add_customers(AGENTS * DEFAULT * 2)
    tenant.until_states(held=AGENTS * DEFAULT, waiting=AGENTS * DEFAULT)
    yield tenant
    keys = home.redis.keys("config:max_agent_chat*")
    if keys:
        home.redis.delete(*keys)


def loads(tenant: Tenant) -> list[int]:
    return sorted(agent["load"] for agent in tenant.available())


def test_a_raised_limit_wakes_waiting_rooms_without_a_restart(home, shop):
    began = time.monotonic()
    home.redis.set(limit_key(), 3)
    shop.until(lambda: loads(shop) == [3] * AGENTS, 5, "each agent has a third chat")
    figures("limit raised -> last assign of 4, ms", [(time.monotonic() - began) * 1000])
    shop.judge(3)
    home.redis.set(limit_key(), 4)
    shop.until(lambda: loads(shop) == [4] * AGENTS, 5, "each agent has a fourth chat")
    shop.judge(4)


def test_a_lowered_limit_takes_no_chat_away_and_gives_no_more(home, shop):
    home.redis.set(limit_key(shop.id), 1)
    held = list(shop.sim.holders())
    shop.until(lambda: {row.max_load for row in agents(shop)} == {1}, 5, "the lowered limit is in force")
    for room in held[:AGENTS]:
        shop.sim.resolve(room)
    shop.until_states(closed=AGENTS, reserved=0)
    shop.until(lambda: not shop.differences())
    given = [event["held"] for event in shop.happened("assigned")]
    assert set(given[AGENTS * DEFAULT :]) <= {1}  # only who had none is given one
    shop.judge(DEFAULT)


def agents(tenant: Tenant) -> list:
    sql = "SELECT id, max_load FROM agents WHERE tenant = %s AND available"
    return tenant.home.rows(sql, tenant.id)


@pytest.mark.long
def test_a_value_that_is_no_number_is_logged_once_and_changes_nothing(home, shop):
    key = limit_key(shop.id)
    home.redis.set(key, "banana")
    shop.until(lambda: complaints(home, key), 5, "the complaint")
    for _ in range(3):
        resolved = shop.sim.resolve_all()
        shop.until_states(reserved=0, closed=len(shop.sim.history(kinds="resolved")["events"]))
        shop.sim.add_customers(len(resolved))
    shop.until_states(held=AGENTS * DEFAULT)
    assert len(complaints(home, key)) == 1
    shop.judge(DEFAULT)
    shown = home.giliran("max", "--json")
    assert shown.returncode == 0, shown.stderr
    assert "banana" in shown.stdout


def complaints(home: House, key: str) -> list[str]:
    return [line for line in home.log("worker*").splitlines() if "limit_ignored" in line and key in line]


def test_the_narrowest_key_wins_and_without_any_the_environment_holds(home, shop):
    special = shop.available()[0]["id"]
    home.redis.set(limit_key(), 2)
    home.redis.set(limit_key(shop.id), 3)
    home.redis.set(limit_key(shop.id, str(special)), 4)
    shop.until(lambda: loads(shop) == [3] * (AGENTS - 1) + [4], 5, "tenant's and agent's keys")
    assert next(agent["load"] for agent in shop.available() if agent["id"] == special) == 4
    home.redis.delete(limit_key(), limit_key(shop.id), limit_key(shop.id, str(special)))
    shop.until(lambda: {row.max_load for row in agents(shop)} == {DEFAULT}, 5, "the environment's limit is back")
    shop.sim.resolve_all()
    shop.until_states(waiting=0, held=AGENTS * DEFAULT * 2 - (3 * (AGENTS - 1) + 4), reserved=0)
    shop.judge(4)


@pytest.mark.long
def test_zero_pauses_a_tenant_and_deleting_the_key_goes_on(home, shop):
    home.redis.set(limit_key(shop.id), 0)
    shop.until(lambda: {row.max_load for row in agents(shop)} == {0}, 5, "the pause is in force")
    shop.sim.resolve_all()
    shop.until_states(closed=AGENTS * DEFAULT, held=0, reserved=0)
    wait_s(1.5)  # three looks of the sweeper
    assert len(shop.calls()) == AGENTS * DEFAULT
    home.redis.delete(limit_key(shop.id))
    shop.until_states(5, held=AGENTS * DEFAULT, waiting=0)
    shop.judge(DEFAULT)
