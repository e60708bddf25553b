"""A worker whose desk answers at once, in its own process: what remains is our own work between webhook and ledger.

`python -m scripts.measure.instant AGENTS`; prints a line `assigned <room> <monotonic s>` for each assign call where
the environment variable says so. The clock is the machine's, the same for all processes.
"""

import os
import sys
import time
from typing import Any

import logs
import settings
from routing.model import Agents
from worker.__main__ import serve
from worker.desk.base import Assigned, RoomView, RosterAgent, Team, UnservedRoom

TELL = "GILIRAN_MEASURE_TELL"
OTHER, OTHERS_AGENTS = "other", 5  # tenants beside the measured one: how their ids begin, and how many agents each has


class InstantDesk:
    """Every verb at once, nothing remembered; an assigned room counts as served."""

    def __init__(self, agents: int, tell: bool) -> None:
        self._roster = [RosterAgent(str(n), f"Agent {n}", True, None) for n in range(1, agents + 1)]
        self._tell = tell

    def roster(self, room: str) -> list[RosterAgent]:
        return self._roster

    def team(self, room: str, who: Agents, channel: str = "") -> Team:
        return Team(tuple(self._roster))

    def say(self, room: str, text: str) -> None:
        pass

    def assign(self, room: str, agent: str) -> Assigned:
        if self._tell:
            os.write(sys.stdout.fileno(), f"assigned {room} {time.monotonic()}\n".encode())
        return Assigned(f"first-{room}")

    def look(self, room: str) -> RoomView:
        return RoomView(waiting=False, resolved=False)

    def agents_in(self, room: str) -> list[str]:
        return []

    def unserved(self) -> list[UnservedRoom]:
        return []

    def suggest(self, source: str) -> RosterAgent | None:
        return self._roster[0]


def main() -> int:
    config = settings.load()
    logs.setup(config.log_level)
    desk = InstantDesk(int(sys.argv[1]), bool(os.environ.get(TELL)))
    others = InstantDesk(OTHERS_AGENTS, False)

    def make(row: Any) -> InstantDesk:
        return others if row.id.startswith(OTHER) else desk

    return serve(config, settings.servers(config), lambda *_: make)


if __name__ == "__main__":
    sys.exit(main())
