"""Clocks that are apart: this machine's, PostgreSQL's, Redis's. Pure.

Nothing breaks by it (docs/algorithm.md), but ages and charts are wrong, and logs of two machines can't be laid side by
side.
"""

from scripts.admin.doctor.check import Check, Finding

ADVICE = "let NTP set the clocks of both machines (`timedatectl`)"
POSTGRES = Check("clock_postgres", "PostgreSQL's clock is this machine's", ADVICE)
REDIS = Check("clock_redis", "Redis's clock is this machine's", ADVICE)
CHECKS = (POSTGRES, REDIS)

APART_S = 1.0  # what NTP corrects is milliseconds
WRONG_S = 60.0


def judge(check: Check, name: str, ahead_s: float | None, unsure_s: float) -> Finding | None:
    """None: its clock is not known. What the question itself took says nothing."""
    if ahead_s is None:
        return None
    apart_s = max(0.0, abs(ahead_s) - unsure_s)
    if apart_s < APART_S:
        return check.ok(f"{apart_s * 1000:.0f} ms apart")
    told = f"the clock of {name} is {apart_s:.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    return check.error(told) if apart_s > WRONG_S else check.warning(told)
