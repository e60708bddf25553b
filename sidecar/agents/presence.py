"""Which agents are here: pages connected → PostgreSQL → who may be given chats. After `connection`, before the worker.

The truth is in PostgreSQL: a row for each agent and sidecar, renewed by one batched beat; what Redis loses changes
nothing. `settle` writes under the tenant's lock what follows from the rows, so that the worker believes it at once. A
look each second finds what nobody told: a sidecar that died, an account disabled by the admin, a chat whose agent
stayed away.
"""

import asyncio
import contextlib
import functools
import logging
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Hashable
from typing import Any

from psycopg2.extensions import cursor

import logs
from db import presence
from db.people import Agent
from db.postgres import LedgerBusy, LedgerTrouble
from db.presence import LIFE_S, POLL_S, Who
from db.turn import Turn, TurnRefused
from sidecar.agents.seats import Seats
from sidecar.live.parts import PRESENCE_GRACE_S
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks
from sidecar.live.turns import Turns

log = logging.getLogger("sidecar.presence")

BEAT_S = 10.0
LOCK_MS = 250  # of a beat, which is for everybody
SINGLY_S = 3.0  # for the agents of one tenant, one after the other
LOOK_S = 1.0
POLLING = "polling"  # the page of an agent whose network lets no socket through
RELEASES_A_LOOK = 50
ONLINE, AWAY = "online", "away"


