"""A program that makes the preview of one picture. Before it `previews`, which starts it and ends it.

It reads what a stranger made, with a library in C. Here that can take so much memory and so much time, and whatever
goes wrong ends this process alone. It knows no address, no key and no other file.

    python -I preview.py SOURCE TARGET FORMAT PIXELS_MOST     # prints `640 480`, the size of what it has written
"""

import io
import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, WebPImagePlugin

SIDE_MOST = 640  # pixels: twice what a bubble is wide, for screens with small pixels
MEMORY_BYTES = (
    768 * 1024 * 1024
)  # of address space: what it begins with, the largest picture, and room to make it small
CPU_S = 10
QUALITY = 80
SMALL_STEPS = 2.0  # it is first made small roughly, to twice the size, then well
NICE = 5  # messages go first
CANT = (
    3  # how it ends where this picture can't be shown; ended by a signal it means the same, in another way it does not
)


def main(source: str, target: str, kind: str, pixels_most: str) -> None:
    os.nice(NICE)
    bound(resource.RLIMIT_CORE, 0)
    bound(resource.RLIMIT_CPU, CPU_S)
    bound(resource.RLIMIT_AS, MEMORY_BYTES)
    with Path(source).open("rb") as picture:
        try:
            made, (width, height) = make(picture, kind, int(pixels_most))
        except Exception:  # Pillow raises many kinds
            sys.exit(CANT)
    Path(target).write_bytes(made)
    sys.stdout.write(f"{width} {height}")


def bound(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def make(picture: BinaryIO, kind: str, pixels_most: int) -> tuple[bytes, tuple[int, int]]:
    """The first frame, upright, as WebP, with nothing in it but the picture; and its size. Raises whatever Pillow does
    of what it can't read."""
    Image.MAX_IMAGE_PIXELS = pixels_most
    made = io.BytesIO()
    with Image.open(picture, formats=[kind]) as opened:
        if opened.width * opened.height > pixels_most:
            raise ValueError("too many pixels")
        opened.draft("RGB", (2 * SIDE_MOST, 2 * SIDE_MOST))  # of a JPEG no more than that is decoded
        plain = opened if opened.mode in ("RGB", "RGBA") else opened.convert("RGBA" if has_alpha(opened) else "RGB")
        plain.thumbnail((SIDE_MOST, SIDE_MOST), reducing_gap=SMALL_STEPS)
        upright = ImageOps.exif_transpose(plain)
        upright.save(made, WebPImagePlugin.WebPImageFile.format, quality=QUALITY, exif=b"", icc_profile=b"", xmp=b"")
    return made.getvalue(), upright.size


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info


if __name__ == "__main__":
    main(*sys.argv[1:])
