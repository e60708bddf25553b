"""`giliran bench`: hands over to `./scripts/bench`, with everything that was typed after it."""

import os

import click

from scripts.admin.errors import CantDo
from settings import ROOT


@click.command(
    short_help="Measure this machine (= ./scripts/bench).",
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure this machine (= ./scripts/bench; all arguments go there)."""
    program = ROOT / "scripts" / "bench"
    try:
        os.execv(program, [str(program), *arguments])  # noqa: S606 - our own script, no shell
    except OSError as error:
        raise CantDo(f"scripts/bench can't be started ({error.strerror})") from error
