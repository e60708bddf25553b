"""Agents log in: e-mail and password → a token; later a token → who it is. Before `console` and the agents' socket.

Guessing is slow and limited: Argon2id, two hashes at a time in each sidecar, and in ten minutes ten failures of an
account at an address, a hundred of an account or of an address. The failures are counted in PostgreSQL, under keyed
digests, so that more sidecars (with the same key) or a restart give no more tries. Where an account logged in lately,
only its own ten failures there lock it out: else anybody could lock out anybody.
"""

import asyncio
import functools
import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

import logs
from db import people
from db.people import FAILURES_ALONE_MOST, FAILURES_MOST, FAILURES_WINDOW_S, KNOWN_S, PEOPLE, login_subject
from sidecar.store import Store

log = logging.getLogger("sidecar.login")

TOKEN_LIFE_S = 12 * 3600.0  # from the login; use does not prolong it
TOKEN_BYTES = 32
HASHES_AT_ONCE = 2  # 64 MiB and one processor each
NICE = 10
WAITING_MOST = 200  # logins that wait for their hash; the wait is then some 6 s
LOOKS_AT_ONCE = 4  # of the store's 8 threads: a flood that is refused leaves the others to the chats
LOOKS_MOST = 2000  # logins that wait for their first look; the wait is then a second or two
FULL_S = 2.0  # until it is worth asking again


class Agent(NamedTuple):
    """Whoever is logged in, supervisors too. `tenant` is the only tenant that they see."""

    tenant: str
    agent_id: str
    name: str
    email: str
    role: str

    @property
    def is_supervisor(self) -> bool:
        return self.role in ("supervisor", "admin")


class LoggedIn(NamedTuple):
    """`was_away`: of somebody with a page open, whose colleagues are still to hear that they are back."""

    token: str
    agent: Agent
    expires_at: datetime
    was_away: bool


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
    """There is not exactly one tenant to take for granted."""


class Gate:
    """`at_once` go through at a time. Belongs to one event loop."""

    def __init__(self, at_once: int, most: int) -> None:
        """`most`: with those who wait; who comes then may come later."""
        self._slots, self._most, self._inside = asyncio.Semaphore(at_once), most, 0

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Raises `LoginLater`."""
        if self._inside >= self._most:
            raise LoginLater(FULL_S)
        self._inside += 1
        try:
            async with self._slots:
                yield
        finally:
            self._inside -= 1


class Subjects(NamedTuple):
    """Whose failure it would be: of the account at this address, of the account, of the address."""

    pair: bytes
    account: bytes
    address: bytes


MOSTS = [FAILURES_MOST, FAILURES_ALONE_MOST, FAILURES_ALONE_MOST]  # of a `Subjects`


class Try(NamedTuple):
    """`account`: None where there is none of this e-mail. `known`: it logged in from this address lately."""

    tenant: str
    account: Any
    subjects: Subjects
    address: str
    known: bool

    @property
    def blocked_by(self) -> list[bytes]:
        return [self.subjects.pair] if self.known else list(self.subjects)


class Login:
    """Of one sidecar. Raises `LedgerTrouble` besides `LoginError`."""

    def __init__(self, store: Store, key: str) -> None:
        """`key`: SECRET_KEY. Sidecars with the same one count failures together."""
        self._store, self._key = store, key
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, "argon2", _be_nice)
        self._looks = Gate(LOOKS_AT_ONCE, LOOKS_MOST)
        self._hashes = Gate(HASHES_AT_ONCE, WAITING_MOST)
        self._nobody = self._threads.submit(people.nobodys_hash)  # an unknown e-mail costs the same

    async def login(self, tenant: str | None, email: str, password: str, address: str) -> LoggedIn:
        """Whose wish is to be online from now on."""
        look = functools.partial(_look, key=self._key, tenant=tenant, email=email.strip(), address=address)
        async with self._looks.passage():
            await self._store.run(look)
        async with self._hashes.passage():
            found = await self._store.run(look)  # again after the wait: what failed meanwhile counts
            correct = await self._matches(found, password)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        digest, account = people.token_digest(token), found.account
        settled = await self._store.run(lambda cur: _settle(cur, found, correct, digest))
        if settled is None:
            agent_id = account.agent if account else None
            log.warning(logs.line("login_failed", tenant=found.tenant, agent=agent_id, address=address))
            raise LoginRefused
        log.info(logs.line("logged_in", tenant=found.tenant, agent=account.agent, address=address))
        agent = Agent(found.tenant, account.agent, account.name, account.email, account.role)
        return LoggedIn(token, agent, *settled)

    async def who(self, token: str) -> Agent | None:
        """None where the token is unknown, revoked, too old, or its account disabled."""
        digest = people.token_digest(token)
        row = await self._store.run(lambda cur: PEOPLE.one(cur, "who", digest=digest))
        return Agent(*row) if row else None

    async def valid(self, tokens: Iterable[str]) -> set[str]:
        """Those that would still let somebody in."""
        by_digest = {people.token_digest(token): token for token in tokens}
        digests = list(by_digest)
        rows = await self._store.run(lambda cur: PEOPLE.all(cur, "valid", digests=digests))
        return {by_digest[bytes(row.digest)] for row in rows}

    async def logout(self, token: str) -> None:
        digest = people.token_digest(token)
        row = await self._store.run(lambda cur: PEOPLE.one(cur, "revoke", digest=digest))
        if row:
            log.info(logs.line("logged_out", tenant=row.tenant, agent=row.agent))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _matches(self, found: Try, password: str) -> bool:
        password_hash = found.account.password_hash if found.account else await asyncio.wrap_future(self._nobody)
        loop = asyncio.get_running_loop()
        try:
            hashing = loop.run_in_executor(self._threads, people.matches, password_hash, password)
        except RuntimeError:  # closed: this process stops
            raise LoginLater(FULL_S) from None
        return await hashing and found.account is not None


def _be_nice() -> None:
    """This thread goes after others on this machine: a flood of logins takes nobody's chat the processor."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _refuse_blocked(cur: cursor, found: Try) -> None:
    wait_s = people.blocked_s(cur, found.blocked_by)
    if wait_s is not None:
        raise LoginLater(wait_s)


