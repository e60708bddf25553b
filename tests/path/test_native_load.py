"""Our own chat beside a busy Qiscus tenant: 20 agents with limit 2, 100 customers at once, one line, nobody over."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
import pytest
import redis
from psycopg2.extras import NamedTupleCursor

from db import tickets
from db.chat import CHAT
from tests.house import House, street
from tests.services.native_world import NativeWorld

AGENTS, LIMIT, CUSTOMERS = 20, 2, 100
SHOP = "shop"
SEATS = "SELECT agent, count(*)::integer AS n FROM visits WHERE tenant = %s AND agent IS NOT NULL GROUP BY agent"
CHATS = "SELECT agent, count(*)::integer AS n FROM sessions WHERE tenant = %s AND status = 'active' GROUP BY agent"


@pytest.fixture
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, workers=2, MAX_AGENT_CHAT=str(LIMIT)) as made:
        yield made


class Watch:
    """Looks at the shop as often as it can, on a connection of its own."""

    def __init__(self, database_url: str) -> None:
        self.looks = 0
        self.over: list[tuple[str, str, int]] = []
        self.places: dict[str, list[int]] = defaultdict(list)
        self._database_url = database_url
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(10)

    def _run(self) -> None:
        with closing(psycopg2.connect(self._database_url, cursor_factory=NamedTupleCursor)) as conn:
            conn.autocommit = True
            with conn.cursor() as cur:
                while not self._stop.is_set():
                    for what, sql in (("seats", SEATS), ("chats", CHATS)):
                        cur.execute(sql, (SHOP,))
                        self.over += [(what, row.agent, row.n) for row in cur.fetchall() if row.n > LIMIT]
                    for row in CHAT.all(cur, "places", tenant=SHOP, most=CUSTOMERS):
                        self.places[row.room].append(row.position)
                    self.looks += 1


def test_100_customers_are_served_in_order_by_20_agents_who_never_have_more_than_two(home):
    shop = NativeWorld(home.database_url, SHOP, desk=None)
    shop.people(AGENTS, offline=0)
    for agent in shop.agents():
        shop.go(agent, True)
    queue = tickets.queue(redis.Redis.from_url(home.env["REDIS_URL"]))
    qiscus, watch = home.new_tenant("busy", agents=10), Watch(home.database_url)
    ended = threading.Event()

    def load_qiscus() -> None:
        while not ended.is_set():
            qiscus.sim.add_customers(20)
            time.sleep(0.2)  # a pace, not a wait

    def talk() -> None:
        """Chats end at random, until nobody is left."""
        while len(done) < CUSTOMERS:
            rows = shop.rows("SELECT v.room FROM visits v WHERE v.tenant = %s AND v.state = 'held'")
            for row in random.sample(rows, k=(len(rows) + 2) // 3):
                shop.end(row.room)
                done.append(row.room)
                tickets.ask(queue, SHOP, due=True)

    done: list[str] = []
    with watch.running(), ThreadPoolExecutor(2) as pool:
        busy = pool.submit(load_qiscus)
        rooms = []
        for _ in range(CUSTOMERS):
            rooms.append(shop.arrive())
            tickets.ask(queue, SHOP, due=True)
        talking = pool.submit(talk)
        try:
            home.until(talking.done, 60, "all chats came to an end")
        finally:
            ended.set()
        talking.result()
        busy.result()
    shop.close()
    assert sorted(done) == sorted(rooms)
    assert home.reserved_order(SHOP) == rooms
    assert watch.over == []
    assert watch.looks > 50
    assert [room for room, places in watch.places.items() if places != sorted(places, reverse=True)] == []
    assert home.drift(SHOP) == {}
    qiscus.until_states(held=10 * LIMIT)
