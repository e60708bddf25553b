"""Places in line as pages hear them, when the line moves while a page begins."""

import threading
from typing import Any

import pytest

from sidecar.customers import sockets
from tests.services.chat_of import WITHIN_S, Chat, run_chat, until


def test_a_state_that_is_shown_too_late_is_put_right(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's state is read, the line moves and is told to the page, and only then the state is shown."""
    first_of = sockets.first_of
    is_read, may_show = threading.Event(), threading.Event()

    def shown_late(*asked: Any) -> Any:
        found = first_of(*asked)
        is_read.set()
        assert may_show.wait(WITHIN_S)
        return found

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        ani = await at.colleague("ani")
        budi, citra = await at.customer("Budi"), await at.customer("Citra")
        await budi.live()  # so that the line is looked at already
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(sockets, "first_of", shown_late)
            page = await citra.page()
            await until(is_read.is_set)
            await ani.pick(budi)
            await page.until_told("chat.queue.position", lambda told: told["position"] == 1)
            may_show.set()
            await page.until_told("chat.queue.position", lambda told: told["position"] == 2)

        def place() -> bool:
            return page.told("chat.queue.position")[-1]["position"] == 1

        await until(place, what="the true place")

    run_chat(database_url, redis_url, story)
