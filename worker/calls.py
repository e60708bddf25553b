"""What a caller does at the desk, and what came of it: finish a reserved pair, look at a room, read a roster.

Runs in the pool, touches no database; every function answers with a value that `settle` writes. The order of steps
is the outcome table of H5 (docs/algorithm.md): an unclear answer is read back before anything is tried again, and
then only the same room and agent.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

from routing.model import Agents
from worker.desk.base import (
    CALL_SECONDS,
    Desk,
    DeskError,
    DeskTrouble,
    RoomRefused,
    RoomTaken,
    RosterAgent,
    Team,
    UnservedRoom,
)


class Pair(NamedTuple):
    """A reserved visit whose assign call is ours to make until `deadline` (this process's monotonic clock).

    unclear_s  how long ago an assign of this pair may have been applied; None: never sent, or known not applied
    freed_at   when its seat became free, by the same clock, where the room waited for that
    """

    visit: int
    attempt: int
    room: str
    agent: str
    deadline: float
    unclear_s: float | None = None
    freed_at: float | None = None


class Held(NamedTuple):
    """The desk says that `agent` is in the room; another than the pair's was put there by hand."""

    pair: Pair
    agent: str
    first_comment_id: str | None = None
    unconfirmed: bool = False


@dataclass(frozen=True)
class Parked:
    """Not finished: the same pair again later. `taken`: the desk called the room taken, but nobody is in it."""

    pair: Pair
    why: str
    unclear: bool
    wait_s: float = 0.0
    taken: bool = False
    trouble: DeskTrouble | None = None


@dataclass(frozen=True)
class Refused:
    """A definite no. `room`: what the desk then said of the room, as in `Seen`; None: it could not be asked."""

    pair: Pair
    why: str
    room: str | None = None


@dataclass(frozen=True)
class Over:
    """The desk says that the room is resolved: nobody needs it any more."""

    pair: Pair
    why: str


Outcome = Held | Parked | Refused | Over


@dataclass(frozen=True)
class LookAt:
    """A visit that the desk is asked about.

    age_s     seconds since it was settled, reserved or opened
    waited_s  of one that waits, unproved: seconds since the room's stay before was known to wait; None: it had none
    """

    visit: int
    attempt: int
    room: str
    state: str
    agent: str | None
    suspect: str | None
    looks: int
    age_s: float
    waited_s: float | None = None


@dataclass(frozen=True)
class Seen:
    """What the desk said: `waiting`, `resolved`, `served` (by `agents`, perhaps hidden), `unknown` room, `trouble`."""

    about: LookAt
    what: str
    agents: tuple[str, ...] = ()
    trouble: DeskTrouble | None = None


@dataclass(frozen=True)
class Roster:
    """A class's roster and how long the desk took, or why it could not be read. `room` is the one it was asked for, of
    several perhaps; `seen`: what the desk said of a room for which it names nobody, as in `Refused`."""

    class_: str
    room: str
    agents: tuple[RosterAgent, ...] = ()
    took_s: float = 0.0
    answered_at: float | None = None  # this process's monotonic clock
    trouble: DeskError | None = None
    seen: str | None = None
    last: bool = True  # of the rooms for which it was asked at once
    missing: tuple[str, ...] = ()  # what the rules name and the desk doesn't have


@dataclass(frozen=True)
class Suggested:
    class_: str
    agent: str | None = None
    trouble: DeskError | None = None


@dataclass(frozen=True)
class Unserved:
    rooms: tuple[UnservedRoom, ...] = ()
    took_s: float = 0.0
    trouble: DeskError | None = None


def finish(desk: Desk, pair: Pair, lag_s: float) -> Outcome:
    """Put the pair's agent into its room."""
    try:
        if pair.unclear_s is not None:
            found = _read_back(desk, pair, lag_s)
            if found is not None:
                return found
    except RoomRefused as error:
        return Refused(pair, error.what, "unknown")
    except DeskTrouble as error:
        return Parked(pair, error.what, unclear=True, trouble=error)
    if time.monotonic() + CALL_SECONDS > pair.deadline:
        # Frozen, or queued for too long: others may have taken the pair over, so nothing is sent.
        return Parked(pair, "too late to send", unclear=pair.unclear_s is not None)
    return _assign(desk, pair, lag_s)


def _assign(desk: Desk, pair: Pair, lag_s: float) -> Outcome:
    try:
        return Held(pair, pair.agent, desk.assign(pair.room, pair.agent).first_comment_id)
    except RoomTaken as error:
        return _after_unclear(desk, pair, Parked(pair, error.what, unclear=True, wait_s=lag_s, taken=True))
    except RoomRefused as error:
        return Refused(pair, error.what, _room_now(desk, pair.room))
    except DeskTrouble as error:
        if not error.maybe_applied:
            return Parked(pair, error.what, unclear=False, trouble=error)
        return _after_unclear(desk, pair, Parked(pair, error.what, unclear=True, wait_s=lag_s, trouble=error))


def _room_now(desk: Desk, room: str) -> str | None:
    """Is it the room that can't be given to anybody? One more question is cheaper than to blame the wrong one."""
    try:
        view = desk.look(room)
    except RoomRefused:
        return "unknown"
    except DeskError:
        return None
    return "resolved" if view.resolved else "waiting" if view.waiting else "served"


def _after_unclear(desk: Desk, pair: Pair, parked: Parked) -> Outcome:
    """Read back at once: somebody in the room is proof. Nobody is none before the desk's lag has passed."""
    try:
        return _who_has_it(desk, pair) or parked
    except DeskError:
        return parked  # read back when the pair is due again


def _read_back(desk: Desk, pair: Pair, lag_s: float) -> Outcome | None:
    """None: surely not applied, the same pair may be sent again."""
    found = _who_has_it(desk, pair)
    if found is not None:
        return found
    if pair.unclear_s is not None and pair.unclear_s < lag_s:
        return Parked(pair, "read back too early", unclear=True, wait_s=lag_s - pair.unclear_s)
    view = desk.look(pair.room)
    if view.resolved:
        return _over(pair)
    if not view.waiting:  # somebody has it whom the list of the room hides: our agent, gone offline
        return Held(pair, pair.agent, unconfirmed=True)
    return None


def _over(pair: Pair) -> Over | Parked:
    """The seat stays taken while the call that was given up may still be applied, should the customer come back."""
    left_s = CALL_SECONDS - (pair.unclear_s or 0.0)
    if left_s > 0:
        return Parked(pair, "resolved, but the call may still be applied", unclear=True, wait_s=left_s)
    return Over(pair, "resolved at the desk")


def _who_has_it(desk: Desk, pair: Pair) -> Held | None:
    agents = desk.agents_in(pair.room)
    if not agents:
        return None
    return Held(pair, pair.agent if pair.agent in agents else agents[0])


def look(desk: Desk, about: LookAt) -> Seen:
    try:
        view = desk.look(about.room)
        if view.resolved:
            return Seen(about, "resolved")
        if view.waiting:
            return Seen(about, "waiting")
        return Seen(about, "served", tuple(desk.agents_in(about.room)))
    except RoomRefused:
        return Seen(about, "unknown")
    except DeskTrouble as error:
        return Seen(about, "trouble", trouble=error)


def roster(desk: Desk, class_: str, room: str, who: Agents | None = None, channel: str = "") -> Roster:
    """`who`: of a queue of the rules; None: whom the desk names for the room."""
    started = time.monotonic()
    try:
        team = Team(tuple(desk.roster(room))) if who is None else desk.team(room, who, channel)
    except RoomRefused as error:
        return Roster(class_, room, trouble=error, seen=_room_now(desk, room))
    except DeskError as error:
        return Roster(class_, room, trouble=error)
    answered_at = time.monotonic()
    took_s = max(answered_at - started, team.age_s)
    return Roster(class_, room, team.agents, took_s, answered_at, missing=team.missing)


def suggest(desk: Desk, class_: str, source: str) -> Suggested:
    try:
        candidate = desk.suggest(source)
    except DeskError as error:
        return Suggested(class_, trouble=error)
    return Suggested(class_, candidate.id if candidate else None)


def unserved(desk: Desk) -> Unserved:
    started = time.monotonic()
    try:
        rooms = tuple(desk.unserved())
    except DeskError as error:
        return Unserved(trouble=error)
    return Unserved(rooms, time.monotonic() - started)
