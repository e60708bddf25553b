"""Reads one tenant's line, for `queue` and `why`. What it means is in `waits`, how it looks in `line_text`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

from db.console import escaped
from db.ledger import WORKER_LOCK_CLASS
from db.views import VIEWS
from views import queues, rulebook, team, waits
from views.rulebook import Book
from views.source import Source
from views.team import Member
from views.waits import Class, Desk, Reason
from views.words import from_us

STATES = ("waiting", "verified", "quarantined")


@dataclass(frozen=True)
class Line:
    """`waiting` are rows of the block `waiting`, in order, the first ones of `matching`; `counts` and `drifts` of
    theirs. `book`: the rules in force."""

    tenant: str
    now: datetime
    desk: Desk
    counts: Any
    waiting: list[Any]
    matching: int
    classes: Mapping[str, Class]
    team: Mapping[str, Member]
    drifts: list[Any]
    book: Book
    able: dict[str, waits.Able] = field(default_factory=dict)  # by class, once asked for


def read(
    source: Source,
    cur: cursor,
    tenant: str,
    most: int | None,
    room: str | None = None,
    queues: Sequence[str] | None = None,
    state: str | None = None,
    text: str | None = None,
    skip: int = 0,
) -> Line:
    """`most` None: all that wait; `room`: only this one, with its place; `queues`: only theirs; `state`: one of
    `STATES`; `text`: part of the room's id, or of the customer's name or e-mail."""
    counts = VIEWS.one(cur, "counts", tenant=tenant)
    pattern = f"%{escaped(text)}%" if text else None
    which = {"room": room, "queues": queues, "state": state, "pattern": pattern, "skip": skip}
    waiting = VIEWS.all(cur, "waiting", tenant=tenant, most=most, **which)
    now, book = VIEWS.one(cur, "now").at, rulebook.in_force(cur, tenant)
    return Line(
        tenant=tenant,
        now=now,
        desk=replace(_desk(source, cur, tenant, counts), shut=book.shut(now)),
        counts=counts,
        waiting=waiting,
        matching=waiting[0].matching if waiting else 0,
        classes=classes(cur, tenant, waiting, book),
        team={member.id: member for member in team.read(source, cur, tenant)},
        drifts=VIEWS.all(cur, "drifts", tenant=tenant),
        book=book,
    )


def state_of(row: Any) -> str:
    """One of `STATES`: it can be chosen, or the desk is asked about it first, or it was set aside."""
    if row.aside is not None:
        return "quarantined"
    return "verified" if row.look_at is not None else "waiting"


def classes(cur: cursor, tenant: str, visits: Iterable[Any], book: Book) -> dict[str, Class]:
    """Of the visits. The rooms of a class are of one queue."""
    queues = {visit.class_: visit.queue for visit in visits}
    limits = {name: of.limit for name, of in book.rules.queues.items() if of.limit is not None}
    taken: dict[str, dict[str, int]] = defaultdict(dict)
    if limited := sorted(limits.keys() & set(queues.values())):
        for row in VIEWS.all(cur, "seats_of_queues", tenant=tenant, queues=limited):
            taken[row.queue][row.agent] = row.seats
    rows = VIEWS.all(cur, "classes", tenant=tenant, classes=sorted(queues))
    return {row.class_: _class(row, limits.get(queues[row.class_]), taken[queues[row.class_]]) for row in rows}


def _class(row: Any, limit: int | None, of_queue: Mapping[str, int]) -> Class:
    online, named, missing = map(tuple, (row.online, row.named, row.missing))
    return Class(row.class_, row.read_at, row.due_at, row.suggested, online, named, missing, limit, dict(of_queue))


def _desk(source: Source, cur: cursor, tenant: str, counts: Any) -> Desk:
    return Desk(
        failures=counts.desk_failures,
        trouble=counts.desk_trouble,
        paused_until=counts.paused_until,
        workers=workers(cur),
        inbox=0 if source.away else source.inbox.size(tenant),
        redis_away=source.away or source.refuses,
        draining=counts.draining,
        policy=source.policy,
        believe_s=source.believe_s,
    )


def workers(cur: cursor) -> int:
    """How many worker processes live."""
    return VIEWS.one(cur, "workers", lock_class=WORKER_LOCK_CLASS).alive


def reason(line: Line, row: Any) -> Reason:
    of = line.classes.get(row.class_) or Class(row.class_, None, None, None, (), ())
    if of.name not in line.able:
        line.able[of.name] = waits.able(of, line.team)
    return waits.why(row, of, line.team, line.desk, line.now, line.able[of.name])


def as_data(line: Line) -> dict[str, Any]:
    return {
        "tenant": line.tenant,
        "at": line.now,
        "counts": line.counts._asdict(),
        "workers": line.desk.workers,
        "inbox": None if line.desk.redis_away else line.desk.inbox,
        "redis_trouble": line.desk.redis_away,
        "rules_version": line.book.version,
        "outside_hours": line.desk.shut is not None,
        "opens_at": line.desk.shut.until if line.desk.shut else None,
        "waiting": [waiting_data(line, row) for row in line.waiting],
        "classes": [asdict(of) for of in line.classes.values()],
        "agents": [team.as_data(member) for member in line.team.values()],
        "drifts": {row.kind: row.healed for row in line.drifts},
    }


def waiting_data(line: Line, row: Any) -> dict[str, Any]:
    seconds = max(0.0, (line.now - from_us(row.arrived_us)).total_seconds())
    columns = {name: value for name, value in row._asdict().items() if name != "matching"}
    return {**columns, "queue": queues.of(row), "waits_s": round(seconds, 3), "why": reason(line, row).message}
