"""The parts of a sidecar without its HTTP, over real servers: people, sessions, picks and presence, moved by hand.

async with Floor(line) as floor:              # `line` as in line_of: its tenant is made a native one
    ani = await floor.hire("ani")
    room = await floor.start("Budi")
    await floor.seats.pick(TENANT, room, ani)
"""

from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from db import inbox, people, tickets
from db.announce import News
from db.people import Agent
from db.sessions import Who
from sidecar.agents.console import Console
from sidecar.agents.login import Login
from sidecar.agents.presence import Presence
from sidecar.agents.seats import Seats
from sidecar.agents.team import Team
from sidecar.live.feed import Feed
from sidecar.live.hub import Hub
from sidecar.live.parts import Config, Parts
from sidecar.live.positions import Positions
from sidecar.live.receipts import Receipts
from sidecar.live.resting import RestingInbox
from sidecar.live.sockets import Sockets
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks
from sidecar.live.turns import Turns
from sidecar.live.visitors import Visitors
from sidecar.live.writer import Writer
from sidecar.web.door import Door
from sidecar.web.pace import Paces, Repeats
from sidecar.web.strangers import Strangers
from testbed.passwords import PASSWORD, hash_of
from tests.services.line_of import Line

KEY = "of every floor, as of all sidecars"
NATIVE = "UPDATE tenants SET desk = 'native', base_url = '', secret_key = '' WHERE id = %s"


class Floor:
    def __init__(self, line: Line, *, default_limit: int = 2, **presence: Any) -> None:
        self.line, self.tenant = line, line.tenant
        line.run(NATIVE, line.tenant)
        self.news: list[News] = []
        self.store = Store(line.database_url, "test")
        self._client = redis.Redis.from_url(line.redis_url)
        self.box = RestingInbox(inbox.connect(line.redis_url, 1.0, 8))
        self.turns = Turns(self.store, self.box, tickets.queue(self._client), self.tell)
        self.seats = Seats(self.turns, self.box, default_limit)
        self.login = Login(self.store, KEY)
        self._presence = {"retry_s": 30.0, **presence}
        self.presence = self.sidecar()
        self.default_limit = default_limit

    def tell(self, tenant: str, news: Any) -> None:
        self.news += news

    def sidecar(self, **times: Any) -> Presence:
        """One more sidecar's presence, not started."""
        return Presence(self.store, self.turns, self.seats, **{**self._presence, **times})

    async def __aenter__(self) -> "Floor":
        return self

    async def __aexit__(self, *error: object) -> None:
        self.login.close()
        self.store.close()
        self._client.close()

    async def hire(self, name: str, role: str = "agent", tenant: str | None = None) -> Agent:
        tenant, email = tenant or self.tenant, f"{name}@shop.example"
        agent = await self.store.run(lambda cur: people.add_account(cur, tenant, email, name, hash_of(PASSWORD), role))
        return Agent(tenant, agent, name, email, role)

    async def who(self, token: str) -> Agent | None:
        return await self.store.run(lambda cur: people.who(cur, token))

    async def start(self, name: str = "Budi", message: str | None = None) -> str:
        """A waiting session's id."""
        return (await self.turns.start(self.tenant, Who(f"{name.lower()}@mail.example", name), message)).room

    def session(self, room: str) -> Any:
        return self.line.one("SELECT * FROM sessions WHERE tenant = %s AND room = %s", self.tenant, room)

    def rows(self, room: str) -> list[str]:
        """What the customer sees, without names: the event types and bodies, in order."""
        sql = (
            "SELECT m.event, m.body FROM messages m JOIN sessions s ON s.id = m.session"
            " WHERE s.tenant = %s AND s.room = %s ORDER BY m.seq"
        )
        return [row.event["type"] if row.event else row.body for row in self.line.rows(sql, self.tenant, room)]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [news.payload for news in self.news if news.type == kind]


class Counter:
    """The floor behind its REST, with everybody's token.

    async with Counter(floor) as counter:
        await counter.ask(ani, "POST", f"queue/{room}/pick")     # (200, {…})
    """

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self._tokens: dict[str, str] = {}

    async def __aenter__(self) -> "Counter":
        floor = self.floor
        self._writer, self._marks = Writer(floor.store, floor.tell), Receipts(floor.store, floor.tell)
        self._marks.start()
        app = web.Application()
        app.add_routes(self.console().routes())
        self.client = TestClient(TestServer(app))
        await self.client.start_server()
        return self

    def console(self) -> Console:
        floor, line, tasks, hub = self.floor, self.floor.line, Tasks(), Hub()
        door, strangers = Door((), (), demo=False), Strangers()
        client = redis.asyncio.Redis.from_url(line.redis_url)
        parts = Parts(
            config=Config(line.database_url, line.redis_url, Path(), floor.default_limit, retry_s=30.0),
            sidecar="of the counter",
            tasks=tasks,
            store=floor.store,
            redis=client,
            box=floor.box,
            turns=floor.turns,
            hub=hub,
            feed=Feed(hub, floor.store, client, "", tasks=tasks),
            tell=floor.tell,
            positions=Positions(hub, floor.store, tasks),
            writer=self._writer,
            receipts=self._marks,
            door=door,
            strangers=strangers,
            visitors=Visitors(
                floor.store, strangers, floor.who, lambda request: request.headers.get("X-Test-Address", "127.0.0.1")
            ),
            sockets=Sockets(door, strangers, 1),
            messages=Paces(1, 1),
            typed=Repeats(1),
        )
        team = Team(hub, floor.store, floor.box, floor.default_limit)
        return Console(parts, floor.login, floor.presence, floor.seats, team)

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()
        await self._marks.stop()
        await self._writer.close()

    async def token(self, agent: Agent) -> str:
        if agent.agent_id not in self._tokens:
            entry = await self.floor.login.login(agent.tenant, agent.email, PASSWORD, "own")
            self._tokens[agent.agent_id] = entry.token
        return self._tokens[agent.agent_id]

    async def fetch(self, agent: Agent | None, method: str, path: str, **more: Any) -> ClientResponse:
        """Without an agent: without a token."""
        headers = {"Authorization": f"Bearer {await self.token(agent)}"} if agent else {}
        return await self.client.request(
            method, f"/api/v1/{path}", headers={**headers, **more.pop("headers", {})}, **more
        )

    async def ask(self, agent: Agent | None, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        if body is not None:
            more["json"] = body
        response = await self.fetch(agent, method, path, **more)
        return response.status, await response.json()

    async def refusal(
        self, agent: Agent | None, method: str, path: str, body: Any = None, **more: Any
    ) -> tuple[int, str]:
        """Status and code of an answer that says no."""
        status, found = await self.ask(agent, method, path, body, **more)
        return status, found["error"]["code"]
