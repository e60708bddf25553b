"""Files of ours that everybody may have: read and packed once, at the start, and told apart by what is in them.

Under `site`. A browser that has one asks whether it is still the same, and gets an empty answer.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[\d.]+\s*)?(?:,|$)", re.I)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}


@dataclass(frozen=True)
class Kept:
    """`packed`: with gzip."""

    kind: str
    body: bytes
    packed: bytes
    etag: str


def kept(body: bytes, suffix: str) -> Kept:
    return Kept(TYPES[suffix], body, gzip.compress(body, mtime=0), hashlib.sha256(body).hexdigest()[:16])


def all_of(folder: Path) -> dict[str, Kept]:
    """By their paths below it; files of other kinds are left out."""
    paths = [path for path in folder.rglob("*") if path.suffix in TYPES and path.is_file()]
    return {path.relative_to(folder).as_posix(): kept(path.read_bytes(), path.suffix) for path in paths}


def served(request: web.Request, one: Kept, more: Mapping[str, str]) -> web.Response:
    """`more`: headers beside those that a file has by itself."""
    headers = {**more, "ETag": f'W/"{one.etag}"', "Vary": "Accept-Encoding"}  # one text, packed or not
    if any(known.value in (one.etag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = one.kind
    if not GZIP.search(request.headers.get("Accept-Encoding", "")):
        return web.Response(body=one.body, headers=headers)
    return web.Response(body=one.packed, headers={**headers, "Content-Encoding": "gzip"})
