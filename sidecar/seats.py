"""Seats that are given, passed on and given back by hand. Before: `console` and `presence`; each method is one step of
`turns`, under the tenant's row lock.

A pick by hand stands under the same limit, guard and ledger as the worker's decisions. Lock order: tenants → agents →
visits → sessions.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import CheckViolation
from psycopg2.extensions import cursor

import logs
from db import chat, inbox, limits, line
from db.chat import CHAT
from db.inbox import Inbox, InboxDown
from db.ledger import LEDGER
from db.limits import Limits
from db.line import Seat
from db.postgres import CONSTRAINT_SEAT_LIMIT, Statements
from sidecar.login import Agent
from sidecar.turns import Change, TurnRefused, Turns

log = logging.getLogger("sidecar.seats")

SEATS = Statements("seats")
LEASE_S = 30.0  # never seen: `reserved` lasts for this transaction only


class Seats:
    """Of one sidecar. Every method raises `TurnRefused` and `LedgerTrouble`."""

    def __init__(self, turns: Turns, box: Inbox, default_limit: int) -> None:
        """`box`: on a client with a short timeout; it is asked for the limits while the tenant's row is locked."""
        self._turns, self._box, self._default_limit = turns, box, default_limit

    async def pick(self, tenant: str, room: str, by: Agent) -> bool:
        """A waiting session to who picks it. False: they have it already, nothing was changed."""

        def work(cur: cursor, change: Change) -> bool:
            return pick(cur, change, tenant, room, by.agent_id, self._limit(cur, tenant, by.agent_id), by)

        return self._logged("picked", tenant, room, by.agent_id, by, await self._turns.change(tenant, work))

    async def assign(self, tenant: str, room: str, to: str, by: Agent) -> bool:
        """A session to an agent: a waiting one to anybody, by anybody; another's by its agent or a supervisor."""

        def work(cur: cursor, change: Change) -> bool:
            return give(cur, change, tenant, room, to, self._limit(cur, tenant, to), by)

        return self._logged("given_by_hand", tenant, room, to, by, await self._turns.change(tenant, work))

    async def release(self, tenant: str, room: str, agent: str, still: Callable[[cursor], bool], why: str) -> bool:
        """Back to the line, at the old place, if `still` holds under the lock; whether it was done."""

        def work(cur: cursor, change: Change) -> bool:
            return release(cur, change, tenant, room, agent, still, why)

        released = await self._turns.change(tenant, work)
        if released:
            log.info(logs.line("released", tenant=tenant, room=room, agent=agent, why=why))
        return released

    def _limit(self, cur: cursor, tenant: str, agent: str) -> int:
        return in_force(cur, self._box, tenant, [agent], self._default_limit).of(agent)

    def _logged(self, what: str, tenant: str, room: str, agent: str, by: Agent, done: bool) -> bool:
        if done:
            log.info(logs.line(what, tenant=tenant, room=room, agent=agent, by=by.agent_id))
        return done


def in_force(cur: cursor, box: Inbox, tenant: str, agents: Iterable[str], default: int) -> Limits:
    """The limits of this moment. A key that Redis lost counts as it was; so does every key while Redis is away."""
    scopes = limits.scopes(agents, ())
    rows = SEATS.all(cur, "copies", tenant=tenant, scopes=scopes)
    copies = {row.scope: limits.Copy(row.value, row.invalid) for row in rows if row.scope is not None}
    try:
        epoch, *texts = box.limit_texts([inbox.key(tenant, "epoch"), *(limits.key_of(tenant, s) for s in scopes)])
    except InboxDown:
        epoch, texts = None, [None] * len(scopes)
    found: dict[str, str | None] = dict(zip(scopes, texts, strict=True))
    if epoch is None or epoch != rows[0].epoch:
        found.update({scope: str(value) for scope, value in limits.to_restore(found, copies).items()})
    return limits.read(found, copies, default)


def pick(cur: cursor, change: Change, tenant: str, room: str, to: str, limit: int, by: Agent) -> bool:
    """A waiting session to an agent. False: they have it already."""
    visit, session = _locked(cur, tenant, room)
    if session.status == "active" and session.agent == to:
        return False
    if visit is not None and visit.state == "reserved" and visit.agent == to:  # the worker is giving it to them
        return False
    if session.status != "waiting" or visit is None or visit.state != "waiting":
        raise TurnRefused("already_taken", "another agent has this customer")
    account = _account(cur, tenant, to)
    with _guarded(account.name):
        attempt = line.reserve(cur, tenant, [Seat(visit.id, to, account.load, limit)], 0, LEASE_S)[visit.id]
    _hold(cur, tenant, visit.id, attempt, to, limit)
    what = "picked" if by.agent_id == to else "assigned by hand"
    LEDGER.run(cur, "event", visit=visit.id, what=what, detail=f"{to} by {by.agent_id}")
    SEATS.run(cur, "give", session=session.id, agent=to, picked=by.agent_id == to)
    event = {"type": "assigned", "agent_id": to, "name": account.name, "by": by.agent_id}
    _tell(cur, change, tenant, room, event, f"{account.name} joined the chat")
    change.held.add(room)
    change.agents.add(to)
    return True


