"""Why does a waiting room still wait? Pure: what the ledger and Redis say → one sentence. For `line` and `why`.

The order of the questions is the order in which a decision asks them (worker/decide.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from policies import POLICIES
from views.rulebook import Shut
from views.team import Member
from views.words import ahead, clean, counted, listed, moment, span


@dataclass(frozen=True)
class Desk:
    """The tenant's desk, and who works for the tenant. `believe_s`: how old a roster may be. `redis_away`: why Redis
    can't be used; where it can't be asked, `inbox` is not known. `shut`: outside the hours of the rules. `draining`:
    chats are ended, none is begun."""

    failures: int
    trouble: str | None
    paused_until: datetime | None
    workers: int
    inbox: int
    policy: str
    believe_s: float
    redis_away: str | None = None
    shut: Shut | None = None
    draining: bool = False


@dataclass(frozen=True)
class Class:
    """The agents who may serve the rooms of one class: whom the desk named for a channel, or whom a queue names.

    missing   what the rules name and the desk doesn't have, a sentence each
    limit     chats of its queue that one agent may have; None: no such limit
    of_queue  how many of its queue each has
    """

    name: str
    read_at: datetime | None
    due_at: datetime | None
    suggested: str | None
    online: tuple[str, ...]
    named: tuple[str, ...]
    missing: tuple[str, ...] = ()
    limit: int | None = None
    of_queue: Mapping[str, int] = field(default_factory=dict)

    def free(self, member: Member) -> int:
        """Rooms of it that they could take now."""
        if self.limit is None:
            return member.free
        return max(0, min(member.free, self.limit - self.of_queue.get(member.id, 0)))


class Able(NamedTuple):
    """Who could take rooms of a class at this moment: those online, those with a free seat for it, how many seats."""

    online: list[Member]
    with_room: list[Member]
    free: int


def able(of: Class, team: Mapping[str, Member]) -> Able:
    online = [team[name] for name in of.online if name in team]
    free = {member.id: of.free(member) for member in online}
    return Able(online, [member for member in online if free[member.id]], sum(free.values()))


class Reason(NamedTuple):
    """`code` and `values` for a page, which says it in its own language; `message` in English."""

    code: str
    message: str
    values: Mapping[str, Any] = {}

    def as_data(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "values": dict(self.values)}


def why(row: Any, of: Class, team: Mapping[str, Member], desk: Desk, now: datetime, who: Able | None = None) -> Reason:
    """`row` as of the block `waiting`; `who`: as `able` says, where many rows of a class are asked about."""
    who = who or able(of, team)
    return (
        _room(row, now)
        or _tenant(desk, now)
        or _nobody(of, team, desk, who)
        or _sticky(row, of, team, now)
        or _refused(who)
        or _roster(of, desk, now)
        or _seats(row, of, desk, who)
    )


def _room(row: Any, now: datetime) -> Reason | None:
    if row.aside is not None:
        again = f"; one more try {ahead(row.retry_at, now)}" if row.retry_at else ""
        return Reason(
            "aside", f"set aside: {clean(row.aside)}{again}", {"reason": clean(row.aside), "at": row.retry_at}
        )
    if row.look_at is not None:
        return Reason("look", "the desk is asked first whether it is still open")
    if row.retry_at is not None and row.retry_at > now:
        return _later(row, now)
    return None


def _later(row: Any, now: datetime) -> Reason:
    again, values = ahead(row.retry_at, now), {"at": row.retry_at, "count": row.refusals}
    if row.refusals:
        return Reason("refused", f"refused {counted(row.refusals, 'time')}, again {again}", values)
    if row.learned:
        words = f"learned from the desk, its own webhook may still come: its turn is {again}"
        return Reason("learned", words, values)
    return Reason("again", f"tried again {again}", values)


def _tenant(desk: Desk, now: datetime) -> Reason | None:
    if desk.redis_away:
        return Reason("redis_away", f"{desk.redis_away}: no decision is made without it", {"trouble": desk.redis_away})
    if desk.workers == 0:
        return Reason("no_worker", "no worker is running")
    if desk.paused_until is not None:
        trouble = clean(desk.trouble or "trouble")
        words = f"the desk is paused, next try {ahead(desk.paused_until, now)} ({trouble})"
        return Reason("desk_paused", words, {"at": desk.paused_until, "trouble": trouble})
    if desk.draining:
        return Reason("drained", "nothing new is given to agents: the desk serves out")
    return shut(desk.shut, now) if desk.shut else None


def shut(found: Shut, now: datetime) -> Reason:
    if found.until is None:
        return Reason("shut_for_ever", "outside the hours, and they have no next opening")
    words = f"outside the hours: they open {ahead(found.until, now)}, {moment(found.until)}"
    return Reason("shut", words, {"at": found.until})


def _nobody(of: Class, team: Mapping[str, Member], desk: Desk, who: Able) -> Reason | None:
    """Nobody has a free seat: then an old roster will do."""
    if of.read_at is None:
        words = f"the desk has not told yet who may serve it{_trouble(desk)}"
        return Reason("roster_unread", words, {"trouble": clean(desk.trouble or "", 120)})
    if who.online:
        return None if who.with_room else _full(who.online, of)
    away = sum(member.presence == "away" and member.role == "agent" for member in team.values())
    only = f", {counted(away, 'agent is', 'agents are')} away" if away else ""
    missing = clean("; ".join(of.missing), 200)
    words = f"nobody is online for it{only}" + (f": {missing}" if missing else "")
    return Reason("nobody_online", words, {"count": away, "missing": missing})


def _sticky(row: Any, of: Class, team: Mapping[str, Member], now: datetime) -> Reason | None:
    """Who served it last is online, but full."""
    last = team.get(row.sticky_agent or "")
    if last is None or row.sticky_until is None or row.sticky_until <= now or last.id not in of.online:
        return None
    if of.free(last) or last.limit == 0:
        return None
    left = span((row.sticky_until - now).total_seconds())
    words = f"waits for {clean(last.id)}, who served it last and is full; in {left} it goes to anybody"
    return Reason("sticky", words, {"agent": clean(last.name or last.id), "at": row.sticky_until})


def _roster(of: Class, desk: Desk, now: datetime) -> Reason | None:
    """No seat is given on the word of a roster that is too old."""
    old_s = (now - of.read_at).total_seconds() if of.read_at else 0.0
    if old_s <= desk.believe_s:
        return None
    words = f"the desk told {span(old_s)} ago who is online, too old to go by; it is asked again{_trouble(desk)}"
    return Reason("roster_old", words, {"at": of.read_at, "trouble": clean(desk.trouble or "", 120)})


def _trouble(desk: Desk) -> str:
    return f"; its last answer was: {clean(desk.trouble, 120)}" if desk.trouble else ""


def _refused(who: Able) -> Reason | None:
    """Everybody with a free seat; an old roster will do for that."""
    refused = [member.id for member in who.with_room if member.refused]
    if len(refused) < len(who.with_room):
        return None
    words = f"the desk refuses {listed(refused)}: they are tried with one room at a time"
    return Reason("agents_refused", words, {"names": listed(refused)})


def _seats(row: Any, of: Class, desk: Desk, who: Able) -> Reason:
    free = who.free
    if row.ahead_in_class >= free:
        words = f"{counted(row.ahead_in_class, 'earlier room')} for {counted(free, 'free seat')}"
        return Reason("earlier_rooms", words, {"count": row.ahead_in_class, "free": free})
    if POLICIES[desk.policy].asks_desk:
        named = f"the desk named {clean(of.suggested)}" if of.suggested else "the desk is asked for a candidate"
        return Reason("desk_asked", f"{counted(free, 'seat')} free; {named}", {"free": free})
    return Reason("next", f"{counted(free, 'seat')} free: its turn at the next look", {"free": free})


def _full(online: list[Member], of: Class) -> Reason:
    who = "the one agent" if len(online) == 1 else f"all {len(online)} agents"
    values = {"agents": len(online), "limit": of.limit}
    if all(member.limit == 0 for member in online):
        return Reason("all_paused", f"{who} online for it: paused, limit 0", values)
    if of.limit == 0:
        return Reason("queue_paused", "its queue is paused: its limit is 0", values)
    if any(member.free for member in online):
        words = f"{who} online for it: at their limit, or at that of its queue ({of.limit})"
        return Reason("queue_full", words, values)
    return Reason("agents_full", f"{who} online for it: at the limit", values)
