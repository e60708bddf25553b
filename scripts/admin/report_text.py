"""A report as a terminal shows it. Pure: a report → text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from scripts.admin.table import table
from views import queues
from views.reports import report
from views.reports.figures import Agent, Counts, Report, Span, folded, mean_of_stars
from views.reports.period import DAY
from views.words import clean, counted, moment, span

UNKNOWN = "?"
NOTHING = "-"
HEAD = ("ARRIVED", "SERVED", "IN TIME", "ABANDONED", "WAIT MEDIAN", "95 %", "LONGEST")
ZONES = {
    report.ASKED: "as asked by --zone",
    report.OF_HOURS: "the zone of its office hours",
    report.NO_HOURS: "it has no office hours; --zone names another zone",
}


def as_text(found: Report) -> str:
    days = folded([f"{day:%a %Y-%m-%d}" for day in found.days], [*found.days.values()])
    hours = folded([f"{hour:02}:00" for hour in found.hours], [*found.hours.values()])
    queue_rows = [(queues.shown(name), counts) for name, counts in found.queues.items()]
    tables = [_rows("DAY", days)] if found.span.period.kind != DAY else []
    tables += [_rows("HOUR", [row for row in hours if _is_told(row[1])]), _rows("QUEUE", queue_rows)]
    parts = [_head(found), _totals(found), *tables, _agents(found.agents), _decisions(found), _drift(found)]
    return "\n\n".join(filter(None, parts))


def _head(found: Report) -> str:
    period, zone = found.span.period, found.span.zone.key
    name = clean(found.tenant) + (f" ({clean(found.name)})" if found.name else "")
    lines = [f"{click.style(name, bold=True)}  {period.kind} {period.name}"]
    lines.append(f"days are those of {zone}: {ZONES[found.span.zone_of]}")
    return "\n".join([*lines, *partial(found.span)])


def partial(covered: Span) -> list[str]:
    """What is missing, in a sentence each."""
    told = []
    if covered.known > covered.since:
        told.append(f"data begins on {_at(covered.known, covered.zone)}: what was before is not counted")
    if covered.reached < min(covered.until, covered.now):
        told.append(f"no worker has run since {_at(covered.reached, covered.zone)}: what came after is not known")
    elif covered.now < covered.until:
        told.append(f"the {covered.period.kind} is not over: counted until {_at(covered.now, covered.zone)}")
    return told


def _at(at: datetime, zone: ZoneInfo) -> str:
    return moment(at) if zone.key == "UTC" else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _totals(found: Report) -> str:
    total, target = found.total, span(found.target_s)
    waits = (
        f"median {_s(total.wait_median_s)}, 95 of 100 below {_s(total.wait_p95_s)}, longest {_s(total.wait_longest_s)}"
    )
    rows = [
        ("arrived", f"{total.arrived:,}"),
        ("served", f"{total.served:,}, {_share(total)} of them within {target}"),
        ("abandoned", f"{total.abandoned:,}"),
        ("resolved", f"{total.resolved:,}"),
        ("waits", waits),
        ("ratings", _ratings(found)),
    ]
    return "\n".join(f"{name:<11}{value}" for name, value in rows)


def _ratings(found: Report) -> str:
    if found.stars is None:
        return "not known here"
    mean = mean_of_stars(found.stars)
    since = f", since {_at(found.ratings_since, found.span.zone)} (KEEP_CHATS_DAYS)" if found.ratings_since else ""
    number = counted(sum(found.stars.values()), "customer")
    return f"{number}{since}" if mean is None else f"{mean:.1f} of 5, by {number}{since}"


def _is_told(counts: Counts | None) -> bool:
    """An hour in which nothing happened takes a line only where it is not known."""
    return counts is None or any(counts[:5])


def _rows(of: str, rows: Sequence[tuple[str, Counts | None]]) -> str:
    lines = [(name, *_cells(counts)) for name, counts in rows]
    return table((of, *HEAD), lines) if lines else ""


def _cells(counts: Counts | None) -> Sequence[str]:
    if counts is None:
        return [UNKNOWN] * len(HEAD)
    waits = (_s(each) for each in (counts.wait_median_s, counts.wait_p95_s, counts.wait_longest_s))
    return [f"{counts.arrived}", f"{counts.served}", _share(counts), f"{counts.abandoned}", *waits]


def _agents(agents: Sequence[Agent]) -> str:
    head = ("AGENT", "CHATS", "ENDED", "HANDLING MEDIAN", "ALL TOGETHER", "RATINGS", "STARS")
    return table(head, [_agent(each) for each in agents]) if agents else ""


def _agent(agent: Agent) -> Sequence[str]:
    ratings = UNKNOWN if agent.ratings is None else str(agent.ratings)
    stars = NOTHING if agent.rating_mean is None else f"{agent.rating_mean:.1f}"
    total = span(agent.handling_total_s) if agent.ended else NOTHING
    name = clean(agent.name or "nobody known", 30)
    return [name, str(agent.chats), str(agent.ended), _s(agent.handling_median_s), total, ratings, stars]


def _decisions(found: Report) -> str:
    told = [
        f"{counted(each.decisions, 'decision')} by {clean(each.policy)} gave {counted(each.seats, 'seat')}"
        for each in found.decisions
    ]
    return "; ".join(told) or "no decision gave a seat"


def _drift(found: Report) -> str:
    if not found.drift:
        return "drift healed: none since the tenant was added"
    return "drift healed: " + ", ".join(
        f"{clean(each.kind)} {_healed(each._asdict(), found.span)}" for each in found.drift
    )


def _healed(drift: Mapping[str, Any], covered: Span) -> str:
    if drift["healed"] is not None:
        return f"{drift['healed']:,}"
    return f"{UNKNOWN} ({drift['ever']:,} since the tenant was added, last {_at(drift['last_at'], covered.zone)})"


def _share(counts: Counts) -> str:
    return NOTHING if counts.level is None else f"{counts.level:.1%}"


def _s(seconds: float | None) -> str:
    return NOTHING if seconds is None else span(seconds)
