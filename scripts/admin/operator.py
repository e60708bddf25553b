"""`giliran operator`: who sees every tenant, and the processes, on `/ops`."""

from typing import Any

import click
from psycopg2.extensions import cursor

from db import operators, people
from scripts.admin import account, secret
from scripts.admin.errors import NotFound, Refused
from scripts.admin.installation import Installation, as_json, say
from scripts.admin.table import table
from views.words import clean, moment

NOBODY = "no operator yet: giliran operator add E-MAIL"


@click.group()
def operator() -> None:
    """Operators of the installation: they see all tenants on /ops (CHAT_PORT)."""


@operator.command("list")
@as_json
@click.pass_obj
def list_(installation: Installation, as_json: bool) -> None:
    """Show the operators."""
    with installation.reading() as cur:
        found = operators.all_of(cur)
    rows = [(row.id, clean(row.email), clean(row.name), _state(row), moment(row.created_at)) for row in found]
    told = table(("ID", "E-MAIL", "NAME", "NOTE", "SINCE"), rows) if rows else NOBODY
    say(as_json, {"operators": [row._asdict() for row in found]}, told)


def _state(row: Any) -> str:
    locked = f"locked after wrong passwords until {moment(row.locked_until)}" if row.locked_until else ""
    return "disabled: can't log in" if row.disabled else locked


@operator.command()
@click.argument("email", metavar="E-MAIL")
@click.option("--name", help="The name that others see (default: the e-mail's first part).")
@account.PASSWORD_FILE
@as_json
@click.pass_obj
def add(installation: Installation, email: str, name: str | None, password_file: str | None, as_json: bool) -> None:
    """Add an operator. Giliran asks for the password unless --password-file names a file that holds it."""
    shown = name or email.partition("@")[0]
    password_hash = account.hashed(secret.password(password_file), email, shown)
    with installation.writing() as cur:
        try:
            made = operators.add(cur, email, shown, password_hash)
        except people.AccountError as error:
            raise Refused(str(error)) from error
        installation.audit(cur, None, "operator add", email)
    say(as_json, {"operator": made, "email": email}, f"{clean(email)} is an operator: logs in on /ops (CHAT_PORT)")


@operator.command()
@click.argument("who", metavar="E-MAIL")
@account.PASSWORD_FILE
@as_json
@click.pass_obj
def password(installation: Installation, who: str, password_file: str | None, as_json: bool) -> None:
    """Set an operator's password.

    Whoever used the old one is logged out.
    """
    with installation.reading() as cur:
        row = _known(cur, who)
    new = account.hashed(secret.password(password_file), row.email, row.name)
    _change(installation, who, "password", as_json, password_hash=new)


@operator.command()
@click.argument("who", metavar="E-MAIL")
@as_json
@click.pass_obj
def disable(installation: Installation, who: str, as_json: bool) -> None:
    """Disable an operator: they are logged out everywhere."""
    _change(installation, who, "disable", as_json, disabled=True)


@operator.command()
@click.argument("who", metavar="E-MAIL")
@as_json
@click.pass_obj
def enable(installation: Installation, who: str, as_json: bool) -> None:
    """Enable a disabled operator again."""
    _change(installation, who, "enable", as_json, disabled=False)


@operator.command()
@click.argument("who", metavar="E-MAIL")
@as_json
@click.pass_obj
def unlock(installation: Installation, who: str, as_json: bool) -> None:
    """Unlock an operator after too many wrong passwords.

    Ten from one address within ten minutes lock, as for everybody: see `giliran agent unlock --help`, which with
    --address unlocks an address. `operator password` and `operator enable` unlock, too.
    """
    with installation.writing() as cur:
        row = _known(cur, who)
        was_locked = operators.unlock(cur, row.id)
        installation.audit(cur, None, "operator unlock", row.email)
    say(as_json, {"unlocked": {row.email: was_locked}}, account.unlocked_text(row.email, was_locked))


def _change(installation: Installation, who: str, what: str, as_json: bool, **values: Any) -> None:
    with installation.writing() as cur:
        row = operators.change(cur, _known(cur, who).id, **values)
        installation.audit(cur, None, f"operator {what}", row.email)
    done = {"password": "has a new password", "disable": "is disabled", "enable": "is enabled"}[what]
    say(as_json, {"operator": row.id, "email": row.email, "disabled": row.disabled}, f"{clean(row.email)} {done}")


def _known(cur: cursor, who: str) -> Any:
    found = operators.known(cur, who)
    if found is None:
        raise NotFound(f"no operator {clean(who)!r}: `giliran operator list` shows who there is")
    return found
