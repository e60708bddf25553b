"""The policies beside the default, each with a worker of its own: a burst, webhooks twice, chats that end."""

import pytest

from testbed.house import street
from testbed.tenant import Tenant

LIMIT, AGENTS, ROOMS = 2, 5, 60


def picked(tenant: Tenant) -> list[str]:
    """Agents in the order of the decisions."""
    rows = tenant.home.rows("SELECT agent FROM decisions WHERE tenant = %s ORDER BY id", tenant.id)
    return [row.agent for row in rows]


@pytest.mark.long
@pytest.mark.parametrize(
    "policy",
    ["fill_two", *(pytest.param(name, marks=pytest.mark.long) for name in ("upstream", "round_robin", "longest_idle"))],
)
def test_a_burst_under_a_policy_keeps_limit_and_order_and_serves_everybody(policy, _databases, _redis_databases):
    with street(_databases, _redis_databases, ALLOCATION_POLICY=policy) as home:
        tenant = home.new_tenant(policy, agents=AGENTS, offline=1, supervisors=1)
        tenant.sim.faults(webhook_copies=2, webhook_copy_gap_s=0.05)
        tenant.sim.add_customers(ROOMS)
        tenant.until_states(20, held=AGENTS * LIMIT, waiting=ROOMS - AGENTS * LIMIT)
        first = picked(tenant)
        if policy == "fill_two":
            assert first[::2] == first[1::2], "who had no chat got two in one go"
            assert len(set(first)) == AGENTS
        elif policy == "round_robin":
            assert sorted(first[:AGENTS]) == sorted(first[AGENTS:]), "nobody twice before everybody once"
            assert first[:AGENTS] == first[AGENTS:]
        tenant.sim.faults(auto_resolve_s=0.2)
        tenant.sim.resolve_all()
        tenant.until(lambda: tenant.all_over(ROOMS), 60, "all rooms are over")
        tenant.judge(LIMIT)
        told = home.rows("SELECT DISTINCT policy FROM rounds WHERE tenant = %s", tenant.id)
        assert [row.policy for row in told] == [policy]
