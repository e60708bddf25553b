"""What a worker tells about itself on WORKER_PORT: `/healthz` and `/metrics`, from the ledger at the time of asking."""

import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer

from db.ledger import LEDGER, NATIVE_DESK
from db.postgres import Ledger, LedgerBusy, LedgerTrouble, must_write
from meters import OTHER, Process, fits
from routing.model import CHANNEL
from version import VERSION
from worker import redis_figures
from worker.settler import Settler
from worker.sweep import Sweeper
from worker.work import BUSY_MS, Work

SILENT_S = 15.0  # a sweeper that has not looked for so long is stuck
REQUEST_S = 5.0
REQUESTS_MOST = 32
DOWN_S = 3.0  # servers that were away for less are not worth an alarm

GAUGES = {
    "waiting": "Rooms that wait for an agent",
    "aside": "Rooms set aside after refusals",
    "reserved": "Rooms whose assign call is under way or will be repeated",
    "held": "Rooms with an agent",
    "oldest_wait_s": "Seconds that the oldest waiting room has waited",
    "agents_online": "Agents whom the desk called available",
    "agents_refused": "Agents whom the desk refused, and to whom it has given no room since",
    "seats_free": "Chats that available agents could still take",
    "paused": "1 while the desk is left alone after failures",
}


BY_QUEUE = ("waiting", "aside", "reserved", "held", "oldest_wait_s")  # the others are of all queues together


class Rows(NamedTuple):
    """Of the blocks `figures`, `queue_figures`, `drift_figures` and `webhook_figures`."""

    tenants: list[Any]
    queues: list[Any]
    drifts: list[Any]
    webhooks: list[Any]


class _Read(NamedTuple):
    up: bool
    rows: Rows | None


class _Figures:
    """Reads the ledger at each scrape; without it, only this process's own counts are given."""

    def __init__(self, work: Work, settler: Settler) -> None:
        self._work, self._settler = work, settler
        self._ledger = Ledger(work.database_url, "metrics", lock_ms=BUSY_MS)
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        own = self._work.figures
        for name in ("decisions", "reserved", "settled", "skipped_full", "foreign_jobs"):
            yield CounterMetricFamily(f"giliran_worker_{name}", f"{name} since the start", value=getattr(own, name))
        waiting = self._work.reports.qsize() + self._settler.waiting
        yield GaugeMetricFamily("giliran_reports", "Desk answers to be settled", value=waiting)
        found = self._read()
        yield GaugeMetricFamily("giliran_ledger_up", "1 while PostgreSQL answers and can write", value=int(found.up))
        if found.rows:
            yield from _lines(found.rows)
            yield _drifts(found.rows.drifts)
            yield _last_webhooks(found.rows.webhooks)
        known = [row.tenant for row in found.rows.webhooks] if found.rows else self._work.desks.tenants()
        yield from redis_figures.collect(self._work, known)

    def _read(self) -> _Read:
        """A server that can't write still has figures; one where a lock is in the way is up."""
        up, rows = True, None
        try:
            with self._lock, self._ledger.transaction() as cur:
                tenants, queues = LEDGER.all(cur, "figures", tenant=None), LEDGER.all(cur, "queue_figures")
                webhooks = LEDGER.all(cur, "webhook_figures", native=NATIVE_DESK)
                rows = Rows(tenants, queues, LEDGER.all(cur, "drift_figures"), webhooks)
                must_write(cur)
        except LedgerBusy:
            pass
        except LedgerTrouble:
            up = False
        return _Read(up, rows)


def _lines(rows: Rows) -> Iterator[Metric]:
    queues = by_queue(rows.queues)
    for name, text in GAUGES.items():
        family = GaugeMetricFamily(f"giliran_line_{name}", text, labels=["tenant", *["queue"][: name in BY_QUEUE]])
        if name in BY_QUEUE:
            for labels, figures in queues.items():
                family.add_metric(labels, figures[name])
        else:
            for row in rows.tenants:
                family.add_metric([row.tenant], float(getattr(row, name)))
        yield family


def by_queue(rows: Iterable[Any]) -> dict[tuple[str, str], dict[str, float]]:
    """(tenant, queue) → figures, the queues that come last by their name together: series are dear."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    seen: Counter[tuple[str, bool]] = Counter()
    for row in rows:
        kind = (row.tenant, row.queue.startswith(CHANNEL))
        name = row.queue if fits(row.queue, seen[kind]) else OTHER
        seen[kind] += 1
        of = found.setdefault((row.tenant, name), dict.fromkeys(BY_QUEUE, 0.0))
        for name in BY_QUEUE:
            value = float(getattr(row, name))
            of[name] = max(of[name], value) if name == "oldest_wait_s" else of[name] + value
    return found


def _drifts(rows: Iterable[Any]) -> Metric:
    family = CounterMetricFamily(
        "giliran_drift_healed", "Differences with the desk that were healed", labels=["tenant", "kind"]
    )
    for row in rows:
        family.add_metric([row.tenant, row.kind], row.healed)
    return family


def _last_webhooks(rows: Iterable[Any]) -> Metric:
    family = GaugeMetricFamily(
        "giliran_last_webhook_timestamp_seconds", "When a tenant's last webhook came, unix seconds", labels=["tenant"]
    )
    for row in rows:
        if row.last_at is not None:
            family.add_metric([row.tenant], row.last_at)
    return family


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_S  # of each wait for the other side: whoever says nothing is hung up on

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Health checks are no news."""

    def address_string(self) -> str:
        return str(self.client_address[0])  # no name server is asked


class _Server(ThreadingWSGIServer):
    """A thread for each request, a bounded number of them: who asks slowly holds up nobody else."""

    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._free = threading.BoundedSemaphore(REQUESTS_MOST)
        self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]  # IPv6, too
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a client that went or said nothing; a handler's own errors are answered and logged by wsgiref."""


def serve(host: str, port: int, work: Work, settler: Settler, sweeper: Sweeper) -> WSGIServer:
    """Start serving in a thread of its own. Raises OSError where the port is taken."""
    registry = CollectorRegistry()
    for each in (Process(VERSION), work.latency.registry, _Figures(work, settler)):
        registry.register(each)
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        known = _is_near(environ["REMOTE_ADDR"])
        if environ["PATH_INFO"] == "/metrics" and known:
            return metrics(environ, start)
        if environ["PATH_INFO"] != "/healthz":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /healthz or /metrics\n"]
        trouble = _trouble(settler, sweeper) or work.redis_trouble()
        start("503 Service Unavailable" if trouble else "200 OK", [("Content-Type", "text/plain")])
        if not known:
            return [b"unwell\n" if trouble else b"ok\n"]
        busy = f"ok, but busy: {sweeper.busy}" if sweeper.busy else "ok"
        return [f"{trouble or busy}\n".encode()]

    server = make_server(host, port, app, server_class=_Server, handler_class=_Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _is_near(address: str) -> bool:
    """This machine or a private network. Figures name tenants and errors name servers: nobody's business elsewhere."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found).is_private


def _trouble(settler: Settler, sweeper: Sweeper) -> str | None:
    if not settler.alive():
        return "the settler is gone"
    now, trouble = time.monotonic(), sweeper.trouble
    if now - sweeper.looked_at > SILENT_S:
        return f"the sweeper has not looked for {now - sweeper.looked_at:.0f} s"
    if trouble and now - trouble.since > DOWN_S:
        return f"for {now - trouble.since:.0f} s: {trouble.what}"
    return None
