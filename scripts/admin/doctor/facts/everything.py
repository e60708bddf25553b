"""Reads all facts: first what stands alone, then what PostgreSQL has, then what the desks say.

Each step has its time, so that a server that is away or hangs hides nothing and costs seconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from db.inbox import Inbox, connect
from scripts.admin.doctor.facts import certificates, desks, disk, postgres, processes, redis, tenants
from scripts.admin.doctor.facts.at_once import CantRead, Unread, at_once
from scripts.admin.doctor.facts.certificates import Certificate
from scripts.admin.doctor.facts.desks import Answered, Strangers
from scripts.admin.doctor.facts.disk import Disk
from scripts.admin.doctor.facts.postgres import Postgres
from scripts.admin.doctor.facts.processes import Door, Process
from scripts.admin.doctor.facts.redis import ANSWER_S, Redis
from scripts.admin.doctor.facts.tenants import Tenants
from scripts.admin.installation import Installation
from settings import Servers

ALL_S = 13.5  # less than 15 s with the start of Python
ALONE_S, DESKS_S = 6.0, 3.5  # of it; what lies between has the rest, which is much where nothing is away


@dataclass(frozen=True)
class Facts:
    postgres: Postgres | Unread
    redis: Redis | Unread
    running: list[Process] | Unread
    doors: Mapping[str, Door]
    disk: Disk | Unread
    certificates: Sequence[Certificate]
    tenants: Tenants | Unread
    answers: Mapping[str, Answered | Unread]
    strangers: Mapping[str, Strangers | Unread]


def read(here: Installation, servers: Servers, wanted: str | None, public: tuple[str, ...]) -> Facts:
    """`wanted`: only this tenant; `public`: addresses whose certificates are read, too."""
    until = time.monotonic() + ALL_S
    alone = _alone(here, servers)
    ledger = at_once(_of_ledger(here, servers, alone, wanted, public), until - time.monotonic() - DESKS_S)
    of_tenants = ledger["tenants"]
    answers: dict[str, Answered | Unread] = {}
    strangers: dict[str, Strangers | Unread] = {}
    if isinstance(of_tenants, Tenants):
        answers, strangers = desks.ask(here, of_tenants.doors, of_tenants.rules, DESKS_S)
    found = ledger["certificates"]
    return Facts(
        postgres=alone["postgres"],
        redis=alone["redis"],
        running=alone["running"],
        doors={name: door for name, door in alone.items() if isinstance(door, Door)},
        disk=alone["disk"],
        certificates=found if isinstance(found, list) else [Certificate("certificates", None, found.why)],
        tenants=of_tenants,
        answers=answers,
        strangers=strangers,
    )


def _alone(here: Installation, servers: Servers) -> dict[str, Any]:
    reads: dict[str, Callable[[], Any]] = {
        "postgres": partial(postgres.read, servers.database_url),
        "redis": partial(redis.read, servers.redis_url),
        "running": partial(processes.running, servers.redis_url),
        "disk": partial(disk.read, here.settings.data),
    }
    doors = {kind: partial(processes.knock, *door) for kind, door in processes.doors(here.settings).items()}
    return at_once({**reads, **doors}, ALONE_S)


def _of_ledger(
    here: Installation, servers: Servers, alone: Mapping[str, Any], wanted: str | None, public: tuple[str, ...]
) -> dict[str, Callable[[], Any]]:
    """What needs to know how PostgreSQL and Redis do."""
    server = alone["postgres"]
    tls = isinstance(server, Postgres) and server.tls
    reads: dict[str, Callable[[], Any]] = {"certificates": partial(certificates.read, servers, tls, public)}
    if isinstance(server, Unread):
        return {**reads, "tenants": partial(_unread, server.why)}
    if server.misfit:
        return {**reads, "tenants": partial(_unread, server.misfit)}
    names = [name for name in server.tenants if wanted in (None, name)]
    source = here.source_with(_inbox(servers), _away(alone["redis"]))
    return {**reads, "tenants": partial(tenants.read, servers.database_url, source, names)}


def _unread(why: str) -> Any:
    raise CantRead(why)


def _inbox(servers: Servers) -> Inbox:
    return Inbox(connect(servers.redis_url, ANSWER_S, 1))


def _away(found: Redis | Unread) -> str | None:
    return found.why if isinstance(found, Unread) else None
