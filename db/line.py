"""The line in PostgreSQL: visits opened and closed, seats taken, each in the caller's turn. The SQL, with its reasons,
is in `queries/line.sql`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from db import routes, rules
from db.ledger import LEDGER
from db.postgres import columns
from db.routes import Arrival, Routed
from db.turn import Turn
from policies.policy import Policy
from routing.facts import NATIVE

DEFAULT_ORDER = "load AS rank, last_assigned_at AS since FROM agents a"


class NewVisit(NamedTuple):
    """A visit to be written. `reason` set: it opened and closed inside one batch."""

    room: str
    arrived_us: int
    channel: str = ""
    source: str = ""
    learned: bool = False
    base: int | None = None
    base_proved: bool = False
    look: bool = False
    suspect: str | None = None
    service: int | None = None
    reason: str | None = None
    facts: Mapping[str, Any] | None = None  # what the rules ask about, as `routing.facts.as_data` gives it


class Seat(NamedTuple):
    """One reservation to be made."""

    visit: int
    agent: str
    load_before: int
    limit: int


class Why(NamedTuple):
    """Why these seats: the candidates at the start of the round, how many agents there were, and whose rooms wait."""

    policy: str
    candidates: Sequence[Mapping[str, Any]]
    crew: Mapping[str, int]
    passed_over: Mapping[str, str]


def next_place(turn: Turn) -> int:
    """A place behind all that were given: microseconds by PostgreSQL's clock, or one more than the last."""
    return int(turn.one("next_place").last_place_us)


def close(turn: Turn, visits: Sequence[tuple[int, int | None, str]], *, exact: bool = False) -> list[Any]:
    """Close visits: (visit, service, reason). Gives (id, room, last_agent, handled_s) of those that were closed; not
    one whose assign call may still be applied. `exact`: of our own chat, whose session ends in this transaction."""
    ids, services, reasons = ([visit[n] for visit in visits] for n in range(3))
    return turn.all("close", visits=ids, services=services, reasons=reasons, exact=exact)


def open_visits(turn: Turn, new: Sequence[NewVisit], learned_wait_s: float = 0.0) -> list[int]:
    """In the order given; each where the rules in force put it. Gives those that are over already."""
    book = rules.in_force(turn)
    new = _with_facts(turn, new) if book.rules else new
    places = routes.of_all(turn, book, [_arrival(visit) for visit in new])
    facts = [json.dumps(visit.facts) if visit.facts is not None else None for visit in new]
    given = {**columns(new, NewVisit._fields), "facts": facts}
    rows = turn.all("open", learned_wait_s=learned_wait_s, **given, **columns(places, Routed._fields))
    return [row.id for row in rows if row.over]


def _with_facts(turn: Turn, new: Sequence[NewVisit]) -> Sequence[NewVisit]:
    """Of our own chat, its session keeps them."""
    rooms = [visit.room for visit in new if visit.source == NATIVE]
    found = {row.room: row.facts for row in turn.all("session_facts", rooms=rooms)} if rooms else {}
    return [visit._replace(facts=found.get(visit.room, visit.facts)) for visit in new]


def _arrival(visit: NewVisit) -> Arrival:
    return Arrival(visit.room, visit.channel, visit.source, visit.arrived_us, visit.facts)


def candidates(
    turn: Turn,
    policy: Policy,
    classes: Sequence[str],
    most: int,
    everybody: bool,
    also: Collection[str] = (),
    shut: Collection[tuple[str, str]] = (),
) -> list[Any]:
    """See the block: of each class the first `most` in the policy's order, or everybody; `shut`: (class, agent)."""
    values = {"tenant": turn.tenant, "classes": list(classes), "most": most, "everybody": everybody, "also": list(also)}
    values |= {"shut_classes": [class_ for class_, _ in shut], "shut_agents": [agent for _, agent in shut]}
    turn.cur.execute(candidates_sql(policy), values)
    return turn.cur.fetchall()


def candidates_sql(policy: Policy) -> str:
    order = f"{policy.rank} AS rank, {policy.since} AS since FROM agents a {policy.join}"
    return LEDGER.blocks["candidates"].replace(DEFAULT_ORDER, order)


def reserve(turn: Turn, seats: Sequence[Seat], owner: int, lease_s: float) -> dict[int, int]:
    """Take the seats. Gives visit → attempt of those that were waiting. The seat guard raises CheckViolation."""
    rows = turn.all("reserve", owner=owner, lease_s=lease_s, **columns(seats, ("visit", "agent", "limit")))
    return {row.id: row.attempt for row in rows}


def freed(turn: Turn, seats: Sequence[Seat]) -> dict[int, float]:
    """Visit → seconds since its agent's seat became free, of those that waited for it."""
    return {row.visit: row.idle_s for row in turn.all("freed", **columns(seats, ("visit", "agent")))}


def record(turn: Turn, why: Why, seats: Sequence[Seat]) -> None:
    """The round and its picks, in order. The turn knows the open seats of their agents then."""
    texts = {name: value if name == "policy" else json.dumps(value) for name, value in why._asdict().items()}
    rows = turn.all("record", **texts, **columns(seats, Seat._fields))
    turn.seats.update({row.id: row.open_seats for row in rows})
