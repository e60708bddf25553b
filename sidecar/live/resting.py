"""Redis as the sidecar's transactions ask it: after one wait in vain it is left alone for a while. Before `turns`,
`seats` and `team`, which go on without it.

A Redis that is gone refuses at once; one that hangs would cost each transaction its timeout, with a tenant's row locked
and one of few threads held.
"""

import time

import redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from db.inbox import Guarded, InboxDown
from db.upkeep import Upkeep

REST_S = 5.0  # then one caller tries again, and the others go on without it until that one knows


class RestingInbox(Upkeep):
    """An inbox whose every call fails at once while Redis rests. Thread-safe: its two marks are written whole."""

    def __init__(self, client: redis.Redis, rest_s: float = REST_S) -> None:
        super().__init__(client)
        self._rest_s, self._failed, self._tries_at = rest_s, False, 0.0

    @property
    def rests(self) -> bool:
        """Whether to leave Redis alone; who is told no is the one who tries."""
        if not self._failed:
            return False
        now = time.monotonic()
        if now < self._tries_at:
            return True
        self._tries_at = now + self._rest_s
        return False

    def heard(self, error: BaseException | None) -> None:
        """How a call to Redis ended."""
        if error is None:
            self._failed = False
        elif isinstance(error, (NoConnection, NoAnswer)):
            self._failed, self._tries_at = True, time.monotonic() + self._rest_s

    def guarded(self) -> Guarded:
        if self.rests:
            raise InboxDown("it did not answer lately")
        return _Heard(self, self._client)


class _Heard(Guarded):
    def __init__(self, inbox: RestingInbox, client: redis.Redis) -> None:
        super().__init__(client)
        self._inbox = inbox

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._inbox.heard(error)
        super().__exit__(kind, error, trace)
