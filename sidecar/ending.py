"""The end of background tasks: cancelled until they are really gone."""

import asyncio

AGAIN_S = 0.05


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Returns when all have ended; what they raised is theirs to log. One cancellation is not enough on Python 3.11:
    `asyncio.wait_for`, with which redis-py sends each command, loses one that comes just as the wait is over
    (github.com/python/cpython/issues/86296)."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
