"""What the receiver gives to Redis: one webhook, in one script call. Before: a checked webhook. After: `inbox`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db.inbox import NAMED, TENANTS, TICKET_SECONDS, UNSORTED, Script, key

INBOX_MOST = 1_000_000  # entries of one tenant, about 200 MB, and what rules ask about; beyond it webhooks get 503
UNSORTED_MOST = 10_000  # only for the moment after a loss of Redis
RENAMED = "renamed"
TRIED = "probe"  # stores nothing: asks whether a webhook could be stored
PUSH = Script.named("push")


@dataclass(frozen=True)
class Webhook:
    """What the receiver keeps of a webhook: ids only, no name, no text, no credential; and of the customer what the
    rules of the tenant ask about."""

    kind: str  # ARRIVED or RESOLVED
    room: str
    class_: str = ""
    source: str = ""
    latest: str = ""  # arrived: id of the previous service, where the payload proves that it closed
    service: str = ""  # resolved: id of the service
    first_comment_id: str = ""
    facts: str = ""  # JSON
    named: str = ""  # what the facts were picked by, as Redis has it; `*`: any will do


@dataclass(frozen=True)
class Sender:
    """For whom a webhook was posted, and what it brought to prove it."""

    tenant: str
    named: bool  # by path or payload; False: the settings' tenant was taken
    installation_secret_ok: bool
    secret_digests: str  # of each way to read what was given, with spaces; a `+` in a query has two


@dataclass(frozen=True)
class Pushed:
    """`word` as in push.lua; `job_id` is to be enqueued by the caller where it is not None. `named`: of `renamed`."""

    word: str
    position: int | None
    job_id: str | None
    named: str = ""


PROBE = Webhook(TRIED, "")
NOBODY = Sender("", named=False, installation_secret_ok=False, secret_digests="")


def push_call(webhook: Webhook, sender: Sender) -> tuple[list[str], list[str], str]:
    """KEYS and ARGV of push.lua, and the job id among them."""
    tenant = sender.tenant
    job_id = secrets.token_hex(8)
    keys = [TENANTS, UNSORTED, *(key(tenant, name) for name in ("epoch", "inbox", "ticket", "line", "held")), NAMED]
    args = [tenant, webhook.kind, webhook.room, webhook.class_, webhook.source, webhook.latest, webhook.service]
    args += [webhook.first_comment_id, secrets.token_hex(8), job_id, "1" if sender.named else "0"]
    args += ["1" if sender.installation_secret_ok else "0", sender.secret_digests]
    args += [str(INBOX_MOST), str(UNSORTED_MOST), str(TICKET_SECONDS), webhook.facts, webhook.named]
    return keys, args, job_id


def pushed(answer: Sequence[Any], job_id: str) -> Pushed:
    word, position, ticket = answer
    text = word.decode() if isinstance(word, bytes) else word
    if text == RENAMED:
        return Pushed(text, None, None, position.decode() if isinstance(position, bytes) else position)
    return Pushed(text, position or None, job_id if ticket in ("1", b"1") else None)
