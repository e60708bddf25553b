"""What ops reads: `/healthz` (this process lives), `/readyz` (it can store webhooks), `/metrics` (Prometheus).

Beside the webhooks: none of these three is counted. The figures are those of all processes of this receiver.
"""

import time
from collections.abc import Iterator, Mapping
from itertools import accumulate

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from db.inbox import InboxDown
from meters import Process
from receiver.answers import said, unavailable
from receiver.board import BOARD
from receiver.door import Door
from version import VERSION

STARTED, TENANT = "giliran.started", "giliran.tenant"  # what the webhooks leave in a request's environ for the figures
UNDER_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PATHS = ("/healthz", "/readyz", "/metrics")


def routes(app: Flask, door: Door) -> None:
    def readyz() -> Response:
        try:
            ready = door.ready()
        except InboxDown as down:
            return unavailable(f"a webhook could not be stored: {down}")
        return said(200, {"status": "ready"}) if ready else unavailable("no worker has published its tenants yet")

    def metrics() -> Response:
        registry = CollectorRegistry()
        registry.register(Process(VERSION, BOARD.pids))
        registry.register(Figures(door))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    for path, view in zip(PATHS, (healthz, readyz, metrics), strict=True):
        app.add_url_rule(path, path, view, methods=["GET"], provide_automatic_options=False)
    app.after_request(_count)


def healthz() -> Response:
    return said(200, {"status": "alive"})


def _count(response: Response) -> Response:
    environ, route, status = request.environ, str(request.endpoint), str(response.status_code)
    if STARTED in environ:
        took = time.perf_counter() - environ[STARTED]
        BOARD.add(("webhooks", route, environ.get(TENANT, ""), status))
        BOARD.add(("took", route, _bucket(took)))
        BOARD.add(("took_in_all", route), took)
    elif route not in PATHS:
        BOARD.add(("others", status))
    return response


def _bucket(took: float) -> str:
    return next((str(bound) for bound in UNDER_S if took <= bound), "+Inf")


class Figures:
    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[Metric]:
        totals = BOARD.totals()
        answers: dict[str, float] = {}
        webhooks = CounterMetricFamily(
            "giliran_receiver_webhooks", "Webhooks answered", labels=["route", "tenant", "status"]
        )
        took = HistogramMetricFamily("giliran_webhook_seconds", "From head to answer", labels=["route"])
        for (name, *labels), figure in sorted(totals.items()):
            if name in ("webhooks", "others"):
                answers[labels[-1]] = answers.get(labels[-1], 0) + figure
            if name == "webhooks":
                webhooks.add_metric(labels, figure)
            elif name == "took_in_all":
                bounds = [*map(str, UNDER_S), "+Inf"]
                counts = accumulate(totals.get(("took", *labels, bound), 0) for bound in bounds)
                took.add_metric(labels, list(zip(bounds, counts, strict=True)), figure)
        yield _answers(answers)
        yield from (webhooks, took, self._ready())

    def _ready(self) -> Metric:
        """As `/readyz`, which tries it."""
        try:
            ready = self._door.ready()
        except InboxDown:
            ready = False
        return GaugeMetricFamily("giliran_receiver_ready", "1 while a webhook can be stored", value=int(ready))


def _answers(counts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily("giliran_receiver_answers", "Answers, health pages excepted", labels=["status"])
    for status, count in sorted(counts.items()):
        family.add_metric([status], count)
    return family
