"""The one seam to the outside: the few verbs that a desk has, the values it answers with, the errors it raises.

A desk is where agents sit: Qiscus Omnichannel Chat (`qiscus.py`) or our own chat (`native.py`). It is called by the
pool of desk callers, never inside a transaction. Every request ends before `CALL_SECONDS`; `unserved` makes many.

    DeskError                     what went wrong at the desk; `permanent` says whether trying again can help
    ├── RoomRefused   permanent   a definite no: of the room, or of the room and this agent
    ├── RoomTaken                 "exceed max agents": somebody is in the room, perhaps by our own earlier call
    └── DeskTrouble               the desk itself: credentials, rate limit, server errors, timeouts, broken answers
"""

from dataclasses import dataclass
from typing import Protocol

from routing.model import Agents

CALL_SECONDS = 12.0  # upper bound of one desk request, connect and answer together


class DeskError(Exception):
    """Base of all that a desk raises. Facts are attributes; the text is short and free of bodies and secrets."""

    permanent = False

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class RoomRefused(DeskError):
    """A definite answer about this room (400 other than "exceed", 404, 422; from an assign also 403): nothing was
    changed at the desk. Whether it is the room's fault or the agent's is judged afterwards (`worker/refusals.py`)."""

    permanent = True


class RoomTaken(DeskError):
    """The desk says that the room has an agent already. Read back who it is before believing anything."""


class DeskTrouble(DeskError):
    """The desk, not the room, failed.

    maybe_applied  the request may have taken effect (timeout after sending, reset, 5xx, unreadable answer)
    retry_after_s  seconds that the desk asked us to wait, None where it named none
    permanent      credentials or plan (401, 402; 403 but to an assign): waits for a person, is probed seldom
    """

    def __init__(
        self, what: str, *, maybe_applied: bool, permanent: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(what)
        self.maybe_applied = maybe_applied
        self.permanent = permanent
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class RosterAgent:
    """One agent whom the desk may give rooms to (never a supervisor or admin)."""

    id: str
    name: str
    available: bool  # online at the desk at the moment of the answer
    count: int | None  # the desk's own count of ongoing rooms, seconds late in both directions; None: not told


@dataclass(frozen=True)
class Team:
    """Those whom a queue of the rules names, as far as the desk knows them, online or not (no supervisors, no admins).

    missing  what the rules name and the desk doesn't have, a sentence each
    age_s    how old the oldest answer is that it was made of, but for the divisions' names: they may be older
    """

    agents: tuple[RosterAgent, ...] = ()
    missing: tuple[str, ...] = ()
    age_s: float = 0.0


@dataclass(frozen=True)
class Assigned:
    """The desk's 200 to an assign. `first_comment_id` recognises the visit in a later resolve; None: not told."""

    first_comment_id: str | None


@dataclass(frozen=True)
class RoomView:
    """What the desk says of one room now. Lags by seconds, like everything that it tells."""

    waiting: bool  # open and without an agent
    resolved: bool


@dataclass(frozen=True)
class UnservedRoom:
    """A room in the desk's list of rooms without an agent."""

    room: str
    channel: str  # channel id, else source; "" where neither is told
    last_customer_s: float | None  # unix seconds of the customer's last message; None where unreadable
    source: str = ""


class Desk(Protocol):
    """The verbs. All raise `DeskError`; none is retried inside."""

    def roster(self, room: str) -> list[RosterAgent]:
        """The agents eligible for this room's channel, all pages, supervisors and admins left out."""

    def team(self, room: str, who: Agents, channel: str = "") -> Team:
        """Who may serve a queue of the rules, by all the ways in which `who` names them; `room` is one of its rooms,
        `channel` the room's, if it is known: what the desk says of a channel may serve several queues."""

    def say(self, room: str, text: str) -> None:
        """A message of the desk's bot to the room's customer. Not idempotent: sent twice it is read twice."""

    def assign(self, room: str, agent: str) -> Assigned:
        """Put the agent into the room unless the room has one. Not idempotent at the desk: see `RoomTaken`."""

    def look(self, room: str) -> RoomView:
        """The room by its id. `RoomRefused` where the desk knows no such room."""

    def agents_in(self, room: str) -> list[str]:
        """Ids of the agents in the room. Empty is no proof: offline agents may be hidden."""

    def unserved(self) -> list[UnservedRoom]:
        """Rooms that wait for an agent, oldest first, resolved and served rows left out."""

    def suggest(self, source: str) -> RosterAgent | None:
        """The desk's own candidate for a room of this source (policy `upstream`), None where it has none."""
