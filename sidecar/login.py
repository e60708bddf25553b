"""Agents log in: e-mail and password → a token; later a token → who it is. Before `console` and the agents' socket.

Guessing is slow and limited: Argon2id, two hashes at a time in each sidecar, and ten failures in ten minutes for each
account and each address. The failures are counted in PostgreSQL, so that more sidecars or a restart give no more tries.
"""

import asyncio
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

import logs
from db import people
from db.people import PEOPLE
from sidecar.store import Store

log = logging.getLogger("sidecar.login")

FAILURES_MOST = 10
WINDOW_S = 600.0
TOKEN_LIFE_S = 12 * 3600.0  # from the login; use does not prolong it
TOKEN_BYTES = 32
HASHES_AT_ONCE = 2  # 64 MiB and one processor each
NICE = 10
WAITING_MOST = 200  # logins that wait for their hash; the wait is then some 6 s


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


class Login:
    """Of one sidecar. Raises `LedgerDown` besides `LoginError`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, "argon2", _be_nice)
        self._slots = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        self._nobody = self._threads.submit(people.nobodys_hash)  # an unknown e-mail costs the same

    async def login(self, tenant: str | None, email: str, password: str, address: str) -> LoggedIn:
        """Whose wish is to be online from now on."""
        tenant = tenant or await self._only_tenant()
        subjects = [_subject("account", tenant, email.strip().lower()), _subject("address", address)]
        await self._store.run(lambda cur: _refuse_blocked(cur, subjects))
        row, correct = await self._check(tenant, email.strip(), password, subjects)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        digest = people.token_digest(token)
        found = row if correct else None
        settled = await self._store.run(lambda cur: _settle(cur, tenant, found, digest, subjects))
        if settled is None:
            log.warning(logs.line("login_failed", tenant=tenant, agent=row.agent if row else None, address=address))
            raise LoginRefused
        log.info(logs.line("logged_in", tenant=tenant, agent=row.agent, address=address))
        return LoggedIn(token, Agent(tenant, row.agent, row.name, row.email, row.role), *settled)

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

    async def _only_tenant(self) -> str:
        tenants = await self._store.run(people.native_tenants)
        if len(tenants) != 1:
            raise NoTenantNamed
        return tenants[0]

    async def _check(self, tenant: str, email: str, password: str, subjects: list[bytes]) -> tuple[Any, bool]:
        """The account's row and whether the password is its own. The wait for a processor is bounded."""
        if self._waiting >= WAITING_MOST:
            raise LoginLater(2.0)
        self._waiting += 1
        try:
            async with self._slots:
                row = await self._store.run(lambda cur: _credentials(cur, tenant, email, subjects))
                password_hash = row.password_hash if row else await asyncio.wrap_future(self._nobody)
                return row, await self._matches(password_hash, password)
        finally:
            self._waiting -= 1

    async def _matches(self, password_hash: str, password: str) -> bool:
        loop = asyncio.get_running_loop()
        try:
            found = loop.run_in_executor(self._threads, people.matches, password_hash, password)
        except RuntimeError:  # closed: this process stops
            raise LoginLater(2.0) from None
        return await found


def _be_nice() -> None:
    """This thread goes after others on this machine: a flood of logins takes nobody's chat the processor."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _subject(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()


def _refuse_blocked(cur: cursor, subjects: list[bytes]) -> None:
    wait_s = people.blocked_s(cur, subjects, FAILURES_MOST, WINDOW_S)
    if wait_s is not None:
        raise LoginLater(wait_s)


def _credentials(cur: cursor, tenant: str, email: str, subjects: list[bytes]) -> Any:
    """Looked at again after the wait: what failed meanwhile counts."""
    _refuse_blocked(cur, subjects)
    return PEOPLE.one(cur, "credentials", tenant=tenant, email=email)


def _settle(cur: cursor, tenant: str, row: Any, digest: bytes, subjects: list[bytes]) -> tuple[datetime, bool] | None:
    """The end of a try, with its subjects locked: not even a right password counts once the others have failed. `row`:
    the account whose password it was. None: it failed."""
    PEOPLE.run(cur, "lock_tries", subjects=subjects)
    _refuse_blocked(cur, subjects)
    let_in = None
    if row is not None and _is_still_so(cur, tenant, row):
        let_in = _let_in(cur, tenant, row.agent, digest, subjects[0])
    else:
        PEOPLE.run(cur, "fail", subjects=subjects, window_s=WINDOW_S, most=FAILURES_MOST)
    PEOPLE.run(cur, "forget_tries", window_s=WINDOW_S)
    return let_in


def _is_still_so(cur: cursor, tenant: str, row: Any) -> bool:
    """Whether the password lets in now: the account may have changed while the hash took its time. It does not change
    from here to the commit."""
    now = PEOPLE.one(cur, "lock_account", tenant=tenant, agent=row.agent)
    return now is not None and not now.disabled and now.password_hash == row.password_hash


def _let_in(cur: cursor, tenant: str, agent: str, digest: bytes, account: bytes) -> tuple[datetime, bool]:
    """When the token ends, and whether they were away with a page open."""
    PEOPLE.run(cur, "forgive", subject=account)  # not the address: it may belong to a guesser
    came = PEOPLE.one(cur, "come_online", tenant=tenant, agent=agent)
    PEOPLE.run(cur, "forget_tokens", tenant=tenant, agent=agent)
    put = PEOPLE.one(cur, "put_token", digest=digest, tenant=tenant, agent=agent, life_s=TOKEN_LIFE_S)
    return put.expires_at, came is not None and came.is_here
