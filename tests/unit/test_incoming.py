"""The body of an upload, over a real stream of aiohttp: how long its sender is waited for, how much of it is read."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from sidecar.files.attachments import SLOWEST_BYTES_S, UPLOAD_S
from sidecar.files.incoming import LINES_MOST, Incoming, TooLarge
from sidecar.files.shelf import ORPHAN_AGE_S
from sidecar.web.pace import Patience

Story = Callable[[StreamReader, Incoming], Awaitable[None]]


def play(story: Story, most_bytes: int = 10**9, patience_s: float = 60.0) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)
        protocol.connection_made(asyncio.Transport())
        stream = StreamReader(protocol, 2**16, loop=loop)
        async with asyncio.timeout(20):
            await story(stream, Incoming(stream, most_bytes, Patience(patience_s, SLOWEST_BYTES_S)))

    asyncio.run(run())


def test_silence_ends_it_however_much_came_before() -> None:
    async def story(stream: StreamReader, incoming: Incoming) -> None:
        for _ in range(1000):
            stream.feed_data(bytes(10**5))
            assert len(await incoming.read(10**5)) == 10**5
        with pytest.raises(TimeoutError):
            await incoming.read(1)

    play(story, patience_s=0.2)


def test_so_no_file_on_its_way_is_ever_as_old_as_what_is_swept() -> None:
    patience = Patience(UPLOAD_S, SLOWEST_BYTES_S)
    patience.spend(0.0, 1000 * 1024 * 1024)
    assert patience.left_s < ORPHAN_AGE_S / 10


def test_waits_of_ours_are_not_the_senders() -> None:
    async def story(stream: StreamReader, incoming: Incoming) -> None:
        for _ in range(5):
            stream.feed_data(b"a")
            await asyncio.sleep(0.1)  # the disk
            assert await incoming.read(10) == b"a"

    play(story, patience_s=0.2)


def test_no_more_is_read_than_a_form_may_have() -> None:
    async def story(stream: StreamReader, incoming: Incoming) -> None:
        stream.feed_data(bytes(1001))
        piece = await incoming.read(900)
        with pytest.warns(DeprecationWarning):  # aiohttp's own reader of forms puts back what it read too far
            incoming.unread_data(piece[500:])
        assert len(await incoming.read(500)) == 500
        with pytest.raises(TooLarge):
            await incoming.read(1)

    play(story, most_bytes=1000)


def test_lines_without_end_are_no_form() -> None:
    async def story(stream: StreamReader, incoming: Incoming) -> None:
        stream.feed_data(b"\n" * 10_000)
        for _ in range(LINES_MOST):
            assert await incoming.readline() == b"\n"
        with pytest.raises(ValueError, match="lines"):
            await incoming.readline()

    play(story)
