"""Inbox entries into the line: reads what is remembered of their rooms, lets `visits` decide each, writes the result.

The first thing that a decision does, before it looks for any seat. An entry that nothing can be made of goes to
`refused` with its reason, so that it can't stop the tenant.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psycopg2

import logs
from db import line
from db.inbox import GONE, HELD, RESOLVED, Entry
from db.postgres import columns
from db.turn import Turn
from room_ids import ROOM_ID
from routing import facts
from worker import follow, visits
from worker.rules import Rules
from worker.visits import Arrived, Closed, Resolved, Room, Visit

log = logging.getLogger("worker.intake")

WORD_MAX = 64
SERVICE_MAX = 2**63 - 1
PLACE_MAX_US = 2**62  # nothing can be made of an arrival beyond it
BEHIND_US = 1_000_000  # two clocks differ by less
RECALLED = Visit._fields
REMEMBERED = ("id", "closed_service", "closed_with_service")
OPENED = ("room", "arrived_us", "channel", "source", "base", "base_proved", "look", "suspect")
REVISED = ("id", "base", "base_proved", "suspect", "again_us", "again_latest", "resolved_comment", "look", "aside",
           "arrived_us")  # fmt: skip
UNWRITABLE = (psycopg2.DataError, psycopg2.IntegrityError, ValueError)  # ValueError: the driver's own refusal


Batch = Sequence[tuple[Entry, Arrived | Resolved]]
Facts = Mapping[str, Any]  # as `routing.facts.as_data` gives them


class BadEntry(Exception):
    """Nothing can be made of an inbox entry; the text says why."""


def take_over(turn: Turn, entries: Sequence[Entry], rules: Rules) -> bool:
    """All entries into the ledger, in their order; whether the desk is to be asked about a room. A batch that
    PostgreSQL refuses is taken entry by entry."""
    if not entries:
        return False
    readable = _readable(turn, entries)
    try:
        return _in_savepoint(turn, readable, rules)
    except UNWRITABLE as error:
        log.error(turn.line("batch_refused", entries=len(readable), why=error))
    looks = [_take_singly(turn, entry, webhook, rules) for entry, webhook in readable]
    return any(looks)


def _take_singly(turn: Turn, entry: Entry, webhook: Arrived | Resolved, rules: Rules) -> bool:
    try:
        return _in_savepoint(turn, [(entry, webhook)], rules)
    except UNWRITABLE as error:
        _refuse(turn, entry, type(error).__name__)
        return False


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
    if entry.at_us == 0 or not ROOM_ID.fullmatch(room):
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


def _readable(turn: Turn, entries: Sequence[Entry]) -> Batch:
    found = []
    for entry in entries:
        try:
            found.append((entry, read_entry(entry)))
        except BadEntry as error:
            _refuse(turn, entry, str(error))
    return found


def _refuse(turn: Turn, entry: Entry, reason: str) -> None:
    turn.run("refuse", entry=entry.id, reason=reason)
    log.error(turn.line("entry_refused", entry=entry.id, why=reason))


def _in_savepoint(turn: Turn, batch: Batch, rules: Rules) -> bool:
    turn.cur.execute("SAVEPOINT intake")
    try:
        return _take(turn, batch, rules)
    except (psycopg2.Error, ValueError):
        if not turn.cur.connection.closed:
            turn.cur.execute("ROLLBACK TO SAVEPOINT intake")
        raise


def _take(turn: Turn, batch: Batch, rules: Rules) -> bool:
    """The turn learns of it last, when nothing can be refused any more."""
    rows = _recalled(turn, {webhook.room for _, webhook in batch}, rules)
    before = {row.room: _room(row) for row in rows}
    told = {row.room: row.again_facts for row in rows if row.again_facts} | _told(batch)
    after, closed, opened = _decide(turn.tenant, batch, before, int(rules.lag_s * 1e6))
    over = [(gone.visit.id, gone.service, gone.reason) for gone in closed if gone.visit.id is not None]
    ended = line.close(turn, over) if over else []
    _remember(turn, before, after)
    over_at_once = _open(turn, after, closed, opened, told)
    _revise(turn, before, after)
    _know(turn, after, told)
    turn.agents.update(row.last_agent for row in ended if row.last_agent)
    for row in ended:
        turn.ended(row.id, row.handled_s)
    for visit in over_at_once:
        turn.ended(visit, None)
    turn.rooms.update({room.id: _stands(room.visit) for room in after.values()})
    return any(room.visit.look for room in after.values() if room.visit)


def _stands(visit: Visit | None) -> int | str:
    if visit is None:
        return GONE
    return visit.arrived_us if visit.state == "waiting" else HELD


def _recalled(turn: Turn, rooms: set[str], rules: Rules) -> list[Any]:
    return turn.all("recall", rooms=sorted(rooms), lag_s=rules.lag_s + rules.step_s)


def _told(batch: Batch) -> dict[str, Facts]:
    """What the batch's last webhook of each room says of its customer, where the rules ask about it."""
    texts = {entry.fields["room"]: text for entry, _ in batch if (text := entry.fields.get("facts"))}
    return {room: found for room, text in texts.items() if (found := _facts(text)) is not None}


