"""What Redis says of itself, whose it is, and what our user may do there: tried, on keys that mean nothing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.connection import parse_url
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from addresses import is_loopback
from db import inbox
from db.inbox import InboxDown
from db.redis_why import why
from db.upkeep import Upkeep
from scripts.admin.doctor.facts.at_once import CantRead
from scripts.admin.doctor.facts.places import is_near

ANSWER_S = 1.5
CONNECTIONS = 2
OWN = "giliran:doctor"  # of no tenant, and gone at once
SECTIONS = ("server", "clients", "memory", "persistence", "replication")
TRIALS = (  # one of each group of commands, and a read and a write of each kind of key
    ("EXISTS", OWN),
    ("DEL", OWN),
    ("EXISTS", "config:max_agent_chat"),
    ("DEL", "config:max_agent_chat::doctor"),
    ("EXISTS", "rq:doctor"),
    ("DEL", "rq:doctor"),
    ("LPOP", "rq:doctor"),
    ("BLPOP", "rq:doctor", "0.01"),
    ("XLEN", OWN),
    ("EVAL", "return 1", "0"),
    ("UNWATCH",),
    ("PUBLISH", OWN, ""),
)


@dataclass(frozen=True)
class Redis:
    """`alone`: only this machine can reach it by this address. `info`: empty where our user may not ask. `denied`:
    sentences. `trouble`: why a webhook could not be stored. `ahead_s`: of its clock before this machine's; None: it is
    not known."""

    owner: str | None
    alone: bool
    near: bool
    tls: bool
    password: bool
    info: Mapping[str, Any] = field(default_factory=dict)
    appendfsync: str | None = None
    denied: tuple[str, ...] = ()
    trouble: str | None = None
    ahead_s: float | None = None
    unsure_s: float = 0.0


def read(url: str) -> Redis:
    """Raises `CantRead`."""
    try:
        client = inbox.connect(url, ANSWER_S, CONNECTIONS)
        client.ping()
        return _read(client, url)
    except RedisError as error:
        raise CantRead(why(error)) from error
    except (ValueError, TypeError):  # its text can quote the URL
        raise CantRead("REDIS_URL can't be used: it is not a URL of a Redis") from None


def _read(client: redis.Redis, url: str) -> Redis:
    parts: Mapping[str, Any] = parse_url(url)
    info = _info(client)
    ahead_s, unsure_s = _clock(client)
    return Redis(
        owner=_owner(client),
        alone=is_loopback(parts.get("host") or "localhost"),
        near=is_near(parts.get("host")),
        tls=url.startswith("rediss://"),
        password=bool(parts.get("password")),
        info=info,
        appendfsync=_appendfsync(client),
        denied=tuple(dict.fromkeys(filter(None, (_denied(client, trial) for trial in TRIALS)))),
        trouble=_trouble(client),
        ahead_s=ahead_s,
        unsure_s=unsure_s,
    )


def _owner(client: redis.Redis) -> str | None:
    try:
        return Upkeep(client).owner()
    except InboxDown:  # a right is missing: the trials say which
        return None


def _info(client: redis.Redis) -> dict[str, Any]:
    """A user of few rights may not ask."""
    try:
        return {name: value for section in SECTIONS for name, value in _section(client, section).items()}
    except ResponseError:
        return {}


def _section(client: redis.Redis, section: str) -> dict[str, Any]:
    found: dict[str, Any] = client.info(section)
    return found


def _appendfsync(client: redis.Redis) -> str | None:
    try:
        found: Mapping[Any, Any] = client.config_get("appendfsync")
    except ResponseError:
        return None
    return found.get("appendfsync")


def _denied(client: redis.Redis, trial: tuple[str, ...]) -> str | None:
    """Why our user may not do this. Other refusals have checks of their own."""
    try:
        client.execute_command(*trial)
    except NoPermissionError as error:
        return why(error)
    except ResponseError:
        return None
    return None


def _trouble(client: redis.Redis) -> str | None:
    try:
        Upkeep(client).try_to_store()
    except InboxDown as error:
        return str(error)
    return None


def _clock(client: redis.Redis) -> tuple[float | None, float]:
    """Of an entry's id, as of each webhook's: TIME is not among our rights."""
    before = time.time()
    try:
        pipe = client.pipeline(transaction=True)
        pipe.xadd(OWN, {"at": "1"})
        pipe.delete(OWN)
        entry, _ = pipe.execute()
    except ResponseError:
        return None, 0.0
    after = time.time()
    return int(entry.partition("-")[0]) / 1000 - (before + after) / 2, (after - before) / 2 + 0.001
