"""Reads a rules file from where a command names it, and says what is wrong with it: for all of `giliran routing`."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from routing.faults import Fault
from routing.file import BYTES_MAX, Checked
from routing.model import Rules
from scripts.admin.errors import CantDo
from views.words import clean, counted

FAULTY = 2  # the exit code of a file that can't be used
FAULTS_MAX = 100  # lines that a person reads
TEXT_MAX = 300  # characters of a message worth showing


def content(path: str, most: int = BYTES_MAX) -> bytes:
    """One byte more than `most` at most: then whoever reads it says that it is too large."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(most + 1)
        with Path(path).open("rb") as opened:
            return opened.read(most + 1)
    except (OSError, ValueError) as error:
        raise CantDo(f"{shown(path)} can't be read ({getattr(error, 'strerror', None) or 'not a path'})") from error


def text(path: str, checked: Checked) -> str:
    lines = findings(path, checked)
    if checked.faults:
        return "\n".join([*lines, f"{shown(path)} can't be used: {counted(len(checked.faults), 'fault')}"])
    return "\n".join([*lines, f"{shown(path)} can be used: {parts(checked.rules or Rules())}"])


def parts(rules: Rules) -> str:
    """How large it is: `2 queues, 3 rules, 0 topics`."""
    sizes = (("queue", rules.queues), ("rule", rules.rules), ("topic", rules.topics))
    return ", ".join(counted(len(found), name) for name, found in sizes)


def findings(path: str, checked: Checked) -> list[str]:
    return [*_fault_lines(path, checked.faults, ""), *_fault_lines(path, checked.warnings, "warning: ")]


def shown(path: str) -> str:
    return "standard input" if path == "-" else clean(path, TEXT_MAX)


def _fault_lines(path: str, faults: Iterable[Fault], kind: str) -> list[str]:
    lines = [f"{shown(path)}:{fault.line}: {kind}{clean(fault, TEXT_MAX)}" for fault in faults]
    more = (
        [f"… and {counted(len(lines) - FAULTS_MAX, 'line')} more (--json has all)"] if len(lines) > FAULTS_MAX else []
    )
    return lines[:FAULTS_MAX] + more


def as_data(path: str, checked: Checked) -> dict[str, Any]:
    return {
        "file": path,
        "ok": not checked.faults,
        "faults": [asdict(fault) for fault in checked.faults],
        "warnings": [asdict(fault) for fault in checked.warnings],
    }
