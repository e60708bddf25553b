"""What a check is, and what it finds. Pure; before every subject's module.

A check has one code for programs, one sentence that is true where all is well, and one piece of advice.
"""

from dataclasses import dataclass
from typing import NamedTuple

OK, WARNING, ERROR = "ok", "warning", "error"
LEVELS = (OK, WARNING, ERROR)  # the exit code is the place of the worst one


class Finding(NamedTuple):
    """`tenant`: whose it is; None: the installation's."""

    check: str
    level: str
    message: str
    advice: str = ""
    tenant: str | None = None


@dataclass(frozen=True)
class Check:
    code: str
    fine: str
    advice: str

    def ok(self, detail: str = "", tenant: str | None = None) -> Finding:
        return Finding(self.code, OK, f"{self.fine}: {detail}" if detail else self.fine, "", tenant)

    def warning(self, message: str, tenant: str | None = None) -> Finding:
        return self.found(WARNING, message, tenant)

    def error(self, message: str, tenant: str | None = None) -> Finding:
        return self.found(ERROR, message, tenant)

    def found(self, level: str, message: str, tenant: str | None = None) -> Finding:
        return Finding(self.code, level, message, self.advice, tenant)


def worst(findings: list[Finding]) -> int:
    """The exit code: 0 all ok, 1 warnings, 2 errors."""
    return max((LEVELS.index(each.level) for each in findings), default=0)
