"""100 customers of our own chat at once, 20 agents with limit 2, beside a Qiscus tenant under load: nobody is over the
limit at any instant, places in line only count down, everybody is served in order."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from testbed.chathouse import ChatHouse, Shop, chat_house
from testbed.chatpeople import AgentPage, Customer, People
from testbed.installation import APP
from testbed.servers import free_port
from testbed.simulated import simulator
from testbed.tenant import Tenant

LIMIT = 2
LATE_S = 3.0  # how old a place may be that somebody reads, on a machine with much to do
ENDS_AT_ONCE = 4
LOAD = 10  # customers of the Qiscus tenant at a time


@pytest.fixture
def home(_databases, _redis_databases) -> Iterator[ChatHouse]:
    port, sim_port = free_port(), free_port()
    with (
        simulator(f"http://127.0.0.1:{port}", agents=10, prefix=f"/{APP}", port=sim_port) as sim,
        chat_house(_databases, _redis_databases, workers=2, sidecars=2, port=port, sim_port=sim_port) as made,
    ):
        made.house._sim = sim
        yield made


@pytest.mark.long
@pytest.mark.parametrize(("number", "agents"), [(30, 6), pytest.param(100, 20, marks=pytest.mark.long)])
def test_customers_at_once_are_served_in_order_and_nobody_is_over(home: ChatHouse, number: int, agents: int) -> None:
    async def story() -> None:
        shop = home.new_shop(limit=LIMIT)
        names = [f"agent{n}" for n in range(agents)]
        shop.hire(*names)
        qiscus = home.house.first_tenant()
        over = asyncio.Event()
        async with People(home) as people:
            load = asyncio.create_task(_load(qiscus, over))
            crew = [await people.agent(shop, name) for name in names]
            customers = list(await asyncio.gather(*(people.customer(shop, f"Budi {n}") for n in range(number))))
            await _serve(shop, crew, customers)
            over.set()
            rooms = await load
            for customer in customers:
                await customer.until(lambda customer=customer: customer.status == "ended")
            _judge(shop, customers, agents * LIMIT)
        await asyncio.to_thread(_judge_qiscus, qiscus, rooms)

    asyncio.run(story())


async def _serve(shop: Shop, agents: list[AgentPage], customers: list[Customer]) -> None:
    """Chats are answered and ended, a few at a time, until nobody is left."""
    deadline, ended = time.monotonic() + 90, set[str]()
    watcher = agents[0]
    while len(ended) < len(customers):
        given = [(agent, room) for agent in agents for room in sorted(agent.mine - ended)]
        assert time.monotonic() < deadline, f"{len(ended)} ended, {len(given)} given"
        for agent, room in given[:ENDS_AT_ONCE]:
            agent.say("good bye", room)
            await agent.all_acked()
            await agent.end(room)
            ended.add(room)
        if not given:
            watcher._moved.clear()
            await asyncio.wait_for(watcher._moved.wait(), 10)
    states = shop.home.house.states(shop.id)
    assert states == {"closed": len(customers)}, states


async def _load(qiscus: Tenant, over: asyncio.Event) -> int:
    """The other desk has as much to do as it can take."""
    rooms = 0
    while not over.is_set():
        if len(await asyncio.to_thread(qiscus.sim.waiting)) < LOAD:
            await asyncio.to_thread(qiscus.sim.add_customers, LOAD)
            rooms += LOAD
        await asyncio.to_thread(qiscus.sim.resolve_all)
        await asyncio.sleep(0.05)
    return rooms


def _judge_qiscus(qiscus: Tenant, rooms: int) -> None:
    def over() -> bool:
        qiscus.sim.resolve_all()
        return qiscus.all_over(rooms)

    qiscus.until(over, 60, f"all {rooms} rooms of the other tenant are over")
    qiscus.judge(LIMIT)


def _judge(shop: Shop, customers: list[Customer], seats: int) -> None:
    most = shop.most_at_once()
    assert set(most) == set(shop.ids.values())
    assert max(most.values()) <= LIMIT, most
    house = shop.home.house
    assert house.reserved_order(shop.id) == house.arrival_order(shop.id)
    waited = 0
    for customer in customers:
        places = customer.places
        assert places == sorted(places, reverse=True), f"{customer} went back: {places}"
        told = customer.of("chat.queue.position")
        waited += len({payload["position"] for payload in told}) > 1
    assert waited >= (len(customers) - seats) // 2, "hardly anybody saw the line move"
    _judge_places(shop, customers)


def _judge_places(shop: Shop, customers: list[Customer]) -> None:
    """A place counts down by those who got their turn, one by one, and by nobody else: whatever was told was so by the
    ledger's own times, at that instant or at most `LATE_S` before; the first one, while it was asked for."""
    sql = (
        "SELECT room, extract(epoch FROM reserved_at)::float8 AS left_at FROM visits WHERE tenant = %s"
        " ORDER BY priority DESC, arrived_us, id"
    )
    line = shop.home.house.rows(sql, shop.id)
    number = {row.room: n for n, row in enumerate(line)}
    for customer in customers:
        before_and_own = line[: number[customer.room] + 1]
        since = [customer.asked_at, *(at - LATE_S for at in customer.placed_at[1:])]
        for place, *span in zip(customer.places, customer.placed_at, since, strict=True):
            least, most = (sum(row.left_at > when for row in before_and_own) for when in span)
            assert max(least, 1) <= place <= max(most, 1), f"{customer}: {place} was told, true was {most} to {least}"
