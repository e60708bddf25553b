"""The network between one person's browser and the sidecars: a relay of their own, that can go silent and come back.

with wires(lambda: [8001, 8002]) as new_wire:     # whichever sidecar answers, in turn
    wire = new_wire()
    page.goto(f"http://127.0.0.1:{wire.port}/chat")
    wire.cut()                                     # nothing gets through, and nobody is told
    wire.mend(forgets=True)                        # what was open before is reset, as after a change of networks
"""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CHUNK = 65536


class Wire:
    def __init__(self, loop: asyncio.AbstractEventLoop, ports: Callable[[], list[int]], turn: Iterator[int]) -> None:
        self._loop, self._ports, self._turn = loop, ports, turn
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = 0

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._is_whole.clear)

    def mend(self, forgets: bool) -> None:
        """Else what was said meanwhile gets through, late."""
        self._loop.call_soon_threadsafe(self._mend, forgets)

    def _mend(self, forgets: bool) -> None:
        if forgets:
            for end in list(self._ends):
                end.transport.abort()
        self._is_whole.set()

    async def begin(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._ends.add(writer)
        try:
            await self._is_whole.wait()
            far_reader, far_writer = await self._connected()
            ends.add(far_writer)
            self._ends.add(far_writer)
            ways = [self._pump(reader, far_writer), self._pump(far_reader, writer)]
            await asyncio.wait([asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            self._ends -= ends
            for end in ends:
                with suppress(OSError, RuntimeError):
                    end.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ports, first = self._ports(), next(self._turn)
        for n in range(len(ports)):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", ports[(first + n) % len(ports)])
        raise ConnectionRefusedError

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._is_whole.wait()
                writer.write(chunk)
                await writer.drain()


@contextmanager
def wires(ports: Callable[[], list[int]]) -> Iterator[Callable[[], Wire]]:
    loop = asyncio.new_event_loop()
    runs = threading.Thread(target=loop.run_forever, daemon=True)
    runs.start()
    turn = itertools.count()

    def new_wire() -> Wire:
        wire = Wire(loop, ports, turn)
        asyncio.run_coroutine_threadsafe(wire.begin(), loop).result(5)
        return wire

    yield new_wire
    loop.call_soon_threadsafe(loop.stop)
    runs.join(5)
