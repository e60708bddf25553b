"""The metrics of the code and of the docs' table, each with its labels, for the tests that hold both, the alerts and
the board together.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache

from tests.source import ROOT, code, nodes

Labels = frozenset[str]
ROW = re.compile(r"^\| `(giliran_\w+)(?:\{([\w,]+)\})?` \| ([^|]+) \| (.*) \|$", re.M)
PROCESS = ("cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds",
           "start_time_seconds")  # fmt: skip


@cache
def in_docs() -> dict[str, Labels]:
    return {name: frozenset(filter(None, (labels or "").split(","))) for name, labels, *_ in _rows()}


@cache
def series() -> dict[str, Labels]:
    """What Prometheus stores: of a histogram its three series, and what comes with every process and every scrape."""
    found: dict[str, Labels] = {f"process_{name}": frozenset() for name in PROCESS} | {"up": frozenset()}
    for name, _, _, meaning in _rows():
        if meaning.startswith("histogram"):
            found |= {f"{name}_bucket": in_docs()[name] | {"le"}, f"{name}_sum": in_docs()[name]}
            found[f"{name}_count"] = in_docs()[name]
        else:
            found[name] = in_docs()[name]
    return found


def _rows() -> list[tuple[str, str, str, str]]:
    section = (ROOT / "docs/operations.md").read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    return ROW.findall(section)


@cache
def in_code() -> dict[str, Labels]:
    health = importlib.import_module("worker.health")
    found = {
        f"giliran_line_{name}": frozenset(("tenant", "queue") if name in health.BY_QUEUE else ("tenant",))
        for name in health.GAUGES
    }
    for path in [ROOT / "meters.py", *code("receiver", "worker", "sidecar")]:
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found |= {_exposed(node.func.id, name): _labels(node) for name in _first_texts(node)}
    return found


def _exposed(kind: str, name: str) -> str:
    return f"{name}_total" if "Counter" in kind else name


def _labels(call: ast.Call) -> Labels:
    given = [each.value for each in call.keywords if each.arg in ("labels", "labelnames")]
    return frozenset(ast.literal_eval(given[0])) if given else frozenset()


def _first_texts(call: ast.Call) -> Iterator[str]:
    """The metric's name where it is written out, else those of the loop around: the worker's own counts."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant) and str(first.value).startswith("giliran_"):
        yield str(first.value)
    if isinstance(first, ast.JoinedStr) and ast.unparse(first).startswith("f'giliran_worker_"):
        fields = importlib.import_module("worker.work").Figures.__dataclass_fields__
        yield from (f"giliran_worker_{name}" for name, field in fields.items() if field.type in (int, "int"))
