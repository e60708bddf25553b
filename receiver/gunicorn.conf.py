"""How gunicorn serves the receiver: `gunicorn --config receiver/gunicorn.conf.py 'receiver.app:create_app()'`.

Read by gunicorn before anything else of ours; settings that are wrong end here, in one line.
"""

import logging
import os
import shutil
import sys
from pathlib import Path

from gunicorn.glogging import Logger

import logs
from settings import ROOT, SettingsError, load, redis_url

try:
    _settings = load()
    redis_url(_settings)
except SettingsError as error:
    sys.exit(f"receiver: {error}")

logs.setup(_settings.log_level)
logging._srcfile = None  # Python's own advice for fast logging: no line shows where in the code it was written
_metrics = _settings.data / f"receiver-{_settings.port}"


class OneLog(Logger):
    """gunicorn's own records go where all others go."""

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


bind = f"{_settings.host}:{_settings.port}"
workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
worker_class = "receiver.serving.Worker"
worker_connections = 1000
backlog = 2048
keepalive = 75  # seconds; a sender that posts now and then need not connect again
timeout = 30  # seconds without a heartbeat until a worker is replaced
graceful_timeout = 5  # seconds that requests under way get at the end; ours are over in two
accesslog = None  # would hold query strings, and with them secrets
control_socket_disable = True
logger_class = OneLog
# Nothing that a proxy can say matters here, so nobody is believed, and no address has to be compared with a list.
forwarded_allow_ips = "*"
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
chdir = str(ROOT)
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={_metrics}"]


def on_starting(server: object) -> None:
    _clean(_metrics)


def _clean(folder: Path) -> None:
    """Numbers of an earlier life would be added to ours."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
