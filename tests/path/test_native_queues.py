"""Queues of our own chat, with a real worker and sidecar: who comes online is given who waits for their division."""

import asyncio
from pathlib import Path

from testbed.chathouse import Shop, chat_house
from testbed.chatpeople import Customer, People

RULES = """
[queues.sales]
agents = { divisions = ["Sales"] }
[queues.support]
agents = { divisions = ["Support"] }
[[topics]]
label = { en = "Buy something", id = "Pembelian" }
queue = "sales"
[default]
queue = "support"
"""
SOON_S = 8.0  # rosters are believed for a minute here


def given(shop: Shop, *customers: Customer) -> list[str | None]:
    """Who has each of these chats."""
    names = {agent: name for name, agent in shop.ids.items()}
    sql = "SELECT room, agent FROM sessions WHERE tenant = %s AND status = 'active'"
    found = {row.room: names[row.agent] for row in shop.home.house.rows(sql, shop.id)}
    return [found.get(customer.room) for customer in customers]


def test_who_comes_online_is_given_who_waits_for_their_division(_databases, _redis_databases, tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async with People(shop.home) as people:
            await people.agent(shop, "budi")
            buyer = await people.customer(shop, "Buyer", topic="Pembelian")
            asker = await people.customer(shop, "Asker")
            await asker.until(lambda: given(shop, buyer, asker) == [None, "budi"])
            ani = await people.agent(shop, "ani")
            await buyer.until(lambda: given(shop, buyer) == ["ani"], SOON_S)
            assert (await ani.rest("PUT", "/me/presence", json={"presence": "away"}))[0] == 200
            second = await people.customer(shop, "Second", topic="Buy something")
            third = await people.customer(shop, "Third")
            await third.until(lambda: given(shop, second, third) == [None, "budi"])
            assert (await ani.rest("PUT", "/me/presence", json={"presence": "online"}))[0] == 200
            await second.until(lambda: given(shop, second) == ["ani"], SOON_S)
            fourth = await people.customer(shop, "Fourth", topic="Pembelian")
            shop.hire("citra")  # ani is full, and no roster names citra
            shop.home.run("UPDATE accounts SET divisions = '{Sales}' WHERE agent = %s", shop.ids["citra"])
            await people.agent(shop, "citra")
            await fourth.until(lambda: given(shop, fourth) == ["citra"], SOON_S)

    with chat_house(_databases, _redis_databases, receiver=False, RETRY_SECONDS="60") as home:
        shop = home.new_shop(limit=2)
        shop.hire("ani", "budi")
        rules = tmp_path / "rules.toml"
        rules.write_text(RULES)
        for words in (
            ("agent", "divisions", shop.email("ani"), "Sales"),
            ("agent", "divisions", shop.email("budi"), "Support"),
            ("routing", "apply", str(rules), "--yes"),
        ):
            done = home.house.giliran(*words, "--tenant", shop.id)
            assert done.returncode == 0, done.stderr
        asyncio.run(story(shop))
