"""What a file is by its content, and the name it keeps."""

import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.files import kinds
from sidecar.files.kinds import NotAllowed, TextCheck, clean_name, kind_of, zipped
from tests.variants import each


def office(*members: str, **contents: str) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for member in members:
            archive.writestr(member, "x")
        for member, content in contents.items():
            archive.writestr(member, content)
    return made


@each(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"ID3\x03\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"OggS\0\2", "audio/ogg"),
        (b"\0\0\0\x20ftypM4A isom", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "video/quicktime"),
        (b"\0\0\0\x08wide\0\x04\xe2\xa1mdat", "video/quicktime"),
        (b"\0\0\x18\x9cmoov\0\0\0lmvhd", "video/quicktime"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftyp3gp5\0\0\1\0", "video/3gpp"),
        (b"Hello,\r\n\tworld\n", "text/plain"),
        (b"The wide world", "text/plain"),
        ("\ufeffsemoga harimu menyenangkan \U0001f600".encode(), "text/plain"),
        (("a" * (kinds.HEAD - 1) + "é").encode()[: kinds.HEAD], "text/plain"),
        (b"1 < 2 and 3 > 2", "text/plain"),
    ],
)
def test_a_kind_is_known_by_its_beginning(head: bytes, kind: str) -> None:
    assert kind_of(head, "whatever.bin").type == kind


@each(
    ("head", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'></svg>", "logo.png"),
        (b"\xef\xbb\xbf  <svg/>", "logo.png"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "a.txt"),
        (b"\n\n<script>alert(1)</script>", "a.txt"),
        (b"<?xml version='1.0'?>", "a.txt"),
        (b"<?php system('id');", "a.txt"),
        (b"#!/bin/sh\nrm -r x", "a.txt"),
        (b"@echo off\r\nformat", "a.txt"),
        (b"alert(1)", "a.js"),
        (b"hello", "page.HTML"),
        (b"MZ\x90\0\3\0\0\0", "setup.pdf"),
        (b"\x7fELF\2\1\1\0", "a.jpg"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "a.class"),
        (b"Rar!\x1a\x07\0", "a.rar"),
        (b"", "empty.txt"),
        (b"a\0b", "a.txt"),
        (b"caf\xe9 in latin-1", "a.txt"),
        (b"<html>".decode().encode("utf-16"), "a.txt"),
    ],
)
def test_what_could_run_is_not_let_in(head: bytes, name: str) -> None:
    with pytest.raises(NotAllowed, match="allowed are pictures"):
        kind_of(head, name)


def test_the_refusal_names_what_it_looks_like() -> None:
    with pytest.raises(NotAllowed, match="this looks like a file of type EXE"):
        kind_of(b"MZ\x90\0" + b"\0" * 60, "photo.jpg")


def test_text_is_looked_at_to_its_last_byte() -> None:
    check = TextCheck()
    check.feed(("a" * 5000 + "é").encode())
    for piece, last in ((b"a\0", False), (b"\xff", False), (b"\xc3", True)):
        with pytest.raises(NotAllowed):
            TextCheck().feed(piece, last)


def test_a_letter_may_be_cut_in_two_by_the_pieces() -> None:
    check = TextCheck()
    for byte in "é\U0001f600".encode():
        check.feed(bytes([byte]))
    check.feed(b"", True)


@each(
    ("made", "ending"),
    [
        (office("[Content_Types].xml", "word/document.xml"), ".docx"),
        (office("[Content_Types].xml", "xl/workbook.xml"), ".xlsx"),
        (office("[Content_Types].xml", "ppt/presentation.xml"), ".pptx"),
        (office("[Content_Types].xml", "_rels/.rels", "word/document2.xml", "word/styles2.xml"), ".docx"),
        (office("[Content_Types].xml", "word\\document.xml", "word\\media\\image1.png"), ".docx"),
        (office("[Content_Types].xml", "/xl/workbook22.xml", "xl\\worksheets\\sheet1.xml"), ".xlsx"),
        (office("[content_types].xml", "PPT/presentation1.xml", "docProps/app.xml"), ".pptx"),
        (office("content.xml", mimetype=f"{kinds.OPEN}text"), ".odt"),
    ],
)
def test_office_documents_are_let_in(made: io.BytesIO, ending: str) -> None:
    assert kind_of(made.getvalue()[:50], "x").to_check == "zip"
    assert kinds.ZIPPED[zipped(made)] == ending


