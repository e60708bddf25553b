"""A language model's endpoint for tests: real HTTP, with a switch for everything that can go wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "sk-test"


class ModelServer:
    """`does`: answer · unknown · slow · 500 · garbage · empty · endless · redirect · surrogate."""

    def __init__(self) -> None:
        self.does = "answer"
        self.says = "We open at nine."
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.go = asyncio.Event()  # ends `slow`
        self.url = ""

    async def completions(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.does == "slow":
            await self.go.wait()
        if self.does == "500":
            return web.Response(status=500, text="<h1>oops</h1>")
        if self.does == "garbage":
            return web.Response(text="[" * 5000, content_type="application/json")
        if self.does == "empty":
            return web.json_response({"choices": []})
        if self.does == "redirect":
            raise web.HTTPFound("/elsewhere")
        if self.does == "endless":
            return await self._endless(request)
        said = {"unknown": "NO_ANSWER", "surrogate": "half \ud83d of one"}.get(self.does, self.says)
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": said}}]})

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(b" " * 10_000)
        return answer


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """`url` is what goes into AI_BASE_URL."""
    made = ModelServer()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", made.completions)
    server = TestServer(app)
    await server.start_server()
    made.url = str(server.make_url("/v1"))
    try:
        yield made
    finally:
        made.go.set()
        await server.close()
