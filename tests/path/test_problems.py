"""Every sentence of "Now" is made true by doing it, is told to an operator by `/ops`, and is gone once it is mended."""

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import requests

from db import operators
from db.inbox import key, limit_key
from testbed.chathouse import ChatHouse, chat_house
from testbed.deadlines import eventually
from testbed.house import APP
from testbed.passwords import PASSWORD, hash_of
from testbed.servers import Databases, OwnServer, free_port
from testbed.simulated import simulator
from testbed.tenant import Tenant, room_names

LIMIT, TARGET_S, SEEN_S, ASKED_EACH_S = 1, 2, 30.0, 0.5
BALI = """[queues.bali]
agents = {{ divisions = ["{division}"] }}
[default]
queue = "bali"
"""
SHUT = """[hours]
timezone = "Asia/Jakarta"
open = ["mon-sun 00:00-24:00"]
closed = ["{:%Y-%m-%d}..{:%Y-%m-%d}"]
"""
USUAL = """INSERT INTO minutes
    (tenant, at, queue, waiting, arrived, assigned, resolved, abandoned, waits, seats_taken, seats_free)
SELECT %s, date_trunc('minute', clock_timestamp()) - days * interval '1 day' - minutes * interval '1 minute', '',
       0, 1, 1, 1, 0, '{1}', 0, 1
  FROM generate_series(1, 7) days, generate_series(10, 170) minutes"""


class Desk:
    """A tenant of a simulated Qiscus with two agents, and what an operator is told of it."""

    def __init__(self, home: ChatHouse, shop: Tenant, token: str) -> None:
        self.home, self.shop, self._token = home, shop, token
        self.agents = [agent["id"] for agent in shop.sim.agents()]

    def problems(self) -> dict[str, str]:
        """Code → sentence. No faster than the server lets one ask."""
        time.sleep(ASKED_EACH_S)
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = requests.get(f"{self.home.sidecar.url}/api/v1/ops/overview", headers=headers, timeout=10)
        answer.raise_for_status()
        [found] = [each for each in answer.json()["tenants"] if each["tenant"] == self.shop.id]
        return {each["code"]: each["message"] for each in found["problems"]}

    def says(self, code: str, *words: str) -> None:
        told = eventually(lambda: self.problems().get(code), SEEN_S, f"{code} is told; {self.problems()}")
        assert all(word in told for word in words), told

    def is_well(self) -> None:
        eventually(lambda: not self.problems(), SEEN_S, f"nothing is wrong any more; {self.problems()}")

    def applies(self, content: str, path: Any) -> None:
        path.write_text(content)
        done = self.home.house.giliran("routing", "apply", str(path), "--yes", "--tenant", self.shop.id)
        assert done.returncode == 0, done.stdout + done.stderr

    def fills(self) -> list[str]:
        """Both agents have a chat."""
        rooms = self.shop.sim.add_customers(len(self.agents))
        self.shop.until_states(held=len(self.agents))
        return rooms


@pytest.fixture
def desk(_databases: Databases, own_valkey: OwnServer) -> Iterator[Desk]:
    port, sim_port = free_port(), free_port()
    given = {"MAX_AGENT_CHAT": str(LIMIT), "SERVICE_LEVEL_SECONDS": str(TARGET_S)}
    with (
        simulator(f"http://127.0.0.1:{port}", port=sim_port, prefix=f"/{APP}") as sim,
        chat_house(_databases, own_valkey.url, port=port, sim_port=sim_port, **given) as home,
    ):
        home.house._sim = sim
        shop = home.house.new_tenant("desk", agents=2, offline=0, divisions=" ")
        with home.ledger.transaction() as cur:
            operators.add(cur, "ops@example.com", "Ratna", hash_of(PASSWORD))
        login = {"email": "ops@example.com", "password": PASSWORD}
        answer = requests.post(f"{home.sidecar.url}/api/v1/auth/login", json=login, timeout=10)
        answer.raise_for_status()
        made = Desk(home, shop, answer.json()["token"])
        made.is_well()
        yield made


