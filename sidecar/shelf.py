"""Where attachments lie on disk: taken in piece by piece, judged by content, under names of ours. Beside
`attachments`, which knows who may send and see them.

A file is on the shelf whole or not at all: it comes under another name, and moves only when it is on the disk for good.
Its row in PostgreSQL is written after that; what has no row, after a crash or since its chat was forgotten, `sweep`
takes away.
"""

import asyncio
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from db.chat import Attachment
from sidecar import kinds
from sidecar.kinds import Kind, NotAllowed, TextCheck
from sidecar.pictures import PIXELS_MOST, pixels

T = TypeVar("T")
THREADS = 2  # of the disk's own, so that a slow disk holds up nothing but uploads
ID = re.compile(r"[0-9a-f]{32}")
COMING = "coming"  # the folder of what is still on its way
ORPHAN_AGE_S = 3600.0  # no upload takes so long from its first byte to its row
SWEEP_BATCH = 500
SPARE_BYTES = 512 * 1024 * 1024  # left on the disk for others: the database may live on it


class TooLarge(Exception):
    """More bytes than are allowed."""


class ShelfFull(Exception):
    """The disk has too little room left."""


class Shelf:
    def __init__(self, folder: Path, most_bytes: int, spare_bytes: int = SPARE_BYTES) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self._spare_bytes = spare_bytes
        self._disk = ThreadPoolExecutor(THREADS, "shelf")

    def close(self) -> None:
        self._disk.shutdown(cancel_futures=True)

    async def take(self, pieces: AsyncIterator[bytes], name: str) -> Attachment:
        """Everything that comes, on disk for good. Raises `NotAllowed`, `TooLarge`, `ShelfFull`, or what `pieces`
        raises; then nothing is left of it."""
        own = secrets.token_hex(16)
        coming = self.folder / COMING / own
        try:
            kind, size = await self._write(coming, pieces, name)
            await self._on_disk(self._move, coming, self.path(own))
        except BaseException:
            await asyncio.shield(self._on_disk(coming.unlink, True))
            raise
        return Attachment(own, kinds.clean_name(name, kind), kind, size)

    def path(self, own: str) -> Path:
        return self.folder / own[:2] / own

    async def remove(self, own: str) -> None:
        """Its row could not be written, or is gone."""
        await self._on_disk(self.path(own).unlink, True)

    async def exists(self, own: str) -> bool:
        return await self._on_disk(self.path(own).is_file)

    async def _write(self, coming: Path, pieces: AsyncIterator[bytes], name: str) -> tuple[str, int]:
        head, rest = await _head(pieces)
        kind = kinds.kind_of(head[: kinds.HEAD], name)
        check = TextCheck() if kind.to_check == "text" else None
        size = 0
        file = await self._on_disk(self._create, coming)
        try:
            async for piece in _chain(head, rest):
                size += len(piece)
                if size > self.most_bytes:
                    raise TooLarge
                await self._on_disk(_append, file, piece, check)
            return await self._on_disk(_finish, file, kind, check), size
        finally:
            await asyncio.shield(self._on_disk(file.close))

    def _create(self, path: Path) -> BinaryIO:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < self._spare_bytes + self.most_bytes:
            raise ShelfFull
        return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b")

    def _move(self, coming: Path, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        coming.rename(path)
        _sync_folder(path.parent)
        _sync_folder(self.folder)

    async def _on_disk(self, work: Callable[..., T], *values: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *values)

    async def sweep(self, known: Callable[[list[str]], Awaitable[Collection[str]]]) -> int:
        """Take old files away that no row speaks of; `known` says which ids have one. Gives how many they were."""
        old = await self._on_disk(self._older_than, time.time() - ORPHAN_AGE_S)
        gone = [path for path in old if path.parent.name == COMING]
        kept = [path for path in old if path.parent.name != COMING]
        for at in range(0, len(kept), SWEEP_BATCH):
            batch = kept[at : at + SWEEP_BATCH]
            rows = await known([path.name for path in batch])
            gone += [path for path in batch if path.name not in rows]
        for path in gone:
            await self._on_disk(path.unlink, True)
        return len(gone)

    def _older_than(self, before: float) -> list[Path]:
        return [path for path in self.folder.glob("*/*") if ID.fullmatch(path.name) and _changed(path) < before]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another sidecar's sweep, or an upload that ended
        return math.inf


async def _head(pieces: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Enough bytes to see what it is, and the rest."""
    head = b""
    async for piece in pieces:
        head += piece
        if len(head) >= kinds.HEAD:
            break
    return head, pieces


async def _chain(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


def _append(file: BinaryIO, piece: bytes, check: TextCheck | None) -> None:
    if check:
        check.feed(piece)
    file.write(piece)


def _finish(file: BinaryIO, kind: Kind, check: TextCheck | None) -> str:
    """Its type, now that all of it has been seen; it is on the disk for good."""
    if check:
        check.feed(b"", True)
    found = kinds.zipped(file) if kind.to_check == "zip" else kind.type
    if found.startswith("image/") and not 0 < (pixels(file, found) or 0) <= PIXELS_MOST:
        raise NotAllowed("a broken picture, or one of more than 100 million pixels")
    file.flush()
    os.fsync(file.fileno())
    return found


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
