"""Settings and secrets: which nobody reads, which contradict one another, which are too easy. Pure.

Whether each can be used was checked by `settings.load`; what is judged here can be used, but was hardly meant.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from addresses import is_loopback
from db.passwords import COMMON, DIFFERENT_LEAST
from env_file import OTHERS as OTHER_PROGRAMS
from env_file import PREFIXES, nearest
from scripts.admin.doctor.check import Check, Finding
from settings import NAMES, NEAR_A_SECRET, SECRET_MIN, Settings
from views.words import listed

USABLE = Check("settings", "all settings can be used", "correct it in .env or in the environment")
UNKNOWN = Check(
    "settings_unknown",
    "the environment has no misspelt setting",
    "rename it, or unset it: unknown names in the environment are ignored",
)
TWICE = Check(
    "settings_twice",
    "no setting has two values",
    "keep one of the two: the environment wins over .env",
)
CONTRADICTION = Check(
    "settings_contradiction", "no settings contradict one another", "change one of the two, and restart the processes"
)
DEMO_OPEN = Check(
    "demo_open",
    "no demo is open to other machines",
    "set HOST=127.0.0.1, or set DEMO=0 for the real thing: a demo's passwords are public",
)
READABLE = Check("env_file_readable", "only its owner can read .env", "chmod 600 .env")
WEAK = Check(
    "weak_secret",
    "no secret is easy to guess",
    "make a random one, for example with `openssl rand -hex 24`, and change it where it is used",
)
SHARED = Check("shared_secret", "each secret has one purpose", "make a secret of its own for each setting")
CHECKS = (USABLE, UNKNOWN, TWICE, CONTRADICTION, DEMO_OPEN, READABLE, WEAK, SHARED)

SECRETS = ("WEBHOOK_SECRET", "SECRET_KEY", "QISCUS_SECRET_KEY", "AI_API_KEY")
CHOSEN = ("WEBHOOK_SECRET", "SECRET_KEY")  # by who installs; the others are made by who gives them
DIFFER = ("PORT", "CHAT_PORT", "WORKER_PORT", "HOST")  # a supervisor gives each process its own
MADE_UP = re.compile(r"change.?me|example|secret|password|passwort|giliran|qiscus|redis|valkey|postgres|12345", re.I)


@dataclass(frozen=True)
class Setup:
    """`environment`, `file`: name → value. `warnings`: of `settings.warnings`."""

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    file: Mapping[str, str] = field(repr=False)
    warnings: Mapping[str, str]


def judge(found: Setup) -> list[Finding]:
    return [
        USABLE.ok(),
        _unknown(found.environment),
        _twice(found),
        *_contradictions(found),
        _demo(found.settings),
        READABLE.warning(found.warnings[READABLE.code]) if READABLE.code in found.warnings else READABLE.ok(),
        _weak(found.settings),
        _shared(found.settings),
    ]


def _unknown(environment: Mapping[str, str]) -> Finding:
    """The environment has names of all the world: only what is nearly one of ours is a slip."""
    missing = [name for name in NAMES if name not in environment]
    slips = [(name, nearest(name, missing, NEAR_A_SECRET)) for name in sorted(environment) if not _has_a_reader(name)]
    told = [f"{name} is not a setting: did you mean {alike}?" for name, alike in slips if alike]
    return UNKNOWN.warning("; ".join(told)) if told else UNKNOWN.ok()


def _has_a_reader(name: str) -> bool:
    return name in NAMES or name in OTHER_PROGRAMS or name.startswith(PREFIXES)


def _twice(found: Setup) -> Finding:
    """Values are not shown: they may be secrets."""
    given = {name: value for name, value in found.environment.items() if value and name in NAMES}
    names = [name for name in NAMES if name not in DIFFER and _differ(given.get(name), found.file.get(name))]
    if not names:
        return TWICE.ok()
    return TWICE.warning(f"one value in .env and another one in the environment, which wins: {listed(names)}")


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def _contradictions(found: Setup) -> Iterator[Finding]:
    told = [*_ports(found.settings), *_sizes(found.settings), *_ignored(found)]
    yield from (CONTRADICTION.warning(each) for each in told) if told else [CONTRADICTION.ok()]


def _ports(given: Settings) -> Iterator[str]:
    ports = {"PORT": given.port, "CHAT_PORT": given.chat_port, "WORKER_PORT": given.worker_port}
    ports |= {"SIM_PORT": given.sim_port} if given.demo else {}
    for port in sorted({port for port in ports.values() if port}):
        names = [name for name, value in ports.items() if value == port]
        if len(names) > 1:
            yield f"{' and '.join(names)} are both {port}: only one process can listen there"


def _sizes(given: Settings) -> Iterator[str]:
    if 0 < given.files_per_tenant_mb < given.upload_max_mb:
        yield "UPLOAD_MAX_MB is more than FILES_PER_TENANT_MB: no such file is ever taken"
    if given.idle_seconds < given.desk_lag_seconds:
        yield "IDLE_SECONDS is less than DESK_LAG_SECONDS: each comparison sees what the last one saw"


def _ignored(found: Setup) -> Iterator[str]:
    """A demo serves its simulator, whatever is said of the real Qiscus."""
    names = ("QISCUS_APP_ID", "QISCUS_SECRET_KEY", "QISCUS_OMNICHANNEL_URL")
    given = [name for name in names if found.environment.get(name) or found.file.get(name)]
    if found.settings.demo and given:
        yield f"DEMO is 1, so {listed(given)} {'is' if len(given) == 1 else 'are'} ignored"


def _demo(given: Settings) -> Finding:
    if given.demo and not is_loopback(given.host):
        return DEMO_OPEN.warning(f"this is a demo, and it listens on {given.host}")
    return DEMO_OPEN.ok()


def _weak(given: Settings) -> Finding:
    """Of a demo nothing is secret."""
    chosen = {name: getattr(given, name.lower()) for name in CHOSEN}
    chosen |= {"the password in DATABASE_URL": password_of(given.database_url)}
    chosen |= {"the password in REDIS_URL": password_of(given.redis_url)}
    told = [name for name, value in chosen.items() if value and is_weak(value)]
    return WEAK.warning(f"easy to guess: {listed(told)}") if told and not given.demo else WEAK.ok()


def is_weak(secret: str) -> bool:
    """Too short, too few different characters, or a word that is tried first with something around it."""
    bare = re.sub(r"[\d\W_]+", "", secret.casefold())
    few = len(set(secret.casefold())) < DIFFERENT_LEAST + len(secret) // SECRET_MIN
    return len(secret) < 8 or few or bare in COMMON or (bool(MADE_UP.search(secret)) and len(secret) < 2 * SECRET_MIN)


def password_of(url: str | None) -> str | None:
    """A password of a URL that was checked."""
    password = urlsplit(url).password if url else None
    return unquote(password) if password else None


def _shared(given: Settings) -> Finding:
    told = [" and ".join(names) for names in _alike((name, getattr(given, name.lower())) for name in SECRETS)]
    return SHARED.warning(f"the same secret: {listed(told)}") if told else SHARED.ok()


def _alike(given: Iterable[tuple[str, str | None]]) -> Iterator[list[str]]:
    known: dict[str, list[str]] = {}
    for name, value in given:
        if value:
            known.setdefault(value, []).append(name)
    yield from (names for names in known.values() if len(names) > 1)
