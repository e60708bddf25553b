"""All checks in their groups, and how a report looks. Pure: findings → text or data."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click

from scripts.admin.doctor import certificates, clocks, desks, disk, postgres, processes, redis, setup, tenants
from scripts.admin.doctor.check import ERROR, LEVELS, OK, WARNING, Check, Finding
from views.words import clean, counted

CHECKS: tuple[Check, ...] = tuple(
    check
    for subject in (setup, postgres, redis, processes, clocks, disk, certificates, desks, tenants)
    for check in subject.CHECKS
)
COLOURS = {OK: "green", WARNING: "yellow", ERROR: "red"}
WIDTH = max(map(len, LEVELS))
MESSAGE_MOST = 400


class Group(NamedTuple):
    title: str
    findings: list[Finding]


def all_of(groups: Sequence[Group]) -> list[Finding]:
    return [finding for group in groups for finding in group.findings]


def as_data(groups: Sequence[Group]) -> dict[str, Any]:
    checks = [{**finding._asdict(), "group": group.title} for group in groups for finding in group.findings]
    return {"checks": checks, "summary": counts(all_of(groups))}


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    number = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    return {"ok": number[OK], "warnings": number[WARNING], "errors": number[ERROR]}


def as_text(groups: Sequence[Group]) -> str:
    findings = all_of(groups)
    wide = max((len(each.check) for each in findings if not _is_folded(each)), default=0)
    blocks = ["\n".join([click.style(group.title, bold=True), *_lines(group.findings, wide)]) for group in groups]
    return "\n\n".join([*blocks, _summary(findings)])


def _lines(findings: Sequence[Finding], wide: int) -> Iterator[str]:
    for finding in findings:
        if not _is_folded(finding):
            yield from _line(finding, wide)
    if fine := list(filter(_is_folded, findings)):
        yield f"  {_level(OK)}  {counted(len(fine), 'check')} ok (--json has all)"


def _is_folded(finding: Finding) -> bool:
    """A tenant's checks that are ok are one line: there may be many tenants."""
    return finding.level == OK and finding.tenant is not None


def _line(finding: Finding, wide: int) -> Iterator[str]:
    yield f"  {_level(finding.level)}  {finding.check:<{wide}}  {clean(finding.message, MESSAGE_MOST)}"
    if finding.advice:
        yield f"  {'':<{WIDTH}}  {'':<{wide}}  → {finding.advice}"


def _level(level: str) -> str:
    return click.style(f"{level:<{WIDTH}}", fg=COLOURS[level])


def _summary(findings: Sequence[Finding]) -> str:
    number = counts(findings)
    told = [counted(number["errors"], "error"), counted(number["warnings"], "warning"), f"{number['ok']} ok"]
    return ", ".join(told)
