"""Answers that may be a moment old."""

import asyncio

import pytest

from sidecar.web.lately import Lately


class Source:
    """Answers when it is let go, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may = asyncio.Event()
        self.fails = False

    async def __call__(self, key: str) -> str:
        self.asked.append(key)
        await self.may.wait()
        if self.fails:
            raise OSError("away")
        return f"{key} {len(self.asked)}"


def test_many_who_ask_at_once_get_one_answer_and_whoever_leaves_takes_it_from_nobody():
    async def run() -> None:
        source = Source()
        lately = Lately(source, 60, 10)
        first, *others = [asyncio.ensure_future(lately.get("a")) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        source.may.set()
        assert await asyncio.gather(*others) == ["a 1"] * 4
        assert await lately.get("a") == "a 1"

    asyncio.run(run())


def test_an_answer_is_made_again_after_its_time_and_a_failure_is_kept_by_nobody():
    async def run() -> None:
        source = Source()
        source.may.set()
        lately = Lately(source, 0, 10)
        assert [await lately.get("a"), await lately.get("a")] == ["a 1", "a 2"]
        kept, source.fails = Lately(source, 60, 10), True
        for _ in range(2):
            with pytest.raises(OSError, match="away"):
                await kept.get("a")
        assert len(kept) == 0
        source.fails = False
        assert await kept.get("a") == "a 5"

    asyncio.run(run())


def test_a_slow_source_is_not_asked_again_while_it_is_at_it():
    async def run() -> None:
        source = Source()
        lately = Lately(source, 0, 10)
        waiting = [asyncio.ensure_future(lately.get("a")) for _ in range(3)]
        await asyncio.sleep(0)
        source.may.set()
        assert await asyncio.gather(*waiting) == ["a 1"] * 3

    asyncio.run(run())


def test_no_more_keys_are_kept_than_wanted_the_oldest_go():
    async def run() -> None:
        source = Source()
        source.may.set()
        lately = Lately(source, 60, 3)
        for n in range(100):
            await lately.get(str(n))
        assert len(lately) == 3
        await lately.get("98")
        assert len(source.asked) == 100
        await lately.get("0")
        assert source.asked[-1] == "0"

    asyncio.run(run())
