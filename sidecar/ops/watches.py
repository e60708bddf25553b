"""What pages of supervisors watch, live: a picture, then what changes in it. Before `sockets`; after `views`.

Pages that watch the same share one look at the ledger, once a second at most and only where the tenant has changed;
after every look of `ANYWAY_S` too, for what changes without a decision. A page gets so many bytes a second at most.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from sidecar.live import frames
from sidecar.live.connection import Connection
from sidecar.live.tasks import Tasks, for_each
from sidecar.ops.views import Asked, Views
from sidecar.web.answers import Refused
from views.shown import Shown, change

EVERY_S = 1.0
ANYWAY_S = 5.0
SHARE = 0.05  # of the time one view is read, at most: a large desk is looked at less often
BYTES_A_SECOND = 16_000  # of changes to one page
WATCHES_MOST = 8  # of one page


class Watch:
    """One page's. `seq` counts what it was told, from 1; `due`: not before."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection, self.name = connection, name
        self.seq, self.due = 0, 0.0
        self.shown: Shown | None = None

    def tell(self, now: Shown) -> None:
        """The picture, or what has changed in it since the last one that this page got."""
        if self.shown is None:
            self._say("ops.state", now._asdict())
        elif time.monotonic() < self.due:
            return
        elif changed := change(self.shown, now):
            self.due = time.monotonic() + self._say("ops.change", changed) / BYTES_A_SECOND
        self.shown = now

    def _say(self, kind: str, payload: dict[str, Any]) -> int:
        """How many bytes that were."""
        self.seq += 1
        text = orjson.dumps({"type": kind, "payload": {"watch": self.name, "seq": self.seq, **payload}})
        self.connection.push(frames.framed(text))
        return len(text)


class Group:
    """All who watch the same, and its picture. `rev`, `looked_at`: of the last look."""

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.rev: object = None
        self.looked_at = -ANYWAY_S
        self.took_s = 0.0
        self.shown: Shown | None = None

    def is_due(self, rev: object) -> bool:
        age_s = time.monotonic() - self.looked_at
        return self.shown is None or (age_s >= self.took_s / SHARE and (rev != self.rev or age_s >= ANYWAY_S))

    def looked(self, shown: Shown, rev: object, took_s: float = 0.0) -> None:
        self.shown, self.rev, self.took_s, self.looked_at = shown, rev, took_s, time.monotonic()

    def tell(self) -> None:
        """Those who have not been told all of it."""
        for watch in list(self.watches):
            if self.shown is not None and watch.shown is not self.shown:
                watch.tell(self.shown)

    def end(self, refused: Refused) -> None:
        """What can't be looked at any more is watched no more."""
        for watch in self.watches:
            watch.connection.refuse(refused.code, str(refused), watch=watch.name)


class Watches:
    """Of one sidecar; belongs to one event loop."""

    def __init__(self, views: Views, tasks: Tasks) -> None:
        self._views, self._tasks = views, tasks
        self._groups: dict[Asked, Group] = {}

    def start(self) -> None:
        self._tasks.start("ops", self._step, EVERY_S)

    async def stop(self) -> None:
        await self._tasks.end("ops")

    async def add(self, watch: Watch, asked: Asked) -> None:
        """The page is shown it at once. Raises `Refused`, `LedgerTrouble`."""
        shown = await self._views.read(asked)
        if watch.connection.is_open:
            group = self._groups.setdefault(asked, Group())
            group.watches.add(watch)
            group.looked(shown, None)
            watch.tell(shown)

    def drop(self, watches: Iterable[Watch]) -> None:
        gone = set(watches)
        for group in self._groups.values():
            group.watches -= gone
        self._groups = {asked: group for asked, group in self._groups.items() if group.watches}

    async def _step(self) -> None:
        if self._groups:
            revs = await self._views.revs()
            groups = {str(number): asked for number, asked in enumerate(self._groups)}
            await for_each(groups, lambda number: self._look(groups[number], revs))

    async def _look(self, asked: Asked, revs: Mapping[str, int]) -> None:
        group, rev = self._groups.get(asked), revs.get(asked.tenant) if asked.tenant else tuple(revs.items())
        if group is None:
            return
        if group.is_due(rev):
            began = time.monotonic()
            try:
                shown = await self._views.read(asked)
            except Refused as refused:  # the tenant was removed
                self._groups.pop(asked, None)
                group.end(refused)
                return
            group.looked(shown, rev, time.monotonic() - began)
        group.tell()
