"""Ports: ours must be free before anything starts; those of the embedded servers are chosen and then kept."""

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from scripts.launch.errors import Refusal
from settings import Settings

LOOPBACK = "127.0.0.1"
TRIES = 20  # ports after the preferred one, before any free one will do


def wanted(settings: Settings) -> dict[str, tuple[str, int]]:
    """The setting's name → where a process will listen because of it."""
    places = {"PORT": (settings.host, settings.port), "CHAT_PORT": (settings.host, settings.chat_port)}
    if settings.demo:
        places["SIM_PORT"] = (LOOPBACK, settings.sim_port)
    if settings.worker_port:
        places["WORKER_PORT"] = (settings.host, settings.worker_port)
    return places


def check(places: dict[str, tuple[str, int]]) -> None:
    """Refuse the start when one of the ports can't be had."""
    owner: dict[int, str] = {}
    for name, (host, port) in places.items():
        if port in owner:
            raise Refusal(f"{owner[port]} and {name} are both {port}: give one of them another port")
        owner[port] = name
        if problem := problem_with(host, port):
            raise Refusal(sentence(name, host, port, problem))


def sentence(name: str, host: str, port: int, problem: int) -> str:
    if problem == errno.EADDRINUSE:
        return f"port {port} is taken by another program: stop it, or set {name} to a free port"
    if problem in (errno.EACCES, errno.EPERM):
        return f"port {port} is not for this user: set {name} to a port from 1024 on"
    return f"nothing can listen on HOST {host!r}: use 127.0.0.1, 0.0.0.0 or an address of this machine"


def problem_with(host: str, port: int) -> int | None:
    """The error number that a server would meet on this port; None: it is free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # else our own last connections count as "taken"
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return None


def choose(kept_in: Path, preferred: int, avoid: Iterable[int]) -> int:
    """The port of the last start when it is free, else the preferred one, else one near it, else any."""
    shunned = set(avoid)
    likely = [*_kept(kept_in), *range(preferred, preferred + TRIES)]
    free = (port for port in likely if port not in shunned and problem_with(LOOPBACK, port) is None)
    port = next(free, None) or _any_free()
    kept_in.write_text(f"{port}\n")
    return port


def lost(server: str, port: int) -> str:
    """It was free when it was chosen."""
    return f"another program has just taken port {port} from the embedded {server}: start again for another one"


def reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _kept(path: Path) -> list[int]:
    text = path.read_text().strip() if path.exists() else ""
    return [int(text)] if text.isascii() and text.isdigit() and 0 < int(text) < 65536 else []


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]
