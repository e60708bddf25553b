"""Pure: what a customer who waits is told: templates of the file, and their words for places, times and openings.

A template without a language is Indonesian. A customer whose language is not known, or not among a template's, reads
the first one of the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from routing.model import Messages

POSITION, ETA, OPENS = "position", "eta", "opens"
QUEUED, CLOSED = "queued", "closed"
PLACEHOLDERS = {QUEUED: (POSITION, ETA), CLOSED: (OPENS, POSITION)}
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PLAIN = "id"  # the language of a template that names none

Template = Mapping[str, str]

UNKNOWN = {"en": "not yet known", "id": "belum diketahui"}
UNITS = {
    "en": (("minute", "minutes"), ("hour", "hours")),
    "id": (("menit", "menit"), ("jam", "jam")),
}
LESS_THAN_A_MINUTE = {"en": "less than a minute", "id": "kurang dari 1 menit"}
DAY_NAMES = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "id": ("Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu"),
}
MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "id": (
        "Januari",
        "Februari",
        "Maret",
        "April",
        "Mei",
        "Juni",
        "Juli",
        "Agustus",
        "September",
        "Oktober",
        "November",
        "Desember",
    ),
}
OPENINGS: Mapping[str, Mapping[str, str]] = {
    "en": {"today": "today at {time}", "tomorrow": "tomorrow at {time}", "day": "on {day} at {time}"},
    "id": {"today": "hari ini pukul {time}", "tomorrow": "besok pukul {time}", "day": "hari {day} pukul {time}"},
}
DATES = {"en": "on {date} at {time}", "id": "tanggal {date} pukul {time}"}


def message(
    template: Template,
    language: str | None = None,
    position: int | None = None,
    eta_s: float | None = None,
    opens: str | None = None,
) -> str:
    """The text to be sent. `opens` is what `opening` gave in the language of `language_of`."""
    spoken = language_of(template, language)
    values = {
        POSITION: str(position) if position is not None else UNKNOWN[spoken],
        ETA: eta(eta_s, spoken),
        OPENS: opens or UNKNOWN[spoken],
    }
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template[spoken])


@dataclass(frozen=True, slots=True)
class Sent:
    """What the customer of a visit has been sent already."""

    closed: bool = False
    queued_at: datetime | None = None
    position: int | None = None


def due(messages: Messages, sent: Sent, position: int, waits_for_opening: bool, now: datetime) -> str | None:
    """The message that a customer who still waits is to be sent now, by its name in the file. `closed` goes out once
    for a visit, `queued` once and then again for a new position, as often as the file allows."""
    if waits_for_opening:
        return CLOSED if messages.closed is not None and not sent.closed else None
    if messages.queued is None:
        return None
    if sent.queued_at is None:
        return QUEUED
    again_s = messages.again_every_s
    is_time = again_s is not None and now - sent.queued_at >= timedelta(seconds=again_s)
    return QUEUED if is_time and position != sent.position else None


def language_of(template: Template, language: str | None) -> str:
    return language if language is not None and language in template else next(iter(template))


def eta(seconds: float | None, language: str) -> str:
    """Rounded up: to minutes, from an hour on to hours. It is an estimate, not a promise to the second."""
    if seconds is None:
        return UNKNOWN[language]
    if seconds <= 0:
        return LESS_THAN_A_MINUTE[language]
    minutes = -int(-seconds // 60)
    minute, hour = UNITS[language]
    return _counted(minutes, minute) if minutes < 60 else _counted(-(-minutes // 60), hour)


def _counted(number: int, words: tuple[str, str]) -> str:
    return f"{number} {words[0] if number == 1 else words[1]}"


def opening(opens: datetime | None, now: datetime, zone: str, language: str) -> str | None:
    """When it opens, as somebody who stands before the door would be told, in the tenant's time zone."""
    if opens is None:
        return None
    local, today = opens.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    days = (local.date() - today).days
    at = f"{local.hour:02}:{local.minute:02}" if language == "en" else f"{local.hour:02}.{local.minute:02}"
    if days < 7:
        word = ("today", "tomorrow")[days] if days < 2 else "day"
        return OPENINGS[language][word].format(time=at, day=DAY_NAMES[language][local.weekday()])
    year = f" {local.year}" if local.year != today.year else ""
    return DATES[language].format(time=at, date=f"{local.day} {MONTHS[language][local.month - 1]}{year}")
