"""Previews of pictures: made of what strangers send, in a process of its own, within bounds; told with the message."""

import asyncio
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from db import chat, payloads
from sidecar.files import previews
from tests.services.test_attachments import OTHER, TENANT, World, play  # noqa: F401 - a fixture
from tests.unit.test_preview import halves, written


def bomb(width: int, height: int) -> bytes:
    """A whole PNG of one colour, a thousandth of a byte for each pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def shown(w: World, file: dict[str, Any]) -> Image.Image:
    status, headers, body = await w.get(f"{file['preview']['url']}?key={w.keys[TENANT]}")
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    assert headers["Content-Disposition"].startswith("inline") and "sandbox" in headers["Content-Security-Policy"]
    image = Image.open(io.BytesIO(body), formats=["WEBP"])
    assert (file["preview"]["width"], file["preview"]["height"]) in {image.size, (None, None)}
    return image


async def sent(w: World, content: bytes, name: str = "a.png", **more: Any) -> dict[str, Any]:
    [file] = (await w.sent(content, name, **more))["attachments"]
    found: dict[str, Any] = file
    return found


def test_a_picture_comes_with_a_small_one_of_a_known_size(play: Callable[..., None]) -> None:  # noqa: F811
    async def work(w: World) -> None:
        for content, size in (
            (written(halves(3000, 2000), "JPEG"), (640, 427)),
            (written(halves(40, 30), "GIF"), (40, 30)),
        ):
            file = await sent(w, content, "pic.png")
            assert (file["preview"]["width"], file["preview"]["height"]) == size
            assert (await shown(w, file)).size == size

    play(work)


def broken() -> dict[str, bytes]:
    whole = written(Image.effect_noise((600, 600), 80), "JPEG")
    png = written(Image.effect_noise((300, 300), 80), "PNG")
    return {
        "half a JPEG": whole[: len(whole) // 2],
        "the head of a PNG": png[:33],
        "a PNG with a wrong sum": png[:60] + b"\0\0\0\0" + png[64:],
        "half a WebP": written(Image.effect_noise((600, 600), 80).convert("RGB"), "WEBP")[:2000],
        "a GIF of nothing": written(halves(600, 600), "GIF")[:800] + b";",
    }


def test_what_can_not_be_shown_is_a_file_to_save_and_is_never_decoded(
    play: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A picture that would take too much is known by its head: no program is started for it."""

    async def is_for_saving(w: World, file: dict[str, Any], what: str) -> None:
        assert file["preview"] is None, what
        _, headers, _ = await w.get(f"{file['url']}?key={w.keys[TENANT]}")
        assert headers["Content-Disposition"].startswith("attachment"), what
        assert (await w.get(f"{file['url']}/preview?key={w.keys[TENANT]}"))[0] == 404, what

    async def work(w: World) -> None:
        for what, content in broken().items():
            await is_for_saving(w, await sent(w, content), what)
        monkeypatch.setattr(previews, "PROGRAM", tmp_path / "nobody starts it")
        small = bomb(10_000, 10_000)
        assert len(small) < 32_000
        await is_for_saving(w, await sent(w, small), "100 million pixels")
        await is_for_saving(w, await sent(w, bomb(5001, 5000)), "a little too many")
        lossy = bytearray(written(halves(64, 64), "JPEG"))
        at = lossy.index(b"\xff\xc0") + 5
        lossy[at : at + 4] = struct.pack(">HH", 9_000, 9_000)
        await is_for_saving(w, await sent(w, bytes(lossy)), "a JPEG of 81 million pixels")

    play(work)


TELEPHONES = {
    "IMG_0001.HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
    "IMG_0002.MOV": (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "video/quicktime"),
    "VID_0003.3gp": (b"\0\0\0\x18ftyp3gp5\0\0\1\0", "video/3gpp"),
}


def test_what_telephones_make_is_taken_as_a_file_to_save(play: Callable[..., None]) -> None:  # noqa: F811
    async def work(w: World) -> None:
        for name, (head, kind) in TELEPHONES.items():
            file = await sent(w, head + bytes(2000), name)
            assert (file["type"], file["name"].lower(), file["preview"]) == (kind, name.lower(), None)
            _, headers, body = await w.get(f"{file['url']}?key={w.keys[TENANT]}")
            assert headers["Content-Disposition"].startswith("attachment") and body == head + bytes(2000)

    play(work)


