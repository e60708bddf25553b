"""Chats given by hand and agents who come and go at random moments, while rooms trickle in: after a lag, no room is
given as if that had not happened (H16)."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from testbed.deadlines import wait_s
from testbed.house import House, street
from testbed.tenant import Tenant

LIMIT, LAG_S = 2, 1
CALL_S = 1.5  # from a decision to the desk, on a machine that has much to do


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS=str(LAG_S), RETRY_SECONDS="30") as made:
        yield made


def wrong(events: Sequence[dict[str, Any]]) -> list[str]:
    """Rooms that we gave to agents who had been offline, or full by chats given by hand, for longer than a lag."""
    found: list[str] = []
    offline: dict[int, float] = {}
    by_hand: dict[int, list[float]] = defaultdict(list)
    for event in events:
        agent, at = event["agent"], event["mono"]
        if event["kind"] == "presence":
            offline.pop(agent, None)
            if not event["online"]:
                offline[agent] = at
        elif event["by"] != "api":
            by_hand[agent].append(at)
        else:
            known_at = at - LAG_S - CALL_S
            if offline.get(agent, at) < known_at:
                found.append(f"agent {agent} offline for {at - offline[agent]:.1f} s")
            if event["held"] - sum(given > known_at for given in by_hand[agent]) > LIMIT:
                found.append(f"agent {agent} had {event['held']}")
    return found


def act(tenant: Tenant, chance: random.Random) -> None:
    agent = chance.choice(tenant.sim.agents())
    if chance.random() < 0.5:
        tenant.sim.online(agent["id"], not agent["online"])
        return
    tenant.sim.faults(webhook_drop_p=1)
    for room in tenant.sim.add_customers(chance.randint(1, LIMIT)):
        tenant.sim.assign(room, agent["id"])
    tenant.sim.faults(webhook_drop_p=0)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 8))])
def test_nothing_that_happened_longer_than_a_lag_ago_is_overlooked(home, seed):
    chance = random.Random(seed)
    tenant = home.new_tenant(f"hands{seed}", agents=4, offline=1)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    for _ in range(8):
        act(tenant, chance)
        wait_s(LAG_S + chance.uniform(0.2, 1.5))
        tenant.sim.add_customers(chance.randint(1, 2))
    wait_s(LAG_S)
    assert not wrong(tenant.happened("presence", "assigned"))
    assert [event for event in tenant.happened("assigned") if event["by"] == "api"]


@pytest.mark.long
def test_a_room_that_comes_after_a_quiet_time_waits_for_one_call_only(home):
    tenant = home.new_tenant("quiet", agents=1)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    wait_s(LAG_S + 0.5)
    tenant.sim.faults(latency_ms=100)
    room = tenant.sim.add_customers(1)[0]
    tenant.until(lambda: tenant.holder(room), 3, "its agent has it")
    assert tenant.home.rows(
        "SELECT 1 FROM visits WHERE tenant = %s AND room = %s AND reserved_at - opened_at < '1 s'", tenant.id, room
    )
    tenant.judge(LIMIT)
