"""From a checked webhook to Redis: one script call that stores it, and the ticket for whoever has to ask for one.

After payloads.py, before the workers. Whatever Redis does wrong (away, slow, loading, full, read-only) becomes
`InboxDown` within `trips.DEADLINE_S`: the sender gets a 503 and tries again.
"""

import logging

import redis
from redis.exceptions import RedisError

import logs
from db import inbox, tickets
from db.inbox import PUSH, InboxDown, Pushed, Sender, Webhook
from receiver.trips import DEADLINE_S, Trips

CONNECTIONS = 16  # for tickets and health; webhooks share one of their own

log = logging.getLogger("receiver")


class Door:
    def __init__(self, url: str) -> None:
        self._client = inbox.connect(url, DEADLINE_S, CONNECTIONS)
        bytes_pool = redis.BlockingConnectionPool.from_url(
            url,
            protocol=2,
            socket_keepalive=True,
            socket_timeout=DEADLINE_S,
            socket_connect_timeout=DEADLINE_S,
            max_connections=CONNECTIONS,
            timeout=DEADLINE_S,
            retry=None,
        )
        self._trips = Trips(bytes_pool.make_connection, PUSH)
        self._tickets = tickets.queue(redis.Redis(connection_pool=bytes_pool))

    def push(self, webhook: Webhook, sender: Sender) -> Pushed:
        """Store it. Raises `InboxDown`; then it may or may not be stored, and may come again."""
        keys, args, job_id = inbox.push_call(webhook, sender)
        done = inbox.pushed(self._trips.run(keys, args), job_id)
        if done.job_id:
            self._ask(sender.tenant, done.job_id)
        return done

    def tenants_known(self) -> bool:
        """Redis answers, and the workers have told which tenants there are. Raises `InboxDown`."""
        try:
            return bool(self._client.exists(inbox.TENANTS))
        except RedisError as error:
            raise InboxDown(f"{type(error).__name__}: {str(error)[:120]}") from error

    def _ask(self, tenant: str, job_id: str) -> None:
        """The webhook is safe already: a ticket that can't be asked for is found missing by the sweeper."""
        try:
            tickets.enqueue(self._tickets, tenant, job_id)
        except RedisError as error:
            log.warning(logs.line("ticket_lost", tenant=tenant, job=job_id, error=type(error).__name__))
