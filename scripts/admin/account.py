"""Accounts of our own chat, for `agent add`, `divisions`, `password`, `disable`, `enable` and `unlock`: who may log in
to the agents' page, and to which divisions they belong."""

from collections.abc import Sequence
from typing import Any

import click
from psycopg2.extensions import cursor

from db import people
from db.admin import ADMIN
from db.ledger import lock
from scripts.admin import native, secret
from scripts.admin.errors import NotFound, Refused
from scripts.admin.installation import Installation, as_json, say, tenant_option
from settings import secret_key
from views.words import clean, counted, listed

GRACE_S = 30  # the sidecar's PRESENCE_GRACE_S; a test holds them equal
PASSWORD_FILE = click.option(
    "--password-file", metavar="FILE", help="A file with the password; - reads standard input."
)


@click.command()
@click.argument("email", metavar="E-MAIL")
@click.option("--name", required=True, help="The name that customers see.")
@click.option("--role", type=click.Choice(people.ROLES), default="agent", show_default=True)
@click.option("--division", "divisions", multiple=True, metavar="NAME", help="A division it belongs to. Repeatable.")
@PASSWORD_FILE
@tenant_option
@as_json
@click.pass_obj
def add(
    installation: Installation,
    email: str,
    name: str,
    role: str,
    divisions: tuple[str, ...],
    password_file: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Add an account that may log in to the native chat's agent page, or to the page of supervisors.

    The worker assigns chats to agents. Supervisors and admins get none; they see all chats of the native chat and may
    write in them, and they see the whole tenant on /ops. A Qiscus app has supervisors and admins here, no agents.
    Giliran asks for the password unless --password-file names a file that holds it. It is never an argument.
    A password has 8 characters or more, and is not among those that are tried first. A division is a name that a rules
    file may use; it exists as long as an account has it.
    """
    with installation.reading() as cur:
        tenant = native.with_accounts(cur, tenant, role)
    password_hash = hashed(secret.password(password_file), email, name)
    with installation.writing() as cur:
        try:
            agent = people.add_account(cur, tenant, email, name, password_hash, role, divisions)
        except people.AccountError as error:
            raise Refused(str(error)) from error
        account = people.account(cur, tenant, agent)
        made = {"email": account.email, "name": account.name, "role": role, "divisions": account.divisions}
        installation.audit(cur, tenant, "agent add", agent, after=made)
    data = {"tenant": tenant, "agent": agent, "email": account.email, "name": account.name, "role": role}
    data["divisions"] = account.divisions
    page = "/agent" if role == "agent" else "/ops"
    told = f"{clean(account.email)} added to {tenant} as {role}, id {agent}: logs in on {page} (CHAT_PORT)"
    say(as_json, data, f"{told}\n{_divisions_text(account.email, account.divisions)}" if divisions else told)


@click.command()
@click.argument("agent", metavar="AGENT")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--none", is_flag=True, help="Take the account out of all its divisions.")
@tenant_option
@as_json
@click.pass_obj
def divisions(
    installation: Installation, agent: str, names: tuple[str, ...], none: bool, tenant: str | None, as_json: bool
) -> None:
    """Show or set the divisions of an account: exactly these NAMEs. AGENT: an id or e-mail.

    Rules files name divisions. A change takes effect for waiting rooms when their team is read next, after
    RETRY_SECONDS at the latest.
    """
    if names and none:
        raise click.UsageError("NAME and --none exclude one another")
    with installation.writing() as cur:
        tenant = native.with_accounts(cur, tenant)
        account = _known(cur, tenant, agent)
        kept = _set_divisions(cur, tenant, account.agent, names) if names or none else account.divisions
        if names or none:
            installation.audit(cur, tenant, "agent divisions", account.agent, account.divisions, kept)
    data = {"tenant": tenant, "agent": account.agent, "email": account.email, "divisions": kept}
    say(as_json, data, _divisions_text(account.email, kept))


def _set_divisions(cur: cursor, tenant: str, agent: str, names: tuple[str, ...]) -> list[str]:
    try:
        return people.set_divisions(cur, tenant, agent, names)
    except people.AccountError as error:
        raise Refused(str(error)) from error


def _divisions_text(email: str, divisions: Sequence[str]) -> str:
    return f"{clean(email)} belongs to {listed(divisions, people.DIVISIONS_MOST) or 'no division'}"


@click.command()
@click.argument("agent", metavar="AGENT")
@PASSWORD_FILE
@tenant_option
@as_json
@click.pass_obj
def password(
    installation: Installation, agent: str, password_file: str | None, tenant: str | None, as_json: bool
) -> None:
    """Set an account's password, and log out whoever used the old one. AGENT: an id or e-mail."""
    with installation.reading() as cur:
        tenant = native.with_accounts(cur, tenant)
        account = _known(cur, tenant, agent)
    new = hashed(secret.password(password_file), account.email, account.name)
    with installation.writing() as cur:
        people.set_password(cur, tenant, account.agent, new)
        installation.audit(cur, tenant, "agent password", account.agent)
    data = {"tenant": tenant, "agent": account.agent, "email": account.email, "password": "changed"}
    say(as_json, data, f"{clean(account.email)} has a new password")


@click.command()
@click.argument("agent", metavar="AGENT")
@tenant_option
@as_json
@click.pass_obj
def disable(installation: Installation, agent: str, tenant: str | None, as_json: bool) -> None:
    """Disable an account: it is logged out everywhere and gets no new chats. AGENT: an id or e-mail.

    After 30 s all its open chats, answered or not, return to their old places in the queue. A supervisor can transfer
    them before that.
    """
    _switch(installation, agent, tenant, disabled=True, as_json=as_json)


@click.command()
@click.argument("agent", metavar="AGENT")
@tenant_option
@as_json
@click.pass_obj
def enable(installation: Installation, agent: str, tenant: str | None, as_json: bool) -> None:
    """Enable a disabled account again. AGENT: an id or e-mail."""
    _switch(installation, agent, tenant, disabled=False, as_json=as_json)


@click.command()
@click.argument("agent", metavar="[AGENT]", required=False)
@click.option("--address", metavar="IP", help="Also unlock an address, which a hundred wrong passwords lock.")
@tenant_option
@as_json
@click.pass_obj
def unlock(
    installation: Installation, agent: str | None, address: str | None, tenant: str | None, as_json: bool
) -> None:
    """Unlock an account that wrong passwords have locked. AGENT: an id or e-mail.

    Ten wrong passwords from one address within ten minutes lock the account at that address. A hundred from anywhere
    lock it everywhere, except at addresses where it logged in during the last 30 days. A hundred from one address lock
    that address for other accounts. A lock ends when the first of them is ten minutes old. `giliran agent list` shows
    locked accounts; `login_locked` in the sidecar's log has the address. `agent password` and `agent enable` unlock,
    too; for operators it is `operator unlock`.
    """
    if agent is None and address is None:
        raise click.UsageError("name an AGENT, an --address, or both")
    key = secret_key(installation.settings) if address else ""
    done: dict[str, bool] = {}
    with installation.writing() as cur:
        if agent is not None:
            tenant = native.with_accounts(cur, tenant)
            account = _known(cur, tenant, agent)
            done[account.email] = people.unlock(cur, tenant, account.agent)
            installation.audit(cur, tenant, "agent unlock", account.agent)
        if address is not None:
            done[address] = people.unlock_address(cur, key, address)
            installation.audit(cur, None, "address unlock", address)
    say(as_json, {"unlocked": done}, "\n".join(unlocked_text(who, was) for who, was in done.items()))


def unlocked_text(who: str, was_counted: bool) -> str:
    return f"{clean(who)}: {'wrong passwords are forgotten' if was_counted else 'no wrong passwords were counted'}"


def _switch(installation: Installation, agent: str, tenant: str | None, disabled: bool, as_json: bool) -> None:
    """Under the tenant's lock, so that no decision that saw the old state comes after it."""
    with installation.writing() as cur:
        tenant = native.with_accounts(cur, tenant)
        lock(cur, tenant)
        account = _known(cur, tenant, agent)
        people.set_disabled(cur, tenant, account.agent, disabled)
        what = "agent disable" if disabled else "agent enable"
        installation.audit(cur, tenant, what, account.agent, account.disabled, disabled)
        chats = ADMIN.one(cur, "not_available", tenant=tenant, agent=account.agent).open_seats if disabled else None
    data = {"tenant": tenant, "agent": account.agent, "email": account.email, "disabled": disabled}
    told = f"{clean(account.email)} is {'disabled' if disabled else 'enabled'}"
    if chats is not None:
        data["open_chats"] = chats
        told += f"; {_back_in_line(chats)}"
    say(as_json, data, told)


def _back_in_line(chats: int) -> str:
    if chats == 0:
        return "it has no open chat"
    return (
        f"its {counted(chats, 'open chat goes', 'open chats, answered or not, go')} back to the line after {GRACE_S} s"
    )


def _known(cur: cursor, tenant: str, who: str) -> Any:
    found = people.account(cur, tenant, who)
    if found is None:
        raise NotFound(f"no account {clean(who)!r} in {tenant}: `giliran agent list` shows who there is")
    return found


def hashed(password: str, *own: str) -> str:
    try:
        return people.hashed(password, *own)
    except people.AccountError as error:
        raise Refused(str(error)) from error
