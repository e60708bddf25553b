"""The only reader of the environment: every entry point calls `load()` once and hands the values on.

Sources, strongest first: the real environment, then the file `.env` (env_file.py). An empty value means unset, so that
an empty variable does not hide the file's word. Nonsense is refused at the start with a `SettingsError` whose text is
one line fit to be shown to a person.
"""

import ipaddress
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import addresses
import kept_key
from env_file import EnvFileError, nearest, others, read
from policies import POLICIES
from policies.policy import LIMIT_MAX
from tenant_ids import RULE, TENANT_ID

ROOT = Path(__file__).resolve().parent
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SECRET_MIN = 16  # characters of a secret that somebody chooses; those that we make have 43
NEAR_A_SECRET = 0.87  # of difflib's ratio: a slip of one or two letters, not another program's variable

QISCUS_URL = "https://omnichannel.qiscus.com"
DEMO_APP_ID = "demo-qiscus"
DEMO_SECRET_KEY = "demo-secret"  # noqa: S105 - public on purpose: it opens the simulator only
DEMO_TENANT = "demo-tenant"  # of the native chat
DEMO_PASSWORD = "Test@1234"  # noqa: S105 - public on purpose: of the demo's agents, whose chats are nobody's

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


class SettingsError(Exception):
    """A setting that can't be used; the text names the setting, what is wrong and what would be right."""


@dataclass(frozen=True)
class Settings:
    """All settings of one process. Seconds are seconds; `None` means "not given and no default"."""

    demo: bool
    host: str
    port: int
    chat_port: int
    sim_port: int
    worker_port: int | None
    redis_url: str | None = field(repr=False)
    database_url: str | None = field(repr=False)
    data: Path  # where embedded servers keep their files; a demo has its own folder inside
    qiscus_url: str
    qiscus_app_id: str | None
    qiscus_secret_key: str | None = field(repr=False)
    max_agent_chat: int
    allocation_policy: str
    retry_seconds: int
    idle_seconds: int
    desk_lag_seconds: int
    service_level_seconds: int
    keep_days: int
    keep_chats_days: int  # 0: for ever
    webhook_secret: str | None = field(repr=False)
    hooks_allow_private: bool
    allowed_origins: tuple[str, ...]  # "scheme://host[:port]" in lower case; empty: same origin only
    trusted_proxies: tuple[Network, ...]  # whose X-Forwarded-* are believed
    secret_key: str | None = field(repr=False)  # use `secret_key(settings)`, which makes one where none is given
    reassign_offline_seconds: int  # 0: never
    customer_gone_seconds: int  # 0: never
    customer_return_seconds: int
    sessions_per_minute: int  # new ones of one address
    messages_per_second: int  # of one customer
    uploads_per_minute: int  # of one session
    upload_max_mb: int
    files_per_tenant_mb: int  # 0: as many as the disk takes
    sockets_per_address: int
    ai_base_url: str | None = field(repr=False)
    ai_api_key: str | None = field(repr=False)
    ai_model: str | None
    log_level: str

    @property
    def servers_file(self) -> Path:
        """Where the launcher writes the addresses of the embedded servers while they run."""
        return self.data / "servers.json"


NAMES = (
    "DEMO",
    "HOST",
    "PORT",
    "CHAT_PORT",
    "SIM_PORT",
    "WORKER_PORT",
    "REDIS_URL",
    "DATABASE_URL",
    "GILIRAN_DATA",
    "QISCUS_OMNICHANNEL_URL",
    "QISCUS_APP_ID",
    "QISCUS_SECRET_KEY",
    "MAX_AGENT_CHAT",
    "ALLOCATION_POLICY",
    "RETRY_SECONDS",
    "IDLE_SECONDS",
    "DESK_LAG_SECONDS",
    "SERVICE_LEVEL_SECONDS",
    "KEEP_DAYS",
    "KEEP_CHATS_DAYS",
    "WEBHOOK_SECRET",
    "HOOKS_ALLOW_PRIVATE",
    "ALLOWED_ORIGINS",
    "TRUSTED_PROXIES",
    "SECRET_KEY",
    "REASSIGN_OFFLINE_SECONDS",
    "CUSTOMER_GONE_SECONDS",
    "CUSTOMER_RETURN_SECONDS",
    "SESSIONS_PER_MINUTE",
    "MESSAGES_PER_SECOND",
    "UPLOADS_PER_MINUTE",
    "UPLOAD_MAX_MB",
    "FILES_PER_TENANT_MB",
    "SOCKETS_PER_ADDRESS",
    "AI_BASE_URL",
    "AI_API_KEY",
    "AI_MODEL",
    "LOG_LEVEL",
)