def _look(cur: cursor, key: str, tenant: str | None, email: str, address: str) -> Try:
    """Raises `LoginLater` where the account or the address has failed too often."""
    tenant = tenant or _only_tenant(cur)
    account = PEOPLE.one(cur, "credentials", tenant=tenant, email=email)
    # By the account, not by what was typed: PostgreSQL finds it under other spellings than Python's lower() knows.
    whose = ("account", account.agent) if account else ("nobody", email.lower())
    subjects = Subjects(
        login_subject(key, "pair", whose[0], tenant, whose[1], address),
        login_subject(key, whose[0], tenant, whose[1]),
        login_subject(key, "address", address),
    )
    known = PEOPLE.one(cur, "is_known", subject=subjects.pair, known_s=KNOWN_S) is not None
    found = Try(tenant, account, subjects, address, known)
    _refuse_blocked(cur, found)
    return found


def _only_tenant(cur: cursor) -> str:
    tenants = people.native_tenants(cur)
    if len(tenants) != 1:
        raise NoTenantNamed
    return tenants[0]


def _settle(cur: cursor, found: Try, correct: bool, digest: bytes) -> tuple[datetime, bool] | None:
    """The end of a try, with its subjects locked: not even a right password counts once the others have failed. None:
    this one failed."""
    PEOPLE.run(cur, "lock_tries", subjects=list(found.subjects), mosts=MOSTS)
    _refuse_blocked(cur, found)
    let_in = None
    if correct and _is_still_so(cur, found.tenant, found.account):
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


def _is_still_so(cur: cursor, tenant: str, account: Any) -> bool:
    """Whether the password lets in now: the account may have changed while the hash took its time. It does not change
    from here to the commit."""
    now = PEOPLE.one(cur, "lock_account", tenant=tenant, agent=account.agent)
    return now is not None and not now.disabled and now.password_hash == account.password_hash


def _let_in(cur: cursor, found: Try, digest: bytes) -> tuple[datetime, bool]:
    """When the token ends, and whether they were away with a page open."""
    tenant, agent, subjects = found.tenant, found.account.agent, found.subjects
    PEOPLE.run(cur, "forgive", subjects=[subjects.pair, subjects.account])  # not the address: it may be a guesser's
    PEOPLE.run(cur, "know", subject=subjects.pair, tenant=tenant, agent=agent)
    came = PEOPLE.one(cur, "come_online", tenant=tenant, agent=agent)
    PEOPLE.run(cur, "forget_tokens", tenant=tenant, agent=agent)
    put = PEOPLE.one(cur, "put_token", digest=digest, tenant=tenant, agent=agent, life_s=TOKEN_LIFE_S)
    return put.expires_at, came is not None and came.is_here
