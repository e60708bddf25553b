"""A load generator that is not the bottleneck: raw sockets, one thread, one event loop, requests made beforehand.

Each connection sends its next request when it has the answer to the last one, as an HTTP client with keep-alive does.
"""

import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

ANSWER_MOST = 65536
WAIT_S = 10


@dataclass(frozen=True)
class Load:
    """What came of it. `waits_s`: from each request to its answer."""

    accepted: int
    refused: int
    elapsed_s: float
    waits_s: Sequence[float]

    @property
    def per_second(self) -> float:
        return self.accepted / self.elapsed_s

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.waits_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request(host: str, path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"User-Agent: load\r\nAccept: */*\r\n\r\n" + body


def steady(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """As many requests as are answered within `seconds`."""
    return _drive(port, cycle(requests), connections, time.perf_counter() + seconds)


def burst(port: int, requests: Sequence[bytes], connections: int, number: int) -> Load:
    """`number` requests, started at once on all connections."""
    return _drive(port, islice(cycle(requests), number), connections, None)


def _drive(port: int, requests: Iterator[bytes], connections: int, until: float | None) -> Load:
    socks = [socket.create_connection(("127.0.0.1", port), WAIT_S) for _ in range(connections)]
    with select.epoll() as poll:
        try:
            return _Run(socks, poll, requests, until).run()
        finally:
            for sock in socks:
                sock.close()


class _Run:
    def __init__(
        self, socks: Sequence[socket.socket], poll: select.epoll, requests: Iterator[bytes], until: float | None
    ) -> None:
        self._socks = {sock.fileno(): sock for sock in socks}
        self._poll, self._requests, self._until = poll, requests, until
        self._sent: dict[int, float] = {}  # when, by connection
        self._parts: dict[int, bytes] = {}
        self._waits: list[float] = []
        self._accepted = 0

    def run(self) -> Load:
        start = time.perf_counter()
        for fd, sock in self._socks.items():
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(fd, select.EPOLLIN)
            self._send(fd, start)
        while self._sent:
            self._turn()
        answered = len(self._waits)
        return Load(self._accepted, answered - self._accepted, time.perf_counter() - start, self._waits)

    def _turn(self) -> None:
        ready = self._poll.poll(WAIT_S)
        if not ready:
            raise TimeoutError(f"{len(self._sent)} requests were not answered")
        for fd, _ in ready:
            answer = self._parts.pop(fd, b"") + _received(self._socks[fd])
            if _whole(answer):
                self._answered(fd, answer)
            else:
                self._parts[fd] = answer

    def _answered(self, fd: int, answer: bytes) -> None:
        now = time.perf_counter()
        self._waits.append(now - self._sent.pop(fd))
        self._accepted += answer.startswith(b"HTTP/1.1 200")
        if self._until is None or now < self._until:
            self._send(fd, now)

    def _send(self, fd: int, now: float) -> None:
        message = next(self._requests, None)
        if message:
            self._sent[fd] = now
            self._socks[fd].sendall(message)


def _received(sock: socket.socket) -> bytes:
    answer = sock.recv(ANSWER_MOST)
    if not answer:
        raise ConnectionError("the server closed a connection that it should keep")
    return answer


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
