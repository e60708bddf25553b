"""Each tenant's desk, asked now; its webhooks' door; whom its rules name in vain. Pure."""

from typing import Any

from scripts.admin.doctor.check import Check, Finding
from scripts.admin.doctor.facts.at_once import Unread
from scripts.admin.doctor.facts.desks import Answered, Strangers
from settings import Settings
from views.words import clean

ANSWERS = Check(
    "desk_answers",
    "the desk answers and takes our credentials",
    "refused: `giliran tenant add` with the right secret key; no answer: is the way to QISCUS_OMNICHANNEL_URL open?",
)
STALE = Check(
    "settings_stale",
    "workers use the credentials of the settings",
    "restart the workers: at their start they take them from the settings",
)
OPEN = Check(
    "webhooks_open",
    "webhooks need a secret",
    "set WEBHOOK_SECRET, restart the receivers, and add `?secret=…` to both webhooks in Qiscus",
)
RULES = Check(
    "rules_strangers",
    "the desk has everybody whom the rules name",
    "put somebody into the division at the desk, or correct the rules file: `giliran routing check FILE --tenant ID`",
)
CHECKS = (ANSWERS, STALE, OPEN, RULES)

SLOW_S = 3.0
STRANGERS_MOST = 3


def answers(tenant: str, found: Answered | Unread) -> Finding:
    if isinstance(found, Unread):
        return ANSWERS.error(f"the desk: {found.why}", tenant)
    if found.trouble:
        what = "the desk refuses our credentials" if found.refused else "the desk could not be asked"
        return ANSWERS.error(f"{what}: {clean(found.trouble, 160)}", tenant)
    if found.took_s > SLOW_S:
        return ANSWERS.warning(f"the desk is slow: it took {found.took_s:.1f} s", tenant)
    return ANSWERS.ok(f"in {found.took_s * 1000:.0f} ms", tenant)


def credentials(row: Any, settings: Settings) -> Finding:
    """`row`: of the block `doors_of_tenants`. What the settings say of their own tenant is used from a start on."""
    own = row.id == settings.qiscus_app_id and settings.qiscus_secret_key is not None
    if own and (row.base_url, row.secret_key) != (settings.qiscus_url, settings.qiscus_secret_key):
        return STALE.warning("the address or the secret key in the settings is not the one that workers use", row.id)
    return STALE.ok("", row.id)


def door(row: Any, settings: Settings, warning: str | None) -> Finding:
    """`warning`: of `settings.warnings`, where no secret is set; a tenant's own secret closes its door."""
    if settings.demo and not settings.webhook_secret:
        return OPEN.ok("a demo has none", row.id)
    if warning is None or row.own_webhook_secret:
        return OPEN.ok("", row.id)
    return OPEN.warning(warning.rpartition(":")[0], row.id)


def any_door(settings: Settings, warning: str | None) -> Finding:
    """Where it is not known which tenants there are."""
    return OPEN.warning(warning.rpartition(":")[0]) if warning else OPEN.ok("a demo has none" if settings.demo else "")


def strangers(tenant: str, found: Strangers | Unread) -> Finding:
    why = found.why if isinstance(found, Unread) else found.trouble
    if why is not None:
        return RULES.warning(f"whom the rules name could not be compared with the desk: {clean(why, 160)}", tenant)
    named = found.faults if isinstance(found, Strangers) else ()
    told = [clean(each, 160) for each in named[:STRANGERS_MOST]]
    more = [f"and {len(named) - len(told)} more"] if len(named) > len(told) else []
    return RULES.warning("; ".join([*told, *more]), tenant) if named else RULES.ok("", tenant)
