"""The language model's endpoint: what is asked, and that every misbehaviour ends in the same small failure, in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from db.faq import Entry
from sidecar.bot import ai
from sidecar.bot.ai import Model, ModelFailed, Said
from tests.model_server import KEY, ModelServer, model_server

HOURS = Entry("What are your opening hours?", "Monday to Friday, 9:00 to 17:00.")
TALK = [Said(True, "hello"), Said(False, "Hello! How can I help?"), Said(True, "when do you open?")]
DEADLINE_S = 0.4


def with_model(work: Callable[[Model, ModelServer], Awaitable[None]], deadline_s: float = DEADLINE_S) -> None:
    async def run() -> None:
        async with model_server() as server:
            model = Model(server.url + "/", KEY, "small-one", deadline_s)
            try:
                await work(model, server)
            finally:
                await model.close()

    asyncio.run(run())


def test_it_asks_with_the_entries_and_the_talk_and_gives_the_answer() -> None:
    async def work(model: Model, server: ModelServer) -> None:
        assert await model.answer([HOURS], TALK) == "We open at nine."
        [asked] = server.asked
        assert asked["model"] == "small-one"
        assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "user"]
        assert HOURS.answer in asked["messages"][0]["content"]
        assert asked["messages"][-1]["content"] == "when do you open?"
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"

    with_model(work, 5.0)


def test_it_says_when_the_entries_do_not_hold_the_answer() -> None:
    async def work(model: Model, server: ModelServer) -> None:
        server.does = "unknown"
        assert await model.answer([HOURS], TALK) is None

    with_model(work, 5.0)


@pytest.mark.parametrize("does", ["slow", "500", "garbage", "empty", "endless", "redirect"])
def test_whatever_goes_wrong_ends_in_time_and_says_no_secret(does: str) -> None:
    async def work(model: Model, server: ModelServer) -> None:
        server.does = does
        began = time.monotonic()
        with pytest.raises(ModelFailed) as failed:
            await model.answer([HOURS], TALK)
        assert time.monotonic() - began < DEADLINE_S + 2
        assert KEY not in str(failed.value)

    with_model(work)


def test_an_endpoint_that_is_not_there_is_a_failure_too() -> None:
    async def run() -> None:
        model = Model("http://127.0.0.1:9/v1", KEY, "m", DEADLINE_S)
        with pytest.raises(ModelFailed):
            await model.answer([], TALK)
        await model.close()

    asyncio.run(run())


def test_half_a_letter_in_the_answer_becomes_one_that_can_be_stored() -> None:
    async def work(model: Model, server: ModelServer) -> None:
        server.does = "surrogate"
        said = await model.answer([HOURS], TALK)
        assert said == "half ? of one"

    with_model(work, 5.0)


def test_a_few_calls_at_once_and_the_wait_for_one_counts() -> None:
    async def work(model: Model, server: ModelServer) -> None:
        server.does = "slow"
        began = time.monotonic()
        ends = await asyncio.gather(*(model.answer([], TALK) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(end, ModelFailed) for end in ends)
        assert time.monotonic() - began < DEADLINE_S + 2
        assert server.most_at_once <= ai.CALLS_AT_ONCE

    with_model(work)


def test_after_several_failures_nobody_waits_for_it_for_a_while() -> None:
    async def work(model: Model, server: ModelServer) -> None:
        server.does = "500"
        for _ in range(ai.FAILURES_TO_REST + 5):
            with pytest.raises(ModelFailed):
                await model.answer([], TALK)
        assert len(server.asked) == ai.FAILURES_TO_REST

    with_model(work, 5.0)