def _facts(text: str) -> Facts | None:
    """Bounded and folded once more: whoever can write to Redis could have written it."""
    try:
        return facts.as_data(facts.of_data(orjson.loads(text)))
    except ValueError:
        return None


def _room(row: Any) -> Room:
    """From a row of the block `recall`, whose columns are named as the fields of `Visit`."""
    visit = None if row.id is None else Visit(**{name: getattr(row, name) for name in RECALLED})
    return Room(row.room, row.closed_service, row.closed_with_service, visit)


def _decide(
    tenant: str, batch: Batch, before: dict[str, Room], lag_us: int
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


def _remember(turn: Turn, before: dict[str, Room], after: dict[str, Room]) -> None:
    rooms = sorted(after.values(), key=lambda room: room.id)
    changed = [room for room in rooms if room._replace(visit=None) != before[room.id]._replace(visit=None)]
    if changed:
        turn.run("remember", **columns(changed, REMEMBERED))


def _open(
    turn: Turn, after: dict[str, Room], closed: Sequence[Closed], opened: dict[str, int], told: Mapping[str, Facts]
) -> list[int]:
    """Closed ones first: a room may have come, gone and come again inside one batch. Then in the order of the inbox,
    also where several came in one microsecond. Gives the visits that are over already."""
    new = [
        _new(gone.visit)._replace(look=False, service=gone.service, reason=gone.reason)
        for gone in closed
        if gone.visit.id is None
    ]
    still = [room.visit for room in after.values() if room.visit is not None and room.visit.id is None]
    in_order = sorted(still, key=lambda visit: (visit.arrived_us, opened[visit.room]))
    new += [_new(visit)._replace(facts=told.get(visit.room)) for visit in in_order]
    return line.open_visits(turn, new) if new else []


def _new(visit: Visit) -> line.NewVisit:
    return line.NewVisit(**{name: getattr(visit, name) for name in OPENED})


def _know(turn: Turn, after: dict[str, Room], told: Mapping[str, Facts]) -> None:
    """What is known now of rooms that were in the ledger before. Those that wait are routed by it."""
    rooms = [room for room in told if (visit := after[room].visit) is not None and visit.id is not None]
    if not rooms:
        return
    changed = turn.all("know_facts", rooms=rooms, facts=[json.dumps(told[room]) for room in rooms])
    follow.route_again(turn, [row.id for row in changed if row.state == "waiting"])


def _revise(turn: Turn, before: dict[str, Room], after: dict[str, Room]) -> None:
    known = [room.visit for room in after.values() if room.visit is not None and room.visit.id is not None]
    changed = [visit for visit in known if visit != before[visit.room].visit]
    if changed:
        turn.run("revise", **columns(changed, REVISED))
