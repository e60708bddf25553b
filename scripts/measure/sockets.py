"""Many WebSocket clients in one process that is not the bottleneck: raw frames, one event loop, nothing parsed that is
not counted. Before it `chat_load`, which says who writes to whom.

Bodies begin with a mark, `~<microseconds>~<number of the socket it is meant for>~`; the clock is this process's.
"""

import asyncio
import base64
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

MARK = re.compile(rb'"body": ?"~(\d+)~(\d+)~')
ACK = b'"chat.message.ack"'
HANDSHAKE_S = 30.0
AT_ONCE = 200  # sockets that are being opened


def now_us() -> int:
    return time.perf_counter_ns() // 1000


def cpu_s(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def text(payload: bytes, opcode: int = 1) -> bytes:
    """A frame of a client. Its mask is zero, which leaves the bytes as they are."""
    size = len(payload)
    head = bytes((0x80 | opcode,))
    if size < 126:
        return head + bytes((0x80 | size,)) + b"\0\0\0\0" + payload
    return head + b"\xfe" + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


class Client(asyncio.Protocol):
    """One socket. `waits_us`: from sending to here, of the messages meant for this socket."""

    def __init__(self, number: int, path: str, host: str, waits_us: list[int]) -> None:
        self.number, self.waits_us = number, waits_us
        self.frames = self.acks = self.marked = self.weighed = 0
        self.closed: bytes | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.marked_at_us = 0
        self.heard: Callable[[bytes], None] | None = None
        self.for_me: Callable[[bytes], None] | None = None
        self._path, self._host = path, host
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        transport.write(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self.opened.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(ConnectionError(head[:200].decode(errors="replace")))
                return
            self.opened.set_result(None)
        self._rest = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        """What is left of the last one."""
        at, end = 0, len(data)
        while end - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end < begin + size:
                break
            self._frame(data[at] & 15, data[begin : begin + size])
            at = begin + size
        return data[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.send(text(payload, 10))
        elif opcode == 8:
            self.closed = payload
        elif opcode == 1:
            self.frames += 1
            if payload.startswith(ACK, 8):
                self.acks += 1
            elif found := MARK.search(payload):
                self._marked(int(found[1]), int(found[2]), payload)
            if self.heard:
                self.heard(payload)

    def _marked(self, sent_us: int, meant_for: int, payload: bytes) -> None:
        self.marked += 1
        self.marked_at_us = now_us()
        if meant_for == self.number:
            self.waits_us.append(self.marked_at_us - sent_us)
            if self.for_me:
                self.for_me(payload)

    def send(self, frame: bytes) -> None:
        if self._transport:
            self._transport.write(frame)

    def drain(self) -> None:
        """From here on what comes is weighed and not read: this process has no time for what hundreds hear alike."""
        self.data_received = self._weigh  # type: ignore[method-assign]

    def _weigh(self, data: bytes) -> None:
        self.weighed += len(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.closed is None:
            self.closed = b"lost"
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed before it was open"))

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()


async def opened(
    port: int, paths: Sequence[str], waits_us: list[int], first: int = 0, greeted: bool = False
) -> list[Client]:
    """All of them, open; numbered from `first` in the order of the paths. `greeted`: the server says something first;
    until then the next one waits."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, path: str) -> Client:
        async with gate:
            client = Client(number, path, f"127.0.0.1:{port}", waits_us)
            await loop.create_connection(lambda: client, "127.0.0.1", port)
            await asyncio.wait_for(client.opened, HANDSHAKE_S)
            if greeted and not await until(lambda: bool(client.frames or client.closed), HANDSHAKE_S):
                raise TimeoutError(f"nothing was said on {path[:20]}…")
            return client

    return list(await asyncio.gather(*(one(first + n, path) for n, path in enumerate(paths))))


async def until(ready: Callable[[], bool], within_s: float) -> bool:
    """Whether it came true."""
    deadline = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
