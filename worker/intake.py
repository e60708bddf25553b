"""Inbox entries into the line: reads what is remembered of their rooms, lets `visits` decide each, writes the result.

The first thing that a decision does, before it looks for any seat. An entry that nothing can be made of goes to
`refused` with its reason, so that it can't stop the tenant.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import cursor

import logs
from db import line
from db.inbox import RESOLVED, Entry
from worker import visits
from worker.rules import Rules
from worker.visits import Arrived, Closed, Resolved, Room, Visit

log = logging.getLogger("worker.intake")

ROOM_MAX = 64
WORD_MAX = 64
SERVICE_MAX = 2**63 - 1
PLACE_MAX_US = 2**62  # nothing can be made of an arrival beyond it
BEHIND_US = 1_000_000  # two clocks differ by less
RECALLED = Visit._fields
UNWRITABLE = (psycopg2.DataError, psycopg2.IntegrityError, ValueError)  # ValueError: the driver's own refusal


class BadEntry(Exception):
    """Nothing can be made of an inbox entry; the text says why."""


@dataclass
class Intake:
    """What a batch changed: rooms as they are now, agents who have a seat less, whether the desk is to be asked."""

    waiting: dict[str, int] = field(default_factory=dict)  # room → arrived_us
    held: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    looks: bool = False

    def add(self, other: "Intake") -> None:
        self.waiting.update(other.waiting)
        self.held |= other.held
        self.gone |= other.gone
        self.agents |= other.agents
        self.looks |= other.looks


def take_over(cur: cursor, tenant: str, entries: Sequence[Entry], rules: Rules) -> Intake:
    """All entries into the ledger, in their order. A batch that PostgreSQL refuses is taken entry by entry."""
    done = Intake()
    if not entries:
        return done
    readable = _readable(cur, tenant, entries)
    try:
        return _in_savepoint(cur, tenant, readable, rules)
    except UNWRITABLE as error:
        log.error(logs.line("batch_refused", tenant=tenant, entries=len(readable), why=error))
    for entry, webhook in readable:
        try:
            done.add(_in_savepoint(cur, tenant, [(entry, webhook)], rules))
        except UNWRITABLE as error:
            _refuse(cur, tenant, entry, type(error).__name__)
    return done


def placed(entries: Sequence[Entry], last_us: int) -> tuple[list[Entry], int]:
    """The entries with their places in the line, and the last place. A place is the time of arrival, behind the last
    one that was given: nobody passes another when Redis's clock goes back, also while Redis is emptied. An entry that
    was kept while its tenant was unknown has its earlier place, unless that clock is behind."""
    found = []
    for entry in entries:
        if not 0 < entry.at_us < PLACE_MAX_US or ("at" in entry.fields and entry.came_us + BEHIND_US >= last_us):
            found.append(entry)
        else:
            last_us = max(entry.at_us, last_us + 1)
            found.append(entry._replace(at_us=last_us))
    return found, last_us


def read_entry(entry: Entry) -> Arrived | Resolved:
    """The webhook that an entry holds. Raises `BadEntry`."""
    room = entry.fields.get("room", "")
    if (
        not (1 <= len(room) <= ROOM_MAX and room.isascii() and room.isprintable() and " " not in room)
        or entry.at_us == 0
    ):
        raise BadEntry("no usable room id")
    if entry.fields.get("kind") == RESOLVED:
        return Resolved(room, _number(entry, "service"), _word(entry, "first") or None)
    return Arrived(room, _number(entry, "latest"), _word(entry, "class"), _word(entry, "source"))


def _word(entry: Entry, name: str) -> str:
    """What PostgreSQL and its indexes can hold; a strange class must not cost the room its place."""
    return "".join(c for c in entry.fields.get(name, "")[:WORD_MAX] if c.isprintable())


def _number(entry: Entry, name: str) -> int | None:
    text = entry.fields.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= SERVICE_MAX):
        raise BadEntry(f"{name} is no service id")
    return int(text)


def _readable(cur: cursor, tenant: str, entries: Sequence[Entry]) -> list[tuple[Entry, Arrived | Resolved]]:
    found = []
    for entry in entries:
        try:
            found.append((entry, read_entry(entry)))
        except BadEntry as error:
            _refuse(cur, tenant, entry, str(error))
    return found


def _refuse(cur: cursor, tenant: str, entry: Entry, reason: str) -> None:
    line.refuse(cur, tenant, entry.id, reason)
    log.error(logs.line("entry_refused", tenant=tenant, entry=entry.id, why=reason))


def _in_savepoint(cur: cursor, tenant: str, batch: Sequence[tuple[Entry, Arrived | Resolved]], rules: Rules) -> Intake:
    cur.execute("SAVEPOINT intake")
    try:
        done = _take(cur, tenant, batch, rules)
    except (psycopg2.Error, ValueError):
        if not cur.connection.closed:
            cur.execute("ROLLBACK TO SAVEPOINT intake")
        raise
    return done


def _take(cur: cursor, tenant: str, batch: Sequence[tuple[Entry, Arrived | Resolved]], rules: Rules) -> Intake:
    before = _recall(cur, tenant, {webhook.room for _, webhook in batch}, rules)
    after, closed, opened = _decide(tenant, batch, before, int(rules.lag_s * 1e6))
    done = Intake()
    over = [(gone.visit.id, gone.service, gone.reason) for gone in closed if gone.visit.id is not None]
    if over:
        done.agents.update(row.last_agent for row in line.close(cur, tenant, over) if row.last_agent)
    _remember(cur, tenant, before, after)
    _open(cur, tenant, after, closed, opened)
    _revise(cur, tenant, before, after)
    for room in after.values():
        _tell(done, room)
    return done


def _recall(cur: cursor, tenant: str, rooms: set[str], rules: Rules) -> dict[str, Room]:
    return {row.room: _room(row) for row in line.recall(cur, tenant, sorted(rooms), rules.lag_s + rules.step_s)}


def _room(row: Any) -> Room:
    """From a row of the block `recall`, whose columns are named as the fields of `Visit`."""
    visit = None if row.id is None else Visit(**{name: getattr(row, name) for name in RECALLED})
    return Room(row.room, row.closed_service, row.closed_with_service, visit)


def _decide(
    tenant: str, batch: Sequence[tuple[Entry, Arrived | Resolved]], before: dict[str, Room], lag_us: int
) -> tuple[dict[str, Room], list[Closed], dict[str, int]]:
    """The rooms afterwards, the visits that closed, and which webhook of the batch opened a room's visit."""
    rooms = dict(before)
    closed: list[Closed] = []
    opened: dict[str, int] = {}
    told = []
    for number, (entry, webhook) in enumerate(batch):
        room = rooms[webhook.room]
        change = visits.after(room, webhook, entry.at_us, lag_us)
        rooms[room.id] = change.room
        if room.visit is None or change.closed is not None:
            opened[room.id] = number
        if change.closed is not None:
            closed.append(change.closed)
        told.append(logs.line(change.word, tenant=tenant, room=webhook.room, entry=entry.id))
    logs.each(log, told)
    return rooms, closed, opened


