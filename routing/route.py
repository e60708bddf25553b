"""Pure: facts of an arrival, rules, clock → the queue, and what happens while nobody comes.

Comes after facts.py; what it decides is kept with the room, and who may serve the queue is asked of team.py. The same
input gives the same answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from routing.facts import CHANNEL, EMAIL, NAME, RETURNING, TOPIC, Facts, Named
from routing.hours import WAIT
from routing.model import CHANNEL as OF_CHANNEL
from routing.model import Rule, Rules, Step, Sticky
from routing.texts import fold
from routing.when import CLOSED, OPEN

BY_RULE, BY_TOPIC, BY_DEFAULT, BY_CHANNEL = "rule", "topic", "default", "channel"


@dataclass(frozen=True, slots=True)
class Due:
    """A step of the queue, and when it comes. None: not before we open, and that is never."""

    step: Step
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Route:
    """`queue` is a queue of the file, or `channel:` and the channel's id or source. `by` says what decided; `rule` is
    its name where that was a rule. `serve_from`: when a room that arrives now can first be served; its steps and its
    wait for the sticky agent count from there. None: never."""

    queue: str
    by: str
    rule: str | None
    priority: int
    steps: tuple[Due, ...]
    hours: str
    serve_from: datetime | None
    sticky: Sticky | None


def route(facts: Facts, rules: Rules, now: datetime) -> Route:
    opens = now if rules.hours is None else rules.hours.opens(now)
    is_open = opens == now
    queue_name, by, rule = _decided(facts, rules, is_open)
    queue = rules.queue(queue_name)
    serve_from = opens if _waits_outside(rules) else now
    return Route(
        queue=queue_name,
        by=by,
        rule=rule.name if rule else None,
        priority=rule.priority if rule and rule.priority is not None else queue.priority,
        steps=tuple(Due(step, _after(serve_from, step.after_s)) for step in queue.steps),
        hours=OPEN if is_open else CLOSED,
        serve_from=serve_from,
        sticky=rules.sticky,
    )


def serve_start(rules: Rules, arrived: datetime) -> datetime | None:
    """A room that comes outside the hours and has to wait can't be served before we open."""
    return rules.hours.opens(arrived) if rules.hours and _waits_outside(rules) else arrived


def _waits_outside(rules: Rules) -> bool:
    return rules.hours is not None and rules.hours.outside == WAIT


def named(rules: Rules) -> Named:
    """What the receiver has to keep of an arrival."""
    whens = [rule.when for rule in rules.rules]
    fields = {name for name in (CHANNEL, EMAIL, NAME, RETURNING) if any(getattr(when, name) for when in whens)}
    properties = {key for when in whens for key in when.properties}
    return Named(frozenset(fields), frozenset(properties | ({TOPIC} if rules.topics else set())))


def _decided(facts: Facts, rules: Rules, is_open: bool) -> tuple[str, str, Rule | None]:
    """The first rule that fits, else the topic that the customer chose, else the default, else the channel."""
    for rule in rules.rules:
        if rule.when.fits(facts, is_open):
            return rule.queue, BY_RULE, rule
    if (chosen := _topic_queue(facts, rules)) is not None:
        return chosen, BY_TOPIC, None
    if rules.default is not None:
        return rules.default, BY_DEFAULT, None
    return OF_CHANNEL + (facts.channel_id or facts.source or ""), BY_CHANNEL, None


def _topic_queue(facts: Facts, rules: Rules) -> str | None:
    label = facts.properties.get(TOPIC)
    if label is None or facts.source != "native":
        return None
    return next((each.queue for each in rules.topics if label in map(fold, each.label.values())), None)


def _after(start: datetime | None, seconds: int) -> datetime | None:
    return None if start is None else start + timedelta(seconds=seconds)
