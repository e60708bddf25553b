"""The last step of a start: are the doors open, and what does a person need to know now? Text is pure."""

import http.client
from collections.abc import Sequence

import redis

from scripts.launch import outside
from scripts.launch.demo import ACCOUNTS
from scripts.launch.ports import LOOPBACK
from settings import DEMO_APP_ID, DEMO_PASSWORD, DEMO_SECRET_KEY, Servers, Settings

ASK_S = 2
TENANTS_KEY = "giliran:tenants"  # a worker publishes it


def tenants_published(redis_url: str) -> int | None:
    """How many apps of Qiscus are served; None: no worker has told yet."""
    try:
        with redis.Redis.from_url(redis_url, socket_timeout=ASK_S, retry=outside.ONCE) as client:
            return _number(client.hget(TENANTS_KEY, "*"))
    except redis.RedisError:
        return None


def _number(told: bytes | None) -> int | None:
    return int(told) if told is not None and told.isdigit() else None


def forget_tenants(redis_url: str) -> None:
    """What the last run published says nothing about this one's worker. For our own server only: it has no others."""
    with redis.Redis.from_url(redis_url, socket_timeout=ASK_S, retry=outside.ONCE) as client:
        client.delete(TENANTS_KEY)


def readyz(host: str, port: int) -> int | None:
    """The status of GET /readyz, None when nobody answers."""
    connection = http.client.HTTPConnection(local(host), port, timeout=ASK_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def local(host: str) -> str:
    """An address to knock at: "all addresses" is none."""
    return {"0.0.0.0": LOOPBACK, "": LOOPBACK, "::": "::1"}.get(host, host)


def block(settings: Settings, servers: Servers, tenants: int | None, warnings: Sequence[str] = ()) -> str:
    """What is printed when all runs. Its first line starts with `ready`: programs wait for it. `tenants`: how many
    apps of Qiscus are served, None where no worker told."""
    chat = base_url(settings.host, settings.chat_port)
    door = base_url(settings.host, settings.port)
    rows = [
        ("webhooks", f"POST {door}/allocate-agent/webhook"),
        ("", f"POST {door}/mark-as-solved/webhook"),
        ("chat", f"{chat}/chat for customers, {chat}/agent for agents"),
        ("", f"{chat}/ops for supervisors, {chat}/ has links to all pages"),
        *_demo_rows(settings),
        ("PostgreSQL", _shown(servers.database_url, settings.demo and not settings.database_url)),
        ("Redis", _shown(servers.redis_url, settings.demo and not settings.redis_url)),
        *_where_passwords_are(settings),
        *_notes(settings, tenants),
        *(("WARNING", sentence) for sentence in warnings),
    ]
    lines = [f"  {label:<12}{text}" for label, text in rows]
    return "\n".join(["", f"ready {door} (stop: Ctrl-C; the data stays in {settings.data})", "", *lines, "", ""])


def base_url(host: str, port: int) -> str:
    name = local(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _demo_rows(settings: Settings) -> list[tuple[str, str]]:
    if not settings.demo:
        return []
    return [
        ("simulator", f"{base_url(LOOPBACK, settings.sim_port)}/"),
        ("demo", f"app id {DEMO_APP_ID}, secret key {DEMO_SECRET_KEY}"),
        ("agents", f"{', '.join(account.email for account in ACCOUNTS)}, password {DEMO_PASSWORD}"),
    ]


def _notes(settings: Settings, tenants: int | None) -> list[tuple[str, str]]:
    notes = []
    if settings.webhook_secret:
        notes.append(("note", "a webhook must bring ?secret= or X-Webhook-Secret (WEBHOOK_SECRET is set)"))
    if not tenants:
        notes.append(("note", "no app of Qiscus yet: add one with ./scripts/giliran tenant add"))
    return notes


def _where_passwords_are(settings: Settings) -> list[tuple[str, str]]:
    embedded = not (settings.redis_url and settings.database_url)
    return [("", "./scripts/giliran urls shows both with their passwords")] if embedded and not settings.demo else []


def _shown(url: str, whole: bool) -> str:
    """Passwords are shown for the demo's own server only: it is on loopback and holds nothing of anybody's."""
    return url if whole else outside.masked(url)
