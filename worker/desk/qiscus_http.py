"""One bounded HTTP exchange with Qiscus: `qiscus.py` asks through it, `qiscus_answers.py` reads what it brings.

Three things that requests leaves open and a desk call can't:
  - its read timeout starts anew with each byte; here one deadline holds for status, headers and body together
  - its errors don't tell whether the request had left; here `NoAnswer.sent` does, and that alone decides whether an
    assign may have taken effect
  - its sessions are not documented as safe for threads, and read the environment and merge settings in each call;
    here the layer below them is used, requests' adapters, each lent to one thread at a time
"""

import http.client
import io
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from addresses import is_loopback
from worker.desk.qiscus_answers import Answer

ANSWER_BYTES_MAX = 4 * 1024 * 1024  # a full page of 100 agents is about 60 KiB
CHUNK_BYTES = 64 * 1024

# Servers close a connection that was idle for 5 s (Node, Apache), 60 s or 75 s (load balancers, nginx). A POST that
# crosses such a close on the wire leaves doubt whether it was applied, so ours are dropped before the first of these;
# a close that has arrived already is seen by urllib3 before it sends.
IDLE_SECONDS = 4.0

_FAILURES = (requests.RequestException, HTTPError, OSError)
_here = threading.local()  # .sent: whether the request of this thread's exchange has left


class NoAnswer(Exception):
    """No usable answer. `sent` is False only if the request can't have reached the desk as a whole."""

    def __init__(self, what: str, *, sent: bool) -> None:
        super().__init__(what)
        self.sent = sent


class Wire:
    """HTTP to one base URL. Keeps at most `pool_size` connections for reuse; more callers than that get their own."""

    def __init__(self, base_url: str, headers: Mapping[str, str], *, pool_size: int, connect_s: float) -> None:
        self._base = checked_base(base_url)
        self._headers = headers
        self._pool_size = pool_size
        self._connect_s = connect_s
        self._proxies, self._verify = _environment(self._base)
        self._idle: deque[tuple[float, HTTPAdapter]] = deque()  # oldest first
        self._lock = threading.Lock()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None,
        body: object,
        total_s: float,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, never repeated, no redirect followed (it would carry the secret key to another host)."""
        timeout: Any = Timeout(total=total_s, connect=min(self._connect_s, total_s))
        _here.sent = False
        try:
            asked = requests.Request(
                method, self._base + path, headers=self._headers, params=query, data=form, json=body
            ).prepare()
            with self._lent() as adapter, self._sent(adapter, asked, timeout) as response:
                headers = response.headers
                return Answer(response.status_code, _body(response), headers.get("Retry-After"), headers.get("Date"))
        except _FAILURES as error:
            # Not chained: the text of these errors can hold URLs with cursors, proxies with passwords, header values.
            raise NoAnswer(cause(error), sent=_here.sent) from None

    def _sent(self, adapter: HTTPAdapter, request: requests.PreparedRequest, timeout: Any) -> requests.Response:
        return adapter.send(request, stream=True, timeout=timeout, verify=self._verify, proxies=self._proxies)

    def close(self) -> None:
        """Close the connections that nobody uses; those in use end with their exchange. May be used afterwards."""
        self._drop_idle(0.0)

    @contextmanager
    def _lent(self) -> Iterator[HTTPAdapter]:
        adapter = self._taken() or _BoundedAdapter(pool_connections=1, pool_maxsize=1)
        try:
            yield adapter
        finally:
            self._give_back(adapter)

    def _taken(self) -> HTTPAdapter | None:
        """The one used last: its connection is the least likely to be closed at the other end."""
        self._drop_idle(IDLE_SECONDS)
        with self._lock:
            return self._idle.pop()[1] if self._idle else None

    def _give_back(self, adapter: HTTPAdapter) -> None:
        with self._lock:
            keep = len(self._idle) < self._pool_size
            if keep:
                self._idle.append((time.monotonic(), adapter))
        if not keep:
            adapter.close()

    def _drop_idle(self, older_than_s: float) -> None:
        before_s, old = time.monotonic() - older_than_s, []
        with self._lock:
            while self._idle and self._idle[0][0] <= before_s:
                old.append(self._idle.popleft()[1])
        for adapter in old:
            adapter.close()


def checked_base(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the desk's address must be an http:// or https:// URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the desk's address must not have a user, a query or a fragment")
    return base_url.rstrip("/")


def _environment(base_url: str) -> tuple[dict[str, str], Any]:
    """Proxies and CA bundle (a path, or True) of the environment, for this host. Read once, at the start. No proxy can
    know what listens on this machine, the simulator of a demo for one."""
    with requests.Session() as session:
        found: Any = session.merge_environment_settings(base_url, {}, None, None, None)
    here = is_loopback(urlsplit(base_url).hostname or "")
    proxies = {} if here else {scheme: str(proxy) for scheme, proxy in found["proxies"].items()}
    if any(proxy.lower().startswith("socks") for proxy in proxies.values()):
        raise ValueError("SOCKS proxies are not supported: name an HTTP proxy")  # they bypass the classes below
    return proxies, found["verify"]


def _body(response: requests.Response) -> bytes:
    """The body as decompressed, up to a bound: neither a flood nor a bomb may fill the worker's memory."""
    parts, size = [], 0
    for part in response.iter_content(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise NoAnswer(f"answer of more than {ANSWER_BYTES_MAX} bytes", sent=True)
    return b"".join(parts)


def cause(error: BaseException) -> str:
    """The innermost exception's name: `ConnectionRefusedError` says more than requests' three layers around it."""
    while error.__context__ is not None:
        error = error.__context__
    return f"no answer ({type(error).__name__})"


class _UntilDeadline(io.RawIOBase):
    """Reads from a socket until a moment, not for a time: a server that sends a byte a second must come to an end."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._ends_s = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer did not end in time")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock))


class _Bounded(HTTPConnection):
    """Notes when a request has left, and sends none that would be late."""

    response_class = _TimedResponse

    def connect(self) -> None:
        """Name lookup has no timeout and each address of a host has its own: after them it may be too late to send."""
        began_s = time.monotonic()
        super().connect()
        if time.monotonic() - began_s > (self.timeout or 0.0):
            self.close()
            raise ConnectTimeoutError(self, "connecting took too long")

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Unless this comes to its end the last byte never went out, and a request cut short is not carried out."""
        super().request(*args, **kwargs)
        _here.sent = True


class _BoundedTls(_Bounded, HTTPSConnection):
    pass


class BoundedPool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class BoundedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class _BoundedAdapter(HTTPAdapter):
    """requests' adapter over the connections above; it retries nothing, which is the default of requests."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": BoundedPool, "https": BoundedTlsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": BoundedPool, "https": BoundedTlsPool}
        return manager

    def close(self) -> None:
        """Close the sockets now: urllib3 leaves that to the garbage collector, which an error's traceback holds off."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  # a container with keys() that refuses to be iterated
                manager.pools[key].close()
        super().close()
