"""What a log must not hold: stack traces, secrets, what customers are called."""

import re

from scripts.simulator.names import FIRST, LAST

SECRETS = ("demo-secret", "sdk-key-example", "abcde_agent", "customer@example.com", "Customer One", "timezone_offset")


def stack_traces(log: str) -> list[str]:
    """Ours stand on the line of their record, those of libraries below it."""
    return re.findall(r"^[^\n]*Traceback \(.*?(?=^\d{4}-\d\d-\d\dT|\Z)", log, flags=re.M | re.S)


def leaks(log: str) -> list[str]:
    """Lines of a log that hold a customer's name or e-mail, a secret or a token of the payloads."""
    names = {f"{first} {last}" for first in FIRST for last in LAST}
    words = (*SECRETS, "@example.com", "ecret=", "Qiscus-Secret")
    suspects = [line for line in log.splitlines() if '"' in line or "@" in line or any(w in line for w in words)]
    return [line for line in suspects if any(w in line for w in words) or any(name in line for name in names)]
