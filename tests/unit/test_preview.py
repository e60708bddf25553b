"""The program that makes a preview, without its process: every kind of picture, upright, small, with nothing else."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from sidecar.files.preview import SIDE_MOST, make
from tests.variants import each

RED, BLUE = (220, 30, 30), (30, 30, 220)
PIXELS_MOST = 25_000_000


def halves(width: int, height: int) -> Image.Image:
    """Red above, blue below."""
    made = Image.new("RGB", (width, height), RED)
    made.paste(BLUE, (0, height // 2, width, height))
    return made


def written(image: Image.Image, kind: str, **how: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **how)
    return made.getvalue()


def preview(content: bytes, kind: str) -> Image.Image:
    made, size = make(io.BytesIO(content), kind, PIXELS_MOST)
    image = Image.open(io.BytesIO(made), formats=["WEBP"])
    assert image.size == size and max(size) <= SIDE_MOST and not getattr(image, "is_animated", False)
    assert not image.getexif() and not {"exif", "icc_profile", "xmp"} & set(image.info)
    return image


def near(image: Image.Image, x: int, y: int, colour: tuple[int, ...]) -> bool:
    pixel = image.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return all(abs(one - other) < 40 for one, other in zip(pixel, colour, strict=True))


def gif() -> bytes:
    return written(halves(900, 900), "GIF", save_all=True, append_images=[Image.new("RGB", (900, 900), "white")] * 3)


PICTURES: dict[str, tuple[str, Callable[[], bytes], tuple[int, int]]] = {
    "a large JPEG": ("JPEG", lambda: written(halves(3000, 2000), "JPEG"), (640, 427)),
    "a progressive JPEG": ("JPEG", lambda: written(halves(1280, 1280), "JPEG", progressive=True), (640, 640)),
    "a JPEG for print": ("JPEG", lambda: written(halves(800, 800).convert("CMYK"), "JPEG"), (640, 640)),
    "a grey JPEG": ("JPEG", lambda: written(Image.linear_gradient("L"), "JPEG"), (256, 256)),
    "a small PNG": ("PNG", lambda: written(halves(40, 30), "PNG"), (40, 30)),
    "a PNG with a palette": ("PNG", lambda: written(halves(900, 300).convert("P"), "PNG"), (640, 213)),
    "a PNG of 16 bits": ("PNG", lambda: written(Image.new("I;16", (700, 700)), "PNG"), (640, 640)),
    "a PNG of one bit": ("PNG", lambda: written(Image.new("1", (700, 70)), "PNG"), (640, 64)),
    "a thin PNG": ("PNG", lambda: written(Image.new("RGB", (1, 5000)), "PNG"), (1, 640)),
    "a GIF that moves": ("GIF", gif, (640, 640)),
    "a WebP": ("WEBP", lambda: written(halves(700, 1400), "WEBP"), (320, 640)),
}


@each("what", PICTURES)
def test_every_kind_of_picture_has_a_small_one(what: str) -> None:
    kind, drawn, size = PICTURES[what]
    assert preview(drawn(), kind).size == size


def test_of_a_picture_that_moves_it_is_the_first_frame() -> None:
    assert near(preview(gif(), "GIF"), 320, 20, RED)


@each("kind", ["PNG", "WEBP"])
def test_what_is_clear_stays_clear(kind: str) -> None:
    found = preview(written(Image.new("RGBA", (900, 900), (0, 0, 0, 0)), kind), kind).convert("RGBA").getpixel((5, 5))
    assert isinstance(found, tuple) and found[3] == 0


@each("kind", ["JPEG", "PNG", "WEBP"])
@each(("orientation", "degrees"), [(3, 180), (6, 90), (8, 270)])
def test_a_picture_that_lies_on_its_side_is_shown_upright_and_not_where_it_was_taken(
    kind: str, orientation: int, degrees: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[2] = (6.0, 12.0, 0.0)
    image = preview(written(halves(1500, 1000).rotate(degrees, expand=True), kind, exif=exif), kind)
    assert image.size == (640, 427)
    assert near(image, 320, 20, RED) and near(image, 320, 400, BLUE)


@each("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_picture_is_read_as_what_it_was_found_to_be_and_as_nothing_else(kind: str) -> None:
    other = "PNG" if kind != "PNG" else "JPEG"
    with pytest.raises(OSError, match="cannot identify"):
        make(io.BytesIO(written(halves(9, 9), other)), kind, PIXELS_MOST)


def test_what_has_more_pixels_than_its_head_said_is_not_decoded() -> None:
    moving = gif()
    large = moving[:6] + struct.pack("<HH", 6000, 6000) + moving[10:]
    with pytest.raises((ValueError, Image.DecompressionBombError)):
        make(io.BytesIO(large), "GIF", PIXELS_MOST)
