"""A proxy that has a server behind a path and takes the path away, as `location /chat/ { proxy_pass http://…/; }` does.

with behind("/chat", port) as address:     # http://127.0.0.1:4711/chat
    requests.get(f"{address}/healthz")
"""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HEAD_MOST = 65536


@contextmanager
def behind(prefix: str, port: int) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    runs = threading.Thread(target=loop.run_forever, daemon=True)
    runs.start()
    begins = asyncio.start_server(Proxy(prefix, port).serve, "127.0.0.1", 0, limit=HEAD_MOST)
    server = asyncio.run_coroutine_threadsafe(begins, loop).result(5)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"
    asyncio.run_coroutine_threadsafe(_end(server), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    runs.join(5)


async def _end(server: asyncio.Server) -> None:
    server.close()
    under_way = asyncio.all_tasks() - {asyncio.current_task()}
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


class Proxy:
    def __init__(self, prefix: str, port: int) -> None:
        self._line = re.compile(rf"^(\S+ ){re.escape(prefix)}(/\S*)".encode())
        self._port = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection, or one socket."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        found = self._line.match(head)
        if not found:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        head = self._line.sub(rb"\1\2", head)
        if b"\r\nupgrade: websocket" not in head.lower():
            head = re.sub(rb"\r\nConnection: [^\r]*", b"", head, flags=re.I)
            head = head[:-2] + b"Connection: close\r\n\r\n"
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        up_writer.write(head)
        await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
