"""Reads the Procfile, the first step of a start: after it each process has a name and an argument list."""

import re
import shlex
from pathlib import Path

from scripts.launch.errors import Refusal

LINE = re.compile(r"^([A-Za-z0-9_-]+)\s*:\s*(\S.*)$")


def read(path: Path) -> dict[str, list[str]]:
    try:
        return parse(path.read_text())
    except OSError as error:
        raise Refusal(
            f"{path} can't be read ({error.strerror}): start from a complete copy of the repository"
        ) from error


def parse(text: str) -> dict[str, list[str]]:
    """`name: command` lines in their order; no shell is involved, so quotes work and `$NAME` or `&&` do not."""
    commands: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, command = _entry(number, line)
            if name in commands:
                raise Refusal(f"Procfile, line {number}: {name} is there twice, keep one")
            commands[name] = command
    return commands


def _entry(number: int, line: str) -> tuple[str, list[str]]:
    found = LINE.match(line.strip())
    if not found:
        raise Refusal(f"Procfile, line {number}: write it as `name: command`")
    try:
        return found[1], shlex.split(found[2])
    except ValueError as error:
        raise Refusal(f"Procfile, line {number}: a quote is never closed") from error
