"""A report as CSV, for spreadsheets. Pure: reports → text.

One table: each line says which tenant and days it is about, `scope` what it counts (total, day, hour, queue, agent,
stars, drift, decisions) and `name` which one. An empty cell is not known, or is of nothing. A text that a spreadsheet
would take for a formula begins with an apostrophe.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from views.reports.figures import Report
from views.reports.report import as_data
from views.words import harmless

FORMULA = tuple("=+-@＝＋－＠")
HEAD = ("tenant", "from", "to", "zone", "scope", "name")
COUNTS = ("arrived", "served", "in_time", "service_level", "abandoned", "resolved")
WAITS = ("wait_median_s", "wait_p95_s", "wait_longest_s")
AGENTS = ("chats", "ended", "handling_median_s", "handling_total_s", "ratings", "rating_mean")
REST = ("healed", "ever", "last_at", "decisions", "seats")
COLUMNS = (*HEAD, *COUNTS, *WAITS, *AGENTS, *REST)


def as_csv(reports: Iterable[Report]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        writer.writerows(_lines(report))
    return out.getvalue()


def _lines(report: Report) -> Iterator[list[Any]]:
    data = as_data(report)
    span = report.span
    edges = [at.astimezone(span.zone).isoformat() for at in (span.since, span.until)]
    before = [safe(report.tenant), *edges, span.zone.key]
    for scope, name, values in _rows(data):
        yield [*before, scope, safe(name), *(_cell((values or {}).get(column)) for column in COLUMNS[len(HEAD) :])]


def _rows(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any] | None]]:
    yield "total", "", data["total"]
    for scope, key in (("day", "days"), ("hour", "hours"), ("queue", "queues")):
        yield from ((scope, name, values) for name, values in data[key].items())
    for agent in data["agents"]:
        yield "agent", f"{agent['name']} ({agent['id']})", agent
    yield from (("stars", star, {"ratings": number}) for star, number in (data["ratings"] or {}).items())
    for scope in ("drift", "decisions"):
        yield from ((scope, name, values) for name, values in data[scope].items())


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def safe(text: str) -> str:
    """Names come from strangers, and a spreadsheet runs what begins like a formula."""
    plain = harmless(text)
    return f"'{plain}" if plain.lstrip(" ").startswith(FORMULA) else plain
