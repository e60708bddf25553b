"""How large a picture will be once it is shown: a small file can hold one that fills the memory of whoever opens it.
Pure, but for reading the file. After `kinds`, which knows what it is.
"""

import struct
from typing import BinaryIO

KINDS = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PIXELS_MOST = 100_000_000  # 400 MB in a browser; the cameras of today stay below
JPEG_SEGMENTS_MOST = 1000
GIF_BLOCKS_MOST = 5000  # before the first frame: 1.2 MB of comments
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # the segments that hold width and height
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # marks without a length: nothing belongs to them
_JPEG_LAST = frozenset({0x00, 0xD8, 0xD9, 0xDA})  # no browser looks for a size after these


def pixels(file: BinaryIO, kind: str) -> int | None:
    """Of a JPEG, PNG, GIF or WebP; None where its head can't be read, and no browser will show it either."""
    file.seek(0)
    try:
        if kind == "image/jpeg":
            return _jpeg(file)
        if kind == "image/gif":
            return _gif(file)
        head = file.read(32)
        if kind == "image/png":
            width, height = struct.unpack_from(">II", head, 16)
        else:
            width, height = _webp(head)
    except (struct.error, KeyError):
        return None
    return int(width * height)


def _gif(file: BinaryIO) -> int | None:
    """Of its screen, which browsers make larger where the first frame is. Raises `struct.error`."""
    width, height, flags = struct.unpack_from("<HHB", file.read(13), 6)
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)  # its colours
    for _ in range(GIF_BLOCKS_MOST):
        (kind,) = struct.unpack("B", file.read(1))
        if kind == 0x2C:
            left, top, wide, high = struct.unpack("<HHHH", file.read(8))
            return int(max(width, left + wide) * max(height, top + high))
        if kind != 0x21 or not _past_extension(file):
            return None
    return None


def _past_extension(file: BinaryIO) -> bool:
    file.seek(1, 1)
    for _ in range(GIF_BLOCKS_MOST):
        (size,) = struct.unpack("B", file.read(1))
        if not size:
            return True
        file.seek(size, 1)
    return False


def _webp(head: bytes) -> tuple[int, int]:
    """Of its three forms. Raises `struct.error`, `KeyError`."""
    form = head[12:16]
    if form == b"VP8X":
        parts = struct.unpack_from("<HBHB", head, 24)
        return (parts[0] | parts[1] << 16) + 1, (parts[2] | parts[3] << 16) + 1
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise KeyError(form)


def _jpeg(file: BinaryIO) -> int | None:
    """From segment to segment, up to the one that tells."""
    file.seek(2)
    for _ in range(JPEG_SEGMENTS_MOST):
        mark, kind, size = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or kind in _JPEG_LAST:
            return None
        if kind == 0xFF:  # a filling byte
            file.seek(-3, 1)
        elif kind in _JPEG_ALONE:
            file.seek(-2, 1)
        elif kind in _JPEG_SIZES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return int(width * height)
        else:
            file.seek(size - 2, 1)
    return None
