"""Pure: where each key of a TOML text stands. Comes beside `tomllib`, which reads the values and keeps no positions.

It takes only text that `tomllib` has accepted: so it need not check anything, just step over strings, arrays and
tables without being misled by what is inside of them. A path is a tuple of keys and, inside of arrays, indexes.
"""

import bisect
import re
import tomllib
from contextlib import suppress

Path = tuple[str | int, ...]

BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
SPACE = re.compile(r"[ \t]*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
SCALAR = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:[^\s,\]}#]+|[^\s,\]}#]+")  # a date and its time may have a space between


DEPTH_MAX = 32  # a dotted key of thousands of parts must not fill the memory


def lines(text: str) -> dict[Path, int]:
    """The 1-based line of the first mention of each key, table and element, down to a depth that no reader needs. ()
    is the whole file. Where it loses its way, which no text is known to bring about, later lines are missing: whoever
    asks for one gets that of the table around it."""
    scan = _Scan(text.replace("\r\n", "\n"))
    with suppress(_Lost, IndexError, ValueError):
        scan.run()
    return scan.found


class _Lost(Exception):
    """Nothing that was expected stands here: going on would go on for ever."""


class _Scan:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self.found: dict[Path, int] = {(): 1}
        self._tables: dict[Path, int] = {}  # array of tables → how many there are so far

    def run(self) -> None:
        table: Path = ()
        while self._skip(BLANK) < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._array_header()
            elif self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        self._at += 1
        table = self._open((), self._keys())
        self._at += 1
        return table

    def _array_header(self) -> Path:
        self._at += 2
        start, keys = self._at, self._keys()
        array = (*self._open((), keys[:-1]), keys[-1])
        self._note(array, start)
        self._tables[array] = self._tables.get(array, 0) + 1
        table = (*array, self._tables[array] - 1)
        self._note(table, start)
        self._at += 2
        return table

    def _open(self, path: Path, keys: list[str]) -> Path:
        """The table that keys of a header mean: of an array of tables the last one."""
        for key in keys:
            path = (*path, key)
            self._note(path, self._at - 1)
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        start, path = self._at, table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._at += 1
        self._skip(SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        start = self._at
        if self._text[self._at] == "[":
            self._array(path)
        elif self._text[self._at] == "{":
            self._inline(path)
        else:
            self._skip(STRING if self._text[self._at] in "\"'" else SCALAR)
        if self._at == start:
            raise _Lost

    def _array(self, path: Path) -> None:
        index, self._at = 0, self._at + 1
        while self._text[self._skip(BLANK)] != "]":
            self._note((*path, index), self._at)
            self._value((*path, index))
            self._comma()
            index += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._text[self._skip(BLANK)] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        if self._text[self._skip(BLANK)] == ",":
            self._at += 1

    def _keys(self) -> list[str]:
        """A dotted key; stands behind it and its spaces afterwards."""
        keys = [self._key()]
        while self._text[self._skip(SPACE)] == ".":
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        start = self._skip(SPACE)
        if self._text[start] not in "\"'":
            return self._text[start : self._skip(BARE_KEY)]
        return next(iter(tomllib.loads(f"{self._text[start : self._skip(STRING)]} = 0")))

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()
        return self._at

    def _note(self, path: Path, at: int) -> None:
        if len(path) <= DEPTH_MAX:
            self.found.setdefault(path, bisect.bisect_left(self._ends, at) + 1)
