"""Every switch of one simulated app: its faults, its habits, how it delivers webhooks. The shells ask it before acting.

Pure: the random generator is passed in, so that a seed repeats a run.
"""

import dataclasses
from dataclasses import dataclass, field
from random import Random
from typing import Any

# What a failing call does. Those that end in `after` have done their work before they fail.
FAIL_KINDS = (
    "429",
    "429_retry_after",
    "500",
    "500_after",
    "502_html",
    "200_html",
    "401",
    "403",
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
)
# How an assign call that hangs ends: done at once and told late, done late, never done and cut, or done both times.
HANG_KINDS = ("early", "late", "never", "twice")
REFUSALS = {400: "can't be assigned", 403: "Forbidden", 404: "not found", 422: "is invalid"}
ENDPOINTS = (
    *("roster", "assign", "allocate", "allocate_assign", "room", "rooms", "resolve", "remove", "agents"),
    *("agents_by_ids", "divisions", "division", "bot", "office_hours", "webhooks", "set_webhook", "other"),
)


class BadSwitch(Exception):
    """A switch that does not exist, or a value that it can't have. The text names both."""


@dataclass(frozen=True)
class Faults:
    """The defaults are the desk on a good day, told at once."""

    latency_ms: float = 0
    jitter_ms: float = 0  # added to the latency, evenly between 0 and this
    fail_p: float = 0
    fail_next: int = 0  # so many calls fail for certain, whatever fail_p says
    fail_kinds: tuple[str, ...] = ("500",)  # one is drawn for each failing call
    fail_on: tuple[str, ...] = ()  # endpoints that can fail; empty: all
    retry_after_s: float = 1
    hang_s: float = 30  # how long a timeout keeps the caller before the connection is dropped
    fail_rooms: dict[str, int] = field(default_factory=dict)  # room → 400, 403, 404 or 422, on every assign
    fail_agents: dict[str, int] = field(default_factory=dict)  # the same for an agent, or `agent:channel`
    hang_assign_p: float = 0  # share of the assign calls that hang, besides those that fail
    hang_assign_from_s: float = 3
    hang_assign_to_s: float = 12
    hang_assign_kinds: tuple[str, ...] = HANG_KINDS
    unknown_refused: bool = False  # rooms that nobody has heard of: 404, also from the roster and on assign
    count_lag_s: float = 0  # current_customer_count is that of so long ago
    room_lag_s: float = 0  # the same for a room's is_waiting and is_resolved
    list_lag_s: float = 0  # rooms that wait for less are not listed yet
    stale_rows: bool = True  # the unserved list sometimes shows a resolved room
    hide_offline: bool = False  # the roster leaves offline agents out
    listed_without_counts: bool = False  # the list of all agents, as one account was seen to have it
    nested_meta: bool = False  # of the same list: within data
    bare_array: bool = False  # the roster's data is a list
    legacy_assign: bool = False  # the old assign answer, without the service
    null_candidate: bool = False
    null_latest_service: bool = False  # even for returning customers
    payload_channel: bool = True  # webhooks carry app_code and channel, as newer ones do
    last_comment_int: bool = False
    webhook_copies: int = 1
    webhook_copy_gap_s: float = 1  # each further copy comes up to this much later
    webhook_drop_p: float = 0
    webhook_delay_s: float = 0
    webhook_jitter_s: float = 0  # reorders
    resolved_delay_s: float = 0  # on top, for resolves only: the customer's next arrival overtakes them
    webhook_retries: int = 0  # real ones: undocumented
    auto_resolve_s: float = 0  # each chat is resolved so long after its assignment; 0: never
    auto_resolve_jitter_s: float = 0
    seed: int | None = None

    def delay_s(self, random: Random) -> float:
        jitter = random.uniform(0, self.jitter_ms) if self.jitter_ms else 0.0
        return (self.latency_ms + jitter) / 1000

    def draw(self, random: Random, endpoint: str) -> str | None:
        """The kind of failure of this call, None where it succeeds."""
        if self.fail_on and endpoint not in self.fail_on:
            return None
        if self.fail_next > 0 or (self.fail_p and random.random() < self.fail_p):
            return random.choice(self.fail_kinds)
        return None

    def refusal(self, room: str, agent: str, channel: int | None) -> tuple[int, str] | None:
        """The status and the words with which this assign is refused for good."""
        if status := self.fail_rooms.get(room):
            return status, f"Room {REFUSALS[status]}"
        status = self.fail_agents.get(agent) or self.fail_agents.get(f"{agent}:{channel}")
        return (status, f"Agent {REFUSALS[status]}") if status else None

    def draw_hang(self, random: Random) -> tuple[str, float] | None:
        """How an assign call that hangs ends, and after how many seconds; None where it does not hang."""
        if not (self.hang_assign_p and random.random() < self.hang_assign_p):
            return None
        return random.choice(self.hang_assign_kinds), random.uniform(self.hang_assign_from_s, self.hang_assign_to_s)

    def deliveries(self, random: Random, hook: str = "caa") -> list[float]:
        """When to send the copies of one webhook, in seconds from now; a dropped copy is left out."""
        first = self.webhook_delay_s + random.uniform(0, self.webhook_jitter_s)
        first += self.resolved_delay_s if hook == "resolved" else 0
        gaps = [0.0, *(random.uniform(0, self.webhook_copy_gap_s) for _ in range(self.webhook_copies - 1))]
        return [first + gap for gap in gaps if not (self.webhook_drop_p and random.random() < self.webhook_drop_p)]

    def chat_length_s(self, random: Random) -> float | None:
        if not self.auto_resolve_s:
            return None
        return self.auto_resolve_s + random.uniform(0, self.auto_resolve_jitter_s)


