"""A room is resolved while the call that gives it to an agent is under way (H14): the seat stays taken until the call
has its answer, so nobody ever has one chat too many.
"""

from collections.abc import Iterator

import pytest

from tests.house import House, Tenant, street, wait_s

LIMIT = 1
HANG_MS = 6000


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    clocks = {"DESK_LAG_SECONDS": "1", "IDLE_SECONDS": "60", "RETRY_SECONDS": "60"}
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
