"""What ops reads: `/healthz` (this process lives), `/readyz` (it can store webhooks), `/metrics` (Prometheus).

Under gunicorn the numbers of all its processes are summed up: each writes to a file in a folder that gunicorn.conf.py
names before this module is loaded.
"""

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from receiver.answers import error, said
from receiver.door import Door

ANSWERS = Counter("giliran_receiver_answers", "Requests answered, by HTTP status", ["status"])
_counters: dict[int, Counter] = {}  # looking a label up costs more than counting


def routes(app: Flask, door: Door) -> None:
    def readyz() -> Response:
        if door.tenants_known():
            return said(200, {"status": "ready"})
        return error(503, "queue_unavailable", "the workers have not told yet which tenants there are", why="tenants")

    for path, view in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_url_rule(path, path, view, methods=["GET"], provide_automatic_options=False)
    app.after_request(_count)


def healthz() -> Response:
    return said(200, {"status": "alive"})


def metrics() -> Response:
    return Response(generate_latest(_all_processes()), mimetype=CONTENT_TYPE_LATEST)


def _all_processes() -> CollectorRegistry:
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)
    except ValueError:  # not under gunicorn: there is one process only
        return REGISTRY
    return registry


def _count(response: Response) -> Response:
    counter = _counters.get(response.status_code)
    if counter is None:
        counter = _counters[response.status_code] = ANSWERS.labels(str(response.status_code))
    counter.inc()
    return response
