"""How large a picture is once shown: heads as a browser's canvas wrote them, 7 by 5, and heads made by hand."""

import base64
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.pictures import pixels

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAcAAAAFCAYAAACJmvbYAAAAHklEQVR4AbTJMQ0AAADCsAX/nkEBfCzZVRncFqMTBgAA///iXYXJAAAABklEQVQDACA9"
    "Df1MQUJ/AAAAAElFTkSuQmCC"
)
WEBP_LOSSY = bytes.fromhex("565038202c0000009001009d012a0700050002c04c25a00274ba0003")
WEBP_LOSSLESS = bytes.fromhex("5650384c0f0000002f060001000710fd8ffe0722a2ff01") + bytes(9)
WEBP = b"RIFF\x00\x00\x00\x00WEBP"
KINDS = ["image/jpeg", "image/png", "image/gif", "image/webp"]


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC2, 11, 8, height, width, 1)
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + before + frame + bytes(20)


def size_of(content: bytes, kind: str) -> int | None:
    return pixels(io.BytesIO(content), f"image/{kind}")


def test_a_png() -> None:
    assert size_of(PNG, "png") == 35
    assert size_of(PNG[:16] + struct.pack(">II", 60000, 60000) + PNG[24:], "png") == 3_600_000_000


def test_a_gif() -> None:
    assert size_of(b"GIF89a" + struct.pack("<HH", 7, 5) + bytes(30), "gif") == 35


def test_the_three_forms_of_webp() -> None:
    assert size_of(WEBP + WEBP_LOSSY, "webp") == 35
    assert size_of(WEBP + WEBP_LOSSLESS, "webp") == 35
    extended = b"VP8X" + struct.pack("<II", 10, 0) + b"\xff\xff\x01" + b"\x00\x01\x00"
    assert size_of(WEBP + extended, "webp") == 0x20000 * 0x101


def test_a_jpeg_with_much_before_its_size() -> None:
    assert size_of(jpeg(7, 5), "jpeg") == 35
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 40_000) + b"\xff\xc0" * 20_000
    assert size_of(jpeg(9000, 12000, thumbnail + b"\xff\xff\xff\xdb\x00\x04ab"), "jpeg") == 108_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_that_says_nothing_is_no_picture(kind: str) -> None:
    for content in (b"", b"\xff\xd8\xff", WEBP):
        assert not pixels(io.BytesIO(content), kind)


def test_a_jpeg_is_not_looked_through_for_ever() -> None:
    assert size_of(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2000 + jpeg(7, 5)[2:], "jpeg") is None


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_can_be_looked_at(content: bytes, kind: str) -> None:
    pixels(io.BytesIO(content), kind)
