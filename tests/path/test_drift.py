"""What nobody told us: missed webhooks, hands of supervisors, agents who come and go. Found, healed and counted."""

from collections.abc import Iterator

import pytest

from testbed.deadlines import wait_s
from testbed.house import House, street
from testbed.tenant import Tenant

LIMIT = 2


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS="1", IDLE_SECONDS="1", RETRY_SECONDS="1") as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    yield _home
    _home.forget_tenants()


@pytest.fixture
def shop(home) -> Tenant:
    return home.new_tenant("shop", agents=2)


def fill(tenant: Tenant, rooms: int) -> list[str]:
    """One customer after the other, so that their order is known; every seat is taken then."""
    names = []
    for place in range(rooms):
        names += tenant.sim.add_customers(1)
        tenant.until(lambda n=place: len(tenant.visits()) > n, what="the room is in the line")
    seats = len(tenant.available()) * LIMIT
    tenant.until_states(held=min(rooms, seats), waiting=max(0, rooms - seats), reserved=0)
    return names


def healed(tenant: Tenant) -> dict[str, int]:
    """Drift by its kind. A sweep each second learns rooms whose webhook is under way, too: that is not counted here."""
    return {kind: count for kind, count in tenant.drift().items() if kind != "missed_arrival"}


@pytest.mark.long
def test_a_waiting_room_that_is_resolved_leaves_the_line(shop):
    *_, gone, last = fill(shop, 6)
    shop.sim.resolve(gone)
    shop.until(lambda: shop.visit(gone).state == "closed")
    shop.sim.resolve_all()
    shop.until(lambda: shop.holder(last))
    assert shop.calls(gone) == []
    shop.judge(LIMIT)


def test_a_resolve_that_was_missed_is_found_and_its_seat_is_given_on(shop):
    first, *_, last = fill(shop, 5)
    shop.sim.faults(webhook_drop_p=1)
    shop.sim.resolve(first)
    shop.until(lambda: shop.holder(last), 15, "the free seat is found")
    assert shop.visit(first).state == "closed"
    assert healed(shop) == {"missed_resolve": 1}
    shop.judge(LIMIT)


def test_a_missed_resolve_of_a_waiting_room_costs_nobody_a_seat(shop):
    *_, gone, last = fill(shop, 6)
    shop.sim.faults(webhook_drop_p=1)
    shop.sim.resolve(gone)
    shop.sim.faults(webhook_drop_p=0)
    shop.sim.resolve_all()
    shop.until(lambda: shop.holder(last), 15, "the next in line is served")
    shop.judge(LIMIT, in_order=False)


@pytest.mark.long
def test_a_chat_that_is_reassigned_by_hand_moves_in_the_ledger(shop):
    room = fill(shop, 1)[0]
    holder = shop.holder(room)[0]
    other = next(agent["id"] for agent in shop.available() if agent["id"] != holder)
    shop.sim.assign(room, other)
    shop.until(lambda: shop.visit(room).agent == str(other), 15, "the ledger follows")
    assert shop.home.seats(shop.id) == {str(other): 1}
    assert healed(shop) == {"reassigned_by_hand": 1}
    shop.judge(LIMIT)


@pytest.mark.long
def test_a_room_whose_agent_is_taken_out_waits_again_at_its_old_place(shop):
    first, *_, last = fill(shop, 7)
    agent = shop.holder(first)[0]
    shop.sim.remove(first, agent)
    shop.until(lambda: "release" in shop.told(first), 15, "the room stands in the line again")
    shop.until(lambda: shop.holder(first), 15, "it is the first to be served again")
    assert shop.calls(last) == []
    assert healed(shop) == {"agent_left": 1}
    shop.judge(LIMIT)


def test_rooms_that_no_webhook_told_of_are_learned_oldest_first(home):
    tenant = home.new_tenant("deaf", agents=1)
    fill(tenant, 2)
    tenant.sim.faults(webhook_drop_p=1)
    rooms = []
    for _ in range(4):
        rooms += tenant.sim.add_customers(1)
        wait_s(0.01)
    tenant.until_states(15, waiting=4)
    tenant.sim.faults(webhook_drop_p=0)
    tenant.sim.faults(auto_resolve_s=0.2)
    tenant.until_states(20, closed=6)
    assert [room for room in home.reserved_order(tenant.id) if room in rooms] == rooms
    assert tenant.drift()["missed_arrival"] >= 4
    tenant.judge(LIMIT)


