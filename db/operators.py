"""Operators of the installation in PostgreSQL: who sees every tenant on `/ops`. Beside `people`, which has the accounts
of tenants; `logins` lets both in. Every function runs in the caller's transaction.
"""

import secrets
from typing import Any

from psycopg2.extensions import cursor

from db import people
from db.people import NAME_MOST, PEOPLE, AccountError


def add(cur: cursor, email: str, name: str, password_hash: str) -> str:
    """The operator's id. Raises `AccountError`."""
    email, shown = email.strip(), people.shown_name(name)
    if not people.is_email(email):
        raise AccountError(f"{email[:60]!r} is no e-mail address")
    if shown is None:
        raise AccountError(f"a name has 1 to {NAME_MOST} characters that can be shown, on one line")
    operator = f"o{secrets.token_hex(5)}"
    values = {"email": email, "name": shown, "password_hash": password_hash}
    if PEOPLE.one(cur, "add_operator", operator=operator, **values) is None:
        raise AccountError(f"{email} is an operator already")
    return operator


def all_of(cur: cursor) -> list[Any]:
    """With `locked_until`: after too many wrong passwords, None else."""
    return PEOPLE.all(cur, "operators", window_s=people.FAILURES_WINDOW_S)


def known(cur: cursor, who: str) -> Any:
    """By id or e-mail: (id, email, name, disabled), None where there is none."""
    return PEOPLE.one(cur, "operator", who=who)


def unlock(cur: cursor, operator: str) -> bool:
    """They may log in again at once; whether failed logins were counted."""
    return people.unlock(cur, "", operator)


def change(cur: cursor, who: str, disabled: bool | None = None, password_hash: str | None = None) -> Any:
    """As `known`, with what is new. They are logged out everywhere, and wrong passwords of before count no more."""
    row = PEOPLE.one(cur, "set_operator", who=who, disabled=disabled, password_hash=password_hash)
    if row is not None:
        PEOPLE.run(cur, "end_operator", operator=row.id)
        unlock(cur, row.id)
    return row
