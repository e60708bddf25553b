"""Divisions and the bot of a desk while rooms wait: what a house with rules makes of changes, of a death, of a bot that
hangs.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.house import House, street
from testbed.tenant import Tenant

LIMIT = 1
RULES = """
[messages]
queued = "Nomor {position}"
[queues.bali]
agents = { divisions = ["Bali"] }
[default]
queue = "bali"
"""
SEEN_S = 20.0  # RETRY_SECONDS and a lag are 5; the rest is for a busy machine
ASSIGN_S = 5.0  # from a resolve to the next assign; half a second on a machine that has nothing else to do


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, MAX_AGENT_CHAT=str(LIMIT)) as made:
        yield made


@pytest.fixture
def shop(home: House, tmp_path: Path) -> Iterator[Tenant]:
    """Two agents: the first is of Bali, the second of Jakarta."""
    made = home.new_tenant("teams", agents=2, offline=0, divisions=" ")
    bali, jakarta = (agent["id"] for agent in made.sim.agents())
    made.sim.add_division("Bali", bali)
    made.sim.add_division("Jakarta", jakarta)
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    done = home.giliran("routing", "apply", str(path), "--yes", "--tenant", made.id)
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    home.only_worker()
    home.forget_tenants()


def test_a_division_that_is_renamed_or_emptied_is_told_and_gives_nothing_and_who_moves_in_serves(shop: Tenant) -> None:
    bali, jakarta = (agent["id"] for agent in shop.sim.agents())
    division = shop.sim.divisions()["Bali"]["id"]
    [first] = shop.sim.add_customers(1)
    shop.until(lambda: shop.holder(first) == [bali])
    [waits] = shop.sim.add_customers(1)
    shop.until_states(held=1, waiting=1)
    shop.sim.change_division(division, name="Denpasar")
    shop.until(lambda: "the desk has no division 'Bali'" in _why(shop, waits), SEEN_S, "it is told that it is gone")
    shop.sim.resolve(first)
    shop.until_states(closed=1, waiting=1)
    shop.sim.change_division(division, name="Bali", members=[])
    shop.until(lambda: "the division 'Bali' is empty" in _why(shop, waits), SEEN_S, "it is told that it is empty")
    assert shop.states() == {"closed": 1, "waiting": 1}, "both agents are free, and none of them may serve it"
    shop.sim.move(jakarta, division)
    shop.until(lambda: shop.holder(waits) == [jakarta], SEEN_S, "who has moved in serves it")
    assert [call["agent"] for call in shop.calls(waits)] == [str(jakarta)]


def test_a_text_whose_worker_dies_while_it_is_sent_is_not_sent_again(shop: Tenant) -> None:
    """Once where the desk had it already, never where it had not."""
    for kind, times in (("timeout_after", 1), ("timeout_before", 0)):
        shop.sim.online(shop.sim.agents()[0]["id"], False)
        shop.sim.faults(fail_on=("bot",), fail_p=1, fail_kinds=(kind,), hang_s=600)
        before = _bot_calls(shop)
        [room] = shop.sim.add_customers(1)
        shop.until(lambda before=before: _bot_calls(shop) > before, SEEN_S, "the text is under way")
        shop.home.kill_worker()
        shop.sim.no_faults()
        shop.home.start_worker(0)
        [later] = shop.sim.add_customers(1)
        shop.until(lambda later=later: shop.sim.said(later), SEEN_S, "texts are sent again")
        assert len(shop.sim.said(room)) == times
        shop.sim.resolve_all(which="waiting", by="admin")


def test_a_text_that_stood_in_the_queue_until_its_room_was_over_is_not_sent(shop: Tenant) -> None:
    """Some are under way, as many as can be; the others are claimed, and wait behind them."""
    shop.sim.online(shop.sim.agents()[0]["id"], False)
    shop.sim.faults(fail_on=("bot",), fail_p=1, fail_kinds=("timeout_before",), hang_s=600)
    rooms = shop.sim.add_customers(3)
    shop.until_states(waiting=3)
    sql = "SELECT outcome FROM notices WHERE tenant = %s AND claimed_at IS NOT NULL"
    shop.until(lambda: len(shop.home.rows(sql, shop.id)) == 3, SEEN_S, "all three are claimed")
    shop.sim.resolve_all(which="waiting", by="admin")
    shop.until_states(closed=3)
    shop.sim.no_faults()
    shop.until(lambda: all(row.outcome for row in shop.home.rows(sql, shop.id)), SEEN_S, "all of them are over")
    assert not [room for room in rooms if shop.sim.said(room)]


def test_a_bot_that_hangs_delays_no_assign(shop: Tenant) -> None:
    """All its calls hang for longer than the test; rooms are given on as fast as ever."""
    shop.sim.faults(fail_on=("bot",), fail_p=1, fail_kinds=("timeout_before",), hang_s=600)
    rooms = shop.sim.add_customers(12)
    shop.until_states(held=1, waiting=11)
    shop.until(lambda: _bot_calls(shop) >= 2, SEEN_S, "as many texts hang as can be under way")
    for served in range(1, 5):
        [now] = shop.until(shop.sim.holders)
        shop.sim.resolve(now)
        shop.until(lambda n=served: len(shop.calls()) > n, ASSIGN_S, "the next one has the agent")
    assert not [room for room in rooms if shop.sim.said(room)]


def _why(shop: Tenant, room: str) -> str:
    return shop.home.giliran("why", room, "--tenant", shop.id).stdout


def _bot_calls(shop: Tenant) -> int:
    return int(shop.sim.state()["calls"].get("bot", 0))
