"""Which processes run: each says so in Redis every few seconds, with its version and how busy it is. Before `/ops`.

Nothing depends on it. Who says nothing for a minute is not shown; who ended well takes itself out.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from db.inbox import Inbox, InboxDown

KEY = "giliran:processes"
EVERY_S = 5.0
KEPT_S = 60.0
UNTRUSTED = "untrusted_peer"  # a field of a sidecar's: who sent it X-Forwarded-For and is not in TRUSTED_PROXIES

Load = Callable[[], Mapping[str, float]]


def about(kind: str, version: str, pid: int | None = None) -> dict[str, Any]:
    """What a process says of itself, but for its load. `pid`: where several are one."""
    number, host = os.getpid() if pid is None else pid, socket.gethostname()
    since = datetime.now(UTC).isoformat()
    return {"id": f"{kind}@{host}:{number}", "kind": kind, "host": host, "since": since, "version": version}


def tell(box: Inbox, me: Mapping[str, Any], load: Mapping[str, float]) -> None:
    """Raises `InboxDown`."""
    text = orjson.dumps({**me, "load": load, "seen_s": time.time()}).decode()
    with box.guarded() as client:
        client.hset(KEY, str(me["id"]), text)


def leave(box: Inbox, me: Mapping[str, Any]) -> None:
    with contextlib.suppress(InboxDown), box.guarded() as client:
        client.hdel(KEY, str(me["id"]))


def read(box: Inbox) -> list[dict[str, Any]]:
    """Those that said something within the minute; the others are forgotten. Raises `InboxDown`."""
    with box.guarded() as client:
        found = {name: _read(text) for name, text in client.hgetall(KEY).items()}
        now_s = time.time()
        gone = [name for name, one in found.items() if one is None or abs(now_s - one["seen_s"]) > KEPT_S]
        if gone:
            client.hdel(KEY, *gone)
    here = [one for name, one in found.items() if one is not None and name not in gone]
    return sorted(here, key=lambda one: (one["kind"], one["since"], one["id"]))


def _read(text: str) -> dict[str, Any] | None:
    try:
        one = orjson.loads(text)
        seen_at = datetime.fromtimestamp(one["seen_s"], UTC)
        return {**one, "seen_at": seen_at, "kind": str(one["kind"]), "since": str(one["since"]), "id": str(one["id"])}
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


class Teller:
    """A thread of a process that has no loop of its own. A Redis that is away costs it nothing."""

    def __init__(self, box: Inbox, me: Mapping[str, Any], load: Load) -> None:
        self._box, self._me, self._load = box, me, load
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        leave(self._box, self._me)

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(InboxDown):
                tell(self._box, self._me, self._load())
            self._stop.wait(EVERY_S)