RANGES: dict[str, tuple[float, float]] = {
    "latency_ms": (0, 60_000),
    "jitter_ms": (0, 60_000),
    "fail_p": (0, 1),
    "fail_next": (0, 1_000_000),
    "retry_after_s": (0, 3600),
    "hang_s": (0, 600),
    "hang_assign_p": (0, 1),
    "hang_assign_from_s": (0, 600),
    "hang_assign_to_s": (0, 600),
    "count_lag_s": (0, 100),
    "room_lag_s": (0, 100),
    "list_lag_s": (0, 100),
    "webhook_copies": (1, 10),
    "webhook_copy_gap_s": (0, 60),
    "webhook_drop_p": (0, 1),
    "webhook_delay_s": (0, 600),
    "webhook_jitter_s": (0, 600),
    "resolved_delay_s": (0, 600),
    "webhook_retries": (0, 20),
    "auto_resolve_s": (0, 86_400),
    "auto_resolve_jitter_s": (0, 86_400),
}
NAMES = {"fail_kinds": (FAIL_KINDS, False), "fail_on": (ENDPOINTS, True), "hang_assign_kinds": (HANG_KINDS, False)}
WHOLE = {"fail_next", "webhook_copies", "webhook_retries"}


def changed(faults: Faults, given: object) -> Faults:
    """`faults` with the switches in `given` moved; the others stay. Raises `BadSwitch`."""
    if not isinstance(given, dict):
        raise BadSwitch("send a JSON object of switches")
    return dataclasses.replace(faults, **{name: _checked(name, value) for name, value in given.items()})


def as_json(faults: Faults) -> dict[str, Any]:
    return dataclasses.asdict(faults)


def _checked(name: str, value: Any) -> Any:
    if name in RANGES:
        return _number(name, value)
    if name in NAMES:
        return _names(name, value, *NAMES[name])
    if name in ("fail_rooms", "fail_agents"):
        return _refusals(name, value)
    if name == "seed":
        return _seed(value)
    if name not in {f.name for f in dataclasses.fields(Faults)}:
        raise BadSwitch(f"{name}: no such switch")
    if not isinstance(value, bool):
        raise BadSwitch(f"{name}: true or false")
    return value


def _number(name: str, value: Any) -> float:
    low, high = RANGES[name]
    wanted = int if name in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
        raise BadSwitch(f"{name}: a number from {low:g} to {high:g}")
    return value


def _names(name: str, value: Any, known: tuple[str, ...], empty: bool) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not (value or empty) or any(v not in known for v in value):
        raise BadSwitch(f"{name}: a list of {', '.join(known)}")
    return tuple(value)


def _refusals(name: str, value: Any) -> dict[str, int]:
    refused = dict.fromkeys(map(str, value), 400) if isinstance(value, list) else value
    if not isinstance(refused, dict) or any(status not in REFUSALS for status in refused.values()):
        raise BadSwitch(f"{name}: a list of ids, or an object of id to 400, 403, 404 or 422")
    return {str(id_): status for id_, status in refused.items()}


def _seed(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise BadSwitch("seed: a whole number or null")
    return value
