"""What a worker's /metrics says of Redis, the inboxes in it, and who has signed in there as running. Of `health.py`."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from db import backlogs, processes
from db.inbox import InboxDown
from db.redis_why import is_away
from worker.work import Work

KINDS = ("receiver", "worker", "sidecar")
VERSIONS_MOST = 10  # of one kind; whoever can write to Redis could name more


def collect(work: Work, tenants: Sequence[str]) -> Iterator[Metric]:
    """`tenants`: those that get webhooks."""
    up = True
    try:
        found = backlogs.read(work.inbox, tenants)
        running = processes.read(work.inbox)
    except InboxDown as error:
        up, found, running = not is_away(error), {}, []
    writable = up and work.redis_trouble() is None
    yield GaugeMetricFamily("giliran_redis_up", "1 while Redis answers", value=int(up))
    yield GaugeMetricFamily("giliran_redis_writable", "1 while Redis can be written to", value=int(writable))
    entries = GaugeMetricFamily("giliran_inbox_entries", "Webhooks that no worker has taken over", labels=["tenant"])
    oldest = GaugeMetricFamily("giliran_inbox_oldest_seconds", "Age of the oldest of them", labels=["tenant"])
    for tenant, backlog in found.items():
        entries.add_metric([tenant], backlog.entries)
        oldest.add_metric([tenant], backlog.oldest_s)
    yield from (entries, oldest, _processes(running))


def _processes(running: Sequence[dict[str, object]]) -> Metric:
    family = GaugeMetricFamily(
        "giliran_processes", "Processes that said within a minute that they run", labels=["kind", "version"]
    )
    for kind in KINDS:
        versions = Counter(str(one.get("version", ""))[:40] for one in running if one["kind"] == kind)
        for version, number in versions.most_common(VERSIONS_MOST):
            family.add_metric([kind, version], number)
    return family
