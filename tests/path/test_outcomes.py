"""What an assign call can come to: every failure, before and after it was applied, and what follows from it."""

from collections.abc import Iterator

import pytest

from scripts.simulator.faults import FAIL_KINDS
from testbed.deadlines import wait_s
from testbed.figures import figures
from testbed.house import House, street
from testbed.tenant import Tenant, room_names

LIMIT = 2


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS="1", IDLE_SECONDS="60", RETRY_SECONDS="60") as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    yield _home
    _home.forget_tenants()


@pytest.fixture
def shop(home) -> Tenant:
    return warm(home, "shop", 2)


def warm(home: House, name: str, agents: int) -> Tenant:
    """A tenant whose roster was read just now; nothing is held."""
    tenant = home.new_tenant(name, agents=agents)
    tenant.sim.add_customers(1)
    tenant.until_states(held=1)
    tenant.sim.resolve_all()
    tenant.until_states(closed=1, held=0)
    return tenant


def test_whatever_an_assign_call_fails_with_its_room_ends_with_the_agent_who_was_chosen_first(home):
    """P7: read back, then the same pair again. One tenant for each kind, all at once."""
    shops = {kind: warm(home, kind.replace("_", "-"), 3) for kind in FAIL_KINDS}
    rooms = {}
    for kind, shop in shops.items():
        shop.sim.faults(fail_next=1, fail_kinds=[kind], fail_on=["assign"], hang_s=1)
        rooms[kind] = shop.sim.add_customers(1)[0]
    for kind, shop in shops.items():
        shop.until_states(20, held=1, waiting=0, reserved=0)
        calls = shop.calls(rooms[kind])
        assert calls[0]["outcome"] == kind
        assert [str(agent) for agent in shop.holder(rooms[kind])] == [calls[-1]["agent"]]
        # A 403 is a definite no, so that another agent is tried; all else keeps the pair.
        assert len({call["agent"] for call in calls}) == (2 if kind == "403" else 1), (kind, calls)
        assert sum(call["applied"] for call in calls) == 1, (kind, calls)
        shop.judge(LIMIT)


@pytest.mark.parametrize("kind", ["timeout_after", "timeout_before"])
def test_an_unclear_answer_is_read_back_before_anything_is_sent_again(shop, kind):
    shop.sim.faults(fail_next=1, fail_kinds=[kind], fail_on=["assign"], hang_s=1)
    room = shop.sim.add_customers(1)[0]
    shop.until_states(20, held=1, reserved=0)
    assert [call["outcome"] for call in shop.calls(room)] == [kind] + ["200"] * (kind == "timeout_before")
    shop.judge(LIMIT)


def test_a_hanging_call_holds_up_no_other_room(shop):
    shop.sim.faults(fail_next=1, fail_kinds=["timeout_before"], fail_on=["assign"], hang_s=15)
    hanging = shop.sim.add_customers(1)[0]
    shop.until(lambda: shop.visit(hanging) and shop.visit(hanging).state == "reserved")
    rooms = shop.sim.add_customers(3)
    shop.until_states(held=3, reserved=1)
    figures("beside a hanging call: arrival -> assigned, ms", waits_ms(shop, rooms))
    assert shop.visit(hanging).state == "reserved"


def waits_ms(tenant: Tenant, rooms: list[str]) -> list[float]:
    return [event["waited_s"] * 1000 for event in tenant.happened("assigned") if event["room"] in rooms]


@pytest.mark.long
def test_a_rotated_secret_sets_no_room_aside_and_costs_none_its_place(shop):
    """H11: 401 is the desk's trouble, never a room's."""
    shop.sim.control("POST", "secret", {"secret_key": "another"})
    rooms = [shop.sim.add_customers(1)[0] for _ in range(4)]
    trouble = "SELECT 1 FROM tenants WHERE id = %s AND desk_failures >= 5 AND desk_trouble LIKE '%%401%%'"
    shop.until(lambda: shop.home.rows(trouble, shop.id), 20, "the circuit is open")
    shop.until(lambda: len(shop.visits()) == 1 + len(rooms))
    assert [(v.aside, v.refusals) for v in shop.visits()] == [(None, 0)] * (1 + len(rooms))
    shop.sim.control("POST", "secret", {"secret_key": "demo-secret"})
    shop.until_states(40, held=4, waiting=0, reserved=0)
    assert all(visit.refusals == 0 for visit in shop.visits())
    shop.judge(LIMIT)


