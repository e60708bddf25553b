"""From a checked webhook to Redis: one script call that stores it, and the ticket for whoever has to ask for one.

After payloads.py, before the workers. Whatever Redis does wrong (away, slow, loading, full, read-only) becomes
`InboxDown` within `trips.DEADLINE_S`: the sender gets a 503 and tries again.
"""

import logging

from redis.exceptions import RedisError

import logs
from db import inbox, tickets
from db.inbox import PUSH, Pushed, Sender, Webhook
from receiver.trips import DEADLINE_S, Trips

CONNECTIONS = 16  # for tickets; webhooks share one of their own

log = logging.getLogger("receiver")


class Door:
    def __init__(self, url: str) -> None:
        self._trips = Trips(inbox.connect(url, DEADLINE_S, 1, repeats=1), PUSH)
        self._tickets = tickets.queue(inbox.connect(url, DEADLINE_S, CONNECTIONS, text=False))

    def push(self, webhook: Webhook, sender: Sender) -> Pushed:
        """Store it. Raises `InboxDown`; then it may or may not be stored, and may come again."""
        keys, args, job_id = inbox.push_call(webhook, sender)
        done = inbox.pushed(self._trips.run(keys, args), job_id)
        if done.job_id:
            self._ask(sender.tenant, done.job_id)
        return done

    def tenants_known(self) -> bool:
        """Whether a webhook could be stored, tried in the way in which one is, and the workers have told which tenants
        there are. Raises `InboxDown`."""
        keys, args, job_id = inbox.push_call(inbox.PROBE, inbox.NOBODY)
        return inbox.pushed(self._trips.run(keys, args), job_id).word == "ready"

    def _ask(self, tenant: str, job_id: str) -> None:
        """The webhook is safe already: a ticket that can't be asked for is found missing by the sweeper."""
        try:
            tickets.enqueue(self._tickets, tenant, job_id)
        except RedisError as error:
            log.warning(logs.line("ticket_lost", tenant=tenant, job=job_id, error=type(error).__name__))
