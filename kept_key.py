"""A secret that nobody chose: made once and kept in a file, for its owner's eyes. settings.py and the launcher ask."""

import contextlib
import os
import secrets
from pathlib import Path


def kept_or_made(path: Path) -> str:
    """Raises `OSError` where the file can't be used, `UnicodeDecodeError` where it is no text."""
    return _kept(path) or _made(path)


def _kept(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _made(path: Path) -> str:
    """Written aside and linked into place, so that of two processes that start together both get the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())  # before it has its name: a power cut must leave no empty key
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text().strip()
