"""The only reader of the environment: every entry point calls `load()` once and hands the values on.

Sources, strongest first: the real environment, then the file `.env`. An empty value means unset. Nonsense is
refused at the start with a `SettingsError` whose text is one line fit to be shown to a person.
"""

import contextlib
import ipaddress
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from tenant_ids import RULE, TENANT_ID

ROOT = Path(__file__).resolve().parent
POLICIES = ("least_loaded", "upstream", "fill_two", "round_robin")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LIMIT_MAX = 1000  # chats for one agent; 0 pauses
SECRET_KEY_MIN = 16  # characters; the one that we make has 43

DEMO_APP_ID = "demo-qiscus"
DEMO_SECRET_KEY = "demo-secret"  # noqa: S105 - public on purpose: it opens the simulator only
DEMO_TENANT = "demo-tenant"  # of the native chat
DEMO_PASSWORD = "Test@1234"  # noqa: S105 - public on purpose: of the demo's agents, whose chats are nobody's

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
    keep_days: int
    keep_chats_days: int  # 0: for ever
    webhook_secret: str | None = field(repr=False)
    allowed_origins: tuple[str, ...]  # "scheme://host[:port]" in lower case; empty: same origin only
    trusted_proxies: tuple[Network, ...]  # whose X-Forwarded-* are believed
    secret_key: str | None = field(repr=False)  # use `secret_key(settings)`, which makes one where none is given
    reassign_offline_seconds: int  # 0: never
    sessions_per_minute: int  # new ones of one address
    messages_per_second: int  # of one customer
    uploads_per_minute: int  # of one session
    upload_max_mb: int
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
    "KEEP_DAYS",
    "KEEP_CHATS_DAYS",
    "WEBHOOK_SECRET",
    "ALLOWED_ORIGINS",
    "TRUSTED_PROXIES",
    "SECRET_KEY",
    "REASSIGN_OFFLINE_SECONDS",
    "SESSIONS_PER_MINUTE",
    "MESSAGES_PER_SECOND",
    "UPLOADS_PER_MINUTE",
    "UPLOAD_MAX_MB",
    "AI_BASE_URL",
    "AI_API_KEY",
    "AI_MODEL",
    "LOG_LEVEL",
)


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = ROOT / ".env") -> Settings:
    """Read and check everything. Raises `SettingsError`."""
    given = _merge(os.environ if environ is None else environ, env_file)
    text = given.get
    demo = _flag(given, "DEMO", default=not (text("QISCUS_APP_ID") or text("DATABASE_URL")))
    sim_port = _port(given, "SIM_PORT", 8002)
    data = (ROOT / text("GILIRAN_DATA", "var")).resolve()
    app_id, secret_key = text("QISCUS_APP_ID"), text("QISCUS_SECRET_KEY")
    if not demo and app_id and not secret_key:
        raise SettingsError("QISCUS_SECRET_KEY is missing: QISCUS_APP_ID is set, and Qiscus wants both")
    if app_id and not TENANT_ID.fullmatch(app_id):
        raise SettingsError(f"QISCUS_APP_ID is {app_id[:80]!r}: use {RULE}")
    for name in ("QISCUS_APP_ID", "QISCUS_SECRET_KEY", "AI_API_KEY"):
        _refuse_unsendable(name, text(name))
    _refuse_half_an_ai(given)
    return Settings(
        demo=demo,
        host=text("HOST", "127.0.0.1" if demo else "0.0.0.0"),
        port=_port(given, "PORT", 8000),
        chat_port=_port(given, "CHAT_PORT", 8001),
        sim_port=sim_port,
        worker_port=_port(given, "WORKER_PORT", 0) if text("WORKER_PORT") else None,
        redis_url=_url(given, "REDIS_URL", ("redis", "rediss", "unix")),
        database_url=_url(given, "DATABASE_URL", ("postgresql", "postgres")),
        data=data / "demo" if demo else data,
        qiscus_url=f"http://127.0.0.1:{sim_port}" if demo else _qiscus_url(given),
        qiscus_app_id=DEMO_APP_ID if demo else app_id,
        qiscus_secret_key=DEMO_SECRET_KEY if demo else secret_key,
        max_agent_chat=_number(given, "MAX_AGENT_CHAT", 2, 0, LIMIT_MAX),
        allocation_policy=_choice(given, "ALLOCATION_POLICY", POLICIES, "least_loaded"),
        retry_seconds=_number(given, "RETRY_SECONDS", 30, 1, 3600),
        idle_seconds=_number(given, "IDLE_SECONDS", 60, 1, 86400),
        desk_lag_seconds=_number(given, "DESK_LAG_SECONDS", 5, 0, 60),
        keep_days=_number(given, "KEEP_DAYS", 90, 1, 36500),
        keep_chats_days=_number(given, "KEEP_CHATS_DAYS", 0, 0, 36500),
        webhook_secret=text("WEBHOOK_SECRET"),
        allowed_origins=_origins(given, "ALLOWED_ORIGINS"),
        trusted_proxies=_networks(given, "TRUSTED_PROXIES"),
        secret_key=_long_enough(given, "SECRET_KEY"),
        reassign_offline_seconds=_number(given, "REASSIGN_OFFLINE_SECONDS", 0, 0, 86400),
        sessions_per_minute=_number(given, "SESSIONS_PER_MINUTE", 200, 1, 1_000_000),
        messages_per_second=_number(given, "MESSAGES_PER_SECOND", 20, 1, 10_000),
        uploads_per_minute=_number(given, "UPLOADS_PER_MINUTE", 20, 1, 10_000),
        upload_max_mb=_number(given, "UPLOAD_MAX_MB", 10, 1, 1000),
        ai_base_url=_http_url(given, "AI_BASE_URL"),
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
        key = _kept_key(path) or _made_key(path)
    except OSError as error:
        raise SettingsError(f"{path} can't be used ({error.strerror}): make it readable, or set SECRET_KEY") from error
    except UnicodeDecodeError:
        key = ""
    if len(key) < SECRET_KEY_MIN:
        raise SettingsError(f"{path} holds no key of {SECRET_KEY_MIN} characters: remove it, or set SECRET_KEY")
    return key


def _kept_key(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _made_key(path: Path) -> str:
    """Written aside and linked into place, so that of two processes that start together both get the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())  # before it has its name: a power cut must leave no empty key
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text().strip()


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


def _merge(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    from_file = _read_file(env_file) if env_file and env_file.exists() else {}
    merged = {**from_file, **environ}
    return {name: value for name in NAMES if (value := merged.get(name))}


def _refuse_unsendable(name: str, value: str | None) -> None:
    """Both travel as HTTP headers."""
    if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
        raise SettingsError(f"{name} has a character that no header can carry: use visible ASCII without spaces")


def _read_file(path: Path) -> dict[str, str | None]:
    try:
        return dotenv_values(path, interpolate=False)  # a $ in a secret is a $
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read: it must be a text file in UTF-8") from error


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


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    return _number(given, name, default, 1, 65535)


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = given.get(name, default)
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}: use one of {', '.join(choices)}")
    return value


def _url(given: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value and ("://" not in value or value.split("://")[0] not in schemes):
        raise SettingsError(f"{name} must start with {schemes[0]}:// (the value is not shown: it may hold a password)")
    return value


def _qiscus_url(given: Mapping[str, str]) -> str:
    return _http_url(given, "QISCUS_OMNICHANNEL_URL") or "https://omnichannel.qiscus.com"


def _http_url(given: Mapping[str, str], name: str) -> str | None:
    value = given.get(name, "").rstrip("/")
    if value and not value.startswith(("https://", "http://")):
        raise SettingsError(f"{name} must start with https:// (the value is not shown)")
    return value or None


def _refuse_half_an_ai(given: Mapping[str, str]) -> None:
    names = ("AI_BASE_URL", "AI_API_KEY", "AI_MODEL")
    missing = [name for name in names if name not in given]
    if 0 < len(missing) < len(names):
        raise SettingsError(f"{' and '.join(missing)} missing: set all of {', '.join(names)}, or none")


def _long_enough(given: Mapping[str, str], name: str) -> str | None:
    value = given.get(name)
    if value is not None and len(value) < SECRET_KEY_MIN:
        raise SettingsError(f"{name} is too short: use {SECRET_KEY_MIN} characters or more, or leave it out")
    return value


def _parts(given: Mapping[str, str], name: str) -> list[str]:
    return [part.strip() for part in given.get(name, "").split(",") if part.strip()]


def _origins(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(_origin(part, name) for part in _parts(given, name))


def _origin(value: str, name: str) -> str:
    """As browsers write it: in lower case, without the port that the scheme has anyway."""
    try:
        parts = urlsplit(value.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    bare = parts.netloc and "@" not in parts.netloc and parts.path in ("", "/") and not (parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not bare or not parts.hostname or not value.isascii() or "*" in value:
        raise SettingsError(f"{name} has {value[:60]!r}: write each as https://host or https://host:port, with commas")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def _networks(given: Mapping[str, str], name: str) -> tuple[Network, ...]:
    return tuple(_network(part, name) for part in _parts(given, name))


def _network(value: str, name: str) -> Network:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise SettingsError(
            f"{name} has {value[:60]!r}: write addresses or networks such as 10.0.0.0/8, with commas"
        ) from None
