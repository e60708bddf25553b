"""Servers that are not ours (DATABASE_URL, REDIS_URL): do they answer? Of their words only known ones are shown."""

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

TRY_S = 2
ONCE = Retry(NoBackoff(), 0)  # redis-py would try ten times more
REASONS = (
    "Connection refused",
    "password authentication failed",
    "no pg_hba.conf entry",
    "does not exist",
    "timeout expired",
    "could not translate host name",
    "too many clients",
    "starting up",
    "does not support SSL",
    "WRONGPASS",
    "Authentication required",
    "Name or service not known",
    "Timeout",
    "loading the dataset",
    "certificate verify failed",
)


class Probe:
    """Asks again and again until it gets an answer; `reason` is why the last time failed."""

    def __init__(self, setting: str, url: str, ask: Callable[[str], None]) -> None:
        self.reason = "no answer"
        self._setting, self._url, self._ask = setting, url, ask

    def answers(self) -> bool:
        try:
            self._ask(self._url)
        except (psycopg2.Error, redis.RedisError, OSError, ValueError) as error:
            self.reason = known_reason(error)
            return False
        return True

    def sentence(self, within_s: float) -> str:
        return (
            f"{self._setting} {masked(self._url)} did not answer within {within_s:.0f} s ({self.reason}): "
            f"start that server, correct {self._setting}, or unset it to use the embedded one"
        )


def database(url: str) -> Probe:
    return Probe("DATABASE_URL", url, _ask_postgres)


def redis_server(url: str) -> Probe:
    return Probe("REDIS_URL", url, _ask_redis)


def known_reason(error: Exception) -> str:
    """Error texts can quote the URL, password included: only a phrase that we know, or the error's kind, is shown."""
    text = str(error)
    return next((reason for reason in REASONS if reason.lower() in text.lower()), type(error).__name__)


def masked(url: str) -> str:
    """The URL without its password and its options."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a URL that can't be read)"
    if "@" in url and "@" not in parts.netloc:  # an unescaped / or ? in the password: nothing in here is safe to show
        return "(a URL that can't be read)"
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return urlunsplit((parts.scheme, f"{user}{colon and ':***'}{at}{place}", parts.path, "", ""))


def _ask_postgres(url: str) -> None:
    psycopg2.connect(url, connect_timeout=TRY_S).close()


def _ask_redis(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=TRY_S, socket_connect_timeout=TRY_S, retry=ONCE) as client:
        client.ping()
