"""One way to log: an action word, then `key=value` ids, so that one grep by room tells the room's whole life.

Never pass a body, a header or a credential to a log call: values are cut and cleaned, not filtered.
"""

import logging
import re
import sys
import time

SAY_AGAIN_S = 60.0  # an outage that lasts is said again
FLUTTER_S = 10  # what comes and goes is not said more often
DETAIL = re.compile(r" \| DETAIL:  .*?(?= \| |$)")  # of PostgreSQL's errors: whole rows, with customers' words in them
VALUE_MAX = 200  # characters; desk errors can be whole HTML pages


class _Line(logging.Formatter):
    """A record whose message has several lines (see `each`) becomes as many full lines; a stack trace stays on the
    line of its record, so that no tool that reads lines takes its parts for records."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    _last: tuple[int, str] = (-1, "")  # the second that was written out last: thousands of lines have the same

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, list):
            prefix = f"{self.formatTime(record)} {record.levelname} {record.name} "
            return "\n".join(prefix + text for text in record.msg)
        text = super().format(record).rstrip()
        return text if text.isprintable() and " | " not in text else DETAIL.sub("", _on_one_line(text))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        second, shown = self._last
        if second != int(record.created):
            second, shown = self._last = int(record.created), super().formatTime(record, self.default_time_format)
        return self.default_msec_format % (shown, record.msecs)


def _on_one_line(text: str) -> str:
    """Without whatever some tool takes for the end of a line."""
    return " | ".join(filter(None, map(str.strip, text.splitlines())))


class _Discreet(logging.Filter):
    """Of a request that is no HTTP, aiohttp logs the bytes: keys, tokens and passwords may be among them."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        if kind and kind.__module__ in ("aiohttp.http_exceptions", "aiohttp.web_protocol"):
            record.msg, record.args = line("request_broken", why=kind.__name__), ()
            record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return True


def setup(level: str) -> None:
    """Send every record of this process to standard error, one line each, UTC."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # not shown, and not for free
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(_Discreet())
    for noisy in ("rq.worker", "urllib3", "werkzeug"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


class Outage:
    """Something that is away and tried again and again: said when it goes, each minute while it lasts, and when it is
    back. Of one thread."""

    def __init__(self, log: logging.Logger, away: str, back: str, **ids: object) -> None:
        self._log, self._away, self._back, self._ids = log, away, back, ids
        self._since: float | None = None
        self._said = False
        self._say_at = 0.0
        self._tries = 0

    def goes_on(self, why: object) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since, self._said, self._tries = now, False, 0
        self._tries += 1
        if now >= self._say_at:
            lasted = {"seconds": round(now - self._since), "tries": self._tries} if self._tries > 1 else {}
            self._log.error(line(self._away, **self._ids, **lasted, why=why))
            self._said, self._say_at = True, now + SAY_AGAIN_S

    def over(self) -> None:
        """Also where nothing was away: then it costs nothing and says nothing."""
        if self._since is None:
            return
        now = time.monotonic()
        if self._said:
            self._log.warning(line(self._back, **self._ids, seconds=round(now - self._since, 1), tries=self._tries))
            self._say_at = now + FLUTTER_S
        self._since = None


class Outages:
    """The same for many, tenants mostly, and for several threads. What comes and goes, too, is said once a minute."""

    def __init__(self, log: logging.Logger, away: str, back: str, after_s: float = 0.0) -> None:
        """`after_s`: what is over sooner is no news."""
        self._log, self._away, self._back, self._after_s = log, away, back, after_s
        self._said: dict[str | None, float] = {}
        self._began: dict[str | None, float] = {}

    def go_on(self, why: object, tenant: str | None = None) -> None:
        now = time.monotonic()
        lasted_s = now - self._began.setdefault(tenant, now)
        if lasted_s < self._after_s or now - self._said.get(tenant, -SAY_AGAIN_S) < SAY_AGAIN_S:
            return
        self._said[tenant] = now
        seconds = round(lasted_s) or None
        self._log.error(line(self._away, tenant=tenant, seconds=seconds, why=why))

    def over(self, tenant: str | None = None) -> None:
        began = self._began.pop(tenant, None) if self._began else None
        if began is not None and self._said.get(tenant, began - 1) >= began:
            self._log.warning(line(self._back, tenant=tenant, seconds=round(time.monotonic() - began, 1)))


def line(action: str, **ids: object) -> str:
    """`line("reserved", room="7", agent="12")` → `reserved room=7 agent=12`; None values are left out."""
    return " ".join([action, *(f"{key}={clean(value)}" for key, value in ids.items() if value is not None)])


def each(log: logging.Logger, lines: list[str]) -> None:
    """Many lines of one step at once, INFO: at thousands of rooms a second a record for each would cost too much."""
    if lines and log.isEnabledFor(logging.INFO):
        log.info(lines)


def clean(value: object) -> str:
    """One printable, bounded word or quoted phrase."""
    text = str(value)
    if not text.isprintable() or len(text) > VALUE_MAX:
        text = "".join(c if c.isprintable() else "?" for c in text[:VALUE_MAX])
    if text and not any(mark in text for mark in ' "='):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
