"""Our own chat in the line, with real workers: sessions get agents in order, under the limit, also after a kill -9."""

from collections import Counter
from collections.abc import Iterator

import pytest

from db import tickets
from testbed.deadlines import wait_s
from testbed.house import House, house
from testbed.log_checks import stack_traces
from testbed.servers import free_port
from tests.services.native_world import NativeWorld

LIMIT = 2
SHOP = "shop"


@pytest.fixture(scope="module")
def _home(_databases, _redis_databases) -> Iterator[House]:
    redis_url = _redis_databases.next_url()
    with _databases.clone() as database_url, house(database_url, redis_url, free_port(), MAX_AGENT_CHAT="2") as home:
        yield home
        traces = stack_traces(home.log())
        assert not traces, traces[0][:3000]


class Shop(NativeWorld):
    """A native tenant of a house."""

    def __init__(self, home: House) -> None:
        super().__init__(home.database_url, SHOP, desk=None)
        self.home = home
        self._tickets = tickets.queue(home.redis.from_url(home.env["REDIS_URL"]))

    def ask(self) -> None:
        tickets.ask(self._tickets, SHOP, due=True)

    def given(self) -> dict[str, str]:
        """Room → agent, by the sessions."""
        sql = "SELECT room, agent FROM sessions WHERE tenant = %s AND status = 'active' ORDER BY id"
        return {row.room: row.agent for row in self.rows(sql)}

    def until_settled(self, held: int, waiting: int, within_s: float = 10.0) -> None:
        """The ledger's visits, and the sessions the same."""

        def settled() -> bool:
            states = self.home.states(SHOP)
            return (states.get("held", 0), states.get("waiting", 0), states.get("reserved", 0)) == (held, waiting, 0)

        self.home.until(settled, within_s, f"{held} held, {waiting} waiting")
        sql = "SELECT room, agent FROM visits WHERE tenant = %s AND state = 'held' ORDER BY id"
        assert {row.room: row.agent for row in self.rows(sql)} == self.given()


@pytest.fixture
def shop(_home) -> Iterator[Shop]:
    _home.only_worker()
    made = Shop(_home)
    made.people(agents=3, offline=1)
    for agent in made.agents():
        made.go(agent, True)
    yield made
    made.close()
    for table in ("visits", "sessions", "accounts", "tenants"):
        _home.run(f"DELETE FROM {table} WHERE {'id' if table == 'tenants' else 'tenant'} = %s", SHOP)


def test_the_oldest_sessions_get_the_seats_and_the_next_one_gets_the_one_that_is_freed(shop):
    rooms = [shop.arrive() for _ in range(8)]
    shop.ask()
    shop.until_settled(held=6, waiting=2)
    given = shop.given()
    assert list(given) == rooms[:6]
    assert Counter(given.values()) == dict.fromkeys(shop.agents(), LIMIT)
    assert shop.home.reserved_order(SHOP) == rooms[:6]
    shop.end(rooms[1])
    shop.ask()
    shop.until_settled(held=6, waiting=1)
    assert shop.given()[rooms[6]] == given[rooms[1]]


def test_a_session_whose_ticket_was_lost_is_found_by_the_sweeper(shop):
    """Also the first one ever, of which no roster was read."""
    first = shop.arrive()
    shop.until_settled(held=1, waiting=0, within_s=3)
    second = shop.arrive()
    shop.until_settled(held=2, waiting=0, within_s=3)
    assert set(shop.given()) == {first, second}


def test_nobody_online_is_nobody_given_and_who_comes_is_served(shop):
    for agent in shop.agents():
        shop.go(agent, False)
    room = shop.arrive()
    shop.ask()
    shop.home.until(lambda: shop.rows("SELECT 1 FROM rosters WHERE tenant = %s AND read_at > '-infinity'"))
    assert shop.given() == {}
    late = shop.agents(online=False)[0]
    shop.go(late, True)
    shop.until_settled(held=1, waiting=0, within_s=10)
    assert shop.given() == {room: late}


@pytest.mark.long
def test_workers_that_are_killed_in_a_burst_leave_one_agent_a_session_and_nobody_over(shop):
    shop.home.start_worker()
    for number in (0, 1, 0, 1):
        for _ in range(3):
            shop.arrive()
        shop.ask()
        shop.home.kill_worker(number)
        shop.home.start_worker(number)
    shop.until_settled(held=6, waiting=6, within_s=20)
    assert Counter(shop.given().values()) == dict.fromkeys(shop.agents(), LIMIT)
    sql = (
        "SELECT s.room, count(*)::integer AS n FROM sessions s JOIN messages m ON m.session = s.id"
        " WHERE s.tenant = %s AND m.event->>'type' = 'assigned' GROUP BY 1"
    )
    assert {row.room: row.n for row in shop.rows(sql)} == dict.fromkeys(shop.given(), 1)


@pytest.mark.long
def test_comparing_the_line_with_the_sessions_finds_nothing_to_heal(shop):
    rooms = [shop.arrive() for _ in range(7)]
    shop.ask()
    shop.until_settled(held=6, waiting=1)
    given = shop.given()
    shop.home.run("UPDATE tenants SET swept_at = '-infinity'")
    shop.run("UPDATE visits SET settled_at = settled_at - interval '1 hour' WHERE tenant = %s")
    looked = (
        "SELECT count(*)::integer AS n FROM visits WHERE tenant = %s AND looked_at > settled_at + interval '1 minute'"
    )
    shop.home.until(lambda: shop.rows(looked)[0].n == 6, 15, "all held ones were looked at")
    shop.until_settled(held=6, waiting=1)
    assert shop.given() == given
    assert shop.home.drift(SHOP) == {}
    assert rooms[6] not in given


@pytest.mark.long
def test_nobody_can_post_webhooks_for_our_own_chat(shop):
    """Before the receiver was told of any tenant it can't know: then the worker drops them."""
    room = shop.arrive()
    for body, path in (
        ({"app_id": SHOP, "room_id": room}, "/allocate-agent/webhook"),
        ({"room_id": room}, f"/{SHOP}/allocate-agent/webhook"),
        ({"service": {"id": 1, "room_id": room, "is_resolved": True}}, f"/{SHOP}/mark-as-solved/webhook"),
    ):
        answer = shop.home.post(body, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_app")
    shop.home.redis.delete("giliran:tenants")
    shop.home.post({"service": {"id": 1, "room_id": room, "is_resolved": True}}, f"/{SHOP}/mark-as-solved/webhook")
    shop.home.until(lambda: shop.home.redis.exists("giliran:tenants") and not shop.home.redis.xlen("giliran:unsorted"))
    shop.until_settled(held=1, waiting=0)
    wait_s(0.6)  # one more look of the sweeper
    assert shop.given().keys() == {room}
