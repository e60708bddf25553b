"""What all agents' sockets of a tenant hear, gathered: each socket hears what it would have heard at once, in order."""

import asyncio
import random
from collections.abc import Callable

from sidecar.live.audience import GATHER_S, Audience, Gathering
from tests.variants import each


class Page:
    def __init__(self, agent: str) -> None:
        self.agent: str | None = agent
        self.owed: Callable[[], None] | None = None
        self.heard, self.meant = b"", b""
        self.frames = self.writes = 0

    def push(self, frame: bytes) -> None:
        if self.owed:
            self.owed()
        self.take(frame, 1)

    def take(self, frames: bytes, number: int) -> None:
        self.heard += frames
        self.frames += number
        self.writes += 1


class Waiting:
    """Gives when the test says so."""

    def __init__(self) -> None:
        self.gives: list[Callable[[], None]] = []

    def __call__(self, give: Callable[[], None], members: int) -> None:
        self.gives.append(give)

    def go(self) -> None:
        while self.gives:
            self.gives.pop()()


@each("seed", range(100))
def test_whoever_comes_goes_and_is_spoken_to_hears_everything_in_its_order(seed: int) -> None:
    dice, waiting = random.Random(seed), Waiting()
    audience: Audience[Page] = Audience(waiting)
    pages = [Page(f"a{n % 3}") for n in range(6)]
    for number in range(200):
        page, word = dice.choice(pages), f"<{number}>".encode()
        match dice.choice(["say", "say", "but", "own", "come", "go", "give"]):
            case "say":
                audience.say(word)
                for one in audience:
                    one.meant += word
            case "but" if page in audience:
                audience.say(word, list(audience.of(page.agent)))
                for one in audience:
                    one.meant += word if one.agent != page.agent else b""
            case "own":
                page.push(word)
                page.meant += word
            case "come" if page not in audience:
                audience.add(page)
            case "go" if page in audience:
                waiting.go()
                audience.discard(page)
            case "give":
                waiting.go()
    waiting.go()
    for page in pages:
        assert (page.heard, page.frames) == (page.meant, page.meant.count(b"<"))


def test_what_is_said_together_is_written_once() -> None:
    waiting = Waiting()
    audience: Audience[Page] = Audience(waiting)
    pages = [Page("a1"), Page("a2")]
    for page in pages:
        audience.add(page)
    for _ in range(5):
        audience.say(b"x")
    waiting.go()
    assert [(page.heard, page.frames, page.writes) for page in pages] == [(b"xxxxx", 5, 1)] * 2


def test_a_page_that_has_left_is_owed_nothing() -> None:
    waiting = Waiting()
    audience: Audience[Page] = Audience(waiting)
    page = Page("a1")
    audience.add(page)
    audience.say(b"x")
    audience.discard(page)
    audience.discard(page)
    waiting.go()
    assert (page.heard, page.owed, len(audience), list(audience.of("a1"))) == (b"", None, 0, [])


def test_a_quiet_desk_hears_at_once_and_a_busy_one_as_often_as_it_can_be_written_to() -> None:
    async def given() -> list[float]:
        at: list[float] = []
        loop = asyncio.get_running_loop()
        gathering, began = Gathering(), loop.time()
        for _ in range(3):
            done = loop.create_future()
            gathering(lambda done=done: (at.append(loop.time() - began), done.set_result(None)), 0)  # type: ignore[misc]
            await done
        return at

    first, second, third = asyncio.run(given())
    assert first < second - GATHER_S / 2 and second < third - GATHER_S / 2
    assert third >= 2 * GATHER_S
