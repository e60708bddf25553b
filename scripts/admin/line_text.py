"""How a line looks: pure, from what `line_read` read to text, or to data for programs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from scripts.admin import crew
from scripts.admin.table import table
from views import queue as seen
from views import queues, waits
from views.queue import Line
from views.words import age, ahead, clean, counted, from_us, span
from worker.rules import CIRCUIT_FAILURES


def text(line: Line) -> str:
    parts = [_title(line), *_desk_text(line), "", _waiting_text(line)]
    seated = [member for member in line.team.values() if member.chats]
    if seated:
        parts += ["", _seated_text(line)]
    if line.drifts:
        parts += ["", drifts_text(line.drifts)]
    return "\n".join(parts)


def _title(line: Line) -> str:
    counts = line.counts
    free = sum(member.free for member in line.team.values())
    online = sum(member.online for member in line.team.values())
    aside = f" ({counts.aside} set aside)" if counts.aside else ""
    oldest = f", the first {_wait(counts.oldest_us, line)}" if counts.waiting else ""
    told = f"{counts.waiting:,} waiting{aside}{oldest}; {counts.reserved} reserved, {counts.held} held"
    return f"{click.style(clean(line.tenant), bold=True)}  {told}; {online} online, {counted(free, 'seat')} free"


def _desk_text(line: Line) -> list[str]:
    """Only what is not as it should be."""
    desk, notes = line.desk, []
    if desk.trouble or desk.failures:
        circuit = "circuit open, " if desk.failures >= CIRCUIT_FAILURES else ""
        pause = f", paused, next try {ahead(desk.paused_until, line.now)}" if desk.paused_until else ""
        notes.append(f"desk: {circuit}{counted(desk.failures, 'failure')} in a row{pause}: {clean(desk.trouble, 120)}")
    if desk.workers == 0:
        notes.append("no worker is running: nothing moves")
    if desk.redis_away:
        notes.append(f"{desk.redis_away}: webhooks that wait there are not shown, limits are as last seen")
    if desk.inbox:
        notes.append(f"inbox: {counted(desk.inbox, 'webhook')} not taken over yet")
    notes += missing(line)
    shut = [waits.shut(desk.shut, line.now).message] if desk.shut else []
    return [click.style(note, fg="red") for note in notes] + shut


def missing(line: Line) -> list[str]:
    """What the queues of the rooms shown name and the desk doesn't have."""
    shown = {row.class_: queues.shown(queues.of(row)) for row in line.waiting}
    found = [f"{shown[of.name]}: {clean(words, 120)}" for of in line.classes.values() for words in of.missing]
    return list(dict.fromkeys(found))


def _waiting_text(line: Line) -> str:
    if not line.waiting:
        return "nobody waits in this queue" if line.counts.waiting else "nobody waits"
    rows = [
        (
            row.position,
            clean(row.room, 64),
            _wait(row.arrived_us, line),
            *_about(line, row),
            seen.reason(line, row).message,
        )
        for row in line.waiting
    ]
    shown = table(("#", "ROOM", "WAITS", "QUEUE", "", "WHY"), rows)
    more = line.matching - len(line.waiting)
    return f"{shown}\n… and {more:,} more (see --rows)" if more > 0 else shown


def why(line: Line, row: Any) -> str:
    return seen.reason(line, row).message


def _about(line: Line, row: Any) -> tuple[str, str]:
    marks = [f"priority {row.priority}"] if row.priority else []
    marks += [f"step {row.step}"] if row.step else []
    marks += [f"not yet by version {line.book.version}"] if row.rules_version != line.book.version else []
    marks += ["learned from the desk"] if row.learned else []
    return queues.shown(queues.of(row), 24), ", ".join(marks)


def _wait(arrived_us: int, line: Line) -> str:
    return span((line.now - from_us(arrived_us)).total_seconds())


def _seated_text(line: Line) -> str:
    rows = [_seated_row(member, line.now) for member in line.team.values() if member.chats]
    return table(("AGENT", "NAME", "RESERVED", "HELD", "OTHERS", "LIMIT", "NOTE"), rows)


def _seated_row(m: crew.Member, now: datetime) -> tuple[object, ...]:
    seats = (m.reserved or "-", m.held or "-", m.others or "-", m.limit)
    return (clean(m.id), clean(m.name, 30), *seats, crew.note(m, now))


def drifts_text(drifts: Sequence[Any], now: Any = None) -> str:
    """What differed from the desk or the caches, and was put right."""
    told = [f"{clean(row.kind)} {row.healed:,}" + (f" ({age(row.last_at, now)})" if now else "") for row in drifts]
    return "drift healed so far: " + ", ".join(told)
