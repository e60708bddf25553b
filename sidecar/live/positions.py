"""Positions in line, live: who waits hears its place, the expected wait, and whether somebody is there to serve it.

After `feed`, which says whose line or presence moved; before `hub`. Everybody's place changes with each move, so it is
looked up once for each tenant and 250 ms at most, and told to the first hundred; those behind hear it less often.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import places, rules
from db.announce import News
from db.waits import Pace, Wait, standing, steady, wait
from sidecar.live.hub import Hub
from sidecar.live.opening import NO_RULES, Reading, reading
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks, for_each

EVERY_S = 0.25
FRESH_S = 2.0
LIVE = 100
BEHIND_EVERY_S = 5.0
HOURS_EVERY_S = 10.0  # we open and close while nobody comes or goes


class Line(NamedTuple):
    """The head of a tenant's line, how fast it moves, what the rules say. `of`: room → how many wait in its queue."""

    places: dict[str, int]
    waiting: int
    pace: Pace
    rules: Reading = NO_RULES
    of: Mapping[str, int] = MappingProxyType({})

    @property
    def online(self) -> int:
        return self.pace.online

    def wait(self, position: int) -> Wait | None:
        return None if self.rules.closed else wait(position, self.pace)

    def payload(self, room: str, position: int, expected: Wait | None) -> dict[str, Any]:
        """Of `chat.queue.position`."""
        told = {"position": position, "waiting": self.of.get(room, self.waiting), **eta(expected)}
        return {"session_id": room, **told, "agents_online": self.online, "closed": self.rules.closed}


def eta(expected: Wait | None) -> dict[str, int | None]:
    """A wait as REST and sockets tell it."""
    low, about, high = expected or (None, None, None)
    return {"eta_seconds": about, "eta_low_seconds": low, "eta_high_seconds": high}


class Told(NamedTuple):
    """What was told last, to those whose place is in it."""

    places: dict[str, int]
    waiting: int
    online: int
    closed: Mapping[str, Any] | None


NOTHING_TOLD = Told({}, -1, -1, None)
UNKNOWN = 0  # no place
WAITS_MOST = 20_000  # rooms of which it is remembered what they were told


def read(cur: cursor, tenant: str, most: int = LIVE, behind: Sequence[str] = ()) -> Line:
    """The first ones, and of those behind the ones named."""
    pace = places.pace(cur, tenant)
    found = places.first(cur, tenant, most) if most else []
    if behind and pace.waiting > most:
        found += places.behind(cur, tenant, most, behind)
    book, now_s = rules.of(cur, tenant)
    moves = Pace(pace.online, pace.seats, pace.free, tuple(pace.lengths))
    positions = {row.room: row.position for row in found}
    return Line(positions, pace.waiting, moves, reading(book.rules, now_s), {row.room: row.of for row in found})


