"""Round trips to Redis, shared: script calls that come while a trip is under way travel together on the next one.

Under door.py. Who comes first leads: sends all calls that wait, in their order, and hands out the answers; then the
first of those that came meanwhile leads. So one connection serves a whole process, whatever its worker class, and a
burst costs a few system calls. A call is answered or fails within `DEADLINE_S` of its start.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hiredis
from redis.connection import AbstractConnection
from redis.exceptions import RedisError

from db.inbox import InboxDown, Script

DEADLINE_S = 1.0
TOGETHER_MOST = 256  # calls of one trip, about 128 KB
READ_BYTES = 65536

NOT_YET: Any = object()

Command = tuple[Any, ...]  # hiredis packs str, bytes and int


class Call:
    """One script call on its way. `latch` opens when there is an answer, or when it is this call's turn to lead."""

    __slots__ = ("answer", "command", "latch", "must_end")

    def __init__(self, command: Command) -> None:
        self.command, self.answer = command, NOT_YET
        self.must_end = time.monotonic() + DEADLINE_S
        self.latch = threading.Lock()
        self.latch.acquire()


class Trips:
    """`connect` makes a connection that is not open yet. One script is called, by its SHA."""

    def __init__(self, connect: Callable[[], AbstractConnection], script: Script) -> None:
        self._wire = Wire(connect)
        self._script = script
        self._waiting: deque[Call] = deque()
        self._led = False
        self._lock = threading.Lock()

    def run(self, keys: Sequence[str], args: Sequence[str]) -> Any:
        """The script's answer. Raises `InboxDown`; then the script may have run or not."""
        call = Call(("EVALSHA", self._script.sha, str(len(keys)), *keys, *args))
        if not self._leads(call):
            call.latch.acquire()
        if call.answer is NOT_YET:
            self._lead()
        if isinstance(call.answer, Exception):
            raise InboxDown(f"{type(call.answer).__name__}: {str(call.answer)[:120]}") from call.answer
        return call.answer

    def _leads(self, call: Call) -> bool:
        with self._lock:
            self._waiting.append(call)
            leads, self._led = not self._led, True
            return leads

    def _lead(self) -> None:
        time.sleep(0)  # requests that are ready now join
        calls: list[Call] = []
        try:
            with self._lock:
                calls += [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MOST))]
            self._travel(calls)
        finally:
            self._end(calls)

    def _end(self, calls: Sequence[Call]) -> None:
        for call in calls:
            if call.answer is NOT_YET:
                call.answer = InboxDown("interrupted")
            call.latch.release()
        with self._lock:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].latch.release()

    def _travel(self, calls: Sequence[Call]) -> None:
        """Every call gets its answer, or the reason why there is none."""
        try:
            must_end = calls[0].must_end
            for call, answer in zip(calls, self._wire.ask([call.command for call in calls], must_end), strict=True):
                call.answer = answer
            unknown = [call for call in calls if _unknown_script(call.answer)]
            if unknown:  # Redis was restarted or flushed; these calls have not run
                self._teach(unknown, must_end)
        except (RedisError, OSError, hiredis.HiredisError) as error:
            for call in calls:
                call.answer = error

    def _teach(self, calls: Sequence[Call], must_end: float) -> None:
        load: Command = ("SCRIPT", "LOAD", self._script.text)
        _, *answers = self._wire.ask([load, *(call.command for call in calls)], must_end)
        for call, answer in zip(calls, answers, strict=True):
            call.answer = answer


class Wire:
    """One connection, made by redis-py (it knows TLS, passwords, databases), then written and read in bulk."""

    def __init__(self, connect: Callable[[], AbstractConnection]) -> None:
        self._connect = connect
        self._connection: AbstractConnection | None = None

    def ask(self, commands: Sequence[Command], must_end: float) -> list[Any]:
        """An answer for each command; an error that Redis says is an answer. After any other error all is closed.

        A connection that was good and is found closed (Redis was restarted, or ends quiet connections) is made again
        and the commands are sent once more: they may run twice, so they must be such that this is harmless.
        """
        used = self._connection is not None
        try:
            return list(self._ask(commands, must_end))
        except ConnectionError:
            self.close()
            if not used:
                raise
        except BaseException:
            self.close()
            raise
        return self.ask(commands, must_end)

    def close(self) -> None:
        if self._connection:
            self._connection.disconnect()
        self._connection = None

    def _ask(self, commands: Sequence[Command], must_end: float) -> Iterator[Any]:
        sock = self._socket(must_end)
        sock.settimeout(_left(must_end))
        sock.sendall(b"".join([hiredis.pack_command(command) for command in commands]))
        reader = hiredis.Reader()
        for _ in commands:
            while (answer := reader.gets()) is False:
                sock.settimeout(_left(must_end))
                reader.feed(_some(sock.recv(READ_BYTES)))
            yield answer

    def _socket(self, must_end: float) -> Any:
        if self._connection is None:
            connection = self._connect()
            connection.socket_timeout = connection.socket_connect_timeout = _left(must_end)
            connection.connect()
            self._connection = connection
        return self._connection._get_socket()


def _left(must_end: float) -> float:
    left = must_end - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _some(data: bytes) -> bytes:
    if not data:
        raise ConnectionResetError("closed by Redis")
    return data


def _unknown_script(answer: object) -> bool:
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT")