@each(
    "made",
    [
        office("evil.exe"),
        office("word/document.xml"),
        office("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
        office("Basic/Standard/Module1.xml", mimetype=f"{kinds.OPEN}text"),
        office("Scripts/python/evil.py", mimetype=f"{kinds.OPEN}text"),
        office("[Content_Types].xml", "xl/workbook.xml", "xl/macrosheets/sheet1.xml"),
        office("[Content_Types].xml", "xl\\workbook.xml", "XL\\macrosheets\\sheet1.xml"),
        office("[Content_Types].xml", "word\\document.xml", "word\\VBAProject.bin"),
        office("[Content_Types].xml", "word/media/image1.png", "docProps/app.xml"),
        office("[Content_Types].xml", "word/document.xml", "xl/workbook.xml"),
        office("[Content_Types].xml", "MIMETYPE"),
        office(mimetype="application/epub+zip"),
        io.BytesIO(b"PK\x03\x04 and no more"),
        io.BytesIO(office("a").getvalue()[:-10]),
    ],
)
def test_other_archives_and_macros_are_not(made: io.BytesIO) -> None:
    with pytest.raises(NotAllowed):
        zipped(made)


def packed(compression: int, mimetype: bytes) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        archive.writestr("mimetype", mimetype)
    return made


@each("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_can_not_be_unpacked_in_part_is_not_unpacked(compression: int) -> None:
    with pytest.raises(NotAllowed, match="a ZIP file"):
        zipped(packed(compression, f"{kinds.OPEN}text".encode()))


@each("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_few_bytes_that_unpack_to_very_many_fill_no_memory(compression: int) -> None:
    bomb = packed(compression, bytes(50_000_000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(NotAllowed):
            zipped(bomb)
        assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_archive_of_very_many_members_is_not_looked_through() -> None:
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, *[0] * 9, 1, *[0] * 5) + b"a"
    directory = entry * 100_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    with pytest.raises(NotAllowed, match="too many members"):
        zipped(io.BytesIO(b"PK\x03\x04" + directory + end))


def test_a_document_may_have_many_members() -> None:
    pictures = [f"word/media/image{n}.png" for n in range(5000)]
    assert kinds.ZIPPED[zipped(office("[Content_Types].xml", "word/document.xml", *pictures))] == ".docx"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=20), st.integers(0, 400))
def test_any_damaged_archive_can_be_looked_at(changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(packed(zipfile.ZIP_LZMA, f"{kinds.OPEN}text".encode()).getvalue())
    for at, byte in changes:
        content[at % len(content)] = byte
    with suppress(NotAllowed):
        zipped(io.BytesIO(content[: max(length, len(content) - 40)]))


@each(
    ("name", "kind", "kept"),
    [
        ("photo.jpeg", "image/jpeg", "photo.jpeg"),
        ("PHOTO.JPG", "image/jpeg", "PHOTO.jpg"),
        ("IMG_0001.HEIC", "image/heic", "IMG_0001.heic"),
        ("IMG_0002.MOV", "video/quicktime", "IMG_0002.mov"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("C:\\files\\bill.pdf", "application/pdf", "bill.pdf"),
        ("bill.exe", "application/pdf", "bill.exe.pdf"),
        ("bill\u202efdp.exe", "application/pdf", "billfdp.exe.pdf"),
        ("a\r\nSet-Cookie: x.png", "image/png", "aSet-Cookie x.png"),
        ('a"b.png', "image/png", "ab.png"),
        ("", "image/png", "file.png"),
        ("....", "image/png", "file.png"),
        (".png", "image/png", "png.png"),
        ("foto liburan é.png", "image/png", "foto liburan é.png"),
        ("x" * 300 + ".png", "image/png", "x" * 96 + ".png"),
    ],
)
def test_a_name_is_cleaned_and_gets_the_ending_of_its_type(name: str, kind: str, kept: str) -> None:
    assert clean_name(name, kind) == kept


@given(st.text(), st.sampled_from(sorted(kinds.ENDINGS)))
def test_any_name_becomes_a_plain_one(name: str, kind: str) -> None:
    made = clean_name(name, kind)
    assert 1 <= len(made) <= kinds.NAME_MOST
    assert made.isprintable()
    assert "/" not in made
    assert "\\" not in made
    assert kinds.ending_of(made) in kinds.ENDINGS[kind]
