"""How many webhooks wait in each tenant's inbox, and since when, for /metrics: a look that changes nothing."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from db.inbox import Inbox, key


class Backlog(NamedTuple):
    entries: int
    oldest_s: float  # by this machine's clock; 0: none waits


def read(box: Inbox, tenants: Sequence[str]) -> dict[str, Backlog]:
    """One pipelined look. Raises `InboxDown`."""
    with box.guarded() as client:
        pipe = client.pipeline(transaction=False)
        for tenant in tenants:
            pipe.xlen(key(tenant, "inbox"))
            pipe.xrange(key(tenant, "inbox"), count=1)
        pipe.ping()
        found = iter(pipe.execute())
    now_s = time.time()
    return {tenant: Backlog(int(next(found)), _age_s(next(found), now_s)) for tenant in tenants}


def _age_s(first: list[tuple[str, object]], now_s: float) -> float:
    """A stream's ids begin with milliseconds."""
    return max(0.0, now_s - int(first[0][0].partition("-")[0]) / 1000) if first else 0.0
