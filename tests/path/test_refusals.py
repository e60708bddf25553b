"""Refusals: whose fault is one, the room's, the agent's or the desk's? Nobody pays before that is known."""

import time
from collections.abc import Iterator

import pytest

from testbed.figures import figures
from testbed.house import House, street
from testbed.tenant import Tenant, room_names
from tests.variants import first_of

LIMIT = 10
FAST_S = 6.0  # far below any pause of a room that was set aside; the machine of a test run is shared
CODES = [400, 403, 404, 422]


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    settings = {"MAX_AGENT_CHAT": str(LIMIT), "DESK_LAG_SECONDS": "1", "RETRY_SECONDS": "30", "IDLE_SECONDS": "60"}
    with street(_databases, _redis_databases, **settings) as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    yield _home
    _home.forget_tenants()


def warm(home: House, name: str, agents: int) -> Tenant:
    """A tenant whose roster was read just now; nothing is held."""
    tenant = home.new_tenant(name, agents=agents, offline=0)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    tenant.sim.resolve_all()
    tenant.until_states(closed=1, held=0)
    return tenant


def all_are_served(shop: Tenant, rooms: list[str], within_s: float = FAST_S) -> None:
    began = time.monotonic()
    shop.until_states(within_s, held=len(rooms), waiting=0, reserved=0)
    figures(f"{shop.id}: {len(rooms)} rooms served, ms", [(time.monotonic() - began) * 1000])
    assert [visit.room for visit in shop.visits() if visit.aside] == []
    assert "set aside" not in {word for room in rooms for word in shop.told(room)}
    shop.judge(LIMIT, in_order=False)


@pytest.mark.parametrize("code", first_of(CODES, 2))
def test_an_agent_whom_the_desk_refuses_costs_no_room_its_turn(home, code):
    shop = warm(home, f"refused-{code}", 3)
    bad = shop.sim.agents()[0]["id"]
    shop.sim.faults(fail_agents={str(bad): code})
    rooms = shop.sim.add_customers(20)
    all_are_served(shop, rooms)
    assert bad not in {agent for room in rooms for agent in shop.holder(room)}


def test_an_agent_who_was_deleted_costs_no_room_its_turn(home):
    shop = warm(home, "deleted", 3)
    shop.sim.delete_agent(shop.sim.agents()[0]["id"])
    all_are_served(shop, shop.sim.add_customers(20))


@pytest.mark.long
def test_rooms_are_served_one_by_one_past_two_refused_agents_of_five(home):
    shop = warm(home, "two-of-five", 5)
    first, second = (str(agent["id"]) for agent in shop.sim.agents()[:2])
    shop.sim.faults(fail_agents={first: 404, second: 403})
    rooms = []
    for _ in range(10):
        rooms += shop.sim.add_customers(1)
        shop.until_states(FAST_S, held=len(rooms), waiting=0, reserved=0)
    all_are_served(shop, rooms)
    assert len([call for call in shop.calls() if call["outcome"] != "200"]) <= 8


def test_a_freed_seat_of_a_deleted_agent_takes_no_second_victim(home):
    shop = warm(home, "full", 2)
    for agent in shop.sim.agents():
        home.redis.set(f"config:max_agent_chat:{shop.id}:{agent['id']}", "1")
    shop.sim.add_customers(8)
    shop.until_states(held=2, waiting=6)
    first, second = (agent["id"] for agent in shop.sim.agents())
    (room_of_first,) = (room for room, agents in shop.sim.holders().items() if agents == [first])
    shop.sim.faults(fail_agents={str(first): 404})
    shop.sim.resolve(room_of_first)
    for left in (5, 4, 3):
        shop.sim.resolve(next(room for room, agents in shop.sim.holders().items() if agents == [second]))
        shop.until_states(FAST_S, held=1, waiting=left, reserved=0)
    assert [visit.room for visit in shop.visits() if visit.aside] == []
    assert len([call for call in shop.calls() if call["outcome"] == "404"]) <= 3


