"""A desk with a clock: says of each call how long it took and what came of it. Before the desk; after the callers."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from routing.model import Agents
from worker.desk.base import (
    Assigned,
    Desk,
    DeskError,
    DeskTrouble,
    RoomRefused,
    RoomTaken,
    RoomView,
    RosterAgent,
    Team,
    UnservedRoom,
)

P = ParamSpec("P")
T = TypeVar("T")
Say = Callable[[str, str, float], None]  # verb, outcome, seconds


class TimedDesk:
    """`Desk` with the same answers and errors as the one inside."""

    def __init__(self, desk: Desk, say: Say) -> None:
        self.desk, self._say = desk, say

    def roster(self, room: str) -> list[RosterAgent]:
        return self._timed("roster", self.desk.roster, room)

    def team(self, room: str, who: Agents, channel: str = "") -> Team:
        return self._timed("team", self.desk.team, room, who, channel)

    def say(self, room: str, text: str) -> None:
        return self._timed("say", self.desk.say, room, text)

    def assign(self, room: str, agent: str) -> Assigned:
        return self._timed("assign", self.desk.assign, room, agent)

    def look(self, room: str) -> RoomView:
        return self._timed("look", self.desk.look, room)

    def agents_in(self, room: str) -> list[str]:
        return self._timed("agents_in", self.desk.agents_in, room)

    def unserved(self) -> list[UnservedRoom]:
        return self._timed("unserved", self.desk.unserved)

    def suggest(self, source: str) -> RosterAgent | None:
        return self._timed("suggest", self.desk.suggest, source)

    def _timed(self, verb: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        began_s, outcome = time.monotonic(), "ok"
        try:
            return call(*args, **kwargs)
        except Exception as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._say(verb, outcome, time.monotonic() - began_s)


def outcome_of(error: Exception) -> str:
    """`taken`, `refused`: of this room; `denied`: credentials or plan; `limited`: the desk asked us to wait; `unclear`:
    the call may have taken effect; `failed`: it has not; `bug`: ours."""
    if isinstance(error, RoomTaken):
        return "taken"
    if isinstance(error, RoomRefused):
        return "refused"
    if isinstance(error, DeskTrouble):
        if error.permanent:
            return "denied"
        return "limited" if error.retry_after_s is not None else "unclear" if error.maybe_applied else "failed"
    return "failed" if isinstance(error, DeskError) else "bug"
