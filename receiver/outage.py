"""Says when Redis begins to fail, that it still does, and when it is back, however many webhooks come meanwhile.

Kept by door.py, in each process on its own.
"""

import logging
import time

import logs

STILL_EVERY_S = 60
AGAIN_AFTER_S = 10  # one that comes and goes is not told more often

log = logging.getLogger("receiver")


class Outage:
    def __init__(self) -> None:
        self._since: float | None = None
        self._told = False
        self._next = 0.0
        self._failed = 0

    def failed(self, why: Exception) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since, self._told, self._failed = now, False, 0
        self._failed += 1
        if now >= self._next:
            log.warning(logs.line("redis_down", why=why, failed=self._failed, for_s=round(now - self._since)))
            self._told, self._next = True, now + STILL_EVERY_S

    def worked(self) -> None:
        if self._since is None:
            return
        now = time.monotonic()
        if self._told:
            log.warning(logs.line("redis_back", failed=self._failed, after_s=round(now - self._since, 1)))
            self._next = now + AGAIN_AFTER_S
        self._since = None
