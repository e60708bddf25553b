"""Tells every sidecar what was committed in a chat: one channel of Redis for each tenant, a hint that may get lost.

Whoever changes a session (a sidecar, a worker's native desk) publishes after its commit; `sidecar/live/feed.py` hears
it, and finds what was lost by looking at PostgreSQL.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from db.inbox import key


class News(NamedTuple):
    """One thing that happened.

    room     the session it is about, None for the whole tenant
    type     as in the contract: `chat.message.new`, `chat.session.assigned`, …
    payload  as in the contract, `session_id` included
    to       `room`: its customer and all agents · `agents`: agents only · `customer`: the room's customer only
    seq      of the stored row that it tells of, None for what is never stored. News of one room and one seq belong
             together (a happening is a row in the chat and an event): tell them in one list, `chat.message.new` first
    """

    room: str | None
    type: str
    payload: dict[str, Any]
    to: str = "room"
    seq: int | None = None


def channel(tenant: str, scope: str) -> str:
    """`scope`: whose events these are (see `db/installation.py`). Redis delivers a channel to whoever asks for it, in
    every database number."""
    return key(tenant, f"chat:{scope}")


def packed(news: Sequence[News], origin: str = "") -> str:
    """`origin`: a word without brackets, by which a process knows what it published itself."""
    return origin + json.dumps([one._asdict() for one in news], separators=(",", ":"))


def unpacked(text: str | bytes) -> list[News]:
    """The opposite, whoever it comes from."""
    plain = text.decode() if isinstance(text, bytes) else text
    return [News(**one) for one in json.loads(plain[plain.index("[") :])]
