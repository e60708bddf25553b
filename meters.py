"""What /metrics of several processes has in common: the version, what the process uses, and how long customers waited
and were served. `receiver/health.py`, `worker/health.py` and `sidecar/health.py` add what is their own.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from routing.model import CHANNEL

QUEUES_MOST, CHANNELS_MOST = 200, 50  # names of a tenant; the rest of its queues is one more, OTHER
OTHER = "other"
WAIT_S = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 14_400)
HANDLING_S = (10, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400)

Pids = Callable[[], Iterable[int]]


def fits(queue: str, known: int) -> bool:
    """Whether one more queue of this kind gets a name of its own; `known`: so many have one."""
    return known < (CHANNELS_MOST if queue.startswith(CHANNEL) else QUEUES_MOST)


class Names:
    """The first queues of each tenant by their names, all others as one: channels come with webhooks, and a series
    once made stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: defaultdict[tuple[str, bool], set[str]] = defaultdict(set)

    def of(self, tenant: str, queue: str) -> str:
        known = self._known[tenant, queue.startswith(CHANNEL)]
        if queue in known:
            return queue
        with self._lock:
            if not fits(queue, len(known)):
                return OTHER
            known.add(queue)
        return queue


class Served:
    """Fed after the commit, by whoever committed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names = Names()
        self._wait = Histogram(
            "giliran_wait_seconds",
            "From a room's arrival to its assignment",
            labelnames=["tenant", "queue"],
            buckets=WAIT_S,
            registry=registry,
        )
        self._handling = Histogram(
            "giliran_handling_seconds",
            "From a room's assignment to its end",
            labelnames=["tenant"],
            buckets=HANDLING_S,
            registry=registry,
        )

    def note(self, tenant: str, waits: Iterable[tuple[str, float]], handled: Iterable[float]) -> None:
        """`waits`: (queue, seconds)."""
        for queue, seconds in waits:
            self._wait.labels(tenant, self._names.of(tenant, queue)).observe(seconds)
        for seconds in handled:
            self._handling.labels(tenant).observe(seconds)


class Process:
    """The version, and `process_*` of all `pids` together; of those that have ended meanwhile nothing."""

    def __init__(self, version: str, pids: Pids = lambda: (os.getpid(),)) -> None:
        self._version, self._pids = version, pids

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("giliran_build_info", "1; which version runs", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        yield from _together([found for pid in self._pids() for found in _of(pid)])


def _of(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


ONE_OF: dict[str, Callable[[Iterable[float]], float]] = {
    "process_start_time_seconds": min,
    "process_max_fds": min,
}  # the others are sums


def _together(found: Iterable[Metric]) -> Iterator[Metric]:
    values: defaultdict[str, list[float]] = defaultdict(list)
    kinds: dict[str, Metric] = {}
    for metric in found:
        kinds[metric.name] = metric
        values[metric.name] += [sample.value for sample in metric.samples]
    for name, metric in kinds.items():
        family = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
        of = ONE_OF.get(name, sum)
        yield family(metric.name, metric.documentation, value=of(values[name]))
