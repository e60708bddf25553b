"""A language model that never answers: the line goes on beside it."""

import asyncio
import time

import pytest

from sidecar.bot.ai import DEADLINE_S
from testbed.chathouse import chat_house
from testbed.chatpeople import People
from tests.model_server import KEY, model_server

QUESTION = "When are you open?"
CUSTOMERS, AGENTS = 8, 4


@pytest.mark.long
def test_while_the_model_hangs_everybody_gets_their_turn_and_the_agent_sees_what_was_asked(
    _databases, _redis_databases
) -> None:
    async def story() -> None:
        async with model_server() as model:
            model.does = "slow"
            told = {"AI_BASE_URL": model.url, "AI_API_KEY": KEY, "AI_MODEL": "small"}
            with chat_house(_databases, _redis_databases, receiver=False, **told) as home:
                shop = home.new_shop(limit=CUSTOMERS // AGENTS)
                faq = "INSERT INTO faq (tenant, question, answer) VALUES (%s, %s, %s)"
                home.run(faq, shop.id, QUESTION, "From nine to six.")
                names = [f"agent{n}" for n in range(AGENTS)]
                shop.hire(*names)
                async with People(home) as people:
                    customers = [await people.customer(shop, f"Budi {n}", QUESTION) for n in range(CUSTOMERS)]
                    await customers[0].until(lambda: model.at_once > 0, 10, "the model is asked")
                    begun = time.monotonic()
                    agents = [await people.agent(shop, name) for name in names]
                    for customer in customers:
                        await customer.until(
                            lambda customer=customer: customer.status == "active", DEADLINE_S, "a turn"
                        )
                    assert time.monotonic() - begun < DEADLINE_S, "nobody waited for the model to give up"
                    for agent in agents:
                        for room in agent.mine:
                            assert QUESTION in agent.bodies(room)

    asyncio.run(story())
