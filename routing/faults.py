"""What is wrong with a rules file: each fault with its line, what is wrong and what would be right.

Readers (reading.py, file.py) note faults here and go on, so that one check names all of them.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from routing.toml_lines import Path

NEAR = 0.6  # of difflib: "limt" finds "limit", "x" finds nothing
WORDS_MAX = 12  # known words that a message lists


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`key` is the dotted path of what is meant, '' for the whole file; `remedy` may be ''."""

    line: int
    key: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        about = f"{self.key}: " if self.key else ""
        return f"{about}{self.problem}" + (f": {self.remedy}" if self.remedy else "")


class FaultyRules(ValueError):
    """A rules file that can't be used. `faults` are sorted by line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"line {fault.line}: {fault}" for fault in self.faults))


@dataclass(frozen=True)
class Findings:
    """Collects faults and warnings; a warning is about rules that can be used, but hardly mean what they say."""

    lines: Mapping[Path, int]
    faults: set[Fault] = field(default_factory=set)
    warnings: set[Fault] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class At:
    """A place in the file, with what is to be noted about it."""

    findings: Findings
    path: Path = ()

    def __truediv__(self, key: str | int) -> "At":
        return At(self.findings, (*self.path, key))

    @property
    def line(self) -> int:
        """Of the key, or of the nearest table around it that is written down."""
        path = self.path
        while path not in self.findings.lines:
            path = path[:-1]
        return self.findings.lines[path]

    def fault(self, problem: str, remedy: str = "") -> Any:
        """None, for a reader to give in place of its value."""
        self.findings.faults.add(Fault(self.line, dotted(self.path), problem, remedy))

    def warn(self, problem: str, remedy: str = "") -> None:
        self.findings.warnings.add(Fault(self.line, dotted(self.path), problem, remedy))


def dotted(path: Path) -> str:
    """`queues.sales.steps[2].after`, counted from 1 as people do."""
    text = ""
    for key in path:
        text += f"[{key + 1}]" if isinstance(key, int) else f".{_key(key)}"
    return text.removeprefix(".")


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("-", "_").isidentifier()
    return shown(key) if plain else f'"{shown(key)}"'


def shown(value: object, most: int = 40) -> str:
    """A piece of the file as a message quotes it: short, on one line, without controls."""
    text = "".join(char if char.isprintable() else "?" for char in str(value))
    return text if len(text) <= most else text[: most - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is probably meant."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=NEAR)
    return by_lower[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'limit'?`, or what there is to choose from."""
    known = list(known)
    if near := nearest(word, known):
        return f"did you mean '{shown(near)}'?"
    if not known:
        return "there is none"
    more = ", …" if len(known) > WORDS_MAX else ""
    return "known: " + ", ".join(map(shown, known[:WORDS_MAX])) + more
