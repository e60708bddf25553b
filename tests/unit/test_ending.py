"""`sidecar.live.tasks`: a task that lost a cancellation ends too."""

import asyncio

from sidecar.live.tasks import ended

WITHIN_S = 10.0


async def loses_one_cancellation(started: asyncio.Event, over: "asyncio.Future[None]") -> None:
    """As a command of redis-py does on Python 3.11 when the cancellation comes with the answer."""
    started.set()
    await asyncio.wait_for(over, 60)
    await asyncio.Event().wait()


async def keeps_on(started: asyncio.Event) -> None:
    started.set()
    for _ in range(3):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


def test_a_cancellation_that_comes_with_the_answer_is_said_again() -> None:
    async def story() -> None:
        started, over = asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(loses_one_cancellation(started, over))
        await started.wait()
        over.set_result(None)
        async with asyncio.timeout(WITHIN_S):
            await ended(task)
        assert task.done()

    asyncio.run(story())


def test_who_ignores_it_is_told_until_it_ends_and_who_ended_is_let_be() -> None:
    async def story() -> None:
        started, over = asyncio.Event(), asyncio.create_task(asyncio.sleep(0))
        await over
        task = asyncio.create_task(keeps_on(started))
        await started.wait()
        async with asyncio.timeout(WITHIN_S):
            await ended(task, over)
        assert task.done() and not over.cancelled()

    asyncio.run(story())


def test_what_a_task_raised_at_its_end_stays_with_it() -> None:
    async def falls() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("its own")

    async def story() -> None:
        task = asyncio.create_task(falls())
        await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN_S):
            await ended(task)
        assert isinstance(task.exception(), ValueError)

    asyncio.run(story())
