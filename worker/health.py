"""What a worker tells about itself on WORKER_PORT: `/healthz` and `/metrics`, from the ledger at the time of asking."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from db.ledger import LEDGER
from db.postgres import Ledger, LedgerTrouble
from worker.jobs import Settler, Work
from worker.sweep import Sweeper

SILENT_S = 15.0  # a sweeper that has not looked for so long is stuck
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


class _Figures:
    """Reads the ledger at each scrape; without it, only this process's own counts are given."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ledger = Ledger(work.database_url, "metrics")
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        own = self._work.figures
        for name in ("decisions", "reserved", "settled", "skipped_full", "foreign_jobs"):
            yield CounterMetricFamily(f"giliran_worker_{name}", f"{name} since the start", value=getattr(own, name))
        yield GaugeMetricFamily("giliran_reports", "Desk answers to be settled", value=self._work.reports.qsize())
        try:
            with self._lock, self._ledger.transaction() as cur:
                lines, drifts = LEDGER.all(cur, "figures", tenant=None), LEDGER.all(cur, "drift_figures")
        except LedgerTrouble:
            yield GaugeMetricFamily("giliran_ledger_up", "1 while PostgreSQL answers", value=0)
            return
        yield GaugeMetricFamily("giliran_ledger_up", "1 while PostgreSQL answers", value=1)
        yield from _lines(lines)
        yield _drifts(drifts)


def _lines(rows: Iterable[Any]) -> Iterator[Metric]:
    found = list(rows)
    for name, text in GAUGES.items():
        family = GaugeMetricFamily(f"giliran_line_{name}", text, labels=["tenant"])
        for row in found:
            family.add_metric([row.tenant], float(getattr(row, name)))
        yield family


def _drifts(rows: Iterable[Any]) -> Metric:
    family = CounterMetricFamily(
        "giliran_drift_healed", "Differences with the desk that were healed", labels=["tenant", "kind"]
    )
    for row in rows:
        family.add_metric([row.tenant, row.kind], row.healed)
    return family


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Health checks are no news."""


def serve(host: str, port: int, work: Work, settler: Settler, sweeper: Sweeper) -> WSGIServer:
    """Start serving in a thread of its own. Raises OSError where the port is taken."""
    registry = CollectorRegistry()
    registry.register(_Figures(work))
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            return metrics(environ, start)
        if environ["PATH_INFO"] != "/healthz":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /healthz or /metrics\n"]
        trouble = _trouble(settler, sweeper) or work.redis_trouble()
        start("503 Service Unavailable" if trouble else "200 OK", [("Content-Type", "text/plain")])
        busy = f"ok, but busy: {sweeper.busy}" if sweeper.busy else "ok"
        return [f"{trouble or busy}\n".encode()]

    server = make_server(host, port, app, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _trouble(settler: Settler, sweeper: Sweeper) -> str | None:
    if not settler.alive():
        return "the settler is gone"
    now, trouble = time.monotonic(), sweeper.trouble
    if now - sweeper.looked_at > SILENT_S:
        return f"the sweeper has not looked for {now - sweeper.looked_at:.0f} s"
    if trouble and now - trouble.since > DOWN_S:
        return f"for {now - trouble.since:.0f} s: {trouble.what}"
    return None
