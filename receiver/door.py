"""From a checked webhook to Redis: one script call that stores it, and the ticket for whoever has to ask for one.

After payloads.py, before the workers. Whatever Redis does wrong (away, slow, loading, full, read-only) becomes
`InboxDown` within `trips.DEADLINE_S`: the sender gets a 503 and tries again.
"""

import functools
import logging
from dataclasses import replace

import orjson
from redis.exceptions import RedisError

import logs
from db import inbox, push, tickets
from db.inbox import InboxDown
from db.push import PUSH, RENAMED, Pushed, Sender, Webhook
from receiver.payloads import Posted
from receiver.trips import DEADLINE_S, Trips
from routing import facts
from routing.facts import Named

CONNECTIONS = 16  # for tickets; webhooks share one of their own

log = logging.getLogger("receiver")


class Door:
    def __init__(self, url: str) -> None:
        self._trips = Trips(inbox.connect(url, DEADLINE_S, 1, repeats=1), PUSH)
        self._tickets = tickets.queue(inbox.connect(url, DEADLINE_S, CONNECTIONS, text=False))
        self._outage = logs.Outage(log, "redis_away", "redis_back")
        self._named: dict[str, str] = {}  # tenant → what its rules ask about, as Redis said last

    def push(self, posted: Posted, sender: Sender) -> Pushed:
        """Store it, and what the tenant's rules ask about the customer: in one trip, unless they have just begun to ask
        about something else. Raises `InboxDown`; then it may or may not be stored, and may come again."""
        done = self._pass(_with_facts(posted, self._named.get(sender.tenant, "")), sender)
        if done.word == RENAMED:
            self._named[sender.tenant] = done.named
            webhook = replace(_with_facts(posted, done.named), named="*")
            done = self._pass(webhook, sender)
        if done.job_id:
            self._ask(sender.tenant, done.job_id)
        return done

    def ready(self) -> bool:
        """Whether a worker has published its tenants. Raises `InboxDown` where a webhook could not be stored: it is
        tried in the same way."""
        return self._pass(push.PROBE, push.NOBODY).word == "ready"

    def _pass(self, webhook: Webhook, sender: Sender) -> Pushed:
        keys, args, job_id = push.push_call(webhook, sender)
        try:
            answer = self._trips.run(keys, args)
        except InboxDown as down:
            self._outage.goes_on(down)
            raise
        self._outage.over()
        return push.pushed(answer, job_id)

    def _ask(self, tenant: str, job_id: str) -> None:
        """The webhook is safe already: a ticket that can't be asked for is found missing by the sweeper."""
        try:
            tickets.enqueue(self._tickets, tenant, job_id)
        except RedisError as error:
            log.warning(logs.line("ticket_lost", tenant=tenant, job=job_id, error=type(error).__name__))


def _with_facts(posted: Posted, named: str) -> Webhook:
    """`named` as Redis says it: the version of the rules and, after a colon, what they ask."""
    asked = named.partition(":")[2]
    if not asked or posted.payload is None:
        return replace(posted.webhook, named=named) if named else posted.webhook
    known = facts.as_data(facts.of_webhook(posted.payload, _asked(asked)))
    return replace(posted.webhook, facts=orjson.dumps(known).decode(), named=named)


@functools.lru_cache(maxsize=256)
def _asked(text: str) -> Named:
    return Named.of_list(orjson.loads(text))
