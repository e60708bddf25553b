"""The acts of a storm: what each is, how long it lasts, and how its parts follow one another. Pure.

`plan` draws acts from this table; `deeds` does what their parts say. A part is (seconds after the act's begin, deed,
what it needs to know); `pick` is a number from 0 to 1 that chooses among those who are there when it is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

Part = tuple[float, str, dict[str, Any]]
Script = Callable[[Random, float], list[Part]]  # of the random generator and the seconds that are left

REFUSALS = (400, 403, 404, 422)
FLUSH_HEALS_S = 30.0  # after a loss of Redis: what was only there is learned from the desk again


@dataclass(frozen=True)
class Act:
    """`uses`: what it has to itself. `heals_s`: how long after it everybody, not only its own tenant, may still have to
    wait; None: nobody but its own tenant is held up at all."""

    about: str
    script: Script
    uses: str | None = None
    heals_s: float | None = None
    servers: bool = False
    clock: bool = False


def once(deed: str, **draw: Callable[[Random], Any]) -> Script:
    return lambda chance, _: [(0.0, deed, {name: value(chance) for name, value in draw.items()})]


def lasting(deed: str, low_s: float, high_s: float, **draw: Callable[[Random], Any]) -> Script:
    """`deed`, and after a time between the two `deed ends`, with the same draw."""

    def script(chance: Random, left_s: float) -> list[Part]:
        lasts_s = min(chance.uniform(low_s, high_s), max(0.5, left_s))
        how = {name: value(chance) for name, value in draw.items()}
        return [(0.0, deed, how), (round(lasts_s, 2), f"{deed} ends", how)]

    return script


def _hanging(chance: Random, left_s: float) -> list[Part]:
    """Assign calls hang; what they are about is resolved, and its customer writes again, before they come to an end."""
    begin, *_, end = lasting("assigns hang", 6, 14, share=_from(0.3, 0.9))(chance, left_s)
    parts = [begin, (0.1, "return", {"count": chance.randint(3, 12)}), end]
    for _ in range(chance.randint(2, 5)):
        at_s = round(chance.uniform(0.3, end[0]), 2)
        how = {"count": chance.randint(1, 4)}
        parts.append((at_s, "resolve what is under way", how))
        parts.append((round(at_s + chance.uniform(0.1, 2), 2), "the resolved write again", how))
    return sorted(parts, key=lambda part: part[0])


def _pick(chance: Random) -> float:
    return round(chance.random(), 4)


def _from(low: float, high: float) -> Callable[[Random], float]:
    return lambda chance: round(chance.uniform(low, high), 2)


def _whole(low: int, high: int) -> Callable[[Random], int]:
    return lambda chance: chance.randint(low, high)


def _one_of(*values: Any) -> Callable[[Random], Any]:
    return lambda chance: chance.choice(values)


def _locked(deed: str) -> Script:
    """Mostly some seconds, sometimes most of a minute."""

    def script(chance: Random, left_s: float) -> list[Part]:
        return lasting(deed, 5, 5 + 35 * chance.random() ** 3)(chance, left_s)

    return script


ACTS: Mapping[str, Act] = {
    "worker-killed": Act("a worker dies (kill -9) and is started again", once("kill a worker", pick=_pick), None, 5),
    "worker-frozen": Act(
        "a worker is frozen for up to four seconds", lasting("freeze a worker", 0.2, 4, pick=_pick), "worker", 4
    ),
    "admin-resolves": Act(
        "an admin resolves chats", once("resolve", count=_whole(1, 5), which=_one_of("held", "open"))
    ),
    "customers-return": Act("customers whose chat was over write again", once("return", count=_whole(1, 6))),
    "agents-leave": Act(
        "several agents go offline and come back",
        lasting("agents leave", 2, 12, count=_whole(1, 8), pick=_pick),
        "presence",
    ),
    "agents-flicker": Act(
        "agents go offline and online, one after the other", once("agents flicker", count=_whole(1, 4), pick=_pick)
    ),
    "agent-deleted": Act(
        "an agent is deleted at the desk while online, and hired again later",
        lasting("delete an agent", 5, 20, pick=_pick),
        "deleted",
    ),
    "agent-refused": Act(
        "the desk refuses an agent for every room: 400, 403, 404 or 422",
        lasting("refuse an agent", 5, 20, pick=_pick, status=_one_of(*REFUSALS)),
        "refused",
    ),
    "assigns-hang": Act(
        "assign calls hang for 3 to 12 s, done at once, late, twice or never; their rooms are resolved and come back",
        _hanging,
        "hanging",
    ),
    "row-locked": Act("a foreign session locks the tenant's row", _locked("lock the tenant"), "row"),
    "agent-row-locked": Act("a foreign session locks an agent's row", _locked("lock an agent"), "agent row"),
    "chats-by-hand": Act(
        "a supervisor gives waiting chats to an agent, several at once",
        once("give by hand", count=_whole(1, 5), pick=_pick),
    ),
    "chats-moved": Act(
        "a supervisor moves chats from one agent to another", once("move by hand", count=_whole(1, 3), pick=_pick)
    ),
    "webhooks-wild": Act(
        "webhooks come three times, late and out of order; arrivals overtake their resolves",
        lasting("webhooks go wild", 4, 12),
        "webhooks",
    ),
    "webhooks-forged": Act(
        "somebody posts arrivals and resolves of rooms that the desk does not know",
        once("forge", arrivals=_whole(1, 40), resolves=_whole(0, 10)),
    ),
    # Below: the servers that all tenants share.
    "receiver-restarted": Act("the receiver is stopped and started", once("restart the receiver"), None, 6, True),
    "redis-emptied": Act("Redis loses all its data (FLUSHALL)", once("empty Redis"), "redis", FLUSH_HEALS_S, True),
    "redis-killed": Act("Redis dies (kill -9) and is started again", once("kill Redis"), "redis", 15, True),
    "redis-frozen": Act("Redis stands still", lasting("freeze Redis", 0.5, 4), "redis", 10, True),
    "redis-full": Act("Redis has no memory left (maxmemory)", lasting("fill Redis", 2, 8), "redis", 15, True),
    "redis-read-only": Act("Redis is another one's replica", lasting("make Redis a replica", 2, 8), "redis", 15, True),
    "redis-no-replicas": Act(
        "Redis refuses to write without replicas (min-replicas-to-write)",
        lasting("make Redis want replicas", 2, 8),
        "redis",
        15,
        True,
    ),
    "postgres-killed": Act("PostgreSQL dies (kill -9), comes back", once("kill PostgreSQL"), "postgres", 20, True),
    "postgres-frozen": Act("PostgreSQL stands still", lasting("freeze PostgreSQL", 0.5, 4), "postgres", 10, True),
    "postgres-read-only": Act(
        "PostgreSQL is read-only (default_transaction_read_only)",
        lasting("make PostgreSQL read-only", 2, 8),
        "postgres",
        15,
        True,
    ),
    "postgres-clock": Act(
        "PostgreSQL's clock is stepped and later put right",
        lasting("step PostgreSQL's clock", 4, 15, by_s=_one_of(-3600, -600, -45, 45, 600, 3600)),
        "postgres clock",
        15,
        True,
        True,
    ),
    "redis-clock": Act(
        "Redis's clock is stepped and later put right",
        lasting("step Redis's clock", 4, 15, by_s=_one_of(-3600, -600, -45, 45, 600, 3600)),
        "redis clock",
        15,
        True,
        True,
    ),
}
