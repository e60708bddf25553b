"""How many of an agent's chats are not ours? Pure: the desk's late count and our own seats → an estimate.

H9 (docs/algorithm.md). The desk's count is seconds late in both directions, so it is never compared with what we
hold now, but with the most and the least that we held at any instant the count may speak of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REMEMBER_S = 15.0  # how long a lower bound keeps its word: about three lags


@dataclass(frozen=True)
class Stay:
    """One seat of ours, unix seconds on the ledger's clock; `settled_s` / `ended_s` None: not yet."""

    agent: str
    reserved_s: float
    settled_s: float | None
    ended_s: float | None


@dataclass(frozen=True)
class Estimate:
    foreign: int
    lows: list[tuple[float, int]]  # (unix s, lower bound), to be kept for the next answer


def estimate(
    count: int, stays: Iterable[Stay], since_s: float, until_s: float, lows: Sequence[tuple[float, int]]
) -> Estimate:
    """The agent's foreign chats by an answer that may speak of any instant in [since_s, until_s] (request sent minus
    the desk's lag, to answer received). Never negative; what is ours never counts as foreign."""
    mine = list(stays)
    most = _extreme([(stay.reserved_s, stay.ended_s) for stay in mine], since_s, until_s, most=True)
    certain = [(stay.settled_s, stay.ended_s) for stay in mine if stay.settled_s is not None]
    least = _extreme(certain, since_s, until_s, most=False)
    low, high = max(0, count - most), max(0, count - least)
    kept = [(at, bound) for at, bound in lows if 0 <= until_s - at < REMEMBER_S]
    if low:
        kept.append((until_s, low))
    return Estimate(min(max((bound for _, bound in kept), default=0), high), kept)


def _extreme(spans: list[tuple[float, float | None]], since_s: float, until_s: float, most: bool) -> int:
    """The largest or smallest number of spans that cover one instant of the window."""
    now = sum(1 for start, end in spans if start <= since_s and (end is None or end > since_s))
    steps = [(start, 1) for start, _ in spans if since_s < start <= until_s]
    steps += [(end, -1) for _, end in spans if end is not None and since_s < end <= until_s]
    found = now
    for _, step in sorted(steps, key=lambda at: (at[0], -at[1] if most else at[1])):
        now += step
        found = max(found, now) if most else min(found, now)
    return found
