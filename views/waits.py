"""Why does a waiting room still wait? Pure: what the ledger and Redis say → one sentence. For `line` and `why`.

The order of the questions is the order in which a decision asks them (worker/decide.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policies import POLICIES
from views.rulebook import Shut
from views.team import Member
from views.words import ahead, clean, counted, listed, moment, span


@dataclass(frozen=True)
class Desk:
    """The tenant's desk, and who works for the tenant. `believe_s`: how old a roster may be. `redis_away`: why Redis
    can't be asked; `inbox` is not known then. `shut`: outside the hours of the rules."""

    failures: int
    trouble: str | None
    paused_until: datetime | None
    workers: int
    inbox: int
    policy: str
    believe_s: float
    redis_away: str | None = None
    shut: Shut | None = None


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


def why(row: Any, of: Class, team: Mapping[str, Member], desk: Desk, now: datetime) -> str:
    """`row` as of the block `waiting`."""
    return (
        _room(row, now)
        or _tenant(desk, now)
        or _nobody(of, team, desk)
        or _sticky(row, of, team, now)
        or _roster(of, desk, now)
        or _seats(row, of, team, desk)
    )


def _room(row: Any, now: datetime) -> str:
    if row.aside is not None:
        again = f"; one more try {ahead(row.retry_at, now)}" if row.retry_at else ""
        return f"set aside: {clean(row.aside)}{again}"
    if row.look_at is not None:
        return "the desk is asked first whether it is still open"
    if row.retry_at is not None and row.retry_at > now:
        return _later(row, now)
    return ""


def _later(row: Any, now: datetime) -> str:
    if row.refusals:
        return f"refused {counted(row.refusals, 'time')}, again {ahead(row.retry_at, now)}"
    if row.learned:
        return f"learned from the desk, its own webhook may still come: its turn is {ahead(row.retry_at, now)}"
    return f"tried again {ahead(row.retry_at, now)}"


def _tenant(desk: Desk, now: datetime) -> str:
    if desk.redis_away:
        return f"{desk.redis_away}: no decision is made without it"
    if desk.workers == 0:
        return "no worker is running"
    if desk.paused_until is not None:
        return f"the desk is paused, next try {ahead(desk.paused_until, now)} ({clean(desk.trouble or 'trouble')})"
    return shut(desk.shut, now) if desk.shut else ""


def shut(found: Shut, now: datetime) -> str:
    if found.until is None:
        return "outside the hours, and they have no next opening"
    return f"outside the hours: they open {ahead(found.until, now)}, {moment(found.until)}"


def _nobody(of: Class, team: Mapping[str, Member], desk: Desk) -> str:
    """Nobody has a free seat: then an old roster will do."""
    if of.read_at is None:
        return f"the desk has not told yet who may serve it{_trouble(desk)}"
    online = _online(of, team)
    if not online:
        away = sum(member.presence == "away" and member.role == "agent" for member in team.values())
        only = f", {counted(away, 'agent is', 'agents are')} away" if away else ""
        missing = f": {clean('; '.join(of.missing), 200)}" if of.missing else ""
        return f"nobody is online for it{only}{missing}"
    return "" if any(of.free(member) for member in online) else _full(online, of)


def _sticky(row: Any, of: Class, team: Mapping[str, Member], now: datetime) -> str:
    """Who served it last is online, but full."""
    last = team.get(row.sticky_agent or "")
    if last is None or row.sticky_until is None or row.sticky_until <= now or last.id not in of.online:
        return ""
    if of.free(last) or last.limit == 0:
        return ""
    left = span((row.sticky_until - now).total_seconds())
    return f"waits for {clean(last.id)}, who served it last and is full; in {left} it goes to anybody"


def _roster(of: Class, desk: Desk, now: datetime) -> str:
    """No seat is given on the word of a roster that is too old."""
    old_s = (now - of.read_at).total_seconds() if of.read_at else 0.0
    if old_s <= desk.believe_s:
        return ""
    return f"the desk told {span(old_s)} ago who is online, too old to go by; it is asked again{_trouble(desk)}"


def _trouble(desk: Desk) -> str:
    return f"; its last answer was: {clean(desk.trouble, 120)}" if desk.trouble else ""


def _seats(row: Any, of: Class, team: Mapping[str, Member], desk: Desk) -> str:
    with_room = [member for member in _online(of, team) if of.free(member)]
    free = sum(map(of.free, with_room))
    refused = [member.id for member in with_room if member.refused]
    if len(refused) == len(with_room):
        return f"the desk refuses {listed(refused)}: they are tried with one room at a time"
    if row.ahead_in_class >= free:
        return f"{counted(row.ahead_in_class, 'earlier room')} for {counted(free, 'free seat')}"
    if POLICIES[desk.policy].asks_desk:
        named = f"the desk named {clean(of.suggested)}" if of.suggested else "the desk is asked for a candidate"
        return f"{counted(free, 'seat')} free; {named}"
    return f"{counted(free, 'seat')} free: its turn at the next look"


def _online(of: Class, team: Mapping[str, Member]) -> list[Member]:
    return [team[name] for name in of.online if name in team]


def _full(online: list[Member], of: Class) -> str:
    who = "the one agent" if len(online) == 1 else f"all {len(online)} agents"
    if all(member.limit == 0 for member in online):
        return f"{who} online for it: paused, limit 0"
    if of.limit == 0:
        return "its queue is paused: its limit is 0"
    if any(member.free for member in online):
        return f"{who} online for it: at their limit, or at that of its queue ({of.limit})"
    return f"{who} online for it: at the limit"