# What the receiver, whose door is open to all, neither needs nor is given.
KEYS = ("DATABASE_URL", "QISCUS_SECRET_KEY", "SECRET_KEY", "AI_BASE_URL", "AI_API_KEY", "AI_MODEL")


def load(
    environ: Mapping[str, str] | None = None, env_file: Path | None = ROOT / ".env", keys: bool = True
) -> Settings:
    """Read and check everything. `keys`: False leaves out those of `KEYS`. Raises `SettingsError`."""
    given = _merge(os.environ if environ is None else environ, env_file)
    demo = _flag(given, "DEMO", default=not (given.get("QISCUS_APP_ID") or given.get("DATABASE_URL")))
    given = given if keys else {name: value for name, value in given.items() if name not in KEYS}
    text, sim_port = given.get, _port(given, "SIM_PORT", 8002)
    data = (ROOT / text("GILIRAN_DATA", "var")).resolve()
    app_id, secret_key = text("QISCUS_APP_ID"), text("QISCUS_SECRET_KEY")
    if keys and not demo and app_id and not secret_key:
        raise SettingsError("QISCUS_SECRET_KEY is missing: QISCUS_APP_ID is set, and Qiscus wants both")
    if app_id and not TENANT_ID.fullmatch(app_id):
        raise SettingsError(f"QISCUS_APP_ID is {app_id[:80]!r}: use {RULE}")
    for name in ("QISCUS_APP_ID", "QISCUS_SECRET_KEY", "AI_API_KEY"):
        _refuse_unsendable(name, text(name))
    _refuse_half_an_ai(given)
    qiscus_url = (
        f"http://127.0.0.1:{sim_port}" if demo else _http_address(given, "QISCUS_OMNICHANNEL_URL") or QISCUS_URL
    )
    _refuse_socks(os.environ if environ is None else environ, qiscus_url)
    return Settings(
        demo=demo,
        host=_host(given, demo),
        port=_port(given, "PORT", 8000),
        chat_port=_port(given, "CHAT_PORT", 8001),
        sim_port=sim_port,
        worker_port=_port(given, "WORKER_PORT", 0) if text("WORKER_PORT") else None,
        redis_url=_address(given, "REDIS_URL", addresses.wrong_with_redis),
        database_url=_address(given, "DATABASE_URL", addresses.wrong_with_database),
        data=data / "demo" if demo else data,
        qiscus_url=qiscus_url,
        qiscus_app_id=DEMO_APP_ID if demo else app_id,
        qiscus_secret_key=DEMO_SECRET_KEY if demo and keys else secret_key,
        max_agent_chat=_number(given, "MAX_AGENT_CHAT", 2, 0, LIMIT_MAX),
        allocation_policy=_choice(given, "ALLOCATION_POLICY", tuple(POLICIES), "least_loaded"),
        retry_seconds=_number(given, "RETRY_SECONDS", 30, 1, 3600),
        idle_seconds=_number(given, "IDLE_SECONDS", 60, 1, 86400),
        desk_lag_seconds=_number(given, "DESK_LAG_SECONDS", 5, 0, 60),
        service_level_seconds=_number(given, "SERVICE_LEVEL_SECONDS", 60, 1, 86_400),
        keep_days=_number(given, "KEEP_DAYS", 90, 1, 36500),
        keep_chats_days=_number(given, "KEEP_CHATS_DAYS", 0, 0, 36500),
        webhook_secret=_long_enough(given, "WEBHOOK_SECRET"),
        hooks_allow_private=_flag(given, "HOOKS_ALLOW_PRIVATE", default=False),
        allowed_origins=_each(given, "ALLOWED_ORIGINS", _origin),
        trusted_proxies=_each(given, "TRUSTED_PROXIES", _network),
        secret_key=_long_enough(given, "SECRET_KEY"),
        reassign_offline_seconds=_number(given, "REASSIGN_OFFLINE_SECONDS", 0, 0, 86400),
        customer_gone_seconds=_number(given, "CUSTOMER_GONE_SECONDS", 600, 0, 86400),
        customer_return_seconds=_number(given, "CUSTOMER_RETURN_SECONDS", 3600, 0, 604_800),
        sessions_per_minute=_number(given, "SESSIONS_PER_MINUTE", 200, 1, 1_000_000),
        messages_per_second=_number(given, "MESSAGES_PER_SECOND", 20, 1, 10_000),
        uploads_per_minute=_number(given, "UPLOADS_PER_MINUTE", 20, 1, 10_000),
        upload_max_mb=_number(given, "UPLOAD_MAX_MB", 10, 1, 1000),
        files_per_tenant_mb=_number(given, "FILES_PER_TENANT_MB", 20480, 0, 100_000_000),
        sockets_per_address=_number(given, "SOCKETS_PER_ADDRESS", 2000, 10, 1_000_000),
        ai_base_url=_http_address(given, "AI_BASE_URL") or None,
        ai_api_key=text("AI_API_KEY"),
        ai_model=text("AI_MODEL"),
        log_level=_choice(given, "LOG_LEVEL", LOG_LEVELS, "INFO"),
    )