class Presence:
    """Of one sidecar; belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        turns: Turns,
        seats: Seats,
        *,
        retry_s: float,
        reassign_s: float = 0.0,
        grace_s: float = PRESENCE_GRACE_S,
        beat_s: float = BEAT_S,
        look_s: float = LOOK_S,
        life_s: float = LIFE_S,
        poll_s: float = POLL_S,
        sidecar: str | None = None,
        tasks: Tasks | None = None,
    ) -> None:
        """`retry_s`: how long a worker believes a roster (RETRY_SECONDS). `reassign_s`: after how long also answered
        chats are given back, 0: never. The other times are for tests."""
        self.sidecar = sidecar or secrets.token_hex(8)
        self._store, self._turns, self._seats = store, turns, seats
        self._retry_s, self._reassign_s, self._grace_s = retry_s, reassign_s, grace_s
        self._beat_s, self._look_s, self._life_s, self._poll_s = beat_s, look_s, life_s, poll_s
        self._pages: defaultdict[Who, set[Hashable]] = defaultdict(set)
        self._polls: dict[Who, asyncio.TimerHandle] = {}
        self._written: set[Who] = set()
        self._asked: defaultdict[str, dict[Who, asyncio.Future[None]]] = defaultdict(dict)
        self._turn_of: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by tenant
        self._writing: set[asyncio.Task[None]] = set()
        self._tasks = tasks or Tasks()

    async def start(self) -> None:
        """Raises `LedgerTrouble`."""
        await self._beat()
        self._tasks.start("presence_beat", self._beat, self._beat_s)
        self._tasks.start("presence_look", self._look, self._look_s)

    async def stop(self) -> None:
        """The pages of this sidecar are gone at once, not when their rows run out."""
        for timer in self._polls.values():
            timer.cancel()
        await self._tasks.end("presence_beat", "presence_look")
        await asyncio.gather(*self._writing, return_exceptions=True)
        tenants = {tenant for tenant, _ in self._written}
        self._pages.clear()
        self._written.clear()
        try:
            await self._store.run(lambda cur: presence.leave_all(cur, self.sidecar))
            for tenant in sorted(tenants):
                await self._settle(tenant)
        except LedgerTrouble as error:
            log.warning(logs.line("presence_not_ended", why=error))

    # --- pages

    async def connected(self, agent: Agent, page: Hashable) -> None:
        """One more page of the agent. They may be given chats when this returns."""
        who = agent.tenant, agent.agent_id
        self._pages[who].add(page)
        await self._write(who)

    async def gone(self, agent: Agent, page: Hashable) -> None:
        """One page less, if it was one; with the last one the agent is away at once, and the grace begins."""
        who = agent.tenant, agent.agent_id
        self._pages[who].discard(page)
        if not self._pages[who]:
            del self._pages[who]
        await self._write(who)

    async def polled(self, agent: Agent) -> None:
        """A page that no socket reaches has asked: it counts as connected for a while."""
        who = agent.tenant, agent.agent_id
        if who in self._polls:
            self._polls[who].cancel()
        self._polls[who] = asyncio.get_running_loop().call_later(self._poll_s, self._stop_polling, agent)
        await self.connected(agent, POLLING)

    def _stop_polling(self, agent: Agent) -> None:
        del self._polls[agent.tenant, agent.agent_id]
        task = asyncio.create_task(self.gone(agent, POLLING))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def wish(self, agent: Agent, wish: str) -> str:
        """`online` or `away`, as the agent says; the presence that follows."""
        work = functools.partial(presence.wish, agent=agent, wish=wish, retry_s=self._retry_s)
        return await self._turns.change(agent.tenant, work)

    async def of(self, agent: Agent) -> str:
        """The agent's presence now."""
        return await self._store.run(lambda cur: presence.of(cur, agent.tenant, agent.agent_id))

    async def _write(self, who: Who) -> None:
        """What the pages say, into PostgreSQL. Goes on where the socket's own task is cancelled. Where it fails, the
        next beat and look do it."""
        tenant = who[0]
        asked = self._asked[tenant]
        if not asked:
            task = asyncio.create_task(self._write_together(tenant))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        done = asked.setdefault(who, asyncio.get_running_loop().create_future())
        await asyncio.shield(done)

    async def _write_together(self, tenant: str) -> None:
        """Whoever asks while others are written is written with the next ones: after a restart all come at once."""
        async with self._turn_of[tenant]:
            asked = self._asked.pop(tenant)
            try:
                await self._write_all(tenant, list(asked))
            finally:
                for done in asked.values():
                    if not done.done():
                        done.set_result(None)

    async def _write_all(self, tenant: str, asked: list[Who]) -> None:
        here = {who: who in self._pages for who in asked if (who in self._pages) != (who in self._written)}
        if not here:
            return
        try:
            await self._turns.change(tenant, lambda turn: self._enter(turn, here))
        except (LedgerTrouble, TurnRefused) as error:
            if isinstance(error, LedgerBusy) and len(here) > 1:  # somebody's row is locked: nobody else's fault
                await self._write_singly(tenant, list(here))
                return
            agents = " ".join(agent for _, agent in here)
            log.warning(logs.line("presence_not_written", tenant=tenant, agents=agents, why=error))
            return
        for who, is_here in here.items():
            (self._written.add if is_here else self._written.discard)(who)

    async def _write_singly(self, tenant: str, asked: list[Who]) -> None:
        """Not for long: where it is the tenant itself that is locked, each of hundreds would wait in vain. The rest is
        for the next beat."""
        must_end = time.monotonic() + SINGLY_S
        left = random.sample(asked, len(asked))  # nobody stands behind the locked ones each time

        async def one_after_the_other() -> None:
            while left and time.monotonic() < must_end:
                await self._write_all(tenant, [left.pop()])

        await asyncio.gather(one_after_the_other(), one_after_the_other())  # of two, one may meet the locked one

    def _enter(self, turn: Turn, here: dict[Who, bool]) -> None:
        came, went = ([who for who, is_here in here.items() if is_here is wanted] for wanted in (True, False))
        presence.write(turn, came, went, self.sidecar, self._life_s, self._retry_s)

    # --- the beat

    async def _beat(self) -> None:
        """This sidecar lives, and so do its pages."""
        here = sorted(self._written)
        try:
            await self._store.run(lambda cur: self._beat_in(cur, here), LOCK_MS)
        except LedgerBusy:  # somebody has locked a row of somebody's: nobody else runs out for it
            await self._beat_singly(here)
        for who in [who for who in here if who not in self._pages]:
            async with self._turn_of[who[0]]:
                self._written.add(who)  # who went while the beat was on its way may have been written in again
        missing = self._written ^ set(self._pages)  # also what could not be written when it happened
        await asyncio.gather(*(self._write(who) for who in missing))

    async def _beat_singly(self, here: list[Who]) -> None:
        await self._store.run(lambda cur: self._beat_in(cur, []), LOCK_MS)
        for who in here:
            try:
                renew = functools.partial(presence.renew, sidecar=self.sidecar, life_s=self._life_s, who=[who])
                await self._store.run(renew, LOCK_MS)
            except LedgerBusy as error:
                log.warning(logs.line("presence_not_renewed", tenant=who[0], agent=who[1], why=error))

    def _beat_in(self, cur: cursor, here: list[Who]) -> None:
        presence.beat(cur, self.sidecar, self._life_s, here)
        presence.forget_sidecars(cur)

    # --- the look

    async def _look(self) -> None:
        doubtful = await self._store.run(presence.doubtful)
        forsaken: dict[str, list[Any]] = {tenant: [] for tenant in doubtful}
        for row in await self._store.run(self._forsaken):
            forsaken.setdefault(row.tenant, []).append(row)
        await asyncio.gather(*(self._look_at(one, one in doubtful, rooms) for one, rooms in forsaken.items()))

    async def _look_at(self, tenant: str, is_doubtful: bool, forsaken: list[Any]) -> None:
        """Who is busy has its turn at the next look, and holds up nobody else."""
        try:
            if is_doubtful:
                await self._settle(tenant)
            for row in forsaken:
                still = functools.partial(self._is_forsaken, row.tenant, row.room)
                with contextlib.suppress(TurnRefused):  # the customer has ended it meanwhile
                    await self._seats.release(row.tenant, row.room, row.agent, still, "away")
        except LedgerBusy as error:
            log.warning(logs.line("presence_busy", tenant=tenant, why=error))

    def _is_forsaken(self, tenant: str, room: str, cur: cursor) -> bool:
        return bool(self._forsaken(cur, tenant, room))

    def _forsaken(self, cur: cursor, tenant: str | None = None, room: str | None = None) -> list[Any]:
        times = {"grace_s": self._grace_s, "reassign_s": self._reassign_s, "life_s": self._life_s}
        return presence.forsaken(cur, RELEASES_A_LOOK, tenant, room, **times)

    async def _settle(self, tenant: str) -> None:
        with contextlib.suppress(TurnRefused):  # the tenant was removed
            await self._turns.change(tenant, lambda turn: presence.settle(turn, self._retry_s))
