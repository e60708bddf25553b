"""`./scripts/bench`: the product's figures, each beside its floor in the same run, medians of alternating rounds."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from scripts.measure import away, chat, grow, locked, ops, rooms, seats, shop, waves, webhooks

Measure = Callable[[int], dict[str, Any]]

MEASURES: dict[str, tuple[str, int, Measure]] = {
    "webhooks": ("webhooks accepted per second", 5, webhooks.measure),
    "rooms": ("rooms per second from webhook to ledger, the desk answers at once", 5, rooms.measure),
    "seats": ("seat free until the assign call at the desk", 5, lambda rounds: seats.measure(100 * rounds)),
    "waves": ("1,000 rooms for 50 agents with limit 2, chats of one second", 3, waves.measure),
    "chat": (
        "our own chat: 2,000 messages/s over 500 rooms, one message to 1,000 sockets, 9,000 idle ones",
        3,
        chat.measure,
    ),
    "shop": (
        "one tenant: 500 agents' pages, 2,500 customers who wait, 500 chats with typing and marks",
        1,
        shop.measure,
    ),
    "ops": (
        "five supervisors' pages: 2,000 rooms wait, 500 agents, 40 decisions a second",
        1,
        ops.measure,
    ),
    "grow": ("seat free until the next assign call, with 3,000 agents, 300 tenants, 100,000 rooms", 3, grow.measure),
    "locked": ("seat free until the next assign call, while another tenant's row is locked", 1, locked.measure),
    "away": ("30 messages while a page has no network for 20 s", 1, away.measure),
}
AIMS = {
    "webhooks": "at least 1.05",
    "rooms": "at least 0.7",
    "seats": "at most 4",
    "waves": "at most 1.05",
    "grow": "p50 at most 1.5",
    "locked": "p99 under 250 ms",
    "chat": "p99 under 100 ms",
    "ops": "at most 1.1",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(sorted(MEASURES)))
@click.option("--rounds", type=click.IntRange(1, 50), help="Rounds of each measurement, instead of its own number.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def main(names: tuple[str, ...], rounds: int | None, as_json: bool) -> None:
    """Measure NAMES (all by default): webhooks, rooms, seats, waves, chat, shop, ops, grow, locked, away.

    Starts its own servers and processes on free ports of this machine and stops them again; about fifteen minutes
    for all. Absolute figures depend on the machine: the ratio to the floor is what can be compared.
    """
    found = {}
    for name in names or MEASURES:
        text, usual, measure = MEASURES[name]
        click.echo(f"{name}: {text} ...", err=True)
        started = time.monotonic()
        found[name] = measure(rounds or usual)
        click.echo(f"{name}: {time.monotonic() - started:.0f} s", err=True)
        if not as_json:
            click.echo(_shown(name, text, found[name]))
    if as_json:
        click.echo(json.dumps(found, indent=2))


def _shown(name: str, text: str, figures: dict[str, Any]) -> str:
    lines = [f"\n{text}"]
    for key, value in figures.items():
        parts = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        aim = f"   (aim: {AIMS[name]})" if key in ("ratio", "talk_product") else ""
        lines.append(f"  {key:15} {parts}{aim}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