def _remember(cur: cursor, tenant: str, before: dict[str, Room], after: dict[str, Room]) -> None:
    changed = [
        (room.id, room.closed_service, room.closed_with_service)
        for room in after.values()
        if room._replace(visit=None) != before[room.id]._replace(visit=None)
    ]
    if changed:
        line.remember(cur, tenant, changed)


def _open(cur: cursor, tenant: str, after: dict[str, Room], closed: Sequence[Closed], opened: dict[str, int]) -> None:
    """Closed ones first: a room may have come, gone and come again inside one batch. Then in the order of the inbox,
    also where several came in one microsecond."""
    new = [_new(gone.visit, gone) for gone in closed if gone.visit.id is None]
    still = [room.visit for room in after.values() if room.visit is not None and room.visit.id is None]
    new += [_new(visit) for visit in sorted(still, key=lambda visit: (visit.arrived_us, opened[visit.room]))]
    if new:
        line.open_visits(cur, tenant, new)


def _new(visit: Visit, gone: Closed | None = None) -> line.NewVisit:
    return line.NewVisit(
        room=visit.room,
        arrived_us=visit.arrived_us,
        class_=visit.class_,
        source=visit.source,
        base=visit.base,
        base_proved=visit.base_proved,
        look=visit.look and gone is None,
        suspect=visit.suspect,
        service=gone.service if gone else None,
        reason=gone.reason if gone else None,
    )


def _revise(cur: cursor, tenant: str, before: dict[str, Room], after: dict[str, Room]) -> None:
    told = [
        room.visit
        for room in after.values()
        if room.visit is not None and room.visit.id is not None and room.visit != before[room.id].visit
    ]
    if told:
        line.LINE.run(
            cur,
            "revise",
            tenant=tenant,
            visits=[visit.id for visit in told],
            bases=[visit.base for visit in told],
            proved=[visit.base_proved for visit in told],
            suspects=[visit.suspect for visit in told],
            again=[visit.again_us for visit in told],
            latest=[visit.again_latest for visit in told],
            comments=[visit.resolved_comment for visit in told],
            looks=[visit.look for visit in told],
            aside=[visit.aside for visit in told],
            arrived=[visit.arrived_us for visit in told],
        )


def _tell(done: Intake, room: Room) -> None:
    visit = room.visit
    if visit is None:
        done.gone.add(room.id)
        return
    done.looks |= visit.look
    if visit.state == "waiting":
        done.waiting[room.id] = visit.arrived_us
    else:
        done.held.add(room.id)
