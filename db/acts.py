"""What supervisors do by hand with rooms and desks: each function is the work of one turn of the tenant, raises
`TurnRefused`, and says what it did. Before `/ops` and `giliran retry`; beside `seats`, which gives chats by hand.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from db import inbox, limits, line, routes, rules, seats, sessions
from db.inbox import GONE, Inbox, InboxDown
from db.ledger import NATIVE_DESK
from db.people import Agent
from db.postgres import Statements
from db.turn import Turn, TurnRefused
from routing import file

log = logging.getLogger("db.acts")

ACTS = Statements("acts")
PAUSED = 0  # the limit of an agent who is to get nothing new
PRIORITY_MOST = 1000  # either way, as in a rules file
NOT_NEEDED = "not needed"  # closed by hand; see `known_rooms`


class Effect(NamedTuple):
    """`code` and `values` for a page, `message` in English; `before` and `after` for the audit."""

    code: str
    message: str
    values: Mapping[str, Any] = {}
    before: Any = None
    after: Any = None


def retry(turn: Turn, room: str, by: str) -> Effect:
    """A room that was refused or set aside: its refusals are forgotten, and the desk is asked about it."""
    visit = _waiting(turn, room)
    if visit.aside is None and visit.retry_at is None and not visit.refusals:
        return Effect("nothing_to_retry", "it waits in the queue, nothing holds it back")
    ACTS.run(turn.cur, "try_again", visit=visit.id)
    ACTS.run(turn.cur, "forget_refusals", visit=visit.id)
    turn.note(visit.id, "retried", f"by {by}")
    turn.wake = True
    return Effect("retried", "the desk is asked about it now, then its turn comes", before=visit.aside)


def move(turn: Turn, room: str, queue: str, by: str) -> Effect:
    """Into another queue of the rules in force, at its place in time."""
    visit, book = _waiting(turn, room), rules.in_force(turn)
    known = book.rules.queues if book.rules else {}
    if queue not in known:
        names = ", ".join(sorted(known)[:20]) or "there are no rules"
        raise TurnRefused("not_found", f"no queue {queue[:60]!r} in the rules in force: {names}")
    _place(turn, book, visit, queue, visit.base_priority)
    turn.note(visit.id, "moved by hand", f"to queue {queue} by {by}")
    values = {"queue": queue, "from": visit.queue}
    return Effect("moved", f"it waits in queue {queue} now, where it stands by its arrival", values, visit.queue, queue)


def priority(turn: Turn, room: str, value: int, by: str) -> Effect:
    """Rooms of a higher one are served before."""
    visit = _waiting(turn, room)
    if value == visit.priority:
        return Effect("nothing_to_change", f"its priority is {value} already", {"value": value}, value, value)
    _place(turn, rules.in_force(turn), visit, visit.queue, value)
    turn.note(visit.id, "priority by hand", f"from {visit.priority} to {value} by {by}")
    before = {"value": value, "before": visit.priority}
    words = "before all with a lower one" if value > visit.priority else "after all with a higher one"
    return Effect("priority", f"its priority is {value} (was {visit.priority}): {words}", before, visit.priority, value)


def _place(turn: Turn, book: rules.Book, visit: Any, queue: str | None, base_priority: int) -> None:
    now = routes.now_of(turn)
    place = routes.standing(book, queue, visit.channel, base_priority, visit.serve_from, visit.sticky_until, now)
    values = {**place._asdict(), "queue": queue, "base_priority": base_priority}
    ACTS.run(turn.cur, "place", visit=visit.id, **values)
    turn.move(visit.room, visit.arrived_us)


def close(turn: Turn, room: str, by: Agent) -> Effect:
    """Out of the queue as not needed. A session of our own chat ends; at another desk the room stays as it is there,
    and comes back when its customer writes."""
    visit = _waiting(turn, room)
    if visit.source == NATIVE_DESK:
        sessions.end(turn, room, f"agent:{by.agent_id}", by.name)
        return Effect("ended", "the chat is ended, and its customer is told so")
    for row in line.close(turn, [(visit.id, None, NOT_NEEDED)]):
        turn.ended(row.id, row.handled_s)
        turn.move(row.room, GONE)
    turn.note(visit.id, "closed by hand", f"by {by.email}")
    words = "it left the queue; it comes back if its customer writes. At the desk it is still open: resolve it there"
    return Effect("closed", words)


def drain(turn: Turn, draining: bool) -> Effect:
    """Serve out: chats are ended, none is begun."""
    before = turn.row.draining
    ACTS.run(turn.cur, "drain", tenant=turn.tenant, draining=draining)
    turn.wake = not draining
    if draining:
        return Effect("drained", "rooms wait from now on; chats that agents have go on", {}, before, draining)
    return Effect("undrained", "rooms that wait are given to agents again", {}, before, draining)


def set_limit(
    cur: cursor, box: Inbox, tenant: str | None, agent: str | None, value: int | None
) -> tuple[int | str | None, bool]:
    """The admin's key in Redis; None takes it away, with the ledger's copy: if Redis lost the key just now, nobody puts
    it back. What it held before (a text where that is no limit), and whether there was a copy. Raises `InboxDown`."""
    text = box.set_limit(inbox.limit_key(tenant, agent), value)
    limit = limits.parse(text) if text is not None else None
    before = text if limit is None else limit
    if value is not None:
        return before, True
    scope = limits.agent_scope(agent) if agent else limits.TENANT if tenant else limits.GLOBAL
    return before, ACTS.run(cur, "forget_copies", scope=scope, tenant=tenant) > 0


def apply_rules(turn: Turn, box: Inbox, content: str, by: str) -> Effect:
    """A new version of the rules, which workers then lead the waiting rooms by; '' takes them away. Receivers are told
    before it is in force, so that nobody comes whose facts are not kept. Raises `FaultyRules`."""
    found = file.read(content) if content else rules.NO_FILE
    before = turn.row.rules_version
    version = int(ACTS.one(turn.cur, "add_rules", tenant=turn.tenant, content=content, who=by).version)
    try:
        box.name(turn.tenant, rules.names_of(version, found))
    except InboxDown as error:  # a worker's sweep tells them
        log.warning(turn.line("receivers_not_told", why=error))
    turn.wake = True
    words = f"version {version} is in force; workers go through the waiting rooms now"
    return Effect("applied", words, {"version": version}, before, version)


def give_back(turn: Turn, agent: str, by: str) -> Effect:
    """All chats of an agent of our own chat return to the queue, each at its old place."""
    rooms = [row.room for row in ACTS.all(turn.cur, "chats_of", tenant=turn.tenant, agent=agent)]
    done = [room for room in rooms if seats.release(turn, room, agent, _always, f"sent back by {by}")]
    return Effect("returned", f"{len(done)} chats returned to the queue, each at its old place", {"count": len(done)})


def _always(cur: cursor) -> bool:
    return True


def _waiting(turn: Turn, room: str) -> Any:
    visit = ACTS.one(turn.cur, "open_visit", tenant=turn.tenant, room=room)
    if visit is None:
        raise TurnRefused("not_found", f"room {room[:64]} does not wait: it is closed, or unknown here")
    if visit.state != "waiting":
        raise TurnRefused("already_taken", f"room {room[:64]} is with an agent: {visit.agent}")
    return visit


def set_paused(cur: cursor, box: Inbox, tenant: str, agent: str, paused: bool) -> Effect:
    """An agent's own limit becomes 0; afterwards it is what it was before. Raises `InboxDown`."""
    if paused:
        before, _ = set_limit(cur, box, tenant, agent, PAUSED)
        return Effect("paused", "they get no new chats; those that they have go on", {}, before, PAUSED)
    row = ACTS.one(cur, "before_pause", tenant=tenant, agent=agent)
    kept = limits.parse(str(row.before)) if row and row.before is not None else None
    kept = kept or None  # a pause of before is over, too
    before, _ = set_limit(cur, box, tenant, agent, kept)
    limit = "that of the desk" if kept is None else str(kept)
    return Effect("resumed", f"they get new chats again; their limit is {limit}", {"limit": kept}, before, kept)


def log_out(cur: cursor, tenant: str, agent: str) -> Effect:
    """Everywhere; their pages close within seconds. Their chats go back if nobody comes again in time."""
    ended = ACTS.run(cur, "log_out", tenant=tenant, agent=agent)
    return Effect("logged_out", f"{ended} of their logins ended", {"count": ended})


def knows_agent(cur: cursor, tenant: str, agent: str) -> bool:
    return ACTS.one(cur, "agent_known", tenant=tenant, agent=agent) is not None
