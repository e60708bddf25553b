"""Redis: whether it can be used, is ours, keeps webhooks, and has room. Pure."""

from collections.abc import Mapping
from typing import Any

from db import installation
from scripts.admin.doctor.check import Check, Finding
from scripts.admin.doctor.facts.at_once import Unread
from scripts.admin.doctor.facts.redis import Redis
from views.words import listed

REACHED = Check(
    "redis_reachable", "Redis answers", "start it, or correct REDIS_URL: webhooks get 503, and nothing is decided"
)
VERSION = Check("redis_version", "Redis is new enough", "install Redis or Valkey, version 6.2 or newer")
OWNER = Check(
    "redis_owner",
    "the Redis database is this installation's",
    "give each installation a database number of its own; `giliran installation show` says whose it is",
)
STORES = Check(
    "redis_stores",
    "a webhook can be stored",
    "repair what it names: webhooks get 503 until then, and nothing is decided",
)
RIGHTS = Check(
    "redis_rights",
    "our user has the rights that it needs",
    "give it the rights that docs/operations.md lists: `ACL SETUSER`",
)
INFO = Check(
    "redis_info", "Redis tells us its settings", "allow our user the command INFO: `ACL SETUSER giliran +info`"
)
EVICTION = Check("redis_eviction", "Redis throws no webhook away", "set `maxmemory-policy noeviction`")
MEMORY = Check(
    "redis_memory", "Redis has memory left", "raise `maxmemory`, or find what fills it: `redis-cli --bigkeys`"
)
PERSISTENCE = Check(
    "redis_persistence",
    "Redis keeps its data on disk",
    "set `appendonly yes` and `appendfsync everysec` or `always`, and see Redis's log",
)
OPEN = Check(
    "redis_open",
    "strangers can't use Redis",
    "set a password, use `rediss://`, and let only this installation's machines connect",
)
CHECKS = (REACHED, VERSION, OWNER, STORES, RIGHTS, INFO, EVICTION, MEMORY, PERSISTENCE, OPEN)

OLDEST = (6, 2)
NEARLY = 0.8  # of maxmemory
MB = 2**20
OF_INFO = (VERSION, EVICTION, MEMORY, PERSISTENCE)


def judge(found: Redis | Unread, here: str | None) -> list[Finding]:
    """`here`: this installation's id, None where it is not known."""
    if isinstance(found, Unread):
        return [REACHED.error(found.why)]
    return [
        REACHED.ok(_version(found.info)),
        _owner(found, here),
        STORES.error(found.trouble) if found.trouble else STORES.ok(),
        *([RIGHTS.error(each) for each in found.denied] or [RIGHTS.ok()]),
        *_of_info(found),
        _open(found),
    ]


def _version(info: Mapping[str, Any]) -> str:
    of_valkey = info.get("valkey_version")
    version = f"Valkey {of_valkey}" if of_valkey else f"Redis {info.get('redis_version', '')}"
    return version if info else ""


def _owner(found: Redis, here: str | None) -> Finding:
    if here is not None and found.owner not in (None, here):
        return OWNER.error(installation.not_ours(str(found.owner)))
    return OWNER.ok("" if found.owner else "nobody's yet, the first worker takes it")


def _of_info(found: Redis) -> list[Finding]:
    if not found.info:
        names = listed(check.code for check in OF_INFO)
        return [INFO.warning(f"our user may not use INFO, so this could not be checked: {names}")]
    return [INFO.ok(), _age(found.info), _eviction(found.info), _memory(found.info), _persistence(found)]


def _age(info: Mapping[str, Any]) -> Finding:
    version = str(info.get("redis_version", "6.2"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return VERSION.error(f"Redis {version} lacks commands that Giliran needs") if parts < OLDEST else VERSION.ok()


def _eviction(info: Mapping[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return EVICTION.ok()
    limited = bool(info.get("maxmemory"))
    told = f"Redis may throw away webhooks (maxmemory-policy {policy})"
    return EVICTION.error(told) if limited else EVICTION.warning(f"{told} once a maxmemory is set")


def _memory(info: Mapping[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return MEMORY.ok(f"{used / MB:.1f} MiB used, no maxmemory")
    told = f"{used / MB:.1f} of {most / MB:.1f} MiB used"
    if used >= most:
        return MEMORY.error(f"maxmemory is reached, and writes are refused: {told}")
    return MEMORY.warning(f"nearly full: {told}") if used > NEARLY * most else MEMORY.ok(told)


def _persistence(found: Redis) -> Finding:
    failed = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if found.info.get(name) == "err"]
    if failed:
        return PERSISTENCE.error(f"Redis could not write to its disk ({listed(failed)})")
    if not found.info.get("aof_enabled"):
        return PERSISTENCE.warning("appendonly is off: a crash of Redis loses webhooks that got a 200")
    if found.appendfsync == "no":
        return PERSISTENCE.warning("appendfsync is no: a power cut may lose half a minute of webhooks")
    return PERSISTENCE.ok(f"appendfsync {found.appendfsync}" if found.appendfsync else "")


def _open(found: Redis) -> Finding:
    if not found.near and not found.tls:
        return OPEN.error("the way to Redis leads over the internet without TLS")
    if not (found.password or found.alone):
        return OPEN.warning("Redis asks for no password: whoever reaches it can misplace customers and set limits")
    return OPEN.ok()
