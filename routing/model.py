"""The rules of a tenant as values: what file.py reads, and what routing, seating and messages go by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from routing.hours import Hours
from routing.when import When

CHANNEL = "channel:"  # begins the name of a channel's own queue, which no queue of a file can have


@dataclass(frozen=True, slots=True)
class Agents:
    """Who may serve: all who are named in any of these ways. `channel`: whom the desk names for the room."""

    divisions: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    channel: bool = False


OF_CHANNEL = Agents(channel=True)


@dataclass(frozen=True, slots=True)
class Step:
    """What changes once a room has waited `after_s`: more agents may serve it, or it goes before others, or both."""

    after_s: int
    agents: Agents | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    agents: Agents = OF_CHANNEL
    limit: int | None = None  # chats of this queue that one agent may have
    priority: int = 0
    target_s: int | None = None
    steps: tuple[Step, ...] = ()

    def step_at(self, waited_s: float) -> int:
        """How many steps are due."""
        return sum(step.after_s <= waited_s for step in self.steps)

    def priority_at(self, priority: int, step: int) -> int:
        """Of a room that began with `priority`: a step lifts a room, it never puts it back."""
        lifted = [each.priority for each in self.steps[:step] if each.priority is not None]
        return max([priority, *lifted])


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    when: When
    queue: str
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    label: Mapping[str, str]  # language → text, in the order of the file
    queue: str


@dataclass(frozen=True, slots=True)
class Sticky:
    within_s: int
    wait_s: int = 0


@dataclass(frozen=True, slots=True)
class Messages:
    """Templates by language, in the order of the file; None: nothing is sent."""

    queued: Mapping[str, str] | None = None
    again_every_s: int | None = None
    closed: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """All of a file. The empty one means: a queue for each channel, always open."""

    hours: Hours | None = None
    sticky: Sticky | None = None
    messages: Messages = Messages()
    queues: Mapping[str, Queue] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    topics: tuple[Topic, ...] = ()
    default: str | None = None

    def queue(self, name: str) -> Queue:
        """Also a channel's own one, and one that a newer version of the rules no longer has: whom the desk names."""
        return self.queues.get(name) or Queue(name)
