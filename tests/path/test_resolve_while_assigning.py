"""A room is resolved while the call that gives it to an agent is under way (H14): the seat stays taken until the call
has its answer, so nobody ever has one chat too many.
"""

import time
from collections.abc import Iterator

import pytest

from testbed.deadlines import wait_s
from testbed.house import House, street
from testbed.tenant import Tenant
from tests.variants import first_of

LIMIT = 1
LAG_S = 1
HANG_MS = 6000


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    clocks = {"DESK_LAG_SECONDS": str(LAG_S), "IDLE_SECONDS": "60", "RETRY_SECONDS": "60"}
    with street(_databases, _redis_databases, workers=2, MAX_AGENT_CHAT=str(LIMIT), **clocks) as made:
        yield made


@pytest.fixture
def home(_home) -> Iterator[House]:
    yield _home
    _home.forget_tenants()


@pytest.fixture
def shop(home) -> Tenant:
    """One agent, one returning customer, whose next assign will hang."""
    made = home.new_tenant("shop", agents=1)
    room = made.sim.add_customers(1)[0]
    made.until_states(held=1)
    made.sim.resolve_all()
    made.until_states(closed=1, held=0)
    made.room = room
    return made


def hang(shop: Tenant, room: str) -> None:
    """The customer is back; the desk takes its time with our call, and answers all others at once."""
    shop.sim.faults(latency_ms=HANG_MS)
    shop.sim.write_again(room)
    shop.until(lambda: shop.visit(room).state == "reserved", what="the seat is reserved")
    wait_s(0.3)  # the call is at the desk
    shop.sim.faults(latency_ms=0)


def test_the_seat_of_a_resolved_room_is_given_to_nobody_while_the_old_call_may_still_be_applied(shop):
    room = shop.room
    hang(shop, room)
    shop.sim.resolve(room, by="admin")
    shop.sim.add_customers(1)
    wait_s(0.7)
    shop.sim.write_again(room)
    shop.until(lambda: shop.holder(room), 15, "the old call is applied")
    wait_s(0.5)
    shop.judge(LIMIT, within_s=20, in_order=False)
    shop.sim.resolve_all()
    shop.until_states(15, held=1, waiting=0, reserved=0)
    shop.judge(LIMIT, in_order=False)


@pytest.mark.long
def test_a_call_that_is_refused_after_the_resolve_gives_the_seat_to_the_next(shop):
    room = shop.room
    hang(shop, room)
    shop.sim.resolve(room, by="admin")
    (other,) = shop.sim.add_customers(1)
    wait_s(1.0)
    assert not shop.calls(other)
    shop.until(lambda: shop.holder(other), 10, "the next has the seat")
    assert shop.calls(room)[-1]["outcome"] == "400"
    assert shop.visit(room).state == "closed" and shop.visit(room).refusals == 0
    shop.judge(LIMIT)


@pytest.mark.parametrize("named", first_of([True, False]), ids=["names the last service", "names none"])
def test_a_customer_whose_webhook_overtakes_the_resolve_is_served_within_two_lags(shop, named):
    (room,) = shop.sim.add_customers(1)
    shop.until_states(held=1)
    shop.sim.faults(null_latest_service=not named, resolved_delay_s=0.2)
    shop.sim.resolve(room)
    shop.sim.write_again(room)
    started = time.monotonic()
    shop.until(lambda: shop.holder(room), 5, "the customer has an agent again")
    assert time.monotonic() - started < 2 * LAG_S + 1
    shop.judge(LIMIT, in_order=False)


@pytest.mark.long
def test_duplicates_of_short_chats_leave_no_ghost_and_no_free_seat_behind(home):
    shop = home.new_tenant("short", agents=3)
    swept = "SELECT FROM tenants WHERE id = %s AND swept_at > '-infinity'"
    shop.until(lambda: home.rows(swept, shop.id), what="a new tenant's first sweep is over: it would learn the rooms")
    shop.sim.add_customers(1)
    shop.until_states(held=1)
    shop.sim.resolve_all()
    shop.until_states(closed=1, held=0)
    shop.sim.faults(webhook_copies=2, webhook_copy_gap_s=0.5, auto_resolve_s=0.3, auto_resolve_jitter_s=1.0)
    shop.sim.add_customers(30)
    shop.until(lambda: shop.all_over(31), 40, "all were served once, and nothing is open")
    assert shop.drift().get("missed_resolve", 0) == 0
    shop.judge(LIMIT)
