"""What a report is made of: a tenant's visits, ratings, decisions and drift of a time. The SQL is in
`queries/report.sql`; `views/reports/figures.py` counts.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.postgres import Statements

REPORT = Statements("report")
STALE = timedelta(minutes=10)  # workers write each minute; without one, rooms are in the inbox at best
ROWS_AT_ONCE = 5000  # read of many visits, so that PostgreSQL never waits for long
LONGEST_WAIT = timedelta(days=7)  # one who waited longer and was over after the time is not found
CLOCKS_APART = timedelta(hours=1)  # ids rise with time, but for a clock that was set back


class Visit(NamedTuple):
    """Times are unix seconds. `settled_s` None: no agent has it, or had it; `closed_s` None: it is not over.

    waited_s   from its arrival until it was assigned; None: it was not
    handled_s  from there until it was over; None: it was not, or is not
    """

    queue: str
    agent: str
    opened_s: float
    settled_s: float | None
    closed_s: float | None
    waited_s: float | None
    handled_s: float | None
    is_abandoned: bool


class Known(NamedTuple):
    """`since` None: nothing is known. `until`: as long as a worker ran, `now` where one does. `now`: PostgreSQL's."""

    since: datetime | None
    until: datetime
    now: datetime


def known(cur: cursor, tenant: str, keep_days: int) -> Known:
    """Since when all is known: what is older than `keep_days` is deleted bit by bit."""
    row = REPORT.one(cur, "known", tenant=tenant)
    since = None if row.since is None else max(row.since, row.now - timedelta(days=keep_days))
    is_stale = row.until is not None and row.now - row.until > STALE
    return Known(since, row.until if is_stale else row.now, row.now)


def visits(cur: cursor, tenant: str, since: datetime, until: datetime) -> Iterator[Visit]:
    """In no order. The transaction is kept awake as long as the caller takes them quickly."""
    with closing(cur.connection.cursor("report")) as rows:
        rows.itersize = ROWS_AT_ONCE
        rows.execute(REPORT.blocks["visits"], {"tenant": tenant, **span(cur, since, until)})
        yield from (Visit(*row) for row in rows)


def span(cur: cursor, since: datetime, until: datetime) -> dict[str, Any]:
    """What the block `visits` asks for, beside the tenant: `first` to `last` are ids."""
    first = REPORT.one(cur, "first_since", at=since - LONGEST_WAIT - CLOCKS_APART).id or 0
    last = REPORT.one(cur, "first_since", at=until + CLOCKS_APART).id or 0
    return {"since": since, "until": until, "first": first, "last": last}


def beside(cur: cursor, tenant: str, since: datetime, until: datetime) -> dict[str, list[Any]]:
    """The rows of `ratings`, `decisions` and `drift`."""
    span = {"tenant": tenant, "since": since, "until": until}
    return {block: REPORT.all(cur, block, **span) for block in ("ratings", "decisions", "drift")}


def language(cur: cursor, tenant: str, since: datetime, until: datetime) -> str | None:
    """Of the pages of most customers; None: not known."""
    row = REPORT.one(cur, "language", tenant=tenant, since=since, until=until)
    return row.language if row else None


def tenant(cur: cursor, wanted: str) -> Any:
    return REPORT.one(cur, "tenant", tenant=wanted)


def names(cur: cursor, tenant: str) -> dict[str, str]:
    """Of agents: id → what people call them."""
    return {row.id: row.name for row in REPORT.all(cur, "names", tenant=tenant)}
