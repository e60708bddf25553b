"""Round trips to Redis, shared: script calls that come while one is under way travel together on the next one.

Under door.py. redis-py's own pipeline does the talking. Each call waits for its own deadline and no longer: a trip that
is late costs nobody who came later.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError

from db.inbox import InboxDown, Script
from db.redis_why import why

DEADLINE_S = 1.0  # for a call; the sockets of the client have the same, so that a trip takes no longer either
TOGETHER_MAX = 256  # calls of one trip, about 128 KB


class Call:
    """One script call on its way; `answer` is there when `done` can be acquired."""

    __slots__ = ("answer", "args", "done", "keys", "must_end")

    def __init__(self, keys: Sequence[str], args: Sequence[str]) -> None:
        self.keys, self.args = keys, args
        self.answer: Any = None
        self.must_end = time.monotonic() + DEADLINE_S
        self.done = threading.Lock()
        self.done.acquire()


class Trips:
    """Calls one script, which must be such that running it twice is harmless: a broken connection makes it so."""

    def __init__(self, client: redis.Redis, script: Script) -> None:
        self._client, self._script = client, script
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()
        self._under_way = False

    def run(self, keys: Sequence[str], args: Sequence[str]) -> Any:
        """The script's answer. Raises `InboxDown` within `DEADLINE_S`; then the script may have run or not."""
        call = Call(keys, args)
        with self._lock:
            self._waiting.append(call)
            starts, self._under_way = not self._under_way, True
        if starts:
            threading.Thread(target=self._travel, daemon=True).start()
        if not call.done.acquire(timeout=DEADLINE_S):
            raise InboxDown("Redis does not answer in time")
        if isinstance(call.answer, Exception):
            raise InboxDown(why(call.answer)) from call.answer
        return call.answer

    def _travel(self) -> None:
        """One trip after the other, until nobody waits."""
        while calls := self._next():
            try:
                answers = self._ask(calls)
            except Exception as error:  # whatever it is, those who wait must hear of it
                answers = [error] * len(calls)
            for call, answer in zip(calls, answers, strict=True):
                call.answer = answer
                call.done.release()

    def _next(self) -> list[Call]:
        """The calls that wait, in their order, without those that nobody waits for any more."""
        time.sleep(0)  # requests that are ready now join
        with self._lock:
            calls: list[Call] = []
            while self._waiting and len(calls) < TOGETHER_MAX:
                call = self._waiting.popleft()
                if call.must_end > time.monotonic():
                    calls.append(call)
            self._under_way = bool(calls)
            return calls

    def _ask(self, calls: Sequence[Call]) -> list[Any]:
        """An answer for each call; an error that Redis says about one is an answer."""
        answers = self._pipe(calls)
        unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # Redis was restarted or flushed; these calls have not run
            for n, answer in zip(unknown, self._pipe([calls[n] for n in unknown], load=True), strict=True):
                answers[n] = answer
        return answers

    def _pipe(self, calls: Sequence[Call], load: bool = False) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            if load:
                pipe.script_load(self._script.text)
            for call in calls:
                pipe.evalsha(self._script.sha, len(call.keys), *call.keys, *call.args)
            return pipe.execute(raise_on_error=False)[-len(calls) :]
