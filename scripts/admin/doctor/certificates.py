"""Certificates that are about to end, or have ended. Pure."""

from collections.abc import Sequence
from datetime import datetime

from scripts.admin.doctor.check import Check, Finding
from scripts.admin.doctor.facts.certificates import Certificate

ENDS = Check("certificate", "no certificate ends soon", "renew it, and reload the server that shows it")
CHECKS = (ENDS,)

SOON_DAYS = 21
URGENT_DAYS = 3


def judge(found: Sequence[Certificate], now: datetime) -> list[Finding]:
    return [_judged(each, now) for each in found] or [ENDS.ok("none is in use here")]


def _judged(found: Certificate, now: datetime) -> Finding:
    if found.ends_at is None:
        return ENDS.warning(f"{found.name}: {found.trouble}")
    days = (found.ends_at - now).total_seconds() / 86_400
    told = f"{found.name}: its certificate {'ended' if days < 0 else 'ends'} on {found.ends_at:%Y-%m-%d}"
    if days < URGENT_DAYS:
        return ENDS.error(told)
    return ENDS.warning(told) if days < SOON_DAYS else ENDS.ok(f"{found.name} until {found.ends_at:%Y-%m-%d}")
