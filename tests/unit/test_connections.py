"""Connections to a sidecar: so many of one address, none that never asks anything."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from sidecar.app import _said
from sidecar.web import listening
from sidecar.web.crowd import Crowd

ASK = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
WITHIN_S = 10.0


class Line:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Line":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def asks(self) -> bool:
        """Whether it is answered."""
        self._writer.write(ASK)
        answer = await self._line()
        while await self._line() not in (b"\r\n", b""):
            pass
        return answer == b"HTTP/1.1 204 No Content\r\n"

    async def ends(self) -> bool:
        return await self._line() == b""

    async def _line(self) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self._reader.readline()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self._writer.close()


def play(crowd: Crowd, story: Callable[[int], Awaitable[None]]) -> None:
    async def nothing(request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def run() -> None:
        app = web.Application(middlewares=[_said])
        app.router.add_get("/x", nothing)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        server = await listening.listen(runner, "127.0.0.1", 0, crowd)
        try:
            await story(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await runner.cleanup()

    asyncio.run(run())


def test_an_address_has_so_many_connections_and_a_proxy_of_ours_as_many_as_it_likes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(port: int) -> None:
        three = [await Line.open(port) for _ in range(3)]
        assert all([await one.asks() for one in three])
        for _ in range(3):
            assert await (await Line.open(port)).ends()
        await three.pop().close()
        async with asyncio.timeout(WITHIN_S):
            while not await (fourth := await Line.open(port)).asks():
                await fourth.close()

    play(Crowd(3, lambda peer: False), story)
    said = [record.getMessage() for record in caplog.records if "what=connections" in record.getMessage()]
    assert len(said) == 1, "not a line for each"

    async def many(port: int) -> None:
        assert all([await (await Line.open(port)).asks() for _ in range(10)])

    play(Crowd(3, lambda peer: peer == "127.0.0.1"), many)


def test_a_connection_that_never_asks_ends_and_one_that_asked_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "FIRST_S", 0.3)

    async def story(port: int) -> None:
        good, silent, slow = [await Line.open(port) for _ in range(3)]
        assert await good.asks()
        slow._writer.write(ASK[:-2])
        assert await silent.ends() and await slow.ends()
        assert await good.asks(), "between its requests another deadline holds"

    play(Crowd(100, lambda peer: False), story)


def test_a_crowd_counts_a_household_and_forgets_who_left() -> None:
    crowd = Crowd(2, lambda peer: False)
    assert crowd.enter("2001:db8::1") and crowd.enter("2001:db8::2") and not crowd.enter("2001:db8::3")
    assert crowd.enter("::ffff:192.0.2.1") and crowd.enter("192.0.2.1") and not crowd.enter("192.0.2.1")
    for peer in ("2001:db8::9", "2001:db8::9", "192.0.2.1", "192.0.2.1"):
        crowd.leave(peer)
    assert not crowd._here
