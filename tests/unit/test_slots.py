"""So many at once: who comes next waits, in order, and nobody's place is lost or kept."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.web.slots import NoSlot, Slots

AT_ONCE, HERE = 2, 5


@settings(deadline=None)  # an event loop for each
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["work", "fail", "leave"])), max_size=30))
def test_never_more_at_once_than_allowed_and_all_places_are_given_back(history: list[tuple[str, str]]) -> None:
    async def story() -> None:
        slots, now, most, order = Slots(AT_ONCE, HERE), Counter[str](), Counter[str](), dict[str, list[int]]()
        refused = []

        async def come(n: int, subject: str, how: str) -> None:
            try:
                async with slots.one(subject):
                    now[subject] += 1
                    most[subject] = max(most[subject], now[subject])
                    order.setdefault(subject, []).append(n)
                    try:
                        await asyncio.sleep(0)
                        if how == "fail":
                            raise ValueError
                    finally:
                        now[subject] -= 1
            except NoSlot:
                refused.append(subject)

        tasks = [asyncio.create_task(come(n, *one)) for n, one in enumerate(history)]
        await asyncio.sleep(0)
        for task, (_, how) in zip(tasks, history, strict=True):
            if how == "leave":
                task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, return_exceptions=True)
        came = Counter(subject for subject, _ in history)
        assert all(found <= AT_ONCE for found in most.values())
        assert all(found == sorted(found) for found in order.values())
        assert Counter(refused) == {subject: n - HERE for subject, n in came.items() if n > HERE}
        assert (slots._here, slots._turns) == ({}, {})

    asyncio.run(story())


def test_who_waits_too_long_leaves_the_line() -> None:
    async def story() -> None:
        slots = Slots(1, 2)
        async with slots.one("a"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), slots.one("a"):
                    raise AssertionError
            async with asyncio.timeout(20), slots.one("b"):
                pass
        async with asyncio.timeout(20), slots.one("a"):
            pass

    asyncio.run(story())
