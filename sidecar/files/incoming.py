"""The body of an upload as it comes: bounded in bytes, in lines, and in how long its sender is waited for. Before it
`attachments`; aiohttp's reader of forms has it instead of the bare stream, which is bounded in none of these.
"""

import asyncio
from collections.abc import Awaitable

from aiohttp import StreamReader

from sidecar.web.pace import Patience

LINES_MOST = 2000  # far more than the heads of the parts we take: each line costs as much time as a whole piece


class TooLarge(Exception):
    """More bytes than are allowed."""


class Incoming:
    """What aiohttp's `MultipartReader` uses of a `StreamReader`. Waits for our own disk are not counted against the
    sender: what comes meanwhile is there at once."""

    def __init__(self, content: StreamReader, most_bytes: int, patience: Patience) -> None:
        self._content, self._patience = content, patience
        self._left_bytes, self._left_lines = most_bytes, LINES_MOST

    async def read(self, most: int) -> bytes:
        """Raises `TooLarge`, or `TimeoutError` for a sender too slow."""
        return await self._within(self._content.read(most))

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Raises `ValueError` too."""
        self._left_lines -= 1
        if self._left_lines < 0:
            raise ValueError("more lines than a form has")
        return await self._within(self._content.readline(max_line_length=max_line_length))

    def at_eof(self) -> bool:
        return self._content.at_eof()

    def unread_data(self, data: bytes) -> None:
        self._content.unread_data(data)
        self._left_bytes += len(data)

    async def _within(self, coming: Awaitable[bytes]) -> bytes:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(self._patience.left_s):
            piece = await coming
        self._patience.spend(loop.time() - began, len(piece))
        self._left_bytes -= len(piece)
        if self._left_bytes < 0:
            raise TooLarge
        return piece
