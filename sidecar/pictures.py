"""How large a picture will be once it is shown: a small file can hold one that fills the memory of whoever opens it.
Pure, but for reading the file. After `kinds`, which knows what it is.
"""

import struct
from typing import BinaryIO

PIXELS_MOST = 100_000_000  # 400 MB in a browser; the cameras of today stay below
JPEG_SEGMENTS_MOST = 1000
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # the segments that hold width and height


def pixels(file: BinaryIO, kind: str) -> int | None:
    """Of a JPEG, PNG, GIF or WebP; None where its head can't be read, and no browser will show it either."""
    file.seek(0)
    try:
        if kind == "image/jpeg":
            return _jpeg(file)
        head = file.read(32)
        if kind == "image/png":
            width, height = struct.unpack_from(">II", head, 16)
        elif kind == "image/gif":
            width, height = struct.unpack_from("<HH", head, 6)
        else:
            width, height = _webp(head)
    except (struct.error, KeyError):
        return None
    return int(width * height)


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
        if mark != 0xFF:
            return None
        if kind == 0xFF:  # a filling byte
            file.seek(-3, 1)
        elif kind in _JPEG_SIZES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return int(width * height)
        else:
            file.seek(size - 2, 1)
    return None
