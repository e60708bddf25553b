"""A server that plays a desk: one scripted answer after the other, faults among them; and the Qiscus desk before it."""

import http.client
import json
import socket
import struct
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from worker.desk.base import DeskTrouble
from worker.desk.qiscus import QiscusDesk

SOON_S = 5.0


class Request:
    def __init__(self, reader):
        self.line = reader.readline().decode()
        self.headers = http.client.parse_headers(reader)
        self.body = reader.read(int(self.headers.get("Content-Length", 0)))
        self.method, self.target = self.line.split()[:2] if self.line else ("", "")
        self.all = parse_qs(urlsplit(self.target).query)
        self.query = {key: values[0] for key, values in self.all.items()}

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """Plays `plays` in turn, the last one for ever. A play gets the socket and says whether to keep it."""

    def __init__(self):
        self.plays, self.requests, self.connections = [], [], 0
        self.context = None  # for TLS
        self.done = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while not self.done.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self.serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, plain):
        try:
            sock = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            with sock, sock.makefile("rb") as reader:
                while (request := Request(reader)).line:
                    self.requests.append(request)
                    play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
                    if not play(sock, request, self.done):
                        return
        except OSError:
            pass  # the desk hung up on a fault: as it should

    def close(self):
        if self.done.is_set():
            return
        self.done.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(SOON_S)
            assert not thread.is_alive(), "a connection was left open"


def head(status, length, headers=()):
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {length}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def say(told, status=200, headers=(), keep=True):
    def play(sock, _request, _done):
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        sock.sendall(head(status, len(body), headers) + body)
        return keep

    return play


def by_path(told):
    """Each path has an answer of its own, or a function of the query that gives it; None is a 404."""

    def play(sock, request, done):
        answer = told.get(urlsplit(request.target).path)
        answer = answer(request) if callable(answer) else answer
        return (
            say({"errors": "not found"}, 404)(sock, request, done)
            if answer is None
            else say(answer)(sock, request, done)
        )

    return play


def raw(data):
    def play(sock, _request, _done):
        sock.sendall(data)
        return False

    return play


def hang(_sock, _request, done):
    done.wait(SOON_S)
    return False


def reset(sock, _request, _done):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def drip(data):
    """A byte every 20 ms: each one in time for a read timeout, all of them never."""

    def play(sock, _request, done):
        for byte in data * 1000:
            if done.wait(0.02):
                break
            sock.sendall(bytes([byte]))
        return False

    return play


def desk_at(url, app="app", secret="secret-key", **seconds):
    return QiscusDesk(url, app, secret, **{"connect_seconds": 0.5, "total_seconds": 0.5, **seconds})


def trouble(call, *args):
    with pytest.raises(DeskTrouble) as caught:
        call(*args)
    return caught.value
