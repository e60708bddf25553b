"""Two tenants side by side: the same room ids, different limits, and a desk of one that hangs."""

from collections.abc import Iterator

import pytest

from db.inbox import limit_key
from testbed.figures import figures
from testbed.house import House, street
from testbed.installation import APP
from testbed.tenant import Tenant, room_names

OTHER = "other-qiscus"
LIMIT = 2


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    plan = {"agents": 3, "offline": 0, "more_apps": (OTHER,)}
    with street(_databases, _redis_databases, sim=plan, DESK_LAG_SECONDS="1") as made:
        yield made


@pytest.fixture(scope="module")
def both(home) -> tuple[Tenant, Tenant]:
    return home.first_tenant(), home.new_tenant(app=OTHER)


@pytest.mark.long
def test_the_same_room_ids_at_two_tenants_do_not_touch_each_other(home, both):
    one, other = both
    home.redis.set(limit_key(other.id), 3)
    rooms = room_names(12)
    for tenant in both:
        tenant.sim.faults(webhook_copies=2, webhook_copy_gap_s=0.1)
        tenant.sim.add_customers(rooms=rooms)
    one.until_states(held=6, waiting=6)
    other.until_states(held=9, waiting=3)
    for room in list(other.sim.holders()):
        other.sim.resolve(room)
    other.until_states(closed=9, held=3, waiting=0)
    one.until_states(held=6, waiting=6)
    one.judge(2)
    other.judge(3)
    for tenant in both:
        tenant.sim.resolve_all(which="open")
        tenant.until_states(15, closed=12)


@pytest.mark.long
def test_the_root_path_takes_no_resolve_that_could_be_anybodys(home, both):
    body = {"service": {"id": 7, "room_id": "any", "is_resolved": True}}
    answer = home.post(body, "/mark-as-solved/webhook")
    assert answer.status_code == 400
    assert "app_id" in answer.text
    assert home.post(body, f"/{OTHER}/mark-as-solved/webhook").status_code == 200
    clash = home.post({"app_id": APP, "room_id": "any"}, f"/{OTHER}/allocate-agent/webhook")
    assert clash.status_code == 400
    assert home.post({"app_id": "nobody", "room_id": "any"}).status_code == 404


def test_a_desk_that_hangs_slows_nobody_else_down(home, both):
    """H6: more rooms than callers for one tenant, each call hanging for longer than we wait."""
    stuck, other = both
    stuck.sim.faults(fail_p=1, fail_kinds=["timeout_before"], hang_s=15)
    stuck.sim.add_customers(20)
    stuck.until(lambda: stuck.states().get("reserved", 0) > 0 or stuck.sim.state()["calls"].get("roster"))
    before = other.sim.history(events=0)["last"]
    for _ in range(10):
        room = other.sim.add_customers(1)[0]
        other.until(lambda r=room: other.holder(r), 8, "the other tenant's room is served")
        other.sim.resolve(room)
    served = other.sim.history(kinds="assigned", since=before)["events"]
    figures("beside a hanging desk: arrival -> assigned, ms", [event["waited_s"] * 1000 for event in served])
    assert len(served) == 10
    other.judge(3)
    stuck.sim.no_faults()
