"""What happens in a storm over a tenant with rules, and when, from its seed alone. Pure; `ruled` does it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from scripts.storms.ruled_world import DIVISIONS, Sizes, Times, customer

ZONES = ("Asia/Jakarta", "Europe/London", "America/New_York", "Pacific/Auckland")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BURST = 0.35  # of the customers come at once
SECOND, THIRD = 0.45, 0.8  # of the storm, when the rules change
LONG_S = 100.0  # a storm from here on has a minute in which it is closed; in shorter ones a version closes
GAP_S = (0.4, 2.0)
BACK_S = (3.0, 8.0)  # until a division has its name or its members again


@dataclass(frozen=True)
class Step:
    at_s: float
    deed: str
    how: dict[str, Any] = field(default_factory=dict)


def plan(seed: int, seconds: float, sizes: Sizes, kills: bool) -> list[Step]:
    steps = [
        *_customers(Random(f"customers {seed}"), seconds, sizes.rooms),
        *_deeds(Random(f"deeds {seed}"), seconds, kills),
        Step(SECOND * seconds, "apply", {"version": 2}),
        Step(THIRD * seconds, "apply", {"version": 3}),
    ]
    return sorted(steps, key=lambda step: step.at_s)


def _customers(chance: Random, seconds: float, rooms: int) -> list[Step]:
    """One in five comes back: somebody whose chat is over by then."""
    steps = []
    for number in range(rooms):
        at_s = 0.0 if number < rooms * BURST else round(chance.uniform(0.5, seconds), 2)
        how = customer(chance)
        if at_s and chance.random() < 0.2:
            steps.append(Step(at_s, "customer returns"))
        else:
            steps.append(Step(at_s, "customer", how))
    return steps


def _deeds(chance: Random, seconds: float, kills: bool) -> list[Step]:
    deeds = ["agent moved", "agent moved", "presence", "presence", "division renamed", "division emptied"]
    deeds += ["worker killed"] if kills else []
    steps, at_s = [], 1.0
    while at_s < seconds - 2:
        deed, how = chance.choice(deeds), {"pick": chance.random(), "other": chance.random()}
        steps.append(Step(round(at_s, 2), deed, how))
        if deed.startswith("division"):
            back_s = min(at_s + chance.uniform(*BACK_S), seconds - 1)
            steps.append(Step(round(back_s, 2), "division back", {"pick": how["pick"]}))
        at_s += chance.uniform(*GAP_S)
    return steps


def division(pick: float) -> int:
    return int(pick * len(DIVISIONS))


def begins_at(now: datetime, seconds: float) -> datetime:
    """A long storm begins half a minute before a full one, at which we close."""
    if seconds < LONG_S:
        return now
    begin = now.replace(second=30, microsecond=0)
    return begin if begin > now else begin + timedelta(minutes=1)


def times(begins: datetime, seconds: float, version: int) -> Times:
    """We close for a minute; of a short storm the second version closes, and the third one opens."""
    if version == 3:
        return Times()
    zone = next(zone for zone in ZONES if 1 <= begins.astimezone(ZoneInfo(zone)).hour <= 20)
    local = begins.astimezone(ZoneInfo(zone))
    if seconds < LONG_S:
        day = local.weekday() + (2 if version == 2 else 0)
        return Times(zone, (f"{DAYS[day % 7]} 00:00-24:00",))
    closes = local + timedelta(seconds=30)
    opens = closes + timedelta(minutes=1)
    name = DAYS[local.weekday()]
    return Times(zone, (f"{name} 00:00-{closes:%H:%M}", f"{name} {opens:%H:%M}-24:00"))


def now() -> datetime:
    return datetime.now(UTC)
