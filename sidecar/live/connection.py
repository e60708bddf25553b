"""One socket: frames in, checked and paced; frames out, through a bounded queue. Before `writer`, after `hub`.

What goes out is written in one piece for each turn of the event loop. A reader that does not take it is closed with
1013, which makes it come back and resume; nobody else waits for it.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

import logs
from sidecar.live import frames
from sidecar.live.frames import BadFrame, Frame
from sidecar.web.fields import client_id_of
from sidecar.web.pace import Pace

log = logging.getLogger("sidecar.connection")

QUEUE_FRAMES, QUEUE_BYTES = 2048, 1024 * 1024  # seconds of a very large tenant
KERNEL_BYTES = 256 * 1024  # what the system queues for a socket beside ours
HEARTBEAT_S = 25.0
CLOSE_S = 3.0  # for the other side to say goodbye
STRIKES_MOST = 20  # broken frames, or 20 times as many too fast ones, until the socket is closed; forgotten after
STRIKES_FORGOTTEN_S = 30.0
FLOOD_STRIKE = 0.05
ASLEEP_S = 0.02

POLICY, TOO_BIG, TRY_AGAIN = WSCloseCode.POLICY_VIOLATION, WSCloseCode.MESSAGE_TOO_BIG, WSCloseCode.TRY_AGAIN_LATER
AWAY = WSCloseCode.GOING_AWAY
WHO_ARE_YOU, NO_SESSION = 4001, 4404


class _Socket(web.WebSocketResponse):
    """Says what was wrong before it closes on a frame that is too big. `transport`: of its request, once it is open."""

    transport: asyncio.Transport | None = None

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        if code == TOO_BIG and not self.closed:
            with contextlib.suppress(ConnectionError, RuntimeError):
                text = f"a frame may have {frames.FRAME_MOST} bytes at most"
                await self.send_bytes_as_text(frames.error("payload_too_large", text))
                await self._goodbye(code)
        return await super().close(code=code, message=message, drain=drain)

    async def _goodbye(self, code: int) -> None:
        """The rest of what comes is read and dropped: a connection that ends with bytes unread is reset, and the other
        side may never see why."""
        transport = self.transport
        if transport:
            transport.write(frames.goodbye(code))
        deadline = time.monotonic() + CLOSE_S
        while transport and not transport.is_closing() and time.monotonic() < deadline:
            await asyncio.sleep(ASLEEP_S)

    async def send_bytes_as_text(self, frame: bytes) -> None:
        """A frame that is framed already."""
        if self.transport and not self.transport.is_closing():
            self.transport.write(frame)


class Connection:
    """An ear of the hub (see `hub.Ear`) with a mouth.

    agent    the agent's id, None for a customer
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.agent: str | None = None
        self.got: int | None = None
        self.history = 0  # the seq up to which the history was sent, while `got` is None
        self.pending: dict[tuple[str, str], float] = {}
        self.owed: Callable[[], None] | None = None  # an agent's, see `audience`
        self.muted = False  # an agent's, until it is told that it is heard
        self.came = 0.0  # when the frame in hand came
        self._pace = Pace.full(rate, burst, time.monotonic())
        self._strikes, self._struck_at = 0.0, 0.0
        self._socket = _Socket(
            heartbeat=HEARTBEAT_S,
            compress=False,
            max_msg_size=frames.FRAME_MOST + 1,  # aiohttp refuses a message of this size, too
            timeout=CLOSE_S,
            autoping=True,
        )
        self._out: list[bytes] = []
        self._out_number = 0  # of frames in it
        self._behind = 0  # frames given to a transport that had not taken the earlier ones
        self._closing: asyncio.Task[None] | None = None

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    @property
    def is_open(self) -> bool:
        return self._closing is None and not self._socket.closed

    async def open(self, request: web.Request) -> None:
        await self._socket.prepare(request)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self._socket.transport = transport
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    # --- out

    def push(self, frame: bytes) -> None:
        """Queue a frame (see `frames.frame`). Never waits; a reader that is too slow is closed."""
        if self.owed:
            self.owed()
        if not self.is_open or self.muted:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(frame)
        self._out_number += 1

    def take(self, frames: bytes, number: int) -> None:
        """What was gathered for many, see `audience`: written now, or after what is queued."""
        if not self.is_open or self.muted:
            return
        if self._out:
            self._out.append(frames)
            self._out_number += number
        else:
            self._write(frames, number)

    def say(self, kind: str, payload: dict[str, Any]) -> None:
        self.push(frames.frame(kind, payload))

    def greet(self, kind: str, payload: dict[str, Any]) -> None:
        """From here on it hears."""
        if self.owed:
            self.owed()  # into nowhere
        self.muted = False
        self.say(kind, payload)

    def _flush(self) -> None:
        if not self._out:
            return
        out, number = b"".join(self._out), self._out_number
        self._out, self._out_number = [], 0
        self._write(out, number)

    def _write(self, out: bytes, number: int) -> None:
        transport = self._socket.transport
        if transport is None or transport.is_closing():
            return
        stuck = transport.get_write_buffer_size()
        self._behind = self._behind + number if stuck else 0
        transport.write(out)
        if stuck and (self._behind > QUEUE_FRAMES or transport.get_write_buffer_size() > QUEUE_BYTES):
            log.info(logs.line("reader_too_slow", agent=self.agent, bytes=stuck))
            self.close(TRY_AGAIN, "you read too slowly: come back and resume")

    async def taken(self) -> None:
        """Until the system has taken all that was pushed: a history may be longer than what a slow reader may owe."""
        self._flush()
        while (transport := self._socket.transport) and self.is_open and transport.get_write_buffer_size():
            await asyncio.sleep(ASLEEP_S)

    def close(self, code: int, message: str) -> None:
        """Say it and go. Never waits."""
        if self._closing is None:
            if self.owed:
                self.owed()
            self._flush()
            self._closing = asyncio.create_task(self._close(code, message))

    async def _close(self, code: int, message: str) -> None:
        try:
            await asyncio.wait_for(self._socket.close(code=code, message=message.encode()), 2 * CLOSE_S)
        except (TimeoutError, ConnectionError, RuntimeError):
            pass
        finally:
            if self._socket.transport:
                self._socket.transport.abort()  # also where the other side does not read: nothing may stay in memory

    async def closed(self) -> None:
        if self._closing:
            await asyncio.gather(self._closing, return_exceptions=True)

    # --- in

    async def listen(self, handle: Callable[[Frame], Awaitable[None]]) -> None:
        """Give every good frame to `handle`, one after the other, until the socket is closed."""
        async for message in self._socket:
            self.came = time.monotonic()
            if message.type is WSMsgType.TEXT:
                await self._take(message.data, handle)
            elif message.type is WSMsgType.BINARY:
                self._strike("invalid_json", "frames are text", None, 1.0)

    async def first(self, within_s: float) -> Frame | None:
        """The first frame, None where none came in time or it was no good one."""
        try:
            async with asyncio.timeout(within_s):  # of `receive`, each ping would begin it anew
                message = await self._socket.receive()
        except TimeoutError:
            return None
        if message.type is not WSMsgType.TEXT:
            return None
        try:
            return frames.read(message.data)
        except BadFrame:
            return None

    async def _take(self, text: str, handle: Callable[[Frame], Awaitable[None]]) -> None:
        try:
            wait_s = self._pace.take(self.came)
            if wait_s:
                return self._flooded(text, wait_s)
            if len(text.encode(errors="surrogatepass")) > frames.FRAME_MOST:
                raise BadFrame("payload_too_large", "too big")
            await handle(frames.read(text))
        except BadFrame as bad:
            self._strike(bad.code, str(bad), bad.client_id, 1.0 if bad.code == "invalid_json" else 0.5)

    def _flooded(self, text: str, wait_s: float) -> None:
        try:
            client_id = client_id_of(frames.read(text).payload.get("client_id"))
        except BadFrame as bad:
            client_id = bad.client_id
        self._strike("rate_limited", "too many frames", client_id, FLOOD_STRIKE, retry_after=round(wait_s, 2))

    def refuse(self, code: str, message: str, client_id: str | None = None, **more: object) -> None:
        self.push(frames.error(code, message, client_id, **more))

    def _strike(self, code: str, message: str, client_id: str | None, weight: float, **more: object) -> None:
        """A typed error; who never stops is closed."""
        if not self.is_open:
            return
        self.refuse(code, message, client_id, **more)
        if self.came - self._struck_at > STRIKES_FORGOTTEN_S:
            self._strikes = 0.0
        self._struck_at = self.came
        self._strikes += weight
        if self._strikes > STRIKES_MOST:
            log.warning(logs.line("socket_closed", code=code, agent=self.agent))
            self.close(POLICY, code)
