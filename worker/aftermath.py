"""What a settled round leaves behind: for the caches, the next ticket, the room's story and the counts of drift."""

import logging
from dataclasses import dataclass, field

from psycopg2.extensions import cursor

import logs
from db.inbox import Told
from db.ledger import LEDGER

log = logging.getLogger("worker.settle")


@dataclass
class Aftermath:
    """What a round changed: for the caches, and whether the line is to be looked at."""

    waiting: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    seats: dict[str, int] = field(default_factory=dict)
    wake: bool = False

    def is_seen(self) -> bool:
        """Whether the caches show anything of it."""
        return bool(self.waiting or self.held or self.gone or self.agents)

    def told(self) -> Told:
        return Told(list(self.waiting.items()), sorted(self.held), sorted(self.gone), self.seats)


def note(cur: cursor, visit: int, what: str, detail: str) -> None:
    LEDGER.run(cur, "event", visit=visit, what=what, detail=detail[:200])


def drift(cur: cursor, tenant: str, kind: str, n: int = 1) -> None:
    LEDGER.run(cur, "count_drift", tenant=tenant, kind=kind, n=n)


def closed(tenant: str, room: str, agent: str | None, why: str, after: Aftermath) -> None:
    log.info(logs.line("closed", tenant=tenant, room=room, agent=agent, why=why))
    after.gone.add(room)
    if agent:
        after.agents.add(agent)
    after.wake = True
