"""Logins in PostgreSQL: who an e-mail is, how often a password failed there, and what a right one lets in. After
`people`, which has the accounts; the SQL is in `queries/people.sql`. Every function runs in the caller's transaction.
"""

import logging
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

import logs
from db import people
from db.people import FAILURES_ALONE_MOST, FAILURES_MOST, FAILURES_WINDOW_S, KNOWN_S, PEOPLE, login_subject

log = logging.getLogger("db.logins")

TOKEN_LIFE_S = 12 * 3600.0  # from the login; use does not prolong it
NOBODYS = "nobody's"  # no tenant has such an id


class LoginError(Exception):
    """Base of what a login can end with."""


class LoginRefused(LoginError):
    """Wrong e-mail or password, or the account is disabled: which of them is not told."""


class LoginLater(LoginError):
    """Too many failures of this account or address, or too many logins at once."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s:.0f} s")
        self.wait_s = wait_s


class NoTenantNamed(LoginError):
    """As `LoginRefused`, where nobody said which of several tenants is meant: that may be why."""


class Subjects(NamedTuple):
    """Whose failure it would be: of the account at this address, of the account, of the address."""

    pair: bytes
    account: bytes
    address: bytes


MOSTS = [FAILURES_MOST, FAILURES_ALONE_MOST, FAILURES_ALONE_MOST]  # of a `Subjects`


class Try(NamedTuple):
    """`account`: None where there is none of this e-mail; `tenant`: empty where it is an operator's. `known`: it logged
    in from this address lately. `unnamed`: which of several tenants was not said."""

    tenant: str
    account: Any
    subjects: Subjects
    address: str
    known: bool
    unnamed: bool

    @property
    def blocked_by(self) -> list[bytes]:
        return [self.subjects.pair] if self.known else list(self.subjects)


def _refuse_blocked(cur: cursor, found: Try) -> None:
    wait_s = people.blocked_s(cur, found.blocked_by)
    if wait_s is not None:
        raise LoginLater(wait_s)


def look(cur: cursor, key: str, tenant: str | None, email: str, address: str) -> Try:
    """Raises `LoginLater` where the account or the address has failed too often."""
    operator = None if tenant else PEOPLE.one(cur, "operator_credentials", email=email)
    tenant, unnamed = (tenant, False) if tenant else _meant(cur, email)
    tenant = "" if operator else tenant
    account = operator or PEOPLE.one(cur, "credentials", tenant=tenant, email=email)
    # By the account, not by what was typed: PostgreSQL finds it under other spellings than Python's lower() knows.
    whose = ("account", account.agent) if account else ("nobody", email.lower())
    subjects = Subjects(
        login_subject(key, "pair", whose[0], tenant, whose[1], address),
        login_subject(key, whose[0], tenant, whose[1]),
        login_subject(key, "address", address),
    )
    known = PEOPLE.one(cur, "is_known", subject=subjects.pair, known_s=KNOWN_S) is not None
    found = Try(tenant, account, subjects, address, known, unnamed)
    _refuse_blocked(cur, found)
    return found


def _meant(cur: cursor, email: str) -> tuple[str, bool]:
    """Where nobody names it: of the tenants that know this e-mail the one with our own chat, else the only one; and
    whether another could be meant. Unknown e-mails are asked and told the same: nobody learns which are known."""
    tenants, known = PEOPLE.all(cur, "with_people"), PEOPLE.all(cur, "tenants_of", email=email)
    return _only(known) or _only(tenants) or NOBODYS, _only(tenants) is None and len(tenants) > 1


def _only(tenants: list[Any]) -> str | None:
    """Of two or fewer, those with a chat of our own first: the one that goes without saying."""
    is_one = len(tenants) == 1 or (len(tenants) > 1 and tenants[0].native > tenants[1].native)
    return tenants[0].id if is_one else None


def settle(cur: cursor, found: Try, correct: bool, digest: bytes) -> tuple[datetime, bool] | None:
    """The end of a try, with its subjects locked: not even a right password counts once the others have failed. None:
    this one failed."""
    PEOPLE.run(cur, "lock_tries", subjects=list(found.subjects), mosts=MOSTS)
    _refuse_blocked(cur, found)
    let_in = None
    if correct and _is_still_so(cur, found):
        let_in = _let_in(cur, found, digest)
    else:
        _fail(cur, found)
    PEOPLE.run(cur, "forget_tries", window_s=FAILURES_WINDOW_S)
    PEOPLE.run(cur, "forget_addresses", known_s=KNOWN_S)
    return let_in


def _fail(cur: cursor, found: Try) -> None:
    """One more, and word of it where it was the last one allowed."""
    subjects = found.subjects
    PEOPLE.run(cur, "fail", subjects=list(subjects), mosts=MOSTS, window_s=FAILURES_WINDOW_S)
    agent = found.account.agent if found.account else None
    if agent is not None:
        named = [subjects.pair, subjects.account]
        PEOPLE.run(cur, "name_tries", subjects=named, tenant=found.tenant, agent=agent)
    who, where = {"tenant": found.tenant, "agent": agent or ""}, {"address": found.address}
    for subject, locked in zip(subjects, ({**who, **where}, who, where), strict=True):
        wait_s = people.blocked_s(cur, [subject])
        if wait_s is not None:
            log.warning(logs.line("login_locked", **locked, seconds=round(wait_s)))


def _is_still_so(cur: cursor, found: Try) -> bool:
    """Whether the password lets in now: the account may have changed while the hash took its time. It does not change
    from here to the commit."""
    account = found.account
    if found.tenant:
        now = PEOPLE.one(cur, "lock_account", tenant=found.tenant, agent=account.agent)
    else:
        now = PEOPLE.one(cur, "lock_operator", operator=account.agent)
    return now is not None and not now.disabled and now.password_hash == account.password_hash


def _let_in(cur: cursor, found: Try, digest: bytes) -> tuple[datetime, bool]:
    """When the token ends, and whether they were away with a page open."""
    tenant, agent, subjects = found.tenant, found.account.agent, found.subjects
    PEOPLE.run(cur, "forgive", subjects=[subjects.pair, subjects.account])  # not the address: it may be a guesser's
    if not tenant:
        PEOPLE.run(cur, "know", subject=subjects.pair, tenant=None, agent=None, operator=agent)
        put = PEOPLE.one(cur, "put_operator_token", digest=digest, operator=agent, life_s=TOKEN_LIFE_S)
        return put.expires_at, False
    PEOPLE.run(cur, "know", subject=subjects.pair, tenant=tenant, agent=agent, operator=None)
    came = PEOPLE.one(cur, "come_online", tenant=tenant, agent=agent)
    PEOPLE.run(cur, "forget_tokens", tenant=tenant, agent=agent)
    put = PEOPLE.one(cur, "put_token", digest=digest, tenant=tenant, agent=agent, life_s=TOKEN_LIFE_S)
    return put.expires_at, came is not None and came.is_here
