"""The floor of `waves`: an allocator that keeps nothing. One process, all in memory; a free seat is called for at once.

`python -m scripts.measure.bare PORT DESK_URL AGENTS LIMIT`. It checks no webhook, knows no duplicate, asks for the
agents once, believes every answer unread and forgets all when it ends: what it takes is the simulator's and the
machine's own time.
"""

import asyncio
import json
import sys
from collections import deque
from typing import Any

import aiohttp
from aiohttp import web

from scripts.measure.stage import TENANT

CREDENTIALS = {"Qiscus-App-Id": TENANT, "Qiscus-Secret-Key": "demo-secret"}
CALLS = 100  # at once: as many as there are seats


class Bare:
    def __init__(self, http: aiohttp.ClientSession, agents: int, limit: int) -> None:
        self._http, self._agents, self._limit = http, agents, limit
        self._line: deque[str] = deque()
        self._free: deque[int] = deque()
        self._holder: dict[str, int] = {}
        self._asked: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def arrived(self, request: web.Request) -> web.Response:
        room = str(json.loads(await request.read())["room_id"])
        self._line.append(room)
        self._asked = self._asked or asyncio.create_task(self._roster(room))
        return self._serve()

    async def resolved(self, request: web.Request) -> web.Response:
        room = str(json.loads(await request.read())["service"]["room_id"])
        self._free.append(self._holder.pop(room))
        return self._serve()

    def _serve(self) -> web.Response:
        while self._line and self._free:
            call = asyncio.create_task(self._assign(self._line.popleft(), self._free.popleft()))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return web.Response(body=b"{}", content_type="application/json")

    async def _roster(self, room: str) -> None:
        query = {"room_id": room, "limit": str(self._agents)}
        async with self._http.get("/api/v2/admin/service/available_agents", params=query) as answer:
            found: Any = await answer.json()
        for _ in range(self._limit):
            self._free.extend(agent["id"] for agent in found["data"]["agents"])
        self._serve()

    async def _assign(self, room: str, agent: int) -> None:
        self._holder[room] = agent
        body = {"room_id": room, "agent_id": str(agent), "max_agent": 1}
        async with self._http.post("/api/v1/admin/service/assign_agent", json=body) as answer:
            await answer.read()


async def serve(port: int, desk_url: str, agents: int, limit: int) -> None:
    connector = aiohttp.TCPConnector(limit=CALLS)
    async with aiohttp.ClientSession(desk_url, headers=CREDENTIALS, connector=connector) as http:
        bare = Bare(http, agents, limit)
        app = web.Application()
        app.router.add_post("/allocate-agent/webhook", bare.arrived)
        app.router.add_post("/mark-as-solved/webhook", bare.resolved)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
