"""`.env`, line by line: a line that can't be read, or a name that nobody knows, ends the start. settings.py comes next.

python-dotenv reads each line by itself, so that a mistake costs its line and not a silent part of the file. No message
shows a value: it may be a secret.
"""

import difflib
import logging
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

# Names of other programs that share the file with us: docker compose, systemd, gunicorn, libpq, OpenSSL, requests.
# `./scripts/run` hands them on to the processes that it starts.
PREFIXES = ("COMPOSE_", "DOCKER_", "BUILDKIT_", "PYTHON", "PIP_", "LC_")
# fmt: off
OTHERS = frozenset({
    "POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "REDIS_PASSWORD", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY",
    "TZ", "LANG", "NO_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE",
    "PGSERVICEFILE", "PGOPTIONS", "PGAPPNAME", "PGCLIENTENCODING", "PGTZ", "PGSSLMODE", "PGSSLCERT", "PGSSLKEY",
    "PGSSLROOTCERT", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLNEGOTIATION", "PGSSLCERTMODE", "PGSSLSNI", "PGREQUIREAUTH",
    "PGCHANNELBINDING", "PGGSSENCMODE", "PGKRBSRVNAME", "PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS", "PGDATA",
})
# fmt: on
NEAR = 0.6  # of difflib's ratio: alike enough to be named as what was perhaps meant
NAME = re.compile(r"\s*(?:export\s+)?'?([A-Za-z_][A-Za-z0-9_]*)'?\s*(.?)")
QUOTES = ("'", '"')

logging.getLogger("dotenv").setLevel(logging.ERROR)  # its warning names line 1 of a text that is one line long


class EnvFileError(Exception):
    """The file can't be used; the text is one line that says where, and what would be right."""


def read(path: Path, known: Iterable[str]) -> dict[str, str]:
    """What the file says, by name, the names of other programs included. A file that is not there says nothing."""
    names = tuple(known)
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        try:
            entry = _entry(line, names)
            if entry and entry[0] in lines:
                raise EnvFileError(f"{entry[0]} is set in line {lines[entry[0]]} already: keep one of the two")
        except EnvFileError as error:
            raise EnvFileError(f"{path}, line {number}: {error}") from None
        if entry:
            found[entry[0]], lines[entry[0]] = entry[1], number
    return found


def others(found: dict[str, str]) -> dict[str, str]:
    """The part that is meant for other programs."""
    return {name: value for name, value in found.items() if _is_others(name)}


def _is_others(name: str) -> bool:
    return name in OTHERS or name.startswith(PREFIXES)


def nearest(name: str, known: Iterable[str], cutoff: float = NEAR) -> str | None:
    alike = difflib.get_close_matches(name.upper(), list(known), 1, cutoff)
    return alike[0] if alike else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        if path.is_symlink():
            raise EnvFileError(
                f"{path} is a link to a file that is not there: correct the link, or remove it"
            ) from None
        return ""
    except IsADirectoryError:
        raise EnvFileError(f"{path} is a folder: it must be a text file, or not be there") from None
    except UnicodeDecodeError:
        raise EnvFileError(f"{path} can't be read: it must be a text file in UTF-8") from None
    except OSError as error:
        raise EnvFileError(f"{path} can't be read ({error.strerror}): make it readable for this user") from None


def _entry(line: str, known: tuple[str, ...]) -> tuple[str, str] | None:
    """The name and the value of one line; None for a comment and for an empty line."""
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    if not line.replace("\t", " ").isprintable():
        raise EnvFileError("it has a character that can't be seen: type the line again")
    read_as = dotenv_values(stream=StringIO(line), interpolate=False)  # a $ in a secret is a $
    if len(read_as) != 1 or None in read_as.values():
        raise EnvFileError(_what_is_wrong(line, known))
    ((name, value),) = read_as.items()
    if name not in known and not _is_others(name):
        raise EnvFileError(_unknown(name, known))
    if problem := _doubtful(line, value or ""):
        raise EnvFileError(f"{name} {problem}")
    return name, value or ""


def _what_is_wrong(line: str, known: tuple[str, ...]) -> str:
    found = NAME.match(line)
    name = found[1] if found and _may_be_shown(found[1], known) else None
    if not name:
        return "it can't be read: write it as NAME=value, or put # before a comment"
    if found and found[2] == "=":
        return f"{name} has a quote that is not closed on this line, or something after it: write it as {name}='value'"
    return f"{name} needs a = before its value: write it as {name}=value"


def _unknown(name: str, known: tuple[str, ...]) -> str:
    shown = f"{name} is not a setting" if _may_be_shown(name, known) else "its name is not a setting"
    alike = nearest(name, (*known, *sorted(OTHERS)))
    return f"{shown}: did you mean {alike}?" if alike else f"{shown}: .env.example has all of them; remove the line"


def _may_be_shown(name: str, known: tuple[str, ...]) -> bool:
    """A piece of a secret that came onto a line of its own is not repeated."""
    return name in known or _is_others(name) or bool(nearest(name, (*known, *OTHERS)))


def _doubtful(line: str, value: str) -> str | None:
    """What python-dotenv reads in a way that hardly anybody means."""
    written = line.partition("=")[2].strip()
    if written.startswith("#"):
        return "has a comment where its value should be: put the comment on a line of its own, or quote the value"
    if written[:1] not in QUOTES and value[-1:] in QUOTES:
        return "ends with a quote that was never opened: quote the whole value, or none of it"
    if not value.isprintable():
        return "has a character that can't be seen: leave out the \\ before a letter, or use single quotes"
    return None
