"""Each tenant: what `/ops` says is wrong (`views/now.py`), and limits that nobody can meet. Pure.

The sentences of problems are those of `/ops`; here each gets its level and what to do.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scripts.admin.doctor.check import ERROR, OK, WARNING, Check, Finding
from scripts.admin.doctor.facts.tenants import Tenant
from settings import Settings
from views.words import clean, counted, span

READ = Check("tenants", "what is known of each tenant could be read", "repair what the lines above name, and ask again")
INBOX = Check("inbox_behind", "webhooks are taken over at once", "start another worker; see its log for what slows it")
PAUSED = Check(
    "desk_paused",
    "the desk is called",
    "see `giliran tenant list`; 401 or 403: give `giliran tenant add` the right secret key",
)
TROUBLE = Check("desk_trouble", "the desk answered without an error", "see `giliran tenant list`; Giliran tries again")
SILENT = Check(
    "no_webhooks",
    "webhooks come as usual",
    "are the webhooks in Qiscus's settings still on, and does their address reach the receiver?",
)
DRAINED = Check("drained", "new chats are given out", "end it on `/ops`, Settings, once nothing is served out any more")
SHUT = Check("shut", "we are within the hours", "nothing, or correct the hours: `giliran routing show`")
PAUSES = Check(
    "all_paused", "no limit of 0 pauses everybody online", "`giliran max` shows the keys: raise the one that is 0"
)
FULL = Check("all_full", "customers wait no longer than they should", "get more agents online, or raise the limit")
NOBODY = Check("nobody_online", "somebody is online while customers wait", "get agents online at the desk")
MISSING = Check(
    "rules_missing",
    "rules name nobody in vain while rooms wait",
    "put somebody into the division at the desk, or correct the rules file: `giliran routing check`",
)
UNSERVED = Check(
    "nobody_for_queue", "each queue has somebody online", "get agents of this queue online, or change the rules file"
)
QUARANTINED = Check(
    "quarantined", "no room is quarantined", "`giliran why ROOM` has the reason; remove it, then `giliran retry ROOM`"
)
PROBLEMS = {
    INBOX: WARNING,
    PAUSED: ERROR,
    TROUBLE: WARNING,
    SILENT: WARNING,
    DRAINED: WARNING,
    SHUT: OK,
    PAUSES: ERROR,
    FULL: WARNING,
    NOBODY: WARNING,
    MISSING: WARNING,
    UNSERVED: WARNING,
    QUARANTINED: WARNING,
}
OF_ALL = ("no_worker", "redis_away")  # of the installation: said once, elsewhere

ZERO = Check(
    "limit_zero", "some agent may have a chat", "raise the limit: `giliran max N`, or `--agent` for one of them"
)
INVALID = Check(
    "limit_invalid", "each limit key can be read", "set it anew: `giliran max N`; until then the next wider key applies"
)
MISSED = Check(
    "webhooks_missed",
    "no webhook was missed lately",
    "are both webhooks set in Qiscus, and does their address reach the receiver? see its log for `refused`",
)
FILES = Check(
    "files_full", "files have room", "raise FILES_PER_TENANT_MB, or set KEEP_CHATS_DAYS: at the limit files are refused"
)
CHECKS = (READ, *PROBLEMS, ZERO, INVALID, MISSED, FILES)

LATELY_S = 3600.0
NEARLY = 0.8  # as the sidecar says it: a test holds them equal
MB = 2**20


def judge(found: Tenant, settings: Settings) -> list[Finding]:
    others = [_zero(found), _invalid(found), _missed(found), _files(found, settings.files_per_tenant_mb * MB)]
    return [*_problems(found), *others]


def _problems(found: Tenant) -> Iterator[Finding]:
    told: dict[str, list[str]] = {}
    for problem in found.problems:
        told.setdefault(problem["code"], []).append(str(problem["message"]))
    for check, level in PROBLEMS.items():
        messages = told.get(check.code, [])
        yield from (
            (check.found(level, message, found.id) for message in messages) if messages else [check.ok("", found.id)]
        )


def unknown(problems: Iterable[Mapping[str, Any]]) -> set[str]:
    """Codes that nobody here judges."""
    return {each["code"] for each in problems} - {check.code for check in PROBLEMS} - set(OF_ALL)


def _zero(found: Tenant) -> Finding:
    """Whoever is online: those who are not could not serve either, once they come."""
    if found.limits and not any(found.limits):
        return ZERO.error(
            f"all {counted(len(found.limits), 'agent')} have a limit of 0: nobody can be given a chat", found.id
        )
    if not found.limits and found.limit == 0:
        return ZERO.error("the limit is 0: nobody can be given a chat", found.id)
    paused = list(found.limits).count(0)
    return ZERO.ok(f"{paused} of {counted(len(found.limits), 'agent')} paused" if paused else "", found.id)


def _invalid(found: Tenant) -> Finding:
    told = [f"{clean(key)} is {clean(text, 40)!r}" for key, text in found.invalid.items()]
    return INVALID.warning(f"not a limit: {', '.join(told[:4])}", found.id) if told else INVALID.ok("", found.id)


def _missed(found: Tenant) -> Finding:
    if found.desk != "qiscus" or found.missed_s is None or found.missed_s > LATELY_S:
        return MISSED.ok("", found.id)
    rooms = counted(found.missed, "room")
    return MISSED.warning(
        f"a waiting room was found in Qiscus's list {span(found.missed_s)} ago that no webhook named ({rooms} in all)",
        found.id,
    )


def _files(found: Tenant, most_bytes: int) -> Finding:
    if not most_bytes or found.files_bytes < NEARLY * most_bytes:
        return FILES.ok("", found.id)
    told = f"{found.files_bytes // MB} of {most_bytes // MB} MiB are used"
    return FILES.error(told, found.id) if found.files_bytes >= most_bytes else FILES.warning(told, found.id)
