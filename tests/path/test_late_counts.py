"""A desk whose counts and rooms are 3 s late, resolves pressed by people who hold no chat, customers who return."""

from collections.abc import Iterator

import pytest

from testbed.figures import figures
from testbed.house import House, street
from testbed.tenant import Tenant

ROOMS, AGENTS, LIMIT, LATE_S = 150, 8, 2, 3


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS=str(LATE_S + 1)) as made:
        yield made


@pytest.fixture
def late(home) -> Tenant:
    tenant = home.new_tenant("late", agents=AGENTS, offline=2, supervisors=2, page_size=4)
    tenant.sim.faults(count_lag_s=LATE_S, room_lag_s=LATE_S, list_lag_s=LATE_S, seed=2)
    return tenant


def press_resolve_until_all_are_closed(tenant: Tenant, by: str) -> None:
    """A few chats at a time, so that seats get free one after the other. All the while no count is taken at its word:
    one that is late would close a seat that is free."""
    foreign = "SELECT id, foreign_est FROM agents WHERE tenant = %s AND foreign_est > 0"

    def all_closed() -> bool:
        assert tenant.home.rows(foreign, tenant.id) == []
        tenant.sim.control("POST", "resolve", {"count": 3, "by": by})
        return tenant.sim.state()["resolved_total"] == ROOMS and set(tenant.states()) == {"closed"}

    tenant.until(all_closed, 90, "every room is served and resolved")


@pytest.mark.long
@pytest.mark.parametrize("by", ["supervisor", pytest.param("admin", marks=pytest.mark.long)])
def test_late_counts_and_a_resolve_by_somebody_else_make_no_difference(late, by):
    late.sim.faults(webhook_copies=2, webhook_copy_gap_s=0.2)
    late.sim.add_customers(ROOMS)
    late.until_states(held=AGENTS * LIMIT, waiting=ROOMS - AGENTS * LIMIT)
    press_resolve_until_all_are_closed(late, by)
    late.judge(LIMIT)
    held = late.sim.history(events=0)["max_held"]
    assert {n for agent, n in held.items() if int(agent) in {a["id"] for a in late.available()}} == {LIMIT}
    figures(f"counts {LATE_S} s late, resolved by {by}: next assign call, ms", late.next_calls_ms(LIMIT))


@pytest.mark.long
def test_a_customer_who_returns_is_served_again_three_times_in_a_row(late):
    room = late.sim.add_customers(1)[0]
    late.until(lambda: late.holder(room), what="the first stay is served")
    for stay in (2, 3, 4):
        late.sim.resolve(room, by="admin")
        late.sim.write_again(room)
        late.until(lambda: late.holder(room), what=f"stay {stay} is served")
        late.until(lambda n=stay: [v.state for v in late.visits()] == ["closed"] * (n - 1) + ["held"])
    late.judge(LIMIT)
    assert len(late.calls(room)) == 4


@pytest.mark.long
def test_a_customer_returns_though_nothing_in_the_webhook_tells_of_earlier_stays(home):
    tenant = home.new_tenant("forgetful", agents=1)
    tenant.sim.faults(null_latest_service=True)
    room = tenant.sim.add_customers(1)[0]
    tenant.until(lambda: tenant.holder(room))
    for stay in (2, 3):
        tenant.sim.resolve(room)
        tenant.until(lambda n=stay: [v.state for v in tenant.visits()] == ["closed"] * (n - 1))
        tenant.sim.write_again(room)
        tenant.until(lambda: tenant.holder(room), what=f"stay {stay} is served")
    tenant.judge(LIMIT)


@pytest.mark.long
def test_an_answer_that_names_no_service_delays_a_resolve_until_the_desk_confirms_it(home):
    tenant = home.new_tenant("older", agents=1)
    tenant.sim.faults(legacy_assign=True)
    first, _, third = tenant.sim.add_customers(3)
    tenant.until_states(held=2, waiting=1)
    tenant.sim.resolve(first)
    tenant.until(lambda: tenant.holder(third), 15, "the seat is given on")
    tenant.until(lambda: tenant.visit(first).state == "closed")
    tenant.judge(LIMIT)
