"""Requests of who is nobody yet: what one address may ask without a login, and how many keys and tokens it may try.
Before `sessions`, `downloads`, `console` and `sockets` ask PostgreSQL. In this process, and bounded.

A key can't be guessed; what is kept small is what guessing costs: queries, and lines in the log. Whoever was known here
lately is let in whatever others behind the same address do.
"""

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import logs
from sidecar.web.answers import Refused
from sidecar.web.pace import Paces, Repeats

log = logging.getLogger("sidecar.strangers")

ASKS_A_SECOND, ASKS_AT_ONCE = 100.0, 1000.0  # a thousand start forms behind one address ask every ten seconds
MISSES_A_SECOND, MISSES_AT_ONCE = 5.0, 500.0  # all pages of an office whose chats were forgotten
KNOWN_MOST = 20_000
SAID_EVERY_S = 60.0  # of each address, and kind of refusal

T = TypeVar("T")


class Strangers:
    """Of one event loop. `address`: as `Door.subject` has it."""

    def __init__(self) -> None:
        self._asks = Paces(ASKS_A_SECOND, ASKS_AT_ONCE)
        self._misses = Paces(MISSES_A_SECOND, MISSES_AT_ONCE)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._said = Repeats(SAID_EVERY_S)
        self.refused = 0  # since the start

    def ask(self, address: str) -> None:
        """One thing that anybody may ask. Raises `Refused`."""
        if wait_s := self._asks.take(address, time.monotonic()):
            self.say(address, "rate_limited", "requests")
            raise Refused("rate_limited", "too many requests from your network", wait_s)

    def check(self, address: str, secret: str) -> None:
        """Whether this key or token may be looked for. Raises `Refused`."""
        wait_s = self._misses.wait_s(address, time.monotonic())
        if wait_s and _digest(secret) not in self._known:
            self.say(address, "rate_limited", "keys")
            raise Refused("rate_limited", "too many unknown keys from your network", wait_s)

    def _found(self, secret: str) -> None:
        digest = _digest(secret)
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > KNOWN_MOST:
            self._known.popitem(last=False)

    def _missed(self, address: str, secret: str, code: str, what: str) -> None:
        self._known.pop(_digest(secret), None)
        self._misses.take(address, time.monotonic())
        self.say(address, code, what)

    def say(self, address: str, code: str, what: str) -> None:
        """In the log, once a minute."""
        self.refused += 1
        if self._said.is_news(f"{code} {what} {address}", True, time.monotonic()):
            log.warning(logs.line("refused", code=code, what=what, address=address))

    async def known(
        self, address: str, secret: str, find: Callable[[str], Awaitable[T | None]], refused: Refused, what: str
    ) -> T:
        """What this key or token (`what`) opens. Raises `refused` where it opens nothing."""
        self.check(address, secret)
        found = await find(secret)
        if found is None:
            self._missed(address, secret, refused.code, what)
            raise refused
        self._found(secret)
        return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
