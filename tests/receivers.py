"""A receiver as it runs, for tests: the real gunicorn with its real configuration, and ways to post to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.deadlines import eventually
from testbed.orphans import ends_with_us

ROOT = Path(__file__).parents[1]
CAA, SOLVED = "/allocate-agent/webhook", "/mark-as-solved/webhook"
HEAD = b"POST /shop/allocate-agent/webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Gunicorn:
    """A receiver's processes, and a way to post to them."""

    def __init__(self, address: str, port: int, log: Path, process: "subprocess.Popen[bytes]") -> None:
        self.address, self.port, self.log, self.process = address, port, log, process

    def post(self, path: str, payload: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        try:
            body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            connection.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def arrive(self, room: str, tenant: str = "shop") -> dict[str, Any]:
        status, said = self.post(f"/{tenant}{CAA}", {"room_id": room})
        assert status == 200, said
        return said

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def raw(self, *parts: bytes, then_close: bool = False) -> bytes:
        """Everything that comes back until the other side closes or says nothing for long."""
        with socket.create_connection((self.address, self.port), 20) as sock:
            for part in parts:
                sock.sendall(part)
            if then_close:
                sock.shutdown(socket.SHUT_WR)
            return answer_on(sock)


def answer_on(sock: socket.socket) -> bytes:
    came = b""
    while b"\r\n\r\n" not in came or not _whole(came):
        some = sock.recv(65536)
        if not some:
            break
        came += some
    return came


def _whole(came: bytes) -> bool:
    head, _, body = came.partition(b"\r\n\r\n")
    return len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


def outcome(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    content = json.loads(body)
    return int(head.split()[1]), content.get("status") or content["error"]["code"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


COMMAND = [sys.executable, "-m", "gunicorn", "-c", "receiver/gunicorn.conf.py"]


def environment(folder: Path, redis_url: str, port: int, **more: str) -> dict[str, str]:
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    given = {"DEMO": "0", "HOST": "127.0.0.1", "PORT": str(port), "REDIS_URL": redis_url, "GILIRAN_DATA": str(folder)}
    given |= {"DATABASE_URL": "postgresql://unused", "QISCUS_APP_ID": "shop", "QISCUS_SECRET_KEY": "unused"}
    return {**plain, **given, **more}


@contextmanager
def gunicorn(
    folder: Path, redis_url: str, *options: str, address: str = "127.0.0.1", port: int = 0, **environ: str
) -> Iterator[Gunicorn]:
    """`address`: where it can be asked, if not on HOST. One process serves, where `options` name no other number."""
    port = port or free_port()
    command = [*COMMAND, "--workers", "1", *options, "receiver.app:create_app()"]
    environ = environment(folder, redis_url, port, **{"HOST": address, **environ})
    log = folder / f"receiver-{address.replace(':', '.')}-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(ends_with_us(command), cwd=ROOT, env=environ, stdout=out, stderr=out)
    here = Gunicorn(address, port, log, process)
    try:
        eventually(lambda: _alive(here), 60, "a living receiver")
        yield here
    finally:
        process.terminate()
        process.wait(20)


def _alive(here: Gunicorn) -> bool:
    try:
        return here.get("/healthz")[0] == 200
    except OSError:
        return False
