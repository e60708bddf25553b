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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import cursor

import logs
from db import logins, people
from db.logins import LoginLater, LoginRefused, NoTenantNamed, Try
from db.people import Agent
from sidecar.live.store import Store
from sidecar.web.slots import NoSlot, Slots

log = logging.getLogger("sidecar.login")

TOKEN_BYTES = 32
HASHES_AT_ONCE = 2  # 64 MiB and one processor each
NICE = 10
WAITING_MOST = 200  # logins that wait for their hash; the wait is then some 6 s
LOOKS_AT_ONCE = 4  # of the store's 8 threads: a flood that is refused leaves the others to the chats
LOOKS_MOST = 2000  # logins that wait for their first look; the wait is then a second or two
FULL_S = 2.0  # until it is worth asking again


class LoggedIn(NamedTuple):
    """`was_away`: of somebody with a page open, whose colleagues are still to hear that they are back."""

    token: str
    agent: Agent
    expires_at: datetime
    was_away: bool


class Login:
    """Of one sidecar. Raises `LedgerTrouble` besides `LoginError`."""

    def __init__(self, store: Store, key: str) -> None:
        """`key`: SECRET_KEY. Sidecars with the same one count failures together."""
        self._store, self._key = store, key
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, "argon2", _be_nice)
        self._looks = Slots(LOOKS_AT_ONCE, LOOKS_MOST)
        self._hashes = Slots(HASHES_AT_ONCE, WAITING_MOST)
        self._nobody = self._threads.submit(people.nobodys_hash)  # an unknown e-mail costs the same

    async def login(self, tenant: str | None, email: str, password: str, address: str) -> LoggedIn:
        """Whose wish is to be online from now on."""
        look = functools.partial(logins.look, key=self._key, tenant=tenant, email=email.strip(), address=address)
        try:
            found, correct = await self._tried(look, password)
        except NoSlot:
            raise LoginLater(FULL_S) from None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        digest, account = people.token_digest(token), found.account
        settled = await self._store.run(lambda cur: logins.settle(cur, found, correct, digest))
        if settled is None:
            agent_id = account.agent if account else None
            log.warning(logs.line("login_failed", tenant=found.tenant, agent=agent_id, address=address))
            raise NoTenantNamed if found.unnamed else LoginRefused
        log.info(logs.line("logged_in", tenant=found.tenant, agent=account.agent, address=address))
        agent = Agent(found.tenant, account.agent, account.name, account.email, account.role, account.has_chats)
        return LoggedIn(token, agent, *settled)

    async def _tried(self, look: Callable[[cursor], Try], password: str) -> tuple[Try, bool]:
        """Raises `NoSlot`."""
        async with self._looks.one("login"):
            await self._store.run(look)
        async with self._hashes.one("login"):
            found = await self._store.run(look)  # again after the wait: what failed meanwhile counts
            return found, await self._matches(found, password)

    async def valid(self, tokens: Iterable[str]) -> set[str]:
        """Those that would still let somebody in."""
        by_digest = {people.token_digest(token): token for token in tokens}
        valid = await self._store.run(lambda cur: people.valid_tokens(cur, list(by_digest)))
        return {by_digest[digest] for digest in valid}

    async def logout(self, token: str) -> None:
        row = await self._store.run(lambda cur: people.revoke(cur, token))
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