@dataclass(frozen=True)
class Servers:
    """URLs with their passwords."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)


def servers(settings: Settings) -> Servers:
    """The two servers to talk to: from the environment, else those that `./scripts/run` has running."""
    found = _addresses(settings, ("DATABASE_URL", "REDIS_URL"))
    return Servers(found["DATABASE_URL"], found["REDIS_URL"])


def database_url(settings: Settings) -> str:
    """The database alone, for who needs no Redis."""
    return _addresses(settings, ("DATABASE_URL",))["DATABASE_URL"]


def redis_url(settings: Settings) -> str:
    """Redis alone: the receiver needs no database."""
    return _addresses(settings, ("REDIS_URL",))["REDIS_URL"]


def secret_key(settings: Settings) -> str:
    """What keys the digests of facts that could be guessed: the given one, else one made once and kept with the data.
    Processes on several machines need the same: give it, or let them share the data."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.data / "secret_key"
    try:
        key = kept_key.kept_or_made(path)
    except OSError as error:
        raise SettingsError(f"{path} can't be used ({error.strerror}): make it readable, or set SECRET_KEY") from error
    except UnicodeDecodeError:
        key = ""
    if len(key) < SECRET_MIN:
        raise SettingsError(f"{path} holds no key of {SECRET_MIN} characters: remove it, or set SECRET_KEY")
    return key


def for_other_programs(env_file: Path = ROOT / ".env") -> dict[str, str]:
    """What `.env` says to gunicorn, libpq and the like, for whoever starts our processes. Raises `SettingsError`."""
    return others(_from_file(env_file))


def warnings(settings: Settings, env_file: Path = ROOT / ".env") -> dict[str, str]:
    """What can be used but should not stay so: the log's action word → a sentence for a person."""
    found = {}
    if not settings.webhook_secret and not settings.demo:
        found["webhooks_open"] = "everybody who reaches the receiver may post webhooks: set WEBHOOK_SECRET"
    if env_file.is_file() and env_file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        found["env_file_readable"] = f"{env_file} can be read by other users: chmod 600 {env_file}"
    return found


def _addresses(settings: Settings, names: tuple[str, ...]) -> dict[str, str]:
    running = _running_servers(settings.servers_file)
    found = {name: getattr(settings, name.lower()) or running.get(name.lower()) for name in names}
    missing = [name for name in names if not found[name]]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not set, and no ./scripts/run is running with {settings.data}")
    return {name: str(url) for name, url in found.items()}


def _running_servers(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} can't be read: stop ./scripts/run and start it again") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path} is damaged: stop ./scripts/run and start it again")
    return found


def _merge(environ: Mapping[str, str], path: Path | None) -> dict[str, str]:
    given = {name: value for name, value in environ.items() if value}
    merged = {**_from_file(path), **given}
    _refuse_misspelt_secrets(merged)
    return {name: value for name in NAMES if (value := merged.get(name))}


