"""Which processes run, as they say themselves in Redis, and whether those on this machine answer at their ports."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from db import inbox, processes
from db.inbox import Inbox, InboxDown
from scripts.admin.doctor.facts.at_once import CantRead
from scripts.admin.doctor.facts.redis import ANSWER_S
from scripts.launch.ready import local
from settings import Settings

KNOCK_S = 4.0  # a process that asks its servers needs three
BODY_MOST = 4096


class Door(NamedTuple):
    """What a port answers. `status` None: nobody answers."""

    port: int
    status: int | None
    words: str = ""


@dataclass(frozen=True)
class Process:
    """`peer`: an address that sent X-Forwarded-For to it lately and is not trusted."""

    id: str
    kind: str
    host: str
    version: str
    peer: str | None = None


def running(redis_url: str) -> list[Process]:
    """Raises `CantRead`."""
    try:
        return [_process(each) for each in processes.read(Inbox(inbox.connect(redis_url, ANSWER_S, 1)))]
    except InboxDown as error:
        raise CantRead(str(error)) from error


def _process(said: Mapping[str, Any]) -> Process:
    peer = said.get(processes.UNTRUSTED)
    names = {name: str(said.get(name, "")) for name in ("id", "kind", "host", "version")}
    return Process(**names, peer=str(peer) if peer else None)


def here() -> str:
    """As the processes of this machine call it."""
    return socket.gethostname()


def doors(settings: Settings) -> dict[str, tuple[str, int, str]]:
    """Kind → what to `knock` at on this machine. A worker has a door where WORKER_PORT is set."""
    host = local(settings.host)
    found = {"receiver": (host, settings.port, "/readyz"), "sidecar": (host, settings.chat_port, "/readyz")}
    return found | ({"worker": (host, settings.worker_port, "/healthz")} if settings.worker_port else {})


def knock(host: str, port: int, path: str) -> Door:
    connection = http.client.HTTPConnection(host, port, timeout=KNOCK_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Door(port, answer.status, _words(answer.read(BODY_MOST)))
    except (OSError, http.client.HTTPException):
        return Door(port, None)
    finally:
        connection.close()


def _words(body: bytes) -> str:
    """The message of a refusal, else the text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text
