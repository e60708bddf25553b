"""How gunicorn serves the receiver: `gunicorn --config receiver/gunicorn.conf.py 'receiver.app:create_app()'`.

Read by gunicorn before anything else of ours; settings that are wrong end here, in one line.
"""

import errno
import logging
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn import systemd
from gunicorn.glogging import Logger

import logs
from db.inbox import Inbox, connect
from db.processes import Teller, about
from receiver.board import BOARD
from settings import ROOT, SettingsError, load, redis_url, warnings
from version import VERSION

try:
    _settings = load(keys=False)
    redis_url(_settings)
except SettingsError as error:
    sys.exit(f"receiver: {error}")

logs.setup(_settings.log_level)
_me = about("receiver", VERSION)  # of the first process; the others are forked from it
log = logging.getLogger("receiver")


class OneLog(Logger):
    """gunicorn's own records go where all others go."""

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(lambda record: not str(record.msg).startswith("Starting gunicorn"))  # it may not come


bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
worker_class = "receiver.serving.Worker"
worker_connections = 4000  # of each process, some 20 KB each: a thousand that stall keep nobody out
backlog = 2048
keepalive = 75  # seconds, longer than proxies keep theirs: they end it, so no webhook meets a closing connection
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
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn's own advice for the files of its heartbeats: no disk can hold it up
worker_tmp_dir = str(_memory) if os.access(_memory, os.W_OK) else None

_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(_hard, 65536)), _hard))


def on_starting(server: Any) -> None:
    """What gunicorn would try five times, or tell in a traceback, ends here in one line."""
    try:
        tempfile.TemporaryFile(dir=server.cfg.worker_tmp_dir).close()
    except OSError as problem:
        place = server.cfg.worker_tmp_dir or "the folder for temporary files"
        sys.exit(f"receiver: {place} can't be used: {problem.strerror}")
    inherited = server.master_pid or systemd.listen_fds(unset_environment=False)
    for address in [] if inherited else server.cfg.address:
        if isinstance(address, tuple):
            _try(*address)


_turns: list[socket.socket] = []  # kept until the port is ours


def _try(host: str, port: int) -> None:
    try:
        if sys.platform == "linux":  # of two that start at the same instant, one has this name
            _turns.append(socket.socket(socket.AF_UNIX))
            _turns[-1].bind(f"\0giliran-receiver-{host}-{port}")
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else our own last connections are in the way
            probe.bind(address)
    except OSError as problem:
        sys.exit(f"receiver: {_sentence(host, port, problem)}")


def _sentence(host: str, port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"port {port} is in use on {host}: stop the program that has it, or set PORT to a free port"
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not for this user: set PORT to a port from 1024 on"
    return f"nothing can listen on HOST {host!r}: use 127.0.0.1, 0.0.0.0, :: or an address of this machine"


def when_ready(server: object) -> None:
    for action, advice in warnings(_settings).items():
        log.warning(logs.line(action, advice=advice))


def post_worker_init(worker: Any) -> None:
    """All processes of a receiver are one to who looks, and each of them says so."""
    box = Inbox(connect(redis_url(_settings), 1.0, 1))
    Teller(box, _me, _load).start()


def _load() -> dict[str, float]:
    return {"webhooks": sum(number for key, number in BOARD.totals().items() if key[0] == "webhooks")}


def pre_fork(server: object, worker: Any) -> None:
    worker.slot = BOARD.reserve()


def post_fork(server: object, worker: Any) -> None:
    BOARD.use(worker.slot)


def child_exit(server: object, worker: Any) -> None:
    BOARD.release(worker.slot)
