"""Previews of pictures: small ones that pages load in place of what a stranger sent. After `attachments`, which knows
when one is wanted; before `preview`, the program that makes them.

Decoding is a process of its own for each picture, not a thread: only of a process can memory be bounded, only a process
can be ended when it takes too long, and where a decoder in C falls over, the chat goes on. It costs a fifth of a second
of one processor, once for each picture.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import logs
from db.files import Attachment
from sidecar.files.shelf import Shelf

log = logging.getLogger("sidecar.previews")

PROGRAM = Path(__file__).with_name("preview.py")
FORMATS: Mapping[str, str] = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
KIND = "image/webp"
CANT = 3  # as in preview.py, which is imported by nobody: what it needs is needed there alone
# Of a JPEG as much is decoded as the preview needs, of the others all: 100 MB for 25 million.
PIXELS_MOST: Mapping[str, int] = {"image/jpeg": 64_000_000}
OTHER_PIXELS_MOST = 25_000_000
AT_ONCE = 2
TURN_S = 10.0  # a sender waits so long for a place; later it is made when somebody wants to see it
MAKE_S = 20.0  # where much else goes on; what takes a processor so long ends by itself before that, and for good


class Size(NamedTuple):
    width: int
    height: int


NONE = Size(0, 0)  # none can be made


class CantBeShown(Exception):
    """A picture that is broken, or takes too much."""


class Previews:
    """Of one event loop."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def make(self, file: Attachment) -> Size | None:
        """Its size, once it is on the shelf; `NONE` where none can be made; None where it could not be made now."""
        most = PIXELS_MOST.get(file.type, OTHER_PIXELS_MOST)
        if file.type not in FORMATS or not 0 < await self._shelf.pixels(file) <= most:
            return NONE
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            return None
        try:
            return await self._made(file, most)
        finally:
            self._turns.release()

    async def _made(self, file: Attachment, most: int) -> Size | None:
        coming = self._shelf.coming()
        values = (str(self._shelf.path(file.id)), str(coming), FORMATS[file.type], str(most))
        try:
            size = _size(await _said(sys.executable, "-I", str(PROGRAM), *values))
            await self._shelf.put(coming, self._shelf.preview_path(file.id))
        except CantBeShown as error:
            log.info(logs.line("preview_refused", file=file.id, why=error))
            size = NONE
        except (OSError, ValueError) as error:  # of them TimeoutError
            log.warning(logs.line("preview_failed", file=file.id, why=str(error) or type(error).__name__))
            size = None
        if not size or size == NONE:
            await self._shelf.drop(coming)
        return size


async def _said(*command: str) -> bytes:
    """What the program prints. Raises `CantBeShown`, and `OSError` and `ValueError` for what is not the picture's
    fault; then it runs no more."""
    quiet = asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        *command, stdin=quiet, stderr=quiet, stdout=asyncio.subprocess.PIPE, env={}, cwd="/"
    )
    try:
        async with asyncio.timeout(MAKE_S):
            said, _ = await child.communicate()
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await asyncio.shield(child.wait())
    if child.returncode == CANT or (child.returncode or 0) < 0:
        raise CantBeShown(f"it ended with {child.returncode}")
    if child.returncode:
        raise ValueError(f"it ended with {child.returncode}")
    return said


def _size(said: bytes) -> Size:
    width, height = map(int, said.split())
    return Size(width, height)