@pytest.mark.long
def test_what_is_wrong_with_workers_and_redis_is_told_until_it_is_mended(desk: Desk, own_valkey: OwnServer) -> None:
    house = desk.home.house
    house.kill_worker()
    desk.says("no_worker", "nothing moves")
    for number in range(101):
        house.arrive(f"late-{number}", desk.shop.id)
    desk.says("inbox_behind", "101 webhooks")
    house.start_worker(0)
    house.until(lambda: not house.redis.xlen(key(desk.shop.id, "inbox")), SEEN_S)
    house.run("DELETE FROM visits WHERE tenant = %s", desk.shop.id)
    desk.is_well()
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory", 1)
        desk.says("redis_away", "full")
        client.config_set("maxmemory", 0)
    desk.is_well()


@pytest.mark.long
def test_what_is_wrong_with_the_desk_and_its_webhooks_is_told_until_it_is_mended(desk: Desk) -> None:
    desk.home.run("UPDATE tenants SET secret_key = 'wrong' WHERE id = %s", desk.shop.id)
    desk.shop.sim.add_customers(1)
    desk.says("desk_paused", "401")
    desk.home.run("UPDATE tenants SET secret_key = 'demo-secret' WHERE id = %s", desk.shop.id)
    desk.is_well()
    desk.shop.sim.resolve_all()
    desk.home.run("DELETE FROM visits WHERE tenant = %s", desk.shop.id)
    desk.home.run("DELETE FROM minutes WHERE tenant = %s", desk.shop.id)
    desk.home.run(USUAL, desk.shop.id)
    desk.says("no_webhooks", "usual in this time")
    desk.shop.sim.add_customers(1)
    desk.is_well()


@pytest.mark.long
def test_what_holds_agents_back_is_told_until_it_is_over(desk: Desk, tmp_path: Any) -> None:
    sim, red = desk.shop.sim, desk.home.house.redis
    with _while(lambda: red.set(limit_key(desk.shop.id), 0), lambda: red.delete(limit_key(desk.shop.id))):
        desk.says("all_paused", "0 pauses everybody")
    desk.is_well()
    desk.home.run("UPDATE tenants SET draining = true WHERE id = %s", desk.shop.id)
    desk.says("drained", "nothing new")
    desk.home.run("UPDATE tenants SET draining = false WHERE id = %s", desk.shop.id)
    desk.is_well()
    served = desk.fills()
    [waits] = sim.add_customers(1)
    desk.says("all_full", "all 2 agents")
    sim.resolve(served[0])
    desk.shop.until(lambda: desk.shop.holder(waits))
    desk.is_well()
    for agent in desk.agents:
        sim.online(agent, False)
    sim.add_customers(1)
    desk.says("nobody_online", "customers wait")
    for agent in desk.agents:
        sim.online(agent)
    sim.resolve_all()
    desk.is_well()
    today, some_days = datetime.date.today(), datetime.timedelta(days=2)
    desk.applies(SHUT.format(today - some_days, today + some_days), tmp_path / "shut.toml")
    desk.says("shut")
    desk.applies("", tmp_path / "none.toml")
    desk.is_well()


def test_what_keeps_rooms_waiting_is_told_until_it_is_mended(desk: Desk, tmp_path: Any) -> None:
    sim = desk.shop.sim
    bali = sim.add_division("Bali", desk.agents[0])
    desk.applies(BALI.format(division="Bali"), tmp_path / "bali.toml")
    sim.online(desk.agents[0], False)
    [room] = sim.add_customers(1)
    desk.says("nobody_for_queue", "queue bali", "1 room")
    sim.change_division(bali, name="Denpasar")
    desk.says("rules_missing", "the desk has no division 'Bali'")
    sim.change_division(bali, name="Bali", members=desk.agents)
    desk.shop.until(lambda: desk.shop.holder(room) == [desk.agents[1]], SEEN_S)
    desk.is_well()
    sim.resolve(room)
    sim.online(desk.agents[0])
    bad, *good = room_names(4)
    sim.faults(fail_rooms={bad: 400})
    sim.add_customers(rooms=[bad, *good])
    for _ in range(8):
        desk.shop.until(sim.resolve_all, SEEN_S, "rooms are served beside the bad one")
        sim.add_customers(1)
    desk.says("quarantined", "1 room")
    sim.no_faults()
    sim.resolve_all(which="waiting", by="admin")
    desk.is_well()


@contextmanager
def _while(does: Callable[[], Any], undoes: Callable[[], Any]) -> Iterator[None]:
    does()
    try:
        yield
    finally:
        undoes()