def test_the_largest_that_is_decoded_stays_within_the_bounds(play: Callable[..., None]) -> None:  # noqa: F811
    async def work(w: World) -> None:
        image = await shown(w, await sent(w, bomb(5000, 5000)))
        assert image.size == (640, 640)

    play(work)


def program(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(text)
    return path


HANGS = """import pathlib, sys, time
begun = pathlib.Path({begun!r})
with begun.open("a") as out: out.write("begun ")
time.sleep(60)
"""


@pytest.mark.long
def test_a_program_that_hangs_is_ended_and_two_run_at_once_at_most(
    play: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    begun = tmp_path / "begun"
    monkeypatch.setattr(previews, "PROGRAM", program(tmp_path, HANGS.format(begun=str(begun))))
    monkeypatch.setattr(previews, "MAKE_S", 3.0)
    monkeypatch.setattr(previews, "TURN_S", 1.0)

    async def work(w: World) -> None:
        names = [TENANT, *[await w.another(name) for name in ("one", "two", "three")]]
        pictures = [
            sent(w, written(halves(9, 9), "PNG"), tenant=name, address=f"198.51.100.{n}")
            for n, name in enumerate(names)
        ]
        files = await asyncio.gather(*pictures)
        assert begun.read_text() == "begun begun "
        assert [file["preview"]["width"] for file in files] == [None] * 4, "they may be asked for again"

    play(work)


@pytest.mark.parametrize(
    ("text", "is_for_good"),
    [
        ("import os; os.kill(os.getpid(), 11)", True),
        ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass", True),
        ("raise OSError('no room on the disk')", False),
    ],
)
def test_what_is_not_the_fault_of_the_picture_is_tried_again(
    play: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    is_for_good: bool,
) -> None:
    before = previews.PROGRAM
    monkeypatch.setattr(previews, "PROGRAM", program(tmp_path, text))

    async def work(w: World) -> None:
        file = await sent(w, written(halves(90, 60), "PNG"))
        assert (file["preview"] is None) == is_for_good
        if is_for_good:
            return
        address = f"{file['preview']['url']}?key={w.keys[TENANT]}"
        assert (await w.get(address))[0] == 503
        monkeypatch.setattr(previews, "PROGRAM", before)
        assert (await shown(w, file)).size == (90, 60)

    play(work)


def test_of_a_picture_of_before_there_were_previews_one_is_made_when_it_is_asked_for(
    play: Callable[..., None],  # noqa: F811
) -> None:
    async def work(w: World) -> None:
        file = await sent(w, written(halves(800, 400), "JPEG"))
        wrong = await sent(w, written(halves(800, 400), "JPEG")[:900])
        assert wrong["preview"] is None
        await w.store.run(lambda cur: cur.execute("UPDATE attachments SET preview_width = NULL, preview_height = NULL"))
        for path in w.shelf.folder.glob("*/*-preview"):
            path.unlink()
        files = await told(w)
        assert [each["preview"]["width"] for each in files] == [None, None]
        both = await asyncio.gather(shown(w, files[0]), shown(w, files[0]))
        assert [image.size for image in both] == [(640, 320)] * 2
        assert (await w.get(f"{files[1]['preview']['url']}?key={w.keys[TENANT]}"))[0] == 404
        again = await told(w)
        assert again[0]["preview"] == file["preview"] and again[1]["preview"] is None

    play(work)


async def told(w: World) -> list[dict[str, Any]]:
    """The files as a page gets them."""
    session = await w.store.run(lambda cur: chat.by_room(cur, TENANT, w.rooms[TENANT]))
    assert session
    rows = (await w.store.run(lambda cur: chat.page_after(cur, session, 0))).rows
    return [file for row in rows for file in payloads.payload_of(row)["attachments"]]


def test_a_preview_is_for_those_who_may_have_the_picture_and_goes_with_it(play: Callable[..., None]) -> None:  # noqa: F811
    async def work(w: World) -> None:
        file = await sent(w, written(halves(90, 60), "PNG"))
        url = file["preview"]["url"]
        for key, token, status in (
            (TENANT, None, 200),
            (None, "ani-toko", 200),
            (OTHER, None, 404),
            (None, f"ani-{OTHER}", 404),
            (None, "nobody", 401),
            (None, None, 401),
        ):
            address = f"{url}?key={w.keys[key]}" if key else url
            assert (await w.get(address, token))[0] == status, (key, token)
        assert len(w.on_disk()) == 2
        await w.shelf.remove(file["id"])
        assert w.on_disk() == []
        assert (await w.get(url, "ani-toko"))[0] == 404

    play(work)