@pytest.mark.long
def test_an_agent_who_is_accepted_again_is_given_rooms_again(home):
    shop = warm(home, "back", 2)
    bad = shop.sim.agents()[0]["id"]
    shop.sim.faults(fail_agents={str(bad): 404})
    all_are_served(shop, shop.sim.add_customers(6))
    shop.sim.resolve_all()
    shop.sim.faults(fail_agents={})
    shop.until(lambda: _given_to(shop, bad), 25.0, "the refused one is tried again")


def _given_to(shop: Tenant, agent: int) -> bool:
    room = shop.sim.add_customers(1)[0]
    (found,) = shop.until(lambda: shop.holder(room), FAST_S)
    shop.sim.resolve(room)
    return found == agent


def test_one_bad_room_among_many_good_ones_is_set_aside_and_takes_no_agent_down(home):
    shop = warm(home, "bad-room", 3)
    bad, *good = room_names(20)
    shop.sim.faults(fail_rooms={bad: 400})
    shop.sim.add_customers(rooms=[bad, *good])
    shop.until_states(FAST_S, held=19)
    assert len({agent for room in good for agent in shop.holder(room)}) == 3

    def is_set_aside() -> str | None:
        later = shop.sim.add_customers(1)[0]
        shop.until(lambda: shop.holder(later), FAST_S, "rooms are served beside the bad one")
        shop.sim.resolve(later)
        return shop.visit(bad).aside

    shop.until(is_set_aside, 15.0, "the bad room is set aside")
    assert "assign 400" in shop.visit(bad).aside
    assert f"agent_refused tenant={shop.id}" not in home.log()


def test_while_every_agent_is_refused_nobody_pays_and_then_all_are_served(home):
    shop = warm(home, "alike", 3)
    everybody = {str(agent["id"]): 403 for agent in shop.sim.agents()}
    shop.sim.faults(fail_agents=everybody)
    rooms = shop.sim.add_customers(12)
    shop.until(lambda: "403" in home.giliran("tenant", "list").stdout, 10.0, "the trouble is told")
    calls = len(shop.calls())
    shop.until(lambda: len(shop.calls()) > calls, 20.0, "it is tried again")
    assert len(shop.calls()) <= 12 + 12
    assert [visit.room for visit in shop.visits() if visit.aside] == []
    shop.sim.faults(fail_agents={})
    all_are_served(shop, rooms, 35.0)


@pytest.mark.long
def test_refusals_for_one_channel_hold_no_other_up(home):
    shop = warm(home, "channel", 2)
    first, second = (agent["id"] for agent in shop.sim.agents())
    shop.sim.faults(fail_agents={f"{first}:131313": 400, f"{second}:131313": 400})
    shop.sim.add_customers(6, channel=131313)
    good = shop.sim.add_customers(6, channel=131314)
    shop.until(lambda: all(shop.holder(room) for room in good), FAST_S, "the other channel's rooms are served")


@pytest.mark.long
@pytest.mark.parametrize("policy", ["upstream", "fill_two", "round_robin"])
def test_under_every_policy(_databases, _redis_databases, policy):
    with street(_databases, _redis_databases, ALLOCATION_POLICY=policy, MAX_AGENT_CHAT=str(LIMIT)) as home:
        shop = warm(home, policy, 3)
        shop.sim.faults(fail_agents={str(shop.sim.agents()[0]["id"]): 404})
        all_are_served(shop, shop.sim.add_customers(6), 20.0)


# --- rooms that the desk does not know (H19)


@pytest.mark.long
def test_rooms_that_the_desk_does_not_know_hold_nobody_up_and_are_closed_in_the_end(home):
    """A quiet system without a roster, many forged webhooks, and then a customer."""
    shop = home.new_tenant("forged", agents=3, offline=0)
    shop.sim.faults(unknown_refused=True)
    for room in room_names(60):
        home.arrive(room, app=shop.id)
    began = time.monotonic()
    room = shop.sim.add_customers(1)[0]
    shop.until(lambda: shop.holder(room), FAST_S, "the customer is served")
    figures("a customer behind 60 forged rooms, ms", [(time.monotonic() - began) * 1000])
    shop.until_states(60, closed=60, waiting=0, reserved=0, held=1)
    assert {visit.reason for visit in shop.visits() if visit.state == "closed"} == {"the desk does not know this room"}
    assert f"agent_refused tenant={shop.id}" not in home.log(), "no agent's fault"
