"""What a file is, by its content: only kinds that can't run as a page or a program are let in. Pure.

A sender's name or content type proves nothing. What is stored is served with the type found here and never as a page
(`sidecar/files/attachments.py`), so that a file that is two things at once is only ever the harmless one.
"""

import codecs
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, cast

import puremagic

HEAD = 4096  # bytes that `kind_of` needs of the beginning
NAME_MOST = 100  # characters
NAME_READ = (
    1024  # characters of a name as it comes, from its end: to order their marks takes the square of their number
)
DIRECTORY_BYTES = 1024 * 1024  # of an archive: ten thousand members, where a large document has hundreds
ALLOWED = (
    "pictures (JPEG, PNG, GIF, WebP, HEIC), PDF, plain text, Office and OpenDocument files,"
    " sound and video (MP3, M4A, OGG, MP4, MOV, 3GP)"
)
TEXT = "text/plain"
OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN = "application/vnd.oasis.opendocument."
ZIPPED: Mapping[str, str] = {  # type → ending
    f"{OFFICE}wordprocessingml.document": ".docx",
    f"{OFFICE}spreadsheetml.sheet": ".xlsx",
    f"{OFFICE}presentationml.presentation": ".pptx",
    f"{OPEN}text": ".odt",
    f"{OPEN}spreadsheet": ".ods",
    f"{OPEN}presentation": ".odp",
}
ENDINGS: Mapping[str, tuple[str, ...]] = {  # the first one is given to a name that has none of them
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "image/heic": (".heic", ".heif"),  # of telephones; few browsers show it
    "application/pdf": (".pdf",),
    "audio/mpeg": (".mp3",),
    "audio/mp4": (".m4a",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "video/mp4": (".mp4",),
    "video/quicktime": (".mov",),
    "video/3gpp": (".3gp",),
    TEXT: (".txt", ".csv", ".md", ".log"),
    **{kind: (ending,) for kind, ending in ZIPPED.items()},
}
_STARTS = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-\d"), "application/pdf"),
    (re.compile(rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"OggS\x00"), "audio/ogg"),
    (re.compile(rb"....ftypM4[AB] ", re.DOTALL), "audio/mp4"),
    (re.compile(rb"....ftyp(?:isom|iso[2-6]|mp4[12]|avc1|M4V |MSNV|dash)", re.DOTALL), "video/mp4"),
    (re.compile(rb"....ftyp(?:heic|heix|heim|heis|hevc|hevx|mif1|msf1)", re.DOTALL), "image/heic"),
    (re.compile(rb"....ftypqt  |\0...(?:moov|wide|mdat|free)", re.DOTALL), "video/quicktime"),
    (re.compile(rb"....ftyp3g[p2s]", re.DOTALL), "video/3gpp"),
)
_ZIP = b"PK\x03\x04"
_FOLDERS = {"word": ".docx", "xl": ".xlsx", "ppt": ".pptx"}  # the main part's name is the writer's own affair
_MARKUP = re.compile(r"\s*(?:#!|<\?|<!|</?[a-z])", re.IGNORECASE)
_PROGRAM_TEXT = re.compile(r"\s*(?:@echo off|powershell|Set-ExecutionPolicy|On Error Resume Next)", re.IGNORECASE)
_SCRIPTS = re.compile(
    r"bat|cmd|com|css|hta|html?|js|jse|lnk|mjs|php|pl|ps1|psm1|py|rb|reg|scr|sh|svg|url|vbe|vbs|wsf|xhtml|xml|xsl"
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_BOM = "\ufeff"


class Kind(NamedTuple):
    """`type` as it is served. `to_check`: `text` or `zip`, what is yet to be seen of the whole file; else ''."""

    type: str
    to_check: str = ""


class NotAllowed(Exception):
    """A kind of file that is not let in. `looks_like` names it where that is known."""

    def __init__(self, looks_like: str = "") -> None:
        self.looks_like = looks_like
        what = f"this looks like {looks_like}" if looks_like else "this kind of file is not known"
        super().__init__(f"{what}; allowed are {ALLOWED}")


def kind_of(head: bytes, name: str) -> Kind:
    """By the first `HEAD` bytes (all there are of a shorter file). The name can only shut the door: text that calls
    itself a script. Raises `NotAllowed`."""
    for start, found in _STARTS:
        if start.match(head):
            return Kind(found)
    if head.startswith(_ZIP):
        return Kind("", "zip")
    _refuse_programs(head, name)
    return Kind(TEXT, "text")


def _refuse_programs(head: bytes, name: str) -> None:
    text = head.decode("utf-8", "replace").lstrip(_BOM)
    ending = ending_of(name)
    if _SCRIPTS.fullmatch(ending[1:]):
        raise NotAllowed(f"a file of type {ending[1:].upper()}")
    if not head or _MARKUP.match(text) or _PROGRAM_TEXT.match(text) or not _begins_as_text(head):
        raise NotAllowed(_guess(head))


def _begins_as_text(head: bytes) -> bool:
    try:
        TextCheck().feed(head)
    except NotAllowed:
        return False
    return True


def _guess(head: bytes) -> str:
    """A name for what is refused, for the sender to understand; nothing is decided by it."""
    if not head:
        return "an empty file"
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return ""
    return next((f"a file of type {each.extension[1:].upper()}" for each in found if each.extension), "")


class _Archive:
    """What `zipfile` uses of a file, without what it has no bound for: it reads the whole directory at once, and makes
    an object of each member."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_BYTES:
            raise NotAllowed("a ZIP file of too many members")
        return self._file.read(size)


class TextCheck:
    """Is it plain text to its last byte? Fed with the pieces as they come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, piece: bytes, last: bool = False) -> None:
        """Raises `NotAllowed`."""
        try:
            text = self._decoder.decode(piece, last)
        except UnicodeDecodeError as error:
            raise NotAllowed() from error
        if _CONTROLS.search(text):
            raise NotAllowed()


