"""`giliran doctor`: reads everything that an operator would look at, judges it, shows it."""

import os
from datetime import UTC, datetime
from typing import Any

import click

import env_file
import settings
from addresses import wrong_with_http
from env_file import EnvFileError
from scripts.admin.doctor.check import worst
from scripts.admin.doctor.facts import everything, processes
from scripts.admin.doctor.facts.everything import Facts
from scripts.admin.doctor.facts.postgres import Postgres
from scripts.admin.doctor.judged import groups
from scripts.admin.doctor.report import Group, all_of, as_data, as_text
from scripts.admin.doctor.setup import USABLE, Setup
from scripts.admin.errors import NotFound
from scripts.admin.installation import Installation, as_json, say, tenant_filter
from settings import NAMES, ROOT, Settings, SettingsError
from views.words import clean, listed

ENV_FILE = ROOT / ".env"
EPILOG = """\b
Exit codes of this command:
  0  all ok
  1  warnings
  2  errors (or wrong usage)
  3  unknown tenant
"""


@click.command(epilog=EPILOG, short_help="Check everything that an operator would look at.")
@tenant_filter
@click.option("--public", multiple=True, metavar="URL", help="A public https:// address: its certificate. Repeatable.")
@as_json
@click.pass_context
def doctor(ctx: click.Context, tenant: str | None, public: tuple[str, ...], as_json: bool) -> None:
    """Check everything that an operator would look at: settings and secrets, PostgreSQL, Redis, the processes, clocks,
    disk, certificates, and each tenant with its desk.

    Each line is ok, a warning or an error, with its code and what to do: docs/operations.md lists all. A part that does
    not answer hides no other; the whole command takes 15 seconds at most. It changes nothing.
    """
    for url in public:
        _refuse(url)
    found = _groups(ctx.obj, tenant, public)
    say(as_json, as_data(found), as_text(found))
    ctx.exit(worst(all_of(found)))


def _refuse(url: str) -> None:
    wrong = wrong_with_http(url) if url.startswith("https://") else "must start with https://"
    if wrong:
        raise click.BadParameter(wrong, param_hint="--public")


def _groups(here: Installation, tenant: str | None, public: tuple[str, ...]) -> list[Group]:
    """Nothing but the settings can be judged where they can't be used."""
    try:
        given, servers = _setup(here.settings), here.servers
    except SettingsError as error:
        return [Group("Settings", [USABLE.error(str(error))])]
    facts = everything.read(here, servers, tenant, public)
    _refuse_unknown(facts, tenant)
    return groups(given, facts, processes.here(), datetime.now(UTC))


def _setup(given: Settings) -> Setup:
    try:
        written = env_file.read(ENV_FILE, NAMES)
    except EnvFileError as error:  # it was readable a moment ago
        raise SettingsError(str(error)) from error
    return Setup(given, dict(os.environ), written, settings.warnings(given, ENV_FILE))


def _refuse_unknown(facts: Facts, tenant: str | None) -> None:
    known: dict[str, Any] | Any = facts.postgres.tenants if isinstance(facts.postgres, Postgres) else {}
    if tenant is not None and known and tenant not in known:
        raise NotFound(f"no tenant {clean(tenant)!r} (known: {listed(known)})")