def give(cur: cursor, change: Change, tenant: str, room: str, to: str, limit: int, by: Agent) -> bool:
    """A session to this agent, whoever has it now: a waiting one is picked for them, another's is passed on."""
    visit, session = _locked(cur, tenant, room)
    if session.status == "waiting":
        return pick(cur, change, tenant, room, to, limit, by)
    if not by.is_supervisor and session.agent != by.agent_id:
        raise TurnRefused("forbidden", "only its agent or a supervisor may pass a chat on")
    if session.agent == to:
        return False
    account = _account(cur, tenant, to)
    if visit is None:
        raise TurnRefused("session_ended", "this chat is over")
    with _guarded(account.name):
        row = SEATS.one(cur, "pass_on", visit=visit.id, tenant=tenant, agent=to, limit=limit, lease_s=LEASE_S)
    if row is None:  # its agent is just being taken away
        raise TurnRefused("already_taken", "this chat is between two agents at this moment")
    _hold(cur, tenant, visit.id, row.attempt, to, limit)
    LEDGER.run(cur, "event", visit=visit.id, what="transferred", detail=f"{session.agent} to {to} by {by.agent_id}")
    before = _name(cur, tenant, session.agent)
    SEATS.run(cur, "give", session=session.id, agent=to, picked=by.agent_id == to)
    event = {"type": "transferred", "agent_id": to, "name": account.name, "by": by.agent_id}
    event |= {"from_agent_id": session.agent, "from_name": before}
    _tell(cur, change, tenant, room, event, f"{before} passed the chat on to {account.name}")
    change.held.add(room)
    change.agents.update((to, session.agent))
    change.wake = True
    return True


def release(
    cur: cursor, change: Change, tenant: str, room: str, agent: str, still: Callable[[cursor], bool], why: str
) -> bool:
    """Back to the line, at the old place. Nothing where the agent has lost the chat meanwhile."""
    visit, session = _locked(cur, tenant, room)
    if session.status != "active" or session.agent != agent:
        return False
    if visit is None or visit.state != "held" or visit.agent != agent or not still(cur):
        return False
    LEDGER.run(cur, "release", visit=visit.id)
    LEDGER.run(cur, "event", visit=visit.id, what="released", detail=f"{agent}: {why}")
    SEATS.run(cur, "take_back", session=session.id)
    name = _name(cur, tenant, agent)
    event = {"type": "released", "agent_id": agent, "name": name}
    _tell(cur, change, tenant, room, event, f"{name} is away; the chat is back in line")
    change.waiting[room] = visit.arrived_us
    change.agents.add(agent)
    change.wake = True
    return True


def _locked(cur: cursor, tenant: str, room: str) -> tuple[Any, Any]:
    """The session's open visit and the session, locked."""
    visit = CHAT.one(cur, "lock_visit", tenant=tenant, room=room)
    session = CHAT.one(cur, "lock_room", tenant=tenant, room=room)
    if session is None:
        raise TurnRefused("not_found", "no such session")
    if session.status == "ended":
        raise TurnRefused("session_ended", "this chat is over")
    return visit, session


def _account(cur: cursor, tenant: str, agent: str) -> Any:
    account = SEATS.one(cur, "account", tenant=tenant, agent=agent)
    if account is None:
        raise TurnRefused("not_found", "no such agent")
    return account


def _name(cur: cursor, tenant: str, agent: str) -> str:
    row = SEATS.one(cur, "name", tenant=tenant, agent=agent)
    return row.name if row else agent


def _hold(cur: cursor, tenant: str, visit: int, attempt: int, agent: str, limit: int) -> None:
    held = {"visits": [visit], "attempts": [attempt], "agents": [agent], "firsts": [None], "unconfirmed": [False]}
    LEDGER.all(cur, "hold", tenant=tenant, **held)
    SEATS.run(cur, "served_now", tenant=tenant, agent=agent, limit=limit)


def _tell(cur: cursor, change: Change, tenant: str, room: str, event: dict[str, Any], body: str) -> None:
    change.news += chat.happened(cur, chat.add_event(cur, tenant, room, event, body))


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    """What the seat guard refuses. The transaction is lost then."""
    try:
        yield
    except CheckViolation as error:
        if error.diag.constraint_name != CONSTRAINT_SEAT_LIMIT:
            raise
        raise TurnRefused("at_max_load", f"{name} has as many chats as the limit allows") from error