def zipped(file: BinaryIO) -> str:
    """The type of an office document without macros, by its members' names. Raises `NotAllowed`."""
    try:
        with zipfile.ZipFile(cast(BinaryIO, _Archive(file))) as archive:
            names = {name.replace("\\", "/").lstrip("/").lower() for name in archive.namelist()}
            mimetype = _mimetype(archive) if "mimetype" in archive.namelist() else ""
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise NotAllowed("a damaged ZIP file") from error
    if any(_is_macro(each) for each in names):
        raise NotAllowed("a document with macros")
    if mimetype in ZIPPED:
        return mimetype
    folders = {name.partition("/")[0] for name in names if name.count("/") == 1 and name.endswith(".xml")}
    endings = [ending for folder, ending in _FOLDERS.items() if folder in folders]
    if len(endings) != 1 or "[content_types].xml" not in names:
        raise NotAllowed("a ZIP file")
    return next(kind for kind, of in ZIPPED.items() if of == endings[0])


def _mimetype(archive: zipfile.ZipFile) -> str:
    if archive.getinfo("mimetype").compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return ""  # of the other kinds `zipfile` unpacks as much as there is, whatever it is asked for
    with archive.open("mimetype") as member:
        return member.read(80).decode("ascii", "replace")


def _is_macro(low: str) -> bool:
    folders = ("basic/", "scripts/", "xl/macrosheets/")
    return low.endswith("vbaproject.bin") or low.startswith(folders) or "/activex/" in low


def ending_of(name: str) -> str:
    return "." + name.rpartition(".")[2].lower() if "." in name.strip(".") else ""


def clean_name(name: str, kind: str) -> str:
    """The sender's name without folders, control and direction characters, with an ending that fits the type."""
    plain = unicodedata.normalize("NFC", name[-NAME_READ:]).replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in plain if unicodedata.category(c)[0] != "C" and c not in '<>:"|?*')
    plain = " ".join(plain.split()).strip(". ")
    endings = ENDINGS[kind]
    ending = ending_of(plain)
    if ending not in endings:
        return f"{plain[: NAME_MOST - len(endings[0])] or 'file'}{endings[0]}"
    stem = plain[: -len(ending)][: NAME_MOST - len(ending)].strip(". ")
    return f"{stem or 'file'}{ending}"
