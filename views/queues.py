"""What a queue is called: one of the rules by its name, a channel's own by the channel. Pure.

A visit's `class`, who may serve it, is a key that nobody is shown.
"""

from typing import Any

from routing.model import CHANNEL
from views.words import clean


def of(row: Any) -> str:
    """The name, or `channel:` and the channel, as `routing try` and the metrics have it. `row`: a visit; one that was
    closed before there were rules has only a class."""
    return str(row.queue) if row.queue is not None else CHANNEL + (row.channel or row.class_.removeprefix(CHANNEL))


def shown(queue: str, most: int = 40) -> str:
    """As people read it."""
    if not queue.startswith(CHANNEL):
        return clean(queue, most)
    channel = queue.removeprefix(CHANNEL)
    return f"channel {clean(channel, most)}" if channel else "no channel"


def asked(name: str) -> list[str]:
    """The queues that somebody means who types a name: upper and lower case don't tell queues apart."""
    plain = name.lower().removeprefix("channel ")
    return [plain, CHANNEL + plain]
