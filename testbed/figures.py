"""Figures that a test shows and does not assert, for the machine of a test run is shared."""

import sys
from collections.abc import Collection


def percentile(values: Collection[float], per_cent: float) -> float:
    """Of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * per_cent / 100))]


def figures(what: str, values: Collection[float]) -> None:
    """Shown by `pytest -s` and in the report of a failure. Not asserted: the machine of a test run is shared."""
    shown = ", ".join(f"p{p} {percentile(values, p):.0f}" for p in (50, 90, 99)) if values else "none"
    sys.stdout.write(f"\n{what}: {shown} (of {len(values)})\n")
