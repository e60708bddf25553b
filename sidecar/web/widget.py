"""The widget's one file, made of modules: `pages/widget/entry.js` and all that it needs, each in a scope of its own.

A page of somebody else's loads one classic script; its source is plain modules, most of which the customer's page uses
as well. What may stand in them: `import { a, b } from "./x.js"`, `import "./x.js"`, `import sheet from "./x.css" with
{ type: "text" }`, and `export` before a class, a function or a const. Anything else is an error when it is joined.
"""

import json
import re
from pathlib import Path

IMPORT = re.compile(
    r'^import (?:(?P<names>\{[^}]+\}|\w+) from )?"(?P<path>\.[^"]+)"(?: with \{ type: "text" \})?;\n', re.M
)
EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.M)
LEFT = re.compile(r"^(?:import|export)\b.*", re.M)
REM = re.compile(r"(\d*\.?\d+)rem\b")
REM_PX = 16  # in a shadow root a rem is the page's, whatever it is


class NotJoined(ValueError):
    """Our own source says something that can't be joined."""

    def __init__(self, path: Path, line: str) -> None:
        super().__init__(f"{path}: {line!r} can't be joined")


def joined(entry: Path) -> str:
    """One script of `entry` and what it imports, in the order in which they need each other."""
    scopes: dict[Path, str] = {}
    _add(entry.resolve(), scopes)
    return '(() => {\n"use strict";\n' + "\n".join(scopes.values()) + "})();\n"


def _add(path: Path, scopes: dict[Path, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for needed in [path.parent / found["path"] for found in IMPORT.finditer(text)]:
        if needed.resolve() not in scopes:
            _add(needed.resolve(), scopes)
    scopes[path] = _sheet(path, text) if path.suffix == ".css" else _scope(path, text)


def _scope(path: Path, text: str) -> str:
    def taken(found: re.Match[str]) -> str:
        return f"const {found['names']} = {_name(path.parent / found['path'])};\n" if found["names"] else ""

    given = ", ".join(EXPORT.findall(text))
    body = EXPORT.sub("", IMPORT.sub(taken, text))
    if left := LEFT.search(body):
        raise NotJoined(path, left[0])
    return f"const {_name(path)} = (() => {{\n{body}return {{ {given} }};\n}})();\n"


def _sheet(path: Path, text: str) -> str:
    """Of a page → of a shadow root. `.all` is the widget's own root: rules of the page can reach the host, not it."""
    own = REM.sub(lambda found: f"{float(found[1]) * REM_PX:g}px", text.replace(":root", ".all"))
    return f"const {_name(path)} = {json.dumps(own)};\n"


def _name(path: Path) -> str:
    at = path.resolve()
    return "$" + re.sub(r"\W", "_", f"{at.parent.name}_{at.name}")
