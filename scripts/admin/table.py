"""Tables of the admin tool: columns as wide as a terminal shows them. Pure: values → text."""

import unicodedata
from collections.abc import Iterable, Sequence

import click

from views.words import JOINERS

GAP = "  "


def width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining and joining ones none, colours none."""
    return sum(_columns(c) for c in click.unstyle(text))


def _columns(char: str) -> int:
    if unicodedata.combining(char) or char in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def table(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Columns aligned; numbers to the right. A column that is empty in every row is left out."""
    body = [[_cell(cell) for cell in row] for row in rows]
    kept = [i for i in range(len(head)) if any(row[i] for row in body)]
    right = {i for i in kept if all(click.unstyle(row[i]).isdigit() or row[i] in ("", "-", "?") for row in body)}
    lines = [[click.style(name, bold=True) if name else "" for name in head], *body]
    widths = {i: max(width(line[i]) for line in lines) for i in kept}
    return "\n".join(indent + _joined(line, kept, widths, right) for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _joined(line: Sequence[str], kept: Sequence[int], widths: dict[int, int], right: set[int]) -> str:
    cells = []
    for i in kept:
        space = " " * (widths[i] - width(line[i]))
        cells.append(space + line[i] if i in right else line[i] + space)
    return GAP.join(cells).rstrip()
