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
from sidecar.files import kinds
from sidecar.files.incoming import TooLarge
from sidecar.files.kinds import Kind, NotAllowed, TextCheck
from sidecar.files.pictures import KINDS as PICTURES
from sidecar.files.pictures import PIXELS_MOST, pixels

T = TypeVar("T")
THREADS = 2  # of the disk's own, so that a slow disk holds up nothing but uploads
ID = re.compile(r"[0-9a-f]{32}")
COMING = "coming"  # the folder of what is still on its way
ORPHAN_AGE_S = 3600.0  # since it was last written to: no sender is waited for so long, nor does a row take so long
SWEEP_BATCH = 500
SPARE_BYTES = 512 * 1024 * 1024  # left on the disk for others: the database may live on it
CHECK_BYTES = 1024 * 1024  # of a file, after which its room is looked at again


class ShelfFull(Exception):
    """The disk has too little room left."""


class Shelf:
    def __init__(self, folder: Path, most_bytes: int, spare_bytes: int = SPARE_BYTES) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self.spare_bytes = spare_bytes
        self._disk = ThreadPoolExecutor(THREADS, "shelf")

    def close(self) -> None:
        self._disk.shutdown(cancel_futures=True)

    async def take(self, pieces: AsyncIterator[bytes], name: str) -> Attachment:
        """Everything that comes, on disk for good. Raises `NotAllowed`, `TooLarge`, `ShelfFull`, or what `pieces`
        raises; then nothing is left of it."""
        coming = self.coming()
        own = coming.name
        try:
            kind, size = await self._write(coming, pieces, name)
            await self.put(coming, self.path(own))
        except BaseException:
            await asyncio.shield(self.drop(coming))
            raise
        return Attachment(own, kinds.clean_name(name, kind), kind, size)

    def coming(self) -> Path:
        """A new place for what is on its way."""
        return self.folder / COMING / secrets.token_hex(16)

    async def put(self, coming: Path, path: Path) -> None:
        """What came is whole."""
        await self._on_disk(self._move, coming, path)

    async def drop(self, coming: Path) -> None:
        await self._on_disk(coming.unlink, True)

    def path(self, own: str) -> Path:
        return self.folder / own[:2] / own

    def preview_path(self, own: str) -> Path:
        return _preview_of(self.path(own))

    async def remove(self, own: str) -> None:
        """Its row could not be written, or is gone."""
        await self._on_disk(_remove, [self.path(own)])

    async def exists(self, path: Path) -> bool:
        return await self._on_disk(path.is_file)

    async def free_bytes(self) -> int:
        return await self._on_disk(_free_bytes, self.folder)

    async def pixels(self, file: Attachment) -> int:
        """How many a picture has by its head; 0 where that can't be read."""
        return await self._on_disk(_pixels, self.path(file.id), file.type)

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
                await self._on_disk(self._append, file, piece, check)
            return await self._on_disk(_finish, file, kind, check), size
        finally:
            await asyncio.shield(self._on_disk(file.close))

    def _create(self, path: Path) -> BinaryIO:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_room(self.most_bytes)
        return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b")

    def _append(self, file: BinaryIO, piece: bytes, check: TextCheck | None) -> None:
        if check:
            check.feed(piece)
        if file.tell() % CHECK_BYTES < len(piece):  # others began while there was room for them, too
            self._check_room(0)
        file.write(piece)

    def _check_room(self, wanted_bytes: int) -> None:
        if _free_bytes(self.folder) < self.spare_bytes + wanted_bytes:
            raise ShelfFull(f"less than {(self.spare_bytes + wanted_bytes) // 2**20} MiB would be left on the disk")

    def _move(self, coming: Path, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        coming.rename(path)
        _sync_folder(path.parent)
        _sync_folder(self.folder)

    async def _on_disk(self, work: Callable[..., T], *values: Any) -> T:
        """Raises `OSError` of the disk, and where this process stops."""
        try:
            future = asyncio.get_running_loop().run_in_executor(self._disk, work, *values)
        except RuntimeError:  # closed: somebody's upload outlived the others
            raise OSError("this process stops") from None
        return await future

    async def sweep(self, known: Callable[[list[str]], Awaitable[Collection[str]]]) -> int:
        """Take old files away that no row speaks of; `known` says which ids have one. Gives how many they were. Folder
        by folder: no upload waits for its turn at the disk for long."""
        before, gone = time.time() - ORPHAN_AGE_S, 0
        for folder in await self._on_disk(_folders, self.folder):
            old = await self._on_disk(_older_than, folder, before)
            for at in range(0, len(old), SWEEP_BATCH):
                batch = old[at : at + SWEEP_BATCH]
                rows = () if folder.name == COMING else await known([path.name for path in batch])
                gone += await self._on_disk(_remove, [path for path in batch if path.name not in rows])
        return gone


def _folders(folder: Path) -> list[Path]:
    """Where files lie. A link is none of ours: it may lead anywhere."""
    try:
        with os.scandir(folder) as found:
            return [Path(each.path) for each in found if each.is_dir(follow_symlinks=False)]
    except FileNotFoundError:  # nothing was ever sent
        return []


def _older_than(folder: Path, before: float) -> list[Path]:
    with os.scandir(folder) as found:
        return [Path(each.path) for each in found if ID.fullmatch(each.name) and _changed(each) < before]


def _changed(entry: "os.DirEntry[str]") -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime if entry.is_file(follow_symlinks=False) else math.inf
    except FileNotFoundError:  # another sidecar's sweep, or an upload that ended
        return math.inf


def _free_bytes(folder: Path) -> int:
    """Of the disk that it is on, also before it is made."""
    return shutil.disk_usage(folder if folder.exists() else folder.parent).free


def _preview_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-preview")


def _remove(paths: list[Path]) -> int:
    """With their previews, which go first: none is left alone."""
    for path in paths:
        _preview_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return len(paths)


def _pixels(path: Path, kind: str) -> int:
    try:
        with path.open("rb") as file:
            return pixels(file, kind) or 0
    except OSError:
        return 0


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


def _finish(file: BinaryIO, kind: Kind, check: TextCheck | None) -> str:
    """Its type, now that all of it has been seen; it is on the disk for good."""
    if check:
        check.feed(b"", True)
    found = kinds.zipped(file) if kind.to_check == "zip" else kind.type
    if found in PICTURES and not 0 < (pixels(file, found) or 0) <= PIXELS_MOST:
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
