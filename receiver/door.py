"""From a checked webhook to Redis: one script call that stores it, and the ticket for whoever has to ask for one.

After payloads.py, before the workers. Whatever Redis does wrong (away, slow, loading, full, read-only) becomes
`InboxDown` within `trips.DEADLINE_S`: the sender gets a 503 and tries again.
"""

import logging

from redis.exceptions import RedisError

import logs
from db import inbox, tickets
from db.inbox import PUSH, InboxDown, Pushed, Sender, Webhook
from receiver.trips import DEADLINE_S, Trips

CONNECTIONS = 16  # for tickets; webhooks share one of their own

log = logging.getLogger("receiver")


class Door:
    def __init__(self, url: str) -> None:
        self._trips = Trips(inbox.connect(url, DEADLINE_S, 1, repeats=1), PUSH)
        self._tickets = tickets.queue(inbox.connect(url, DEADLINE_S, CONNECTIONS, text=False))
        self._outage = logs.Outage(log, "redis_away", "redis_back")

    def push(self, webhook: Webhook, sender: Sender) -> Pushed:
        """Store it. Raises `InboxDown`; then it may or may not be stored, and may come again."""
        done = self._pass(webhook, sender)
        if done.job_id:
            self._ask(sender.tenant, done.job_id)
        return done

    def ready(self) -> bool:
        """Whether a worker has published its tenants. Raises `InboxDown` where a webhook could not be stored: it is
        tried in the same way."""
        return self._pass(inbox.PROBE, inbox.NOBODY).word == "ready"

    def _pass(self, webhook: Webhook, sender: Sender) -> Pushed:
        keys, args, job_id = inbox.push_call(webhook, sender)
        try:
            answer = self._trips.run(keys, args)
        except InboxDown as down:
            self._outage.goes_on(down)
            raise
        self._outage.over()
        return inbox.pushed(answer, job_id)

    def _ask(self, tenant: str, job_id: str) -> None:
        """The webhook is safe already: a ticket that can't be asked for is found missing by the sweeper."""
        try:
            tickets.enqueue(self._tickets, tenant, job_id)
        except RedisError as error:
            log.warning(logs.line("ticket_lost", tenant=tenant, job=job_id, error=type(error).__name__))
