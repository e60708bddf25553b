"""The expressions of the alerts and of the board, and which series and labels they name: for the tests of `deploy/`."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from tests.metric_table import Labels, series
from tests.source import ROOT

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yml"
BOARD = DEPLOY / "grafana/giliran.json"
OF_EVERY_SCRAPE = frozenset(("job", "instance"))
NAMED = re.compile(r"\b((?:giliran|process)[_:][\w:]+|up|ALERTS)\b(?!\()(?:\{([^}]*)\})?")
RULE = re.compile(r"^      - (alert|record): (\S+)(?:  *#.*)?\n((?:^        .*\n?|^ {12}.*\n?)*)", re.M)
GRAFANA = {"$tenant": ".*", "$queue": ".*", "$__rate_interval": "5m", "$__interval": "1m"}


class Rule(NamedTuple):
    kind: str  # alert, record
    name: str
    expr: str
    text: str


@cache
def rules() -> tuple[Rule, ...]:
    found = RULE.findall(ALERTS.read_text())
    return tuple(Rule(kind, name, _expr(body), body) for kind, name, body in found)


def _expr(body: str) -> str:
    [expr] = re.findall(r"^        expr: (?:>-\n)?((?:.*\n(?: {10}.*\n)*))", body, re.M)
    return " ".join(expr.split())


def alerts() -> list[Rule]:
    return [rule for rule in rules() if rule.kind == "alert"]


def records() -> dict[str, Labels]:
    """Their labels are those by which they add up."""
    found = {rule.name: re.findall(r"^(?:\w+\([\d., ]*)?\w+ by \(([\w, ]+)\)", rule.expr) for rule in rules()}
    kept = {rule.name for rule in rules() if rule.kind == "record"}
    return {name: frozenset(by[0].split(", ")) - {"le"} for name, by in found.items() if name in kept and by}


def board() -> Any:
    return json.loads(BOARD.read_text())


def board_expressions() -> list[str]:
    """With Grafana's variables filled in, as Prometheus is asked."""
    found = [target["expr"] for panel in board()["panels"] for target in panel.get("targets", ())]
    found += [each["expr"] for each in board()["annotations"]["list"]]
    for name, value in GRAFANA.items():
        found = [expr.replace(name, value) for expr in found]
    return found


def wrong_names(expr: str) -> Iterator[str]:
    """Series that nobody exposes, and labels that none of the expression's series has."""
    known = series() | records() | {"ALERTS": frozenset(("alertname", "alertstate"))}
    of_all: set[str] = set()
    for name, selector in NAMED.findall(expr):
        if name not in known:
            yield f"{name} in {expr}"
            continue
        labels = known[name] | OF_EVERY_SCRAPE
        of_all |= labels
        asked = re.findall(r"(\w+)\s*[=!]~?\s*\"", selector)
        yield from (f"{name}{{{label}}} in {expr}" for label in asked if label not in labels)
    for group in re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", expr):
        yield from (f"{label} in {expr}" for label in re.findall(r"\w+", group) if label not in of_all)