class Positions:
    """Of one sidecar; belongs to one event loop."""

    def __init__(self, hub: Hub, store: Store, tasks: Tasks | None = None) -> None:
        self._hub, self._store, self._tasks = hub, store, tasks or Tasks()
        self._moved: set[str] = set()
        self._something_moved = asyncio.Event()
        self._told: dict[str, Told] = {}  # by tenant
        self._lines: dict[str, tuple[Line, float]] = {}  # by tenant, as last looked at, and when
        self._behind_at: dict[str, float] = {}  # tenant → when those behind are due
        self._timed: set[str] = set()  # tenants that are looked at again as time passes
        self._waits: dict[str, tuple[int, Wait | None]] = {}  # room → the place for which this was told

    def start(self) -> None:
        self._tasks.start("places", self._step)

    async def stop(self) -> None:
        await self._tasks.end("places")

    def stirred(self, tenant: str) -> None:
        """The tenant's line has moved, or somebody came or went who serves it."""
        self._moved.add(tenant)
        self._something_moved.set()

    def line(self, tenant: str) -> Line | None:
        """As it was a moment ago, None where nobody has looked lately. Whoever is shown it: `begun`."""
        line, looked_at = self._lines.get(tenant, (None, 0.0))
        return line if time.monotonic() - looked_at < FRESH_S else None

    def place(self, line: Line, room: str, position: int) -> dict[str, Any]:
        """As `Line.payload`: what was told of this place does not rise."""
        before, expected = self._waits.get(room, (UNKNOWN, None)), standing(line.wait(position))
        if before[0] == position and line.online:
            expected = steady(before[1], expected)
        if len(self._waits) >= WAITS_MOST and room not in self._waits:
            self._waits.clear()
        self._waits[room] = position, expected
        return line.payload(room, position, expected)

    def begun(self, tenant: str, place: Mapping[str, Any]) -> None:
        """A page has just been shown this place (a payload) as part of a state, perhaps an older one than it was told
        meanwhile: it is looked at again, and told where it was not so."""
        told = self._told.get(tenant)
        if told:
            shown = (place["waiting"], place["agents_online"], place["closed"])
            is_same = shown == (told.waiting, told.online, told.closed)
            told.places[place["session_id"]] = place["position"] if is_same else UNKNOWN
        self.stirred(tenant)

    async def _step(self) -> None:
        await self._something_moved.wait()
        await asyncio.sleep(EVERY_S)
        moved, self._moved = self._moved, set()
        self._something_moved.clear()
        await for_each(sorted(moved), self._looked)

    async def _looked(self, tenant: str) -> None:
        """Where it can't be looked, it is looked again a moment later."""
        try:
            await self._look(tenant)
        except Exception:
            self.stirred(tenant)
            raise

    async def _look(self, tenant: str) -> None:
        here, watched = self._hub.customers(tenant), tenant in self._hub.watched()
        if not here and not watched:
            for kept in (self._told, self._lines, self._behind_at):
                kept.pop(tenant, None)
            return
        behind = here if self._is_due_behind(tenant) else []
        line = await self._store.run(lambda cur: read(cur, tenant, LIVE, behind))
        self._lines[tenant] = line, time.monotonic()
        before: Told = self._told.get(tenant, NOTHING_TOLD)
        told = before.places
        moved = {room: place for room, place in line.places.items() if told.get(room) != place}
        is_same = (line.waiting, line.online, line.rules.closed) == before[1:]
        positions = moved if is_same else line.places
        hearing = set(self._hub.customers(tenant))  # who has come meanwhile, too
        news = [
            News(room, "chat.queue.position", self.place(line, room, place), "customer")
            for room, place in positions.items()
            if room in hearing
        ]
        if watched and (moved or line.waiting != before.waiting):
            head = [{"session_id": room, "position": place} for room, place in line.places.items() if place <= LIVE]
            news.append(News(None, "chat.queue.changed", {"waiting": head, "number": line.waiting}, "agents"))
        self._hub.hear(tenant, news)
        far = {room: place for room, place in told.items() if place > LIVE} if not behind else {}
        self._told[tenant] = Told({**far, **line.places}, line.waiting, line.online, line.rules.closed)
        if line.rules.has_hours:
            self._look_in_time(tenant)
        if line.waiting > LIVE:
            asyncio.get_running_loop().call_later(BEHIND_EVERY_S, self.stirred, tenant)

    def _look_in_time(self, tenant: str) -> None:
        if tenant not in self._timed:
            self._timed.add(tenant)
            asyncio.get_running_loop().call_later(HOURS_EVERY_S, self._time_passed, tenant)

    def _time_passed(self, tenant: str) -> None:
        self._timed.discard(tenant)
        self.stirred(tenant)

    def _is_due_behind(self, tenant: str) -> bool:
        now = time.monotonic()
        if now < self._behind_at.setdefault(tenant, now + BEHIND_EVERY_S):
            return False
        self._behind_at[tenant] = now + BEHIND_EVERY_S
        return True
