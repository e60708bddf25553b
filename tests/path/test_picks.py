"""Agents who pick by hand while real workers give the same customers out: everybody is served once, nobody is over."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from testbed.chathouse import ChatHouse, Shop, chat_house
from testbed.chatpeople import AgentPage, Customer, People

AGENTS, LIMIT, CUSTOMERS = 6, 2, 30
HEAD = 4  # of the queue that everybody reaches for at once
PAUSE_S = 0.05


@pytest.fixture
def home(_databases, _redis_databases) -> Iterator[ChatHouse]:
    with chat_house(_databases, _redis_databases, workers=2, sidecars=2, receiver=False) as made:
        yield made


@pytest.mark.long
def test_picks_beside_the_worker_serve_everybody_once_and_nobody_is_over(home: ChatHouse) -> None:
    async def story() -> Counter[str]:
        shop = home.new_shop(limit=LIMIT)
        names = [f"agent{n}" for n in range(AGENTS)]
        shop.hire(*names)
        async with People(home) as people:
            agents = [await people.agent(shop, name) for name in names]
            for agent in agents[::2]:  # they get nothing but what they pick
                assert (await agent.rest("PUT", "/me/presence", json={"presence": "away"}))[0] == 200
            said: Counter[str] = Counter()
            customers = list(await asyncio.gather(*(people.customer(shop, f"Budi {n}") for n in range(CUSTOMERS))))
            async with asyncio.timeout(60):
                await asyncio.gather(*(_pick_and_end(agent, customers, said) for agent in agents))
            _judge(shop, customers)
        return said

    said = asyncio.run(story())
    assert set(said) <= {"picked", "already_taken", "at_max_load", "session_ended"}, said
    assert said["picked"] > 0, said
    assert said["already_taken"] + said["at_max_load"] > 0, said


async def _pick_and_end(agent: AgentPage, customers: list[Customer], said: Counter[str]) -> None:
    """Reach for the head of the queue as all others do, then end what one has; until nobody is left."""
    ended: set[str] = set()
    while any(customer.status != "ended" for customer in customers):
        queue = (await agent.get("/queue"))["sessions"][:HEAD]
        picks = (agent.rest("POST", f"/queue/{session['session_id']}/pick") for session in queue)
        for status, answer in await asyncio.gather(*picks):
            said["picked" if status == 200 else answer["error"]["code"]] += 1
        for room in sorted(agent.mine - ended)[:1]:
            await agent.end(room)
            ended.add(room)
        await asyncio.sleep(PAUSE_S)


def _judge(shop: Shop, customers: list[Customer]) -> None:
    most = shop.most_at_once()
    assert max(most.values()) <= LIMIT, most
    for customer in customers:
        events = [row.event["type"] for row in shop.rows(customer.room) if row.event]
        assert events == ["started", "assigned", "ended"], (customer, events)
    assert shop.home.house.states(shop.id) == {"closed": len(customers)}
    sql = "SELECT count(*) AS n FROM agents WHERE tenant = %s AND open_seats <> 0"
    assert shop.home.house.rows(sql, shop.id)[0].n == 0
