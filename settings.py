"""The only reader of the environment: every entry point calls `load()` once and hands the values on.

Sources, strongest first: the real environment, then the file `.env`. An empty value means unset. Nonsense is
refused at the start with a `SettingsError` whose text is one line fit to be shown to a person.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent
POLICIES = ("least_loaded", "upstream", "fill_two", "round_robin")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LIMIT_MAX = 1000  # chats for one agent; 0 pauses

DEMO_APP_ID = "demo-qiscus"
DEMO_SECRET_KEY = "demo-secret"  # noqa: S105 - public on purpose: it opens the simulator only


class SettingsError(Exception):
    """A setting that can't be used; the text names the setting, what is wrong and what would be right."""


@dataclass(frozen=True)
class Settings:
    """All settings of one process. Seconds are seconds; `None` means "not given and no default"."""

    demo: bool
    host: str
    port: int
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
    webhook_secret: str | None = field(repr=False)
    log_level: str

    @property
    def servers_file(self) -> Path:
        """Where the launcher writes the addresses of the embedded servers while they run."""
        return self.data / "servers.json"


NAMES = (
    "DEMO",
    "HOST",
    "PORT",
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
    "WEBHOOK_SECRET",
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
    for name in ("QISCUS_APP_ID", "QISCUS_SECRET_KEY"):
        _refuse_unsendable(name, text(name))
    return Settings(
        demo=demo,
        host=text("HOST", "127.0.0.1" if demo else "0.0.0.0"),
        port=_port(given, "PORT", 8000),
        sim_port=sim_port,
        worker_port=_port(given, "WORKER_PORT", 0) if text("WORKER_PORT") else None,
        redis_url=_url(given, "REDIS_URL", ("redis", "rediss", "unix")),
        database_url=_url(given, "DATABASE_URL", ("postgresql", "postgres")),
        data=data / "demo" if demo else data,
        qiscus_url=f"http://127.0.0.1:{sim_port}" if demo else _base_url(given),
        qiscus_app_id=DEMO_APP_ID if demo else app_id,
        qiscus_secret_key=DEMO_SECRET_KEY if demo else secret_key,
        max_agent_chat=_number(given, "MAX_AGENT_CHAT", 2, 0, LIMIT_MAX),
        allocation_policy=_choice(given, "ALLOCATION_POLICY", POLICIES, "least_loaded"),
        retry_seconds=_number(given, "RETRY_SECONDS", 30, 1, 3600),
        idle_seconds=_number(given, "IDLE_SECONDS", 60, 1, 86400),
        desk_lag_seconds=_number(given, "DESK_LAG_SECONDS", 5, 0, 60),
        keep_days=_number(given, "KEEP_DAYS", 90, 1, 36500),
        webhook_secret=text("WEBHOOK_SECRET"),
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


def _base_url(given: Mapping[str, str]) -> str:
    value = given.get("QISCUS_OMNICHANNEL_URL", "https://omnichannel.qiscus.com").rstrip("/")
    if not value.startswith(("https://", "http://")):
        raise SettingsError("QISCUS_OMNICHANNEL_URL must start with https:// (the value is not shown)")
    return value
