"""One tenant's report, read from the ledger: which days, in which zone, what is known of them.

`read` runs in the caller's transaction and only adds up; `Found.report` sorts and divides, and may take its time.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from psycopg2.extensions import cursor

from db import report as ledger
from views import rulebook
from views.reports import figures
from views.reports import period as periods
from views.reports.figures import Report, Span, Tally
from views.reports.period import Period
from views.words import clean, moment

ASKED, OF_HOURS, NO_HOURS = "asked", "hours", "none"  # where the zone comes from


class NothingKnown(Exception):
    """Of these days the ledger knows nothing; the message says since when it does."""


class Asked(NamedTuple):
    """`period` None: yesterday; `zone` None: the tenant's. `keep_chats_days` 0: chats are kept for ever."""

    period: Period | None
    zone: ZoneInfo | None
    target_s: float
    keep_days: int
    keep_chats_days: int


class Found(NamedTuple):
    """`rows`: by the name of the block; `ratings_since` None: all chats are kept."""

    tenant: Any
    asked: Asked
    span: Span
    tally: Tally
    names: Mapping[str, str]
    rows: Mapping[str, list[Any]]
    ratings_since: datetime | None
    language: str | None

    def report(self) -> Report:
        stars = figures.by_agent(self.rows["ratings"]) if self._has_ratings() else None
        return Report(
            self.tenant.id,
            self.tenant.name,
            self.span,
            self.asked.target_s,
            self.tally.total(),
            self.tally.days(),
            self.tally.hours(),
            self.tally.queues(),
            self.tally.agents(self.names, stars),
            None if stars is None else figures.by_stars(stars),
            self.ratings_since,
            figures.drift(self.rows["drift"], self.span, self.tenant.created_at),
            figures.decisions(self.rows["decisions"]),
        )

    def _has_ratings(self) -> bool:
        kept = self.ratings_since is None or self.ratings_since < self.span.until
        return self.tenant.desk == "native" and kept


def read(cur: cursor, tenant: str, asked: Asked) -> Found:
    """Raises `NothingKnown`."""
    span = _span(cur, tenant, asked)
    tally = Tally(span, asked.target_s).add(ledger.visits(cur, tenant, span.since, span.until))
    rows = ledger.beside(cur, tenant, span.since, span.until)
    gone = span.now - timedelta(days=asked.keep_chats_days) if asked.keep_chats_days else None
    cut = gone if gone is not None and gone > span.since else None
    language = ledger.language(cur, tenant, span.since, span.until)
    names = ledger.names(cur, tenant)
    return Found(ledger.tenant(cur, tenant), asked, span, tally, names, rows, cut, language)


def _span(cur: cursor, tenant: str, asked: Asked) -> Span:
    known = ledger.known(cur, tenant, asked.keep_days)
    zone, zone_of = _zone(cur, tenant, asked.zone)
    period = asked.period or periods.yesterday(known.now, zone)
    since, until = period.bounds(zone)
    if since >= known.now:
        raise NothingKnown(f"{period.name} has not begun yet in {clean(tenant)}: it is {_at(known.now, zone)} there")
    if known.since is None or known.since >= until or known.until <= since:
        raise NothingKnown(f"nothing is known of {period.name} in {clean(tenant)}: {_why(known, until, zone)}")
    return Span(period, zone, since, until, known.since, known.until, known.now, zone_of)


def _why(known: ledger.Known, until: datetime, zone: ZoneInfo) -> str:
    if known.since is None:
        return "it has no visits yet"
    if known.since >= until:
        return f"its data begins on {_at(known.since, zone)}"
    return f"no worker has run since {_at(known.until, zone)}"


def _at(at: datetime, zone: ZoneInfo) -> str:
    return moment(at) if zone.key == "UTC" else f"{at.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


def _zone(cur: cursor, tenant: str, asked: ZoneInfo | None) -> tuple[ZoneInfo, str]:
    if asked is not None:
        return asked, ASKED
    hours = rulebook.in_force(cur, tenant).rules.hours
    return (ZoneInfo(hours.zone), OF_HOURS) if hours else (ZoneInfo("UTC"), NO_HOURS)


def as_data(report: Report) -> dict[str, Any]:
    """For programs: seconds, shares of 1, ISO moments; None: not known, or of nothing."""
    span = report.span
    return {
        "name": report.name,
        "period": {"kind": span.period.kind, "name": span.period.name, "from": span.since, "to": span.until},
        "zone": span.zone.key,
        "zone_of": span.zone_of,
        "known_since": span.known,
        "known_until": span.reached,
        "made_at": span.now,
        "is_partial": span.is_partial,
        "target_s": report.target_s,
        "total": counted(report.total),
        "days": {day.isoformat(): counted(counts) for day, counts in report.days.items()},
        "hours": {str(hour): counted(counts) for hour, counts in report.hours.items()},
        "queues": {queue: counted(counts) for queue, counts in report.queues.items()},
        "agents": [_rounded(agent._asdict()) for agent in report.agents],
        "ratings": None if report.stars is None else {str(star): n for star, n in report.stars.items()},
        "ratings_since": report.ratings_since,
        "drift": {each.kind: _named(each, "kind") for each in report.drift},
        "decisions": {each.policy: _named(each, "policy") for each in report.decisions},
    }


def counted(counts: figures.Counts | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    level = None if counts.level is None else round(counts.level, 4)
    return {**_rounded(counts._asdict()), "service_level": level}


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Milliseconds are enough."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def _named(row: Any, key: str) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name != key}


def all_of(reports: Iterable[Report]) -> dict[str, Any]:
    return {"tenants": {report.tenant: as_data(report) for report in reports}}
