"""P8 while sidecars are killed and networks fail: what was acknowledged is stored, and every page shows every message
once, in order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from testbed.chathouse import ChatHouse, Shop, chat_house
from testbed.chatpeople import AgentPage, Customer, People
from tests.variants import first_of

ROOMS, FEWER, AGENTS = 50, 20, 5
PAUSE_S = 0.25  # between two messages of one person in one room
BUSY_S = 1.5  # before the kill, and after the return
AWAY_S = 3.0  # how long a page has no network; `./scripts/bench away` takes 20 s


@pytest.fixture
def home(_databases, _redis_databases) -> Iterator[ChatHouse]:
    with chat_house(_databases, _redis_databases, receiver=False) as made:
        yield made


class Busy:
    """Rooms in which both sides write all the time."""

    def __init__(self, people: People, shop: Shop, rooms: int, agents: int) -> None:
        self.people, self.shop = people, shop
        self._rooms, self._names = rooms, [f"agent{n}" for n in range(agents)]
        self.customers: list[Customer] = []
        self.agents: list[AgentPage] = []
        self._writers: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        self.shop.hire(*self._names)
        for name in self._names:
            self.agents.append(await self.people.agent(self.shop, name))
        for n in range(self._rooms):
            self.customers.append(await self.people.customer(self.shop, f"Budi {n}", f"hello from {n}"))
        for customer in self.customers:
            await customer.until(lambda customer=customer: customer.status == "active", 30, "an agent")
        for agent in self.agents:
            await agent.until(lambda agent=agent: len(agent.mine) == self._rooms // len(self.agents), 10, "their rooms")
        self._writers = [asyncio.create_task(self._write(n, customer)) for n, customer in enumerate(self.customers)]

    async def _write(self, number: int, customer: Customer) -> None:
        (agent,) = [agent for agent in self.agents if customer.room in agent.mine]
        await asyncio.sleep(PAUSE_S * number / self._rooms)
        n = 0
        while True:
            n += 1
            customer.say(f"customer {number} says {n}")
            agent.say(f"agent says {n} to {number}", customer.room)
            await asyncio.sleep(PAUSE_S)

    async def rest(self, within_s: float = 40.0) -> None:
        """Nobody writes any more; all is acknowledged, and everywhere."""
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        for page in self.pages:
            await page.all_acked(within_s)
        stored = {customer.room: len(self.shop.rows(customer.room)) for customer in self.customers}
        for customer in self.customers:
            for page in (customer, *self.agents):
                await page.until(
                    lambda page=page, room=customer.room: page.got(room) >= stored[room], within_s, "all that is stored"
                )

    @property
    def pages(self) -> list[Customer | AgentPage]:
        return [*self.customers, *self.agents]

    def judge(self) -> None:
        self.people.judge(self.shop, self.customers, self.agents)


@pytest.mark.parametrize("rooms", first_of([15, ROOMS]))
def test_a_sidecar_killed_among_busy_rooms_loses_and_repeats_nothing(home: ChatHouse, rooms: int) -> None:
    async def trouble(busy: Busy) -> None:
        before = [page.connects for page in busy.pages]
        home.sidecar.kill()
        await asyncio.to_thread(home.sidecar.start)
        for page, connects in zip(busy.pages, before, strict=True):
            await page.until(lambda page=page, connects=connects: page.connects > connects, 20, "a reconnect")

    _busy_while(home, rooms, trouble)


@pytest.mark.long
def test_a_killed_sidecar_may_be_replaced_on_another_port(home: ChatHouse) -> None:
    async def trouble(_: Busy) -> None:
        home.sidecar.kill()
        await asyncio.to_thread(home.replace, home.sidecar)

    _busy_while(home, FEWER, trouble)


@pytest.mark.long
def test_of_two_sidecars_one_is_killed_and_the_other_serves_all(home: ChatHouse) -> None:
    """Customer and agent of one room are mostly on different ones before."""
    home.start_sidecar()

    async def trouble(_: Busy) -> None:
        home.sidecars.pop(0).kill()

    _busy_while(home, ROOMS, trouble)


@pytest.mark.long
def test_of_two_sidecars_one_is_told_to_stop_and_leaves_cleanly(home: ChatHouse) -> None:
    home.start_sidecar()

    async def trouble(_: Busy) -> None:
        stopped = home.sidecars.pop(0)
        assert await asyncio.to_thread(stopped.stop) == 0
        assert "sidecar_stopped" in home.house.log(f"sidecar{stopped.port}")

    _busy_while(home, FEWER, trouble)


@pytest.mark.long
def test_of_two_sidecars_one_freezes_and_goes_on_later(home: ChatHouse) -> None:
    """Perhaps in the middle of a transaction: the other's people are not held up."""
    home.start_sidecar()

    async def trouble(busy: Busy) -> None:
        frozen = home.sidecar.process
        assert frozen
        frozen.send_signal(signal.SIGSTOP)
        before = [len(page.acked) for page in busy.pages]
        await asyncio.sleep(AWAY_S)
        went_on = sum(len(page.acked) > count + 2 for page, count in zip(busy.pages, before, strict=True))
        frozen.send_signal(signal.SIGCONT)
        assert went_on >= len(busy.pages) // 4, f"{went_on} of {len(busy.pages)} pages went on"

    _busy_while(home, FEWER, trouble)


def _busy_while(home: ChatHouse, rooms: int, trouble: Callable[[Busy], Awaitable[None]]) -> None:
    """Everybody writes before, while and after it happens; then P8 is judged."""

    async def story() -> None:
        shop = home.new_shop(limit=rooms // AGENTS)
        async with People(home) as people:
            busy = Busy(people, shop, rooms, AGENTS)
            await busy.begin()
            await asyncio.sleep(BUSY_S)
            await trouble(busy)
            await asyncio.sleep(BUSY_S)
            await busy.rest()
            busy.judge()
            assert sum(len(page.acked) for page in busy.pages) > rooms * 2 * BUSY_S / PAUSE_S

    asyncio.run(story())


@pytest.mark.long
@pytest.mark.parametrize("who", ["the customer", pytest.param("the agent", marks=pytest.mark.long)])
def test_30_messages_sent_while_the_socket_was_gone_appear_once_and_in_order(home: ChatHouse, who: str) -> None:
    async def story() -> None:
        shop = home.new_shop()
        shop.hire("ani")
        async with People(home) as people:
            ani = await people.agent(shop, "ani")
            budi = await people.customer(shop, "Budi", "hello")
            await budi.until(lambda: budi.status == "active")
            away, here = (budi, ani) if who == "the customer" else (ani, budi)
            await away.drop()
            own = [away.say(f"written without a network {n}", budi.room) for n in range(3)]
            said = [f"message {n}" for n in range(30)]
            for body in said:
                here.say(body, budi.room)
                await asyncio.sleep(AWAY_S / 30)
            await here.all_acked()
            assert not any(body in away.bodies(budi.room) for body in said)
            away.come_back()
            await away.until(lambda: away.bodies(budi.room)[-1].startswith("written without a network 2"))
            await away.all_acked()
            await here.until(lambda: len(here.bodies(budi.room)) == 34)
            assert [body for body in away.bodies(budi.room) if body.startswith("message")] == said
            assert all(client_id in away.acked for client_id in own)
            people.judge(shop, [budi], [ani])

    asyncio.run(story())
