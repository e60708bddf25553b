"""Seats of our own chat that are given, passed on and given back by hand, under the same limit, guard and ledger as the
worker's decisions. Each function that has a `Turn` is the work of one, and raises `TurnRefused`; the SQL is in
`queries/seats.sql`. Lock order: tenants → agents → visits → sessions.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import CheckViolation
from psycopg2.extensions import cursor

from db import hooks, inbox, limits, line, sessions
from db.inbox import HELD, Inbox, InboxDown
from db.limits import Limits
from db.line import Seat
from db.people import Agent
from db.postgres import CONSTRAINT_SEAT_LIMIT, Statements
from db.turn import Turn, TurnRefused

SEATS = Statements("seats")
LEASE_S = 30.0  # never seen: `reserved` lasts for this transaction only


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


def pick(turn: Turn, room: str, to: str, limit: int, by: Agent) -> bool:
    """A waiting session to an agent. False: they have it already."""
    visit, session = _locked(turn, room)
    if session.status == "active" and session.agent == to:
        return False
    if visit is not None and visit.state == "reserved" and visit.agent == to:  # the worker is giving it to them
        return False
    if session.status != "waiting" or visit is None or visit.state != "waiting":
        raise TurnRefused("already_taken", "another agent has this customer")
    if turn.row.draining:
        raise TurnRefused("forbidden", "no new chats are begun at the moment: your supervisor lets the desk serve out")
    account = _account(turn, to)
    with _guarded(account.name):
        attempt = line.reserve(turn, [Seat(visit.id, to, account.load, limit)], 0, LEASE_S)[visit.id]
    turn.waits += _hold(turn, visit.id, attempt, to, limit)
    what = "picked" if by.agent_id == to else "assigned by hand"
    turn.note(visit.id, what, f"{to} by {by.agent_id}")
    SEATS.run(turn.cur, "give", session=session.id, agent=to, picked=by.agent_id == to)
    event = {"type": "assigned", "agent_id": to, "name": account.name, "by": by.agent_id}
    sessions.tell(turn, room, event, f"{account.name} joined the chat")
    turn.rooms[room] = HELD
    turn.agents.add(to)
    return True


def give(turn: Turn, room: str, to: str, limit: int, by: Agent) -> bool:
    """A session to this agent, whoever has it now: a waiting one is picked for them, another's is passed on."""
    visit, session = _locked(turn, room)
    if session.status == "waiting":
        return pick(turn, room, to, limit, by)
    if not by.is_supervisor and session.agent != by.agent_id:
        raise TurnRefused("forbidden", "only its agent or a supervisor may pass a chat on")
    if session.agent == to:
        return False
    account = _account(turn, to)
    if visit is None:
        raise TurnRefused("session_ended", "this chat is over")
    with _guarded(account.name):
        row = SEATS.one(turn.cur, "pass_on", visit=visit.id, tenant=turn.tenant, agent=to, limit=limit, lease_s=LEASE_S)
    if row is None:  # its agent is just being taken away
        raise TurnRefused("already_taken", "this chat is between two agents at this moment")
    _hold(turn, visit.id, row.attempt, to, limit)
    turn.note(visit.id, "transferred", f"{session.agent} to {to} by {by.agent_id}")
    before = _name(turn, session.agent)
    SEATS.run(turn.cur, "give", session=session.id, agent=to, picked=by.agent_id == to)
    event = {"type": "transferred", "agent_id": to, "name": account.name, "by": by.agent_id}
    event |= {"from_agent_id": session.agent, "from_name": before}
    sessions.tell(turn, room, event, f"{before} passed the chat on to {account.name}")
    turn.move(room, HELD, to, session.agent)
    return True


def release(turn: Turn, room: str, agent: str, still: Callable[[cursor], bool], why: str) -> bool:
    """Back to the line, at the old place. Nothing where the agent has lost the chat meanwhile."""
    visit, session = _locked(turn, room)
    if session.status != "active" or session.agent != agent:
        return False
    if visit is None or visit.state != "held" or visit.agent != agent or not still(turn.cur):
        return False
    turn.run("release", visit=visit.id)
    turn.note(visit.id, "released", f"{agent}: {why}")
    SEATS.run(turn.cur, "take_back", session=session.id)
    name = _name(turn, agent)
    event = {"type": "released", "agent_id": agent, "name": name}
    sessions.tell(turn, room, event, f"{name} is away; the chat is back in line")
    turn.move(room, visit.arrived_us, agent)
    return True


def _locked(turn: Turn, room: str) -> tuple[Any, Any]:
    """As `sessions.locked`, of a session that is open."""
    visit, session = sessions.locked(turn, room)
    if session is None:
        raise TurnRefused("not_found", "no such session")
    if session.status == "ended":
        raise TurnRefused("session_ended", "this chat is over")
    return visit, session


def _account(turn: Turn, agent: str) -> Any:
    account = SEATS.one(turn.cur, "account", tenant=turn.tenant, agent=agent)
    if account is None:
        raise TurnRefused("not_found", "no such agent")
    return account


def _name(turn: Turn, agent: str) -> str:
    row = SEATS.one(turn.cur, "name", tenant=turn.tenant, agent=agent)
    return row.name if row else agent


def _hold(turn: Turn, visit: int, attempt: int, agent: str, limit: int) -> list[tuple[str, float]]:
    """How long it has waited, in which queue."""
    held = {
        "visits": [visit],
        "attempts": [attempt],
        "agent": [agent],
        "first_comment_id": [None],
        "unconfirmed": [False],
    }
    rows = turn.all("hold", **held)
    turn.events += [(hooks.ASSIGNED, row.id) for row in rows]
    SEATS.run(turn.cur, "served_now", tenant=turn.tenant, agent=agent, limit=limit)
    return [(row.queue, row.waited_s) for row in rows]


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    """What the seat guard refuses. The transaction is lost then."""
    try:
        yield
    except CheckViolation as error:
        if error.diag.constraint_name != CONSTRAINT_SEAT_LIMIT:
            raise
        raise TurnRefused("at_max_load", f"{name} has as many chats as the limit allows") from error
