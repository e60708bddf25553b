"""The figures of a report. Pure: visits of a period → counts, waits and times, by day, hour, queue and agent.

Comes after `db/report.py`, which reads the visits one by one; the renderers (`spreadsheet`, `page`, the admin
tool's text) come after. What is served, in time and abandoned is defined in SQL, `queries/shared/`, for `/ops` and for
reports alike. What nobody knows is None, never 0.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from views.reports.period import Period

QUARTER_S = 900  # of an hour: every offset of a zone is a multiple of it, since 1972
HOUR = timedelta(hours=1)
STARS = range(1, 6)


class Counts(NamedTuple):
    """arrived    visits that began: webhooks, chats, rooms that the desk named
    served     visits that were assigned to an agent
    in_time    those of them that had waited for the target or less
    abandoned  visits that were over, and no agent had them
    resolved   visits that were over, and an agent had them
    wait_…     seconds from the arrival until assigned, of those served: half waited less, 95 of 100, the longest
    """

    arrived: int
    served: int
    in_time: int
    abandoned: int
    resolved: int
    wait_median_s: float | None
    wait_p95_s: float | None
    wait_longest_s: float | None

    @property
    def level(self) -> float | None:
        """The share of those served who were served in time; None: nobody was."""
        return self.in_time / self.served if self.served else None


class Agent(NamedTuple):
    """chats        given to the agent in the period
    ended        those of them that are over, whenever that was
    handling_…   seconds from assigned to over, of these: half took less; all together
    ratings      how many customers gave stars, 1 to 5, and their mean; None: not known
    """

    id: str
    name: str
    chats: int
    ended: int
    handling_median_s: float | None
    handling_total_s: float
    ratings: int | None
    rating_mean: float | None


class Drift(NamedTuple):
    """Differences from the desk that were healed. `healed` None: of this period not known, only `ever`, `last_at`."""

    kind: str
    healed: int | None
    ever: int
    last_at: datetime


class Decisions(NamedTuple):
    """Decisions that gave at least one seat, and these seats."""

    policy: str
    decisions: int
    seats: int


class Span(NamedTuple):
    """What a report covers. `since`, `until`: of the period; `known` to `reached`: of this all is known. `now`: when
    it was made."""

    period: Period
    zone: ZoneInfo
    since: datetime
    until: datetime
    known: datetime
    reached: datetime
    now: datetime
    zone_of: str

    @property
    def is_partial(self) -> bool:
        return self.known > self.since or self.reached < self.until


class Report(NamedTuple):
    """One tenant. `days` and `hours` (of a day, 0 to 23; of all days together): None where nothing is known. `stars`:
    ratings by stars; None: not known, as of Qiscus."""

    tenant: str
    name: str
    span: Span
    target_s: float
    total: Counts
    days: Mapping[date, Counts | None]
    hours: Mapping[int, Counts | None]
    queues: Mapping[str, Counts]
    agents: Sequence[Agent]
    stars: Mapping[int, int] | None
    ratings_since: datetime | None
    drift: Sequence[Drift]
    decisions: Sequence[Decisions]


@dataclass
class _Group:
    """Numbers of one day, hour or queue, as visits come in."""

    arrived: int = 0
    in_time: int = 0
    abandoned: int = 0
    resolved: int = 0
    waits: "array[float]" = field(default_factory=lambda: array("d"))

    def counts(self) -> Counts:
        waits = sorted(self.waits)
        p50, p95, longest = percentile(waits, 0.5), percentile(waits, 0.95), waits[-1] if waits else None
        return Counts(self.arrived, len(waits), self.in_time, self.abandoned, self.resolved, p50, p95, longest)


@dataclass
class _Served:
    chats: int = 0
    handled: "array[float]" = field(default_factory=lambda: array("d"))


class Tally:
    """Adds up visits in any order; each is counted where what happened to it lies in the span."""

    def __init__(self, span: Span, target_s: float) -> None:
        self._since, self._until = span.since.timestamp(), span.until.timestamp()
        self._span, self._target_s = span, target_s
        self._total = _Group()
        self._days: dict[date, _Group] = defaultdict(_Group)
        self._hours: dict[int, _Group] = defaultdict(_Group)
        self._queues: dict[str, _Group] = defaultdict(_Group)
        self._agents: dict[str, _Served] = defaultdict(_Served)
        self._walls: dict[int, tuple[date, int]] = {}

    def add(self, visits: Iterable[Any]) -> "Tally":
        """Rows as `db.report.Visit`."""
        for visit in visits:
            self._count(visit)
        return self

    def _count(self, visit: Any) -> None:
        for group in self._groups(visit, visit.opened_s):
            group.arrived += 1
        for group in self._groups(visit, visit.settled_s):
            group.waits.append(visit.waited_s)
            group.in_time += visit.waited_s <= self._target_s
        if self._holds(visit.settled_s):
            self._serve(visit)
        for group in self._groups(visit, visit.closed_s):
            group.abandoned += visit.is_abandoned
            group.resolved += not visit.is_abandoned

    def _serve(self, visit: Any) -> None:
        served = self._agents[visit.agent]
        served.chats += 1
        if visit.handled_s is not None:
            served.handled.append(visit.handled_s)

    def _holds(self, at_s: float | None) -> bool:
        return at_s is not None and self._since <= at_s < self._until

    def _groups(self, visit: Any, at_s: float | None) -> tuple[_Group, ...]:
        if at_s is None or not self._holds(at_s):
            return ()
        day, hour = self._wall(at_s)
        return self._total, self._days[day], self._hours[hour], self._queues[visit.queue]

    def _wall(self, at_s: float) -> tuple[date, int]:
        """The day and the hour that a clock on the wall shows."""
        quarter = int(at_s // QUARTER_S)
        if quarter not in self._walls:
            wall = datetime.fromtimestamp(quarter * QUARTER_S, self._span.zone)
            self._walls[quarter] = (wall.date(), wall.hour)
        return self._walls[quarter]

    def total(self) -> Counts:
        return self._total.counts()

    def days(self) -> dict[date, Counts | None]:
        known = {wall.date() for wall in _known_hours(self._span)}
        return {day: self._days[day].counts() if day in known else None for day in self._span.period.days()}

    def hours(self) -> dict[int, Counts | None]:
        known = {wall.hour for wall in _known_hours(self._span)}
        return {hour: self._hours[hour].counts() if hour in known else None for hour in range(24)}

    def queues(self) -> dict[str, Counts]:
        """The busiest first."""
        found = {queue: group.counts() for queue, group in self._queues.items()}
        return dict(sorted(found.items(), key=lambda item: (-item[1].arrived, -item[1].served, item[0])))

    def agents(self, names: Mapping[str, str], stars: Mapping[str, Mapping[int, int]] | None) -> list[Agent]:
        """Those with most chats first, and whoever was rated. `stars`: agent → stars → customers."""
        found = {*self._agents, *(stars or ())}
        rows = [_agent(each, names.get(each, each), self._agents[each], stars) for each in found]
        return sorted(rows, key=lambda row: (-row.chats, row.name, row.id))


def _agent(agent: str, name: str, served: _Served, stars: Mapping[str, Mapping[int, int]] | None) -> Agent:
    handled = sorted(served.handled)
    ratings = None if stars is None else sum(stars.get(agent, {}).values())
    mean = mean_of_stars(stars.get(agent, {})) if stars is not None else None
    return Agent(agent, name, served.chats, len(handled), percentile(handled, 0.5), math.fsum(handled), ratings, mean)


def _known_hours(span: Span) -> Iterable[datetime]:
    """Hours of the span, by the clock on the wall, of which at least a part is known."""
    at = span.since
    while at < min(span.until, span.reached):
        if at + HOUR > span.known:
            yield at.astimezone(span.zone)
        at += HOUR


def folded(names: Sequence[str], counts: Sequence[Counts | None]) -> list[tuple[str, Counts | None]]:
    """Neighbours of which nothing is known are one row, named by the first and the last."""
    found: list[tuple[str, Counts | None]] = []
    for is_unknown, run in groupby(zip(names, counts, strict=True), lambda row: row[1] is None):
        rows = list(run)
        is_long = is_unknown and len(rows) > 1
        found += [(f"{rows[0][0]} – {rows[-1][0]}", None)] if is_long else rows
    return found


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Between the two nearest, as PostgreSQL's `percentile_cont`; None: there are no values."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean_of_stars(stars: Mapping[int, int]) -> float | None:
    """`stars`: stars → customers."""
    number = sum(stars.values())
    return sum(each * customers for each, customers in stars.items()) / number if number else None


def by_agent(rows: Iterable[Any]) -> dict[str, dict[int, int]]:
    """Rows of the block `ratings`: agent → stars → customers."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        found[row.agent][row.rating] = row.chats
    return dict(found)


def by_stars(agents: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    return {star: sum(given.get(star, 0) for given in agents.values()) for star in STARS}


def drift(rows: Iterable[Any], span: Span, created_at: datetime) -> list[Drift]:
    """The ledger counts drift since the tenant was added: of a period all is known if none came since it began, or if
    the tenant was added in it and it is not over."""

    def healed(row: Any) -> int | None:
        if row.last_at < span.since:
            return 0
        return row.healed if created_at >= span.since and row.last_at < span.until else None

    return [Drift(row.kind, healed(row), row.healed, row.last_at) for row in rows]


def decisions(rows: Iterable[Any]) -> list[Decisions]:
    return [Decisions(row.policy, row.decisions, row.seats) for row in rows]
