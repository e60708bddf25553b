"""The agents' sockets of one tenant. All of them hear the same: it is kept once, joined once, and given in one piece.

Under `hub`, which says what they hear; `Gathering` says when it is given. What is meant for one socket alone goes to it
directly, after what it is owed from here, so that no socket hears two things in another order than they happened.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Generic, Protocol, TypeVar

GATHER_S = 0.02  # how often at most a busy tenant's sockets are written to; after a pause at once
GATHER_MORE_S = 0.00006  # for each of them: writing to 500 takes some 6 ms of each 50

Later = Callable[[Callable[[], None], int], None]


class Member(Protocol):
    """An agent's socket. `owed`: set here, to be called before anything else is said to it."""

    agent: str | None
    owed: Callable[[], None] | None

    def push(self, frame: bytes) -> None: ...

    def take(self, frames: bytes, number: int) -> None:
        """A `number` of frames in one piece, after what was pushed before."""


M = TypeVar("M", bound=Member)


class Audience(Generic[M]):
    def __init__(self, later: Later) -> None:
        """`later`: called with `give`, and how many there are, when something is there to be given; calls it once."""
        self._later = later
        self._frames: list[bytes] = []
        self._given: dict[M, int] = {}  # how many of them a socket has, or shall never have
        self._of: defaultdict[str | None, set[M]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._given)

    def __iter__(self) -> Iterator[M]:
        return iter(self._given)

    def __contains__(self, member: object) -> bool:
        return member in self._given

    def of(self, agent: str | None) -> Collection[M]:
        """An agent's own sockets."""
        return self._of.get(agent, ())

    def add(self, member: M) -> None:
        """From here on it hears; nothing that was said before."""
        self._given[member] = len(self._frames)
        self._of[member.agent].add(member)
        member.owed = lambda: self._settle(member)

    def discard(self, member: M) -> None:
        if self._given.pop(member, None) is None:
            return
        member.owed = None
        self._of[member.agent].discard(member)
        if not self._of[member.agent]:
            del self._of[member.agent]

    def say(self, frame: bytes, but: Collection[M] = ()) -> None:
        """To all, `but` some."""
        for member in but:
            self._settle(member)
        self._frames.append(frame)
        for member in but:
            self._given[member] = len(self._frames)
        if len(self._frames) == 1:
            self._later(self.give, len(self._given))

    def give(self) -> None:
        """What was gathered."""
        frames, given = self._frames, self._given
        self._frames, self._given = [], dict.fromkeys(given, 0)
        whole = b"".join(frames)
        for member, number in given.items():
            if number < len(frames):
                member.take(b"".join(frames[number:]) if number else whole, len(frames) - number)

    def _settle(self, member: M) -> None:
        """What it is owed, now."""
        owed, self._given[member] = self._frames[self._given[member] :], len(self._frames)
        if owed:
            member.take(b"".join(owed), len(owed))


class Gathering:
    """Of one event loop: at once where nothing was given for a while, else when that while is over."""

    def __init__(self) -> None:
        self._given_at = 0.0

    def __call__(self, give: Callable[[], None], members: int) -> None:
        due = self._given_at + GATHER_S + GATHER_MORE_S * members
        asyncio.get_running_loop().call_at(due, self._give, give)

    def _give(self, give: Callable[[], None]) -> None:
        self._given_at = asyncio.get_running_loop().time()
        give()
