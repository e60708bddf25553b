"""Watches the Redis of this worker: whether it can be written to, whether it is this installation's own, and whether
its keys are what they must be.

Before anything else is written. Two ledgers on one database number would serve one another's rooms and obey one
another's limits, so the second is refused at its start. Redis may be emptied, and then knows nobody: a start waits
until whoever runs has said so again, and who runs puts its id back.
"""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence

import logs
from db import installation, redis_why
from db.inbox import InboxDown
from db.upkeep import Upkeep
from worker.stop import Stop

log = logging.getLogger("worker.redis_watch")

LOOK_S = 0.5
MEND_S = 2.0  # between two looks whether our keys are of the types that we make them
EMPTY_S = 1.2  # before an empty Redis is taken: longer than two looks of whoever may run
YOUNG_S = 5.0  # who has had it for less gives way
TROUBLE_S = 3.0  # shorter ones are not worth a health check's alarm


class NotOurs(Exception):
    """This Redis can't be this worker's; the text says why and what to do."""


class RedisWatch:
    def __init__(self, box: Upkeep, installation_id: str, tenants: Callable[[], Sequence[str]], stop: Stop) -> None:
        """`box`: of this thread alone. `tenants`: those of now."""
        self._box, self._id, self._tenants, self._stop = box, installation_id, tenants, stop
        self._mended_at = time.monotonic()
        self._outage = logs.Outage(log, "redis_unusable", "redis_usable")
        self._since: float | None = None  # of the trouble
        self._ours_since: float | None = None
        self._why = ""
        self.refused: NotOurs | None = None  # why this worker had to leave
        self._thread = threading.Thread(target=self._run, name="redis watch", daemon=True)

    def start(self) -> None:
        """Raises `NotOurs`. A Redis that is away or full may come back: that is said, and tried again."""
        with contextlib.suppress(InboxDown):
            if self._box.owner() is None:
                self._stop.told.wait(EMPTY_S)
        self._look()
        if self.refused:
            raise self.refused
        if self._why == redis_why.CLUSTER:
            raise NotOurs(self._why)
        self._warn_of_eviction()
        self._thread.start()

    def _warn_of_eviction(self) -> None:
        with contextlib.suppress(InboxDown):
            if policy := self._box.evicts():
                log.warning(logs.line("redis_evicts", policy=policy, wanted="noeviction"))

    def trouble(self) -> str | None:
        """Why Redis can't be used, if it has been so for some seconds."""
        since = self._since
        return self._why if since is not None and time.monotonic() - since > TROUBLE_S else None

    def _run(self) -> None:
        while not self._stop.told.wait(LOOK_S):
            self._look()
            if self._since is None and time.monotonic() - self._mended_at >= MEND_S:
                self._mend()

    def _mend(self) -> None:
        self._mended_at = time.monotonic()
        try:
            for name in self._box.mend(self._tenants()):
                log.warning(logs.line("key_removed", key=name))
        except InboxDown as error:
            self._outage.goes_on(error)

    def _look(self) -> None:
        try:
            holder = self._box.own(self._id)
        except InboxDown as error:
            self._why = str(error)
            self._since = self._since or time.monotonic()
            self._outage.goes_on(error)
            return
        if holder != self._id:
            self._not_ours(holder)
            return
        self._outage.over()
        self._since, self._why = None, ""
        self._ours_since = self._ours_since or time.monotonic()

    def _not_ours(self, holder: str) -> None:
        if self._ours_since is not None and time.monotonic() - self._ours_since > YOUNG_S:
            log.error(logs.line("redis_shared", with_installation=holder))
            self._box.own(self._id, take=True)
        else:
            self.refused = NotOurs(installation.not_ours(holder))
            self._stop.signal(signal.SIGTERM)
