"""All sockets of one sidecar: opened, counted, and told to come back elsewhere when it stops.

After the rooms of customers and agents, which say what a socket is for; before `connection`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager

from aiohttp import web

import logs
from addresses import is_loopback
from db.postgres import LedgerTrouble
from sidecar.live.connection import AWAY, TRY_AGAIN, Connection
from sidecar.web.answers import Refused, why_not
from sidecar.web.door import Door
from sidecar.web.strangers import Strangers

log = logging.getLogger("sidecar.sockets")

FULL_S = 5.0  # until it is worth asking again

Serve = Callable[[web.Request, Connection], Awaitable[None]]


class Sockets:
    """Of one event loop."""

    def __init__(self, door: Door, strangers: Strangers, of_an_address: int) -> None:
        self._door, self._strangers, self._most = door, strangers, of_an_address
        self._open: set[Connection] = set()
        self._here: Counter[Hashable] = Counter()  # an address, a session or a kind of visitor → its sockets
        self._stopping = False

    async def stop(self) -> None:
        """All are told to come back to somebody else."""
        self._stopping = True
        for connection in list(self._open):
            connection.close(AWAY, "this server stops: come back")
        await asyncio.gather(*(connection.closed() for connection in list(self._open)))

    def counts(self) -> tuple[int, int]:
        """Sockets of customers and of agents."""
        return self._here["customer"], self._here["agent"]

    def number(self, of: Hashable) -> int:
        return self._here[of]

    @contextmanager
    def counted(self, *of: Hashable) -> Iterator[None]:
        self._here.update(of)
        try:
            yield
        finally:
            self._here.subtract(of)
            for one in of:
                if self._here[one] <= 0:
                    del self._here[one]

    async def serve(
        self, request: web.Request, connection: Connection, serve: Serve, key: str = ""
    ) -> web.StreamResponse:
        """`key`: of a customer's session."""
        address = self._door.subject(request)
        try:
            self._check(request, address, key)
        except Refused as refused:
            return refused.response()
        with self.counted(address):
            return await self._open_for(request, connection, serve)

    def _check(self, request: web.Request, address: str, key: str) -> None:
        """Raises `Refused`."""
        self._door.check(request)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refused("upgrade_required", "this is the address of a WebSocket")
        if self._stopping:
            raise Refused("unavailable", "this server stops: come back", 1)
        if key:
            self._strangers.check(address, key)
        if self._here[address] >= self._most and not is_loopback(address):
            self._strangers.say(address, "rate_limited", "sockets")
            raise Refused("rate_limited", "too many open connections from your network", FULL_S)

    async def _open_for(self, request: web.Request, connection: Connection, serve: Serve) -> web.StreamResponse:
        await connection.open(request)
        self._open.add(connection)
        try:
            await serve(request, connection)
        except LedgerTrouble as error:
            log.warning(logs.line("socket_closed", why=error))
            connection.close(TRY_AGAIN, f"{why_not(error)}: come back")
        finally:
            self._open.discard(connection)
            await connection.closed()
        return connection.response
