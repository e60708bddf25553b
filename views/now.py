"""A tenant at a glance: are customers being served and, if not, why? One sentence for each thing that is wrong."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db.minutes import Today
from db.views import VIEWS
from views import expected, in_force, queue, waits
from views.queue import Line
from views.source import Source
from views.words import clean, counted, from_us

INBOX_BEHIND = 100  # webhooks that no worker has taken over: more is a problem
NO_WORKER = "no worker is running: nothing moves"


class Glance(NamedTuple):
    """One tenant. `groups`: the rows of `waiting_queues`. `limit`: of who has none of their own."""

    tenant: Any
    line: Line
    groups: list[Any]
    quarantined: Any
    today: Today
    limit: int


def glance(source: Source, cur: cursor, tenant: str, today: Today) -> Glance:
    return Glance(
        VIEWS.one(cur, "tenant", tenant=tenant),
        queue.read(source, cur, tenant, 0),
        VIEWS.all(cur, "waiting_queues", tenant=tenant),
        VIEWS.one(cur, "quarantined", tenant=tenant),
        today,
        in_force.read(source, cur, tenant, ()).general,
    )


def read(source: Source, cur: cursor, tenant: str, today: Today) -> dict[str, Any]:
    found = glance(source, cur, tenant, today)
    return {**_counts(found), **_expected(cur, found), **_today(today), "problems": problems(found)}


def _counts(found: Glance) -> dict[str, Any]:
    line = found.line
    online = [member for member in line.team.values() if member.online]
    return {
        "tenant": line.tenant,
        "name": found.tenant.name or line.tenant,
        "desk": found.tenant.desk,
        "waiting": line.counts.waiting,
        "aside": line.counts.aside,
        "oldest_at": from_us(line.counts.oldest_us) if line.counts.oldest_us is not None else None,
        "seats_free": sum(member.free for member in online),
        "seats_all": sum(member.limit for member in online),
        "agents_online": len(online),
        "agents_all": sum(member.role in ("", "agent") for member in line.team.values()),
        "draining": line.desk.draining,
    }


def _expected(cur: cursor, found: Glance) -> dict[str, int | None]:
    """Of who comes next."""
    line = found.line
    pace = expected.pace(cur, line.tenant, line.team)
    return expected.as_data(
        line.counts.waiting + 1, pace, line.desk.shut is not None or line.desk.draining, is_new=True
    )


def _today(today: Today) -> dict[str, Any]:
    level = None if today.level is None else round(today.level, 4)
    told = {"served_today": today.served, "abandoned_today": today.abandoned}
    return {**told, "service_level_today": level, "target_s": today.target_s}


def problems(found: Glance) -> list[dict[str, Any]]:
    """The worst first. `since` where the ledger knows it."""
    line = found.line
    return [*_of_servers(line), *_of_desk(line), *_of_arrivals(found), *_of_agents(found), *_of_rooms(found)]


def problem(code: str, message: str, since: datetime | None = None, **values: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "values": values, "since": since}


def _of_servers(line: Line) -> list[dict[str, Any]]:
    desk, found = line.desk, []
    if desk.workers == 0:
        found.append(problem("no_worker", NO_WORKER))
    if desk.redis_away:
        words = f"Redis can't be used, and no decision is made without it: {desk.redis_away}"
        found.append(problem("redis_away", words, trouble=desk.redis_away))
    if desk.inbox > INBOX_BEHIND:
        words = f"{counted(desk.inbox, 'webhook')} not taken over yet: workers are behind"
        found.append(problem("inbox_behind", words, count=desk.inbox))
    return found


def _of_desk(line: Line) -> list[dict[str, Any]]:
    desk = line.desk
    if not (desk.trouble or desk.failures):
        return []
    trouble = clean(desk.trouble or "it does not answer", 160)
    if desk.paused_until is not None:
        words = f"the desk refuses or does not answer, and is left alone for a moment: {trouble}"
        return [problem("desk_paused", words, trouble=trouble, at=desk.paused_until)]
    return [problem("desk_trouble", f"the desk answered with an error: {trouble}", trouble=trouble)]


def _of_arrivals(found: Glance) -> list[dict[str, Any]]:
    """Webhooks that stay away are not seen by anybody else."""
    silence = found.today.silence
    if silence is None or found.tenant.desk != "qiscus":
        return []
    words = f"no webhook for {counted(silence.hours, 'hour')}; usual in this time: {silence.usual}"
    return [problem("no_webhooks", words, hours=silence.hours, usual=silence.usual)]


def _of_agents(found: Glance) -> list[dict[str, Any]]:
    line = found.line
    if line.desk.draining:
        return [problem("drained", "the desk serves out: nothing new is given to agents")]
    if line.desk.shut:
        told = waits.shut(line.desk.shut, line.now)
        return [problem("shut", told.message, at=line.desk.shut.until)]
    online = [member for member in line.team.values() if member.online]
    if all(member.limit == 0 for member in online) if online else found.limit == 0:
        return [problem("all_paused", "a limit of 0 pauses everybody", agents=len(online))]
    if line.counts.waiting and online and not any(member.free for member in online) and _waits_long(found):
        words = f"all {len(online)} agents online are at their limit, and customers wait longer than they should"
        return [
            problem("all_full", words, from_us(line.counts.oldest_us), agents=len(online), count=line.counts.waiting)
        ]
    if not online and line.counts.waiting and not _has_queues(line):
        return [problem("nobody_online", "nobody is online, and customers wait")]
    return []


def _has_queues(line: Line) -> bool:
    """By rules. Only those agents are known then whom a queue names: others may well be online."""
    return bool(line.book.rules.queues)


def _waits_long(found: Glance) -> bool:
    oldest_us = found.line.counts.oldest_us
    return oldest_us is not None and (found.line.now - from_us(oldest_us)).total_seconds() > found.today.target_s


def _of_rooms(found: Glance) -> list[dict[str, Any]]:
    line, told = found.line, []
    someone = _has_queues(line) or any(member.online for member in line.team.values())
    for group in found.groups:
        missing = clean(group.missing, 200)
        if missing:
            words = f"queue {clean(group.queue)}: {missing}"
            told.append(problem("rules_missing", words, queue=group.queue, missing=missing))
        elif group.nobody and someone:
            since = from_us(group.oldest_us)
            words = f"nobody who may serve queue {clean(group.queue)} is online: {counted(group.waiting, 'room')} wait"
            told.append(problem("nobody_for_queue", words, since, queue=group.queue, count=group.waiting))
    if found.quarantined.rooms:
        words = f"{counted(found.quarantined.rooms, 'room')} set aside after refusals of the desk: see the queue"
        told.append(problem("quarantined", words, found.quarantined.since, count=found.quarantined.rooms))
    return told
