"""A page without a network for 20 s while the other side writes 30 messages: what it shows afterwards, and how soon.

The suite does the same in 3 s, see tests/path/test_chat_storm.py.
"""

import asyncio
import time
from typing import Any

from scripts.measure.stage import servers
from testbed.chathouse import ChatHouse, chat_house
from testbed.chatpeople import AgentPage, Customer, People

AWAY_S, MESSAGES = 20.0, 30


def measure(rounds: int) -> dict[str, Any]:
    with servers() as (database_url, redis_url), chat_house(database_url, redis_url) as home:
        return {
            who: [asyncio.run(_story(home, who == "customer")) for _ in range(rounds)] for who in ("customer", "agent")
        }


async def _story(home: ChatHouse, customer_goes: bool) -> dict[str, Any]:
    shop = home.new_shop()
    shop.hire("ani")
    async with People(home) as people:
        ani = await people.agent(shop, "ani")
        budi = await people.customer(shop, "Budi", "hello")
        await budi.until(lambda: budi.status == "active")
        away, here = (budi, ani) if customer_goes else (ani, budi)
        said = await _write(here, away, budi.room)
        away.come_back()
        back = time.monotonic()
        await away.until(lambda: away.got(budi.room) == here.got(budi.room))
        took_s = time.monotonic() - back
        people.judge(shop, [budi], [ani])
        shown = [body for body in away.bodies(budi.room) if body in said]
        return {"sent": len(said), "shown_once_in_order": shown == said, "after_the_return_s": round(took_s, 2)}


async def _write(here: AgentPage | Customer, away: AgentPage | Customer, room: str) -> list[str]:
    await away.drop()
    said = [f"message {n}" for n in range(MESSAGES)]
    for body in said:
        here.say(body, room)
        await asyncio.sleep(AWAY_S / MESSAGES)
    await here.all_acked()
    return said
