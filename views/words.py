"""Ages, moments, counts, and words of others made harmless. Pure: values → a piece of a line."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

JOINERS = "\u200c\u200d\u200e\u200f\u061c"  # join or part letters, or say which way they run; take no column


def clean(value: object, most: int = 80) -> str:
    """One printable piece of a line: ids, names and reasons come from outside, and a terminal obeys control bytes."""
    text = harmless(str(value))
    return text if len(text) <= most else text[: most - 1] + "…"


def harmless(text: str) -> str:
    """What could command the terminal or turn the line around is a question mark; every space is a plain one."""
    return "".join(map(_harmless, text))


def _harmless(char: str) -> str:
    if char.isprintable() or char in JOINERS:
        return char
    return " " if char == "\t" or unicodedata.category(char) == "Zs" else "?"


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3m 05s`, `2h 10m`, `4d 3h`."""
    s = max(0.0, seconds)
    if s < 9.95:
        return f"{s:.1f} s"
    whole = round(s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def age(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else f"{span((now - at).total_seconds())} ago"


def ahead(at: datetime, now: datetime) -> str:
    """How far away a moment to come is."""
    seconds = (at - now).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else "now"


def ago_s(at: datetime | None) -> float | None:
    return None if at is None else round(max(0.0, (datetime.now(UTC) - at).total_seconds()), 1)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def from_us(microseconds: int) -> datetime:
    """A time of Redis's clock as the line keeps it. One that is no date (a clock gone mad) is the first one."""
    try:
        return datetime.fromtimestamp(microseconds / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def counted(n: int, one: str, many: str | None = None) -> str:
    """`1 room`, `2 rooms`, `1,204 rooms`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def ordinal(n: int) -> str:
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"


def listed(names: Iterable[str], most: int = 10) -> str:
    shown = [clean(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
