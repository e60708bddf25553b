"""Seats that are given, passed on and given back by hand. Before: `console` and `presence`; each method is one turn of
the tenant. After: `db/seats.py`, which does it.
"""

import logging
from collections.abc import Callable

from psycopg2.extensions import cursor

import logs
from db import seats
from db.inbox import Inbox
from db.people import Agent
from db.turn import Turn
from sidecar.live.turns import Turns

log = logging.getLogger("sidecar.seats")


class Seats:
    """Of one sidecar. Every method raises `TurnRefused` and `LedgerTrouble`."""

    def __init__(self, turns: Turns, box: Inbox, default_limit: int) -> None:
        """`box`: on a client with a short timeout; it is asked for the limits while the tenant's row is locked."""
        self._turns, self._box, self._default_limit = turns, box, default_limit

    async def pick(self, tenant: str, room: str, by: Agent) -> bool:
        """A waiting session to who picks it. False: they have it already, nothing was changed."""

        def work(turn: Turn) -> bool:
            return seats.pick(turn, room, by.agent_id, self._limit(turn, by.agent_id), by)

        return self._logged("picked", tenant, room, by.agent_id, by, await self._turns.change(tenant, work))

    async def assign(self, tenant: str, room: str, to: str, by: Agent) -> bool:
        """A session to an agent: a waiting one to anybody, by anybody; another's by its agent or a supervisor."""

        def work(turn: Turn) -> bool:
            return seats.give(turn, room, to, self._limit(turn, to), by)

        return self._logged("given_by_hand", tenant, room, to, by, await self._turns.change(tenant, work))

    async def release(self, tenant: str, room: str, agent: str, still: Callable[[cursor], bool], why: str) -> bool:
        """Back to the line, at the old place, if `still` holds under the lock; whether it was done."""

        released = await self._turns.change(tenant, lambda turn: seats.release(turn, room, agent, still, why))
        if released:
            log.info(logs.line("released", tenant=tenant, room=room, agent=agent, why=why))
        return released

    def _limit(self, turn: Turn, agent: str) -> int:
        return seats.in_force(turn.cur, self._box, turn.tenant, [agent], self._default_limit).of(agent)

    def _logged(self, what: str, tenant: str, room: str, agent: str, by: Agent, done: bool) -> bool:
        if done:
            log.info(logs.line(what, tenant=tenant, room=room, agent=agent, by=by.agent_id))
        return done