def _from_file(path: Path | None) -> dict[str, str]:
    try:
        return read(path, NAMES) if path else {}
    except EnvFileError as error:
        raise SettingsError(str(error)) from error


def _refuse_misspelt_secrets(given: Mapping[str, str]) -> None:
    """The environment has names of all the world, but a slip in these two would open a door."""
    missing = [name for name in ("WEBHOOK_SECRET", "QISCUS_SECRET_KEY") if not given.get(name)]
    for name in sorted(set(given) - set(NAMES)):
        if alike := nearest(name, missing, NEAR_A_SECRET):
            raise SettingsError(f"{name} in the environment is not a setting: did you mean {alike}?")


def _refuse_unsendable(name: str, value: str | None) -> None:
    """Both travel as HTTP headers."""
    if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
        raise SettingsError(f"{name} has a character that no header can carry: use visible ASCII without spaces")


def _flag(given: Mapping[str, str], name: str, default: bool) -> bool:
    value = given.get(name, "1" if default else "0")
    if value not in ("0", "1"):
        raise SettingsError(f"{name} is {value!r}: use 1 (yes) or 0 (no)")
    return value == "1"


def _number(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, str(default)).strip()
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high):
        raise SettingsError(f"{name} is {value[:40]!r}: use a whole number from {low} to {high}")
    return int(value)


def _host(given: Mapping[str, str], demo: bool) -> str:
    """An IPv6 address may stand in brackets, as in a URL; everybody gets it without."""
    value = given.get("HOST", "127.0.0.1" if demo else "0.0.0.0")
    host = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if not addresses.is_host(host):
        raise SettingsError(f"HOST is {value[:60]!r}: use an address without a port, such as 0.0.0.0, :: or 127.0.0.1")
    if demo and given.get("DEMO") != "1" and not addresses.is_loopback(host):
        raise SettingsError(
            f"HOST is {host!r}, and this would be a demo with known passwords open to others: set DATABASE_URL or"
            " QISCUS_APP_ID (or DEMO=0) for the real thing, or DEMO=1 if an open demo is meant"
        )
    return host


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    return _number(given, name, default, 1, 65535)


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = given.get(name, default)
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}: use one of {', '.join(choices)}")
    return value


def _address(given: Mapping[str, str], name: str, wrong_with: Callable[[str], str | None]) -> str | None:
    value = given.get(name)
    if value and (wrong := wrong_with(value)):
        raise SettingsError(f"{name} {wrong}")
    return value


def _http_address(given: Mapping[str, str], name: str, default: str = "") -> str:
    return (_address(given, name, addresses.wrong_with_http) or default).rstrip("/")


def _refuse_socks(environ: Mapping[str, str], url: str) -> None:
    """Calls to the desk obey the proxies of the environment."""
    host = urlsplit(url).hostname or ""
    if name := addresses.socks_proxy(environ, host):
        raise SettingsError(
            f"{name} in the environment is a SOCKS proxy, which calls to Qiscus can't use: name an HTTP proxy, or put"
            f" {host} into NO_PROXY"
        )


def _refuse_half_an_ai(given: Mapping[str, str]) -> None:
    names = ("AI_BASE_URL", "AI_API_KEY", "AI_MODEL")
    missing = [name for name in names if name not in given]
    if 0 < len(missing) < len(names):
        raise SettingsError(f"{' and '.join(missing)} missing: set all of {', '.join(names)}, or none")


def _long_enough(given: Mapping[str, str], name: str) -> str | None:
    value = given.get(name)
    if value is not None and len(value) < SECRET_MIN:
        raise SettingsError(f"{name} is too short: use {SECRET_MIN} characters or more, or leave it out")
    return value


def _each(given: Mapping[str, str], name: str, read: Callable[[str, str], T]) -> tuple[T, ...]:
    return tuple(read(part.strip(), name) for part in given.get(name, "").split(",") if part.strip())


def _origin(value: str, name: str) -> str:
    origin = addresses.origin(value)
    if origin is None:
        raise SettingsError(f"{name} has {value[:60]!r}: write each as https://host or https://host:port, with commas")
    return origin


def _network(value: str, name: str) -> Network:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        wanted = "write addresses or networks such as 10.0.0.0/8, with commas"
        raise SettingsError(f"{name} has {value[:60]!r}: {wanted}") from None
