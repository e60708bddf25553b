"""What Redis's errors mean to the person who runs it: a sentence each. Pure; for logs, health pages and the admin tool.

Their texts can quote a whole command, a URL or a password: only phrases that we know are shown of them.
"""

import re

from redis.exceptions import AuthenticationError, ConnectionError, RedisError, TimeoutError  # noqa: A004

CLUSTER = "Redis Cluster can't be used: Giliran needs a single Redis"

_MEANING = (
    (
        r"wrongpass|invalid username-password|invalid password|noauth|already authenticated|authentication required",
        "Redis refuses the password: correct REDIS_URL",
    ),
    (r"\boom\b|out of memory|'maxmemory'", "Redis is full: raise its maxmemory, or find what fills it"),
    (r"read only (replica|slave)|readonly", "Redis is a read-only replica: point REDIS_URL at the primary"),
    (r"loading the dataset", "Redis is loading its data"),
    (r"misconf", "Redis can't write to its disk and stores nothing: see its log"),
    (r"masterdown|noreplicas", "Redis stores nothing while its replication is broken: see its log"),
    (r"crossslot|\bmoved\b|hash to the same slot|hash slot|clusterdown", CLUSTER),
    (r"db index is out of range|invalid db index", "Redis has no such database number: correct the end of REDIS_URL"),
    (r"max number of clients", "Redis takes no more connections: raise its maxclients"),
    (r"wrongtype|wrong kind of value", "a key of ours has another type: somebody else writes to this Redis"),
    (r"certificate", "the certificate of Redis is not trusted: see its CA, and ssl_ca_certs in REDIS_URL"),
    (
        r"wrong_version_number|wrong version number|record layer|\bssl\b",
        "Redis does not speak TLS here: use redis://, or the port that does",
    ),
    (r"connection refused", "Redis can't be reached (Connection refused)"),
    (
        r"name or service not known|name resolution|nodename nor servname",
        "Redis can't be reached (its host is not known)",
    ),
    (r"no such file or directory", "Redis can't be reached (no such socket)"),
    (r"no route to host|network is unreachable", "Redis can't be reached (no way to its host)"),
    (r"timeout|timed out", "Redis does not answer in time"),
    (
        r"connection closed by server|connection reset|broken pipe",
        "Redis closed the connection (if it wants TLS, use rediss://)",
    ),
)
_KEYS = "giliran:* config:max_agent_chat* rq:*"
_RIGHTS = "docs/operations.md lists the rights that are needed"
_NOT_ALLOWED = re.compile(r"no permissions to run the '([\w|-]+)' command", re.I)
_OF_A_PIPELINE = re.compile(r"Command # \d+ \(\w+ ([!-~]{1,100})")


def is_away(error: BaseException) -> bool:
    """Whether nothing answers, rather than somebody who refuses."""
    told = [each for each in _chain(error) if isinstance(each, (ConnectionError, TimeoutError))]
    return bool(told) and not any(isinstance(each, AuthenticationError) for each in told)


def why(error: BaseException) -> str:
    """One sentence."""
    told = " ".join(str(part) for part in _chain(error))
    if denied := _not_allowed(told):
        return denied
    for pattern, meaning in _MEANING:
        if re.search(pattern, told, re.I):
            return meaning
    return f"Redis failed ({type(error).__name__})"


def told(error: Exception) -> str:
    """Any error, of Redis or not, fit for a log and a health page."""
    return why(error) if isinstance(error, RedisError) else str(error)


def _not_allowed(told: str) -> str | None:
    """Redis names a command that is not allowed, but no key; of a pipeline the library tells which command it was."""
    if found := _NOT_ALLOWED.search(told):
        return f"the user of REDIS_URL may not use the command {found[1].upper()}: {_RIGHTS}"
    if re.search(r"no permissions to access a channel", told, re.I):
        return f"the user of REDIS_URL may not use our channels, giliran:*: {_RIGHTS}"
    if re.search(r"no permissions to access a key|no permissions to access the", told, re.I):
        command = _OF_A_PIPELINE.search(told)
        which = f"the key {command[1]}" if command else f"one of our keys, {_KEYS}"
        return f"the user of REDIS_URL may not use {which}: {_RIGHTS}"
    if re.search(r"noperm|no permissions|can't run this command", told, re.I):
        return f"the user of REDIS_URL lacks a right: {_RIGHTS}"
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and what it came from."""
    found: list[BaseException] = []
    while error is not None and len(found) < 5:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
