"""The views of `/ops`, read from the ledger and Redis: one name and what is asked → a picture. Before REST and the
watches; after `views/`, which knows what each shows.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import minutes, redis_why
from db.inbox import InboxDown
from db.minutes import Today
from db.upkeep import Upkeep
from sidecar.live.parts import Config
from sidecar.live.store import Store
from sidecar.web.answers import Refused
from views import agents, decided, glance, health, now, story, timeline, waiting
from views.queue import STATES
from views.shown import Shown
from views.source import Source

TODAY_S = 10.0  # how old figures of today may be
VISITS_MOST = 20  # of a room
LIMIT = 100  # rows, where nobody says


class Asked(NamedTuple):
    """One view. `tenant` None: of `now` and `health`, all."""

    view: str
    tenant: str | None = None
    room: str | None = None
    queue: str | None = None
    state: str | None = None
    q: str | None = None
    agent: str | None = None
    policy: str | None = None
    offset: int = 0
    limit: int = LIMIT
    before: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Asked":
        """Fields that are None or unknown are as if not given."""
        return cls(**{name: given[name] for name in cls._fields if given.get(name) is not None})


class Day:
    """Today's figures, for which a whole day is gone through: some seconds old. Threads share it; each entry is
    written whole."""

    def __init__(self, target_s: float) -> None:
        self._target_s = target_s
        self._kept: dict[tuple[str, str], tuple[float, Any]] = {}

    def of(self, cur: cursor, tenant: str) -> Today:
        found: Today = self._lately(("desk", tenant), lambda: glance.today(cur, tenant, self._target_s))
        return found

    def of_agents(self, cur: cursor, tenant: str) -> dict[str, Any]:
        found: dict[str, Any] = self._lately(
            ("agents", tenant), lambda: agents.today(cur, tenant, glance.midnight(cur))
        )
        return found

    def _lately(self, key: tuple[str, str], read: Callable[[], Any]) -> Any:
        at, found = self._kept.get(key, (0.0, None))
        if found is None or time.monotonic() - at > TODAY_S:
            found = read()
            self._kept[key] = time.monotonic(), found
        return found


class Views:
    """Of one sidecar. Every method raises `LedgerTrouble`."""

    def __init__(self, store: Store, box: Upkeep, config: Config) -> None:
        self._store, self._box, self._config = store, box, config
        self._day = Day(config.target_s)

    async def read(self, asked: Asked) -> Shown:
        """Raises `Refused`."""
        read = _READ.get(asked.view)
        if read is None:
            raise Refused("invalid_payload", f"view: must be one of {', '.join(_READ)}")
        if asked.state not in (None, *STATES):
            raise Refused("invalid_payload", f"state: must be one of {', '.join(STATES)}")
        return await self._store.run(lambda cur: read(self._source(cur, asked.tenant), self._day, cur, asked))

    async def series(self, tenant: str, range_: str, queue: str) -> dict[str, Any]:
        """As `minutes.series`, with the target."""

        def look(cur: cursor) -> dict[str, Any]:
            self._source(cur, tenant)
            return {**minutes.series(cur, tenant, range_, queue), "target_s": self._config.target_s}

        return await self._store.run(look)

    async def revs(self) -> dict[str, int]:
        """A number for each tenant that rises with what changes."""
        return await self._store.run(glance.revs)

    def _source(self, cur: cursor, tenant: str | None) -> Source:
        """On a thread, first in its transaction: what is read from here on belongs together, whatever is removed
        meanwhile. Raises `Refused` where there is no such tenant."""
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if tenant is not None and tenant not in glance.tenants(cur):
            raise Refused("not_found", "no such tenant")
        config = self._config
        away, refuses = _trouble(self._box)
        return Source(self._box, away, config.policy, config.default_limit, config.believe_s, config.target_s, refuses)


def _trouble(box: Upkeep) -> tuple[str | None, str | None]:
    """Why Redis can't be asked, and why it takes nothing: full or read-only, it answers all questions."""
    try:
        box.try_to_store()
    except InboxDown as error:
        return (str(error), None) if redis_why.is_away(error) else (None, str(error))
    return None, None


def _now(source: Source, day: Day, cur: cursor, asked: Asked) -> Shown:
    names = [asked.tenant] if asked.tenant else glance.tenants(cur)
    rows = {name: now.read(source, cur, name, day.of(cur, name)) for name in names}
    return Shown({}, names, rows)


def _queue(source: Source, day: Day, cur: cursor, asked: Asked) -> Shown:
    wanted = waiting.Asked(asked.queue, asked.state, asked.q, asked.offset, asked.limit)
    return waiting.read(source, cur, asked.tenant or "", wanted)


def _agents(source: Source, day: Day, cur: cursor, asked: Asked) -> Shown:
    return agents.read(source, cur, asked.tenant or "", day.of_agents(cur, asked.tenant or ""))


def _room(source: Source, day: Day, cur: cursor, asked: Asked) -> Shown:
    found = story.read(source, cur, asked.tenant or "", asked.room or "", VISITS_MOST)
    rows = waiting.of_line(cur, found.line) if found.line and found.line.waiting else {}
    names = glance.customers(cur, found.tenant, [found.room])
    head = {"waiting": rows.get(found.room), "customer": names.get(found.room), "session": found.room in names}
    return Shown({**timeline.as_data(found), **head}, [], {})


def _decisions(source: Source, day: Day, cur: cursor, asked: Asked) -> Shown:
    return decided.read(cur, asked.tenant or "", decided.Asked(asked.agent, asked.queue, asked.policy, asked.before))


def _health(source: Source, day: Day, cur: cursor, asked: Asked) -> Shown:
    return health.read(source, cur)


_READ: Mapping[str, Callable[[Source, Day, cursor, Asked], Shown]] = {
    "now": _now,
    "queue": _queue,
    "agents": _agents,
    "room": _room,
    "decisions": _decisions,
    "health": _health,
}