def test_an_agent_who_was_given_a_chat_by_hand_is_full_sooner(home):
    """H9: what is not ours counts, a lag and a look at the roster after it was given."""
    tenant = home.new_tenant("hand", agents=1)
    agent = tenant.available()[0]["id"]
    fill(tenant, 1)
    tenant.sim.faults(webhook_drop_p=1)
    by_hand = tenant.sim.add_customers(1)[0]
    tenant.sim.assign(by_hand, agent)
    tenant.sim.faults(webhook_drop_p=0)
    known = "SELECT 1 FROM agents WHERE tenant = %s AND foreign_est = 1"
    waits = tenant.sim.add_customers(1)[0]  # a reason to look at the roster; served before that, or not at all
    tenant.until(lambda: home.rows(known, tenant.id) or tenant.holder(waits), 15, "the roster is read")
    if tenant.holder(waits):  # it came before the desk's count could be known: now nobody more
        waits = tenant.sim.add_customers(1)[0]
        tenant.until(lambda: tenant.visit(waits))
        wait_s(3)
    assert tenant.holder(waits) == []
    before = len(tenant.calls())
    tenant.sim.resolve(by_hand)
    for room in list(tenant.sim.holders()):
        tenant.sim.resolve(room)
    tenant.until(lambda: tenant.holder(waits), 25, "the seat is free again")
    assert len(tenant.calls()) == before + 1


@pytest.mark.long
def test_a_supervisor_who_is_quicker_than_we_keeps_the_room(home):
    tenant = home.new_tenant("quick", agents=2)
    fill(tenant, 1)
    tenant.sim.resolve_all()
    tenant.until_states(closed=1)
    chosen, other = (agent["id"] for agent in tenant.available())
    tenant.sim.faults(latency_ms=600)
    room = tenant.sim.add_customers(1)[0]
    tenant.until(lambda: tenant.visit(room) and tenant.visit(room).state == "reserved")
    ours = int(tenant.visit(room).agent)
    tenant.sim.assign(room, other if ours == chosen else chosen)
    tenant.sim.faults(latency_ms=0)
    tenant.until(lambda: tenant.visit(room).state == "held")
    assert tenant.holder(room) == [int(tenant.visit(room).agent)] != [ours]
    assert healed(tenant) == {"assigned_by_hand": 1}
    tenant.judge(LIMIT)


def test_an_agent_who_goes_offline_gets_nothing_new_after_the_next_roster(home):
    tenant = home.new_tenant("leave", agents=2)
    fill(tenant, 5)
    gone, stays = (agent["id"] for agent in tenant.available())
    tenant.sim.online(gone, False)
    offline = "SELECT 1 FROM agents WHERE tenant = %s AND id = %s AND NOT available"
    tenant.until(lambda: home.rows(offline, tenant.id, str(gone)), 10, "the roster is read again")
    before = len(tenant.calls())
    tenant.sim.add_customers(4)
    tenant.sim.resolve_all()
    tenant.until(lambda: len(tenant.calls()) == before + LIMIT)
    tenant.until_states(reserved=0, held=LIMIT, waiting=3)
    assert {call["agent"] for call in tenant.calls()[before:]} == {str(stays)}
    tenant.judge(LIMIT)


@pytest.mark.long
def test_an_agent_who_comes_online_is_used_after_the_next_roster(home):
    tenant = home.new_tenant("come", agents=1, offline=1)
    fill(tenant, 4)
    newcomer = next(agent["id"] for agent in tenant.sim.agents() if not agent["online"])
    tenant.sim.online(newcomer)
    tenant.until_states(10, held=4, waiting=0)
    assert len(tenant.sim.state()["agents"]) == 3  # with a supervisor, who got nothing
    tenant.judge(LIMIT)
