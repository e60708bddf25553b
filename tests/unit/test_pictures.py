"""How large a picture is once shown: heads as a browser's canvas wrote them, 7 by 5, and heads made by hand."""

import base64
import io
import struct

from hypothesis import given
from hypothesis import strategies as st

from sidecar.files.pictures import pixels
from tests.variants import each

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


def test_the_three_forms_of_webp() -> None:
    assert size_of(WEBP + WEBP_LOSSY, "webp") == 35
    assert size_of(WEBP + WEBP_LOSSLESS, "webp") == 35
    extended = b"VP8X" + struct.pack("<II", 10, 0) + b"\xff\xff\x01" + b"\x00\x01\x00"
    assert size_of(WEBP + extended, "webp") == 0x20000 * 0x101


def test_a_jpeg_with_much_before_its_size() -> None:
    assert size_of(jpeg(7, 5), "jpeg") == 35
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 40_000) + b"\xff\xc0" * 20_000
    assert size_of(jpeg(9000, 12000, thumbnail + b"\xff\xff\xff\xdb\x00\x04ab"), "jpeg") == 108_000_000


def gif(screen: tuple[int, int], *blocks: bytes, palette: int = 0) -> bytes:
    """`palette`: 0 for none, else as the file has it, for 2 ** (n + 1) colours."""
    flags, colours = (0x80 | palette, bytes(3 << palette + 1)) if palette else (0, b"")
    return b"GIF89a" + struct.pack("<HHBBB", *screen, flags, 0, 0) + colours + b"".join(blocks)


def frame(width: int, height: int, left: int = 0, top: int = 0) -> bytes:
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0)


COMMENT = b"!\xfe" + (b"\xff" + b"," * 255) * 3 + b"\x00"


@each(
    ("content", "size"),
    [
        (gif((7, 5), frame(7, 5)), 35),
        (gif((7, 5), COMMENT, frame(7, 5), palette=3), 35),
        (gif((1, 1), frame(60000, 60000)), 3_600_000_000),
        (gif((1, 1), COMMENT, b"!\xf9\x04\x00\x00\x00\x00\x00", frame(60000, 60000), palette=7), 3_600_000_000),
        (gif((7, 5), frame(10, 10, 60000, 2)), 60010 * 12),
        (gif((0, 0), frame(7, 5)), 35),
        (gif((7, 5)), None),
        (gif((7, 5), b";"), None),
        (gif((7, 5), b"!\xfe" + b"\x01," * 100_000 + b"\x00", frame(7, 5)), None),
    ],
)
def test_a_gif_is_as_large_as_its_first_frame_where_that_is_larger(content: bytes, size: int | None) -> None:
    """Browsers make the screen larger for it."""
    assert size_of(content, "gif") == size


@each("mark", [b"\xff\xd0", b"\xff\xd7", b"\xff\x01"])
def test_a_jpeg_has_marks_that_nothing_belongs_to(mark: bytes) -> None:
    """Who takes what follows for their length looks past the frame that a browser shows."""
    large = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, 60000, 60000, 1) + bytes(3)
    assert size_of(b"\xff\xd8" + mark + large + bytes(0xFFC0) + jpeg(1, 1)[2:], "jpeg") == 3_600_000_000


@each("mark", [0xD8, 0xD9, 0xDA, 0x00])
def test_a_jpeg_whose_size_no_browser_would_find_has_none(mark: int) -> None:
    assert size_of(b"\xff\xd8\xff" + bytes([mark]) + b"\x00\x02" + jpeg(7, 5)[2:], "jpeg") is None


def test_a_jpeg_may_have_filling_bytes() -> None:
    assert size_of(b"\xff\xd8\xff\xff\xff" + jpeg(7, 5)[2:], "jpeg") == 35


@each("kind", KINDS)
def test_a_head_that_says_nothing_is_no_picture(kind: str) -> None:
    for content in (b"", b"\xff\xd8\xff", WEBP):
        assert not pixels(io.BytesIO(content), kind)


def test_a_jpeg_is_not_looked_through_for_ever() -> None:
    assert size_of(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2000 + jpeg(7, 5)[2:], "jpeg") is None


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_can_be_looked_at(content: bytes, kind: str) -> None:
    pixels(io.BytesIO(content), kind)
