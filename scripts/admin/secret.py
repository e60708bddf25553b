"""Secrets for the admin tool: typed on a terminal, or read from a file or a pipe; never an argument, never shown."""

import sys
from pathlib import Path

import click

from scripts.admin.errors import CantDo, Refused

SECRET_MOST = 512  # characters


def read(name: str, file: str | None, least: int = 1) -> str:
    """One line of visible ASCII; its value is in no message. `least`: characters, where somebody chose it."""
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError(f"there is no terminal to ask for the {name}: give --{name.replace(' ', '-')}-file")
        text = click.prompt(f"{name} (not shown)", hide_input=True, err=True)
    else:
        text = _content(name, file)
    text = text.strip()
    if not (text and text.isascii() and text.isprintable() and " " not in text and len(text) <= SECRET_MOST):
        raise Refused(f"the {name} can't be used: one line of visible ASCII without spaces is wanted")
    if len(text) < least:
        raise Refused(f"the {name} is too short, it could be guessed: use {least} characters or more")
    return text


def password(file: str | None) -> str:
    """Any characters; the end of the line is none of them. Typed twice on a terminal."""
    if file is not None:
        return _content("password", file).removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password: give --password-file")
    typed: str = click.prompt("password (not shown)", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _content(name: str, file: str) -> str:
    try:
        return sys.stdin.read(SECRET_MOST * 4) if file == "-" else Path(file).read_text("utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text"
        raise CantDo(f"the file of the {name} can't be read ({why})") from error