@pytest.mark.long
def test_the_pause_that_a_desk_asks_for_is_kept(shop):
    pause_s = 3
    shop.sim.faults(fail_next=1, fail_kinds=["429_retry_after"], fail_on=["assign"], retry_after_s=pause_s)
    first = shop.sim.add_customers(1)[0]
    shop.until(lambda: shop.calls(first), what="the call that is told to wait")
    paused = "SELECT 1 FROM tenants WHERE id = %s AND paused_until > clock_timestamp()"
    shop.until(lambda: shop.home.rows(paused, shop.id))
    shop.sim.add_customers(3)
    shop.until_states(15, held=4, reserved=0)
    refused, *later = shop.calls()[1:]  # the very first was that of the warming up
    assert refused["outcome"] == "429_retry_after"
    assert min(call["mono"] for call in later) - refused["mono"] >= pause_s
    shop.judge(LIMIT)


def test_a_room_that_the_desk_refuses_for_good_is_set_aside_with_its_reason_and_disturbs_nobody(shop):
    bad, *good = room_names(4)
    shop.sim.faults(fail_rooms={bad: 400})
    shop.sim.add_customers(rooms=[bad])
    shop.until(lambda: len(shop.calls(bad)) == 2, 15, "both agents were refused for it")
    assert shop.visit(bad).aside is None, "nobody has got another room: it may be the desk"
    shop.sim.add_customers(rooms=good)
    shop.until(lambda: shop.visit(bad).aside, 15, "the bad room is set aside")
    shop.until_states(held=3, waiting=1)
    assert shop.visit(bad).aside.startswith("assign 400")
    told = shop.home.giliran("why", bad, "--tenant", shop.id)
    assert told.returncode == 0, told.stderr
    assert "aside" in told.stdout
    assert "400" in told.stdout
    shop.sim.faults(fail_rooms={})
    shop.sim.write_again(bad)
    shop.until(lambda: shop.holder(bad), what="the customer's next message brings it back")
    shop.judge(LIMIT, in_order=False)


@pytest.mark.long
def test_a_room_that_was_set_aside_is_tried_again_by_the_admin(shop):
    bad, *good = room_names(3)
    shop.sim.faults(fail_rooms={bad: 404})
    shop.sim.add_customers(rooms=[bad])
    shop.until(lambda: len(shop.calls(bad)) == 2, 15, "both agents were refused for it")
    shop.sim.add_customers(rooms=good)
    shop.until(lambda: shop.visit(bad).aside, 15, "the bad room is set aside")
    calls = len(shop.calls(bad))
    wait_s(1.5)
    assert len(shop.calls(bad)) == calls
    shop.sim.faults(fail_rooms={})
    told = shop.home.giliran("retry", bad, "--tenant", shop.id)
    assert told.returncode == 0, told.stderr
    shop.until(lambda: shop.holder(bad), what="it is served")
    shop.judge(LIMIT, in_order=False)


@pytest.mark.long
def test_a_resolve_that_comes_while_the_call_is_under_way_frees_the_seat_soon(shop):
    """The webhook overtakes the answer: nothing proves yet that it means this stay, so the desk is asked."""
    shop.sim.faults(latency_ms=400, webhook_drop_p=1)
    room = room_names(1)[0]
    shop.sim.control("POST", "customers", {"rooms": [room]})
    shop.home.arrive(room, app=shop.id)
    shop.until(lambda: shop.visit(room) and shop.visit(room).state == "reserved")
    shop.resolve(room, service=4_000_000_000)
    shop.until(lambda: shop.holder(room))
    shop.sim.resolve(room)
    shop.sim.faults(latency_ms=0)
    shop.until(lambda: shop.visit(room).state == "closed", 12, "the seat is free")
