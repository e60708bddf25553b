"""Delivers webhooks: a bounded pool of senders between the apps and the receiver under test.

Every delivery ends in one `told(...)`: its outcome (a status, `timeout`, `refused`, `broken`), and what was answered.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

TIMEOUT_S = 5.0
ANSWER_MAX = 4096  # bytes of an answer that are looked at
IDLE_S = 1.0  # less than the two seconds after which gunicorn drops a quiet connection under a request
RETRY_FIRST_S = 1.0


@dataclass(frozen=True)
class Delivery:
    url: str
    body: bytes
    told: Callable[..., None]
    wanted: Callable[[], bool]  # False once the app was reset: what is still queued belongs to a finished game
    retries: int = 0
    attempt: int = 1


class Senders:
    """At most `count` webhooks are on their way at one time; the others stand in a queue."""

    def __init__(self, count: int = 32) -> None:
        self._count = count
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way = 0

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._count)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def send(self, delivery: Delivery, after_s: float = 0) -> None:
        if after_s > 0:
            asyncio.get_running_loop().call_later(after_s, self._queue.put_nowait, delivery)
        else:
            self._queue.put_nowait(delivery)

    @property
    def queued(self) -> int:
        """Not answered as yet: those that wait and those on their way."""
        return self._queue.qsize() + self._under_way

    async def _work(self) -> None:
        while True:
            delivery = await self._queue.get()
            if delivery.wanted():
                self._under_way += 1
                try:
                    await self._deliver(delivery)
                finally:
                    self._under_way -= 1

    async def _deliver(self, delivery: Delivery) -> None:
        began = time.monotonic()
        outcome, answer = await self._post(delivery)
        ms = round((time.monotonic() - began) * 1000, 1)
        if not delivery.wanted():
            return
        delivery.told(outcome=outcome, ms=ms, attempt=delivery.attempt, **answer)
        if not outcome.startswith("2") and delivery.attempt <= delivery.retries:
            self.send(replace(delivery, attempt=delivery.attempt + 1), RETRY_FIRST_S * 2 ** (delivery.attempt - 1))

    async def _post(self, delivery: Delivery) -> tuple[str, dict[str, Any]]:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(delivery.url, data=delivery.body, headers=headers) as response:
                return str(response.status), _answered(await response.content.read(ANSWER_MAX))
        except TimeoutError:
            return "timeout", {}
        except aiohttp.ClientConnectorError:
            return "refused", {}
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return "broken", {"why": type(error).__name__}


def _answered(body: bytes) -> dict[str, Any]:
    """What the receiver said of the room's place, where it said so."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(answer, dict):
        return {}
    return {name: answer[name] for name in ("status", "position") if isinstance(answer.get(name), str | int)}
