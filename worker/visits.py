"""Which visit does a webhook mean? Pure: what is remembered of a room, one webhook → what is remembered after it.

The table of H4 (docs/algorithm.md). A visit is one stay of a room; the same room id comes back after a resolve, and
webhooks come twice, late and out of order. Service ids are the only evidence used: `closed_service` is the highest
one known to be closed. That ids rise is inferred, not documented, so an id that is lower than expected is never
believed on its own: the desk is asked. Timestamps of payloads are never compared.
"""

from typing import NamedTuple

RESOLVED, WAITING = "resolved", "waiting"  # what a witness said of a room; see `Visit.suspect`
COPY_US = 1_000_000  # the desk's copies of one webhook come this close to one another
LAG_US = 5_000_000  # the default of DESK_LAG_SECONDS
JUMP_MOST = 10**10  # ids count sessions: no room's next service is so far from its last one


class Arrived(NamedTuple):
    """A room needs an agent. `latest` is the id of its previous service where the payload proves one closed."""

    room: str
    latest: int | None = None
    channel: str = ""
    source: str = ""


class Resolved(NamedTuple):
    """A service of a room is over. `service` None: the payload named none."""

    room: str
    service: int | None = None
    first_comment_id: str | None = None


class Visit(NamedTuple):
    """An open visit, or one that this very batch closed.

    look     the desk has to be asked about it; while it waits it is not chosen before the answer
    suspect  the first of two witnesses: what a webhook said that could not be believed alone
    unsent   reserved, and surely no assign call is under way or was applied: it is as good as waiting
    """

    id: int | None  # None: not in the ledger yet
    room: str
    state: str  # waiting, reserved, held
    arrived_us: int
    base: int | None = None
    base_proved: bool = False
    settled_long_ago: bool = False  # held for longer than the desk's lag
    first_comment_id: str | None = None
    channel: str = ""
    source: str = ""
    look: bool = False
    suspect: str | None = None
    unsent: bool = False
    again_us: int | None = None  # when a webhook came that may be of the next stay
    again_latest: int | None = None  # the service that it named as closed
    resolved_comment: str | None = None  # reserved: the first comment of the service whose resolve came meanwhile
    aside: bool = False  # set aside; ends when the customer writes again
    learned: bool = False  # from the desk's unserved list a moment ago: its webhook may still bring the true arrival


class Closed(NamedTuple):
    visit: Visit
    reason: str
    service: int | None


class Room(NamedTuple):
    """What is remembered of one room: W of the table, whether the last close named a service (None: no close seen),
    the open visit."""

    id: str
    closed_service: int | None = None
    closed_with_service: bool | None = None
    visit: Visit | None = None


class Change(NamedTuple):
    """The room after the webhook, the visit that it closed, and a word for the log."""

    room: Room
    word: str
    closed: Closed | None = None


def after(room: Room, webhook: Arrived | Resolved, at_us: int, lag_us: int = LAG_US) -> Change:
    """Decide one webhook that reached us at `at_us`. Total: every combination has an answer."""
    if isinstance(webhook, Resolved):
        return _after_resolved(room, webhook, at_us, lag_us)
    return _after_arrived(room, webhook, at_us)


def _after_arrived(room: Room, webhook: Arrived, at_us: int) -> Change:
    if _jumps(room, webhook.latest):
        return _doubted(room, webhook._replace(latest=None), at_us)
    known, latest = room.closed_service, webhook.latest
    if latest is not None and (known is None or latest > known):
        return _newer_service(room, webhook, at_us)
    if room.visit is not None:
        return _again(room, room.visit, webhook, at_us)
    never_seen = known is None and room.closed_with_service is None
    if (latest is None and never_seen) or (latest is not None and latest == known and room.closed_with_service):
        return _open(room, webhook, at_us, "arrived")
    if latest is not None and known is not None and latest < known:
        opened = _open(room._replace(closed_service=None), webhook, at_us, "arrived_stale", look=True).room.visit
        return Change(room._replace(visit=opened and opened._replace(base=latest)), "arrived_stale")
    return _open(room, webhook, at_us, "arrived_unproved", look=True)


def _jumps(room: Room, service: int | None) -> bool:
    """Whether the id is none that this room's service can have: nobody believes it, whoever sent it."""
    return service is not None and service - (room.closed_service or 0) > JUMP_MOST


def _doubted(room: Room, webhook: Arrived, at_us: int) -> Change:
    """What it says of services counts for nothing; that the customer waits may be true, and the desk knows."""
    if room.visit is not None:
        return _again(room, room.visit, webhook, at_us)
    return _open(room, webhook, at_us, "arrived_unproved", look=True)


def _newer_service(room: Room, webhook: Arrived, at_us: int) -> Change:
    """A service closed of which we had not heard: what stood for it is over, its resolve missed or late."""
    raised = room._replace(closed_service=webhook.latest)
    visit = room.visit
    if visit is None:
        return _open(raised, webhook, at_us, "arrived")
    if _has_seat(visit):  # perhaps the agent was put into the new service already: no seat is freed unasked
        back = visit._replace(again_us=None)  # what came before this one is of the stay that is over
        return Change(raised._replace(visit=_back(back, webhook, at_us)), "already_assigned")
    if visit.base_proved:
        over = Closed(visit, "resolve missed", webhook.latest)
        reopened = _open(raised._replace(visit=None, closed_with_service=True), webhook, at_us, "arrived_again")
        return reopened._replace(closed=over)
    # Opened without proof: the same stay, the same place. Still unproved: this webhook may be an old one.
    known = _awake(visit, at_us)._replace(base=webhook.latest, look=False, suspect=None)
    return Change(raised._replace(visit=known), "already_waiting")


def _again(room: Room, visit: Visit, webhook: Arrived, at_us: int) -> Change:
    """A webhook for a room that has an open visit and names no newer service: a duplicate, or the customer is back,
    or the agent has left."""
    same_stay = webhook.latest is not None and webhook.latest == visit.base and visit.base_proved
    if not _has_seat(visit):
        awake = _awake(visit, at_us)
        if not same_stay and at_us - awake.arrived_us > COPY_US:
            awake = _noted(awake, webhook, at_us)
        return Change(room._replace(visit=awake), "already_waiting")
    if visit.state == "held" and visit.settled_long_ago:
        return Change(room._replace(visit=_back(visit, webhook, at_us)), "already_assigned")
    if same_stay:
        return Change(room, "already_assigned")
    in_question = visit.suspect in (RESOLVED, WAITING)
    known = _back(visit, webhook, at_us) if in_question else _noted(visit, webhook, at_us)
    return Change(room._replace(visit=known), "already_assigned")


def _has_seat(visit: Visit) -> bool:
    """An agent has the room, or is perhaps in it already: the assign call has no definite answer yet (H14)."""
    return visit.state == "held" or (visit.state == "reserved" and not visit.unsent)


def _awake(visit: Visit, at_us: int) -> Visit:
    """The customer wrote again. A learned visit gets its place by the webhook that had been missing."""
    return visit._replace(aside=False, learned=False, arrived_us=at_us if visit.learned else visit.arrived_us)


def _after_resolved(room: Room, webhook: Resolved, at_us: int, lag_us: int) -> Change:
    known, service = room.closed_service, webhook.service
    if service is not None and known is not None and service <= known:
        return _known(room, webhook)
    if _jumps(room, service):
        visit = room.visit and _asked(room.visit, RESOLVED)
        return Change(room._replace(visit=visit), "resolve_doubted")
    raised = room._replace(closed_service=service) if service is not None else room
    if room.visit is None:
        return Change(raised._replace(closed_with_service=service is not None), "resolve_without_visit")
    visit = _without_over(room.visit, service, at_us - 2 * lag_us)
    if visit.state == "reserved" and _has_seat(visit):
        marked = _asked(visit, RESOLVED)._replace(resolved_comment=webhook.first_comment_id)
        return Change(raised._replace(visit=marked), "resolved_while_assigning")
    if service is None or not _means(webhook, visit):
        return Change(raised._replace(visit=_asked(visit, RESOLVED)), "resolve_unproved")
    gone = raised._replace(visit=_came_meanwhile(visit, service), closed_with_service=True)
    return Change(gone, "resolved", Closed(room.visit, "resolved", service))


def _known(room: Room, webhook: Resolved) -> Change:
    """A duplicate, or of an earlier stay. One whose arrival overtook it tells how to know that stay. If an agent has
    the room and the service is an earlier one, the desk is asked: the newest may have been forged."""
    visit = room.visit
    if visit is not None and _has_seat(visit) and visit.suspect is None and webhook.service != room.closed_service:
        return Change(room._replace(visit=_asked(visit, RESOLVED)), "resolve_stale")
    if visit is None or visit.state != "reserved" or visit.suspect != WAITING or webhook.service != room.closed_service:
        return Change(room, "resolve_known")
    comment = visit.resolved_comment or webhook.first_comment_id
    return Change(room._replace(visit=visit._replace(resolved_comment=comment)), "resolve_known")


def _without_over(visit: Visit, service: int | None, since_us: int) -> Visit:
    """Forget the webhook that came meanwhile, where it was of a stay that is over: it named the service before its own,
    and now a later one has closed; or it was a duplicate, since no resolve followed it within two lags (H17)."""
    own_over = service is not None and visit.again_latest is not None and visit.again_latest < service
    duplicate = visit.suspect != WAITING and visit.again_us is not None and visit.again_us < since_us
    return visit._replace(again_us=None, again_latest=None) if own_over or duplicate else visit


def _means(webhook: Resolved, visit: Visit) -> bool:
    """Whether a newer service's resolve surely speaks of this visit: the first comment says so where both are told,
    else the proof that the visit was opened after the last service that closed."""
    if visit.first_comment_id is not None and webhook.first_comment_id is not None:
        return visit.first_comment_id == webhook.first_comment_id
    return visit.base_proved


def _came_meanwhile(visit: Visit, service: int) -> Visit | None:
    """A webhook for the open room came not long before the room was resolved: perhaps the customer is back."""
    if visit.again_us is None:
        return None
    return Visit(
        id=None,
        room=visit.room,
        state="waiting",
        arrived_us=visit.again_us,
        base=service,
        channel=visit.channel,
        source=visit.source,
        look=True,
    )


def _asked(visit: Visit, suspect: str) -> Visit:
    """The desk is asked; about a visit that is being assigned only when the call has its answer."""
    return visit._replace(look=visit.state != "reserved", suspect=suspect)


def _back(visit: Visit, webhook: Arrived, at_us: int) -> Visit:
    """Perhaps the customer is back. The first webhook that says so keeps its arrival: duplicates cost no place."""
    if visit.suspect != WAITING or visit.again_us is None:
        visit = _noted(visit, webhook, at_us)
    return _asked(visit, WAITING)


def _noted(visit: Visit, webhook: Arrived, at_us: int) -> Visit:
    """A duplicate, or the customer's return that overtook the resolve of the earlier stay: if that comes soon, this
    webhook opens the next one (H17). Of copies the first counts."""
    if visit.again_us is not None and at_us - visit.again_us <= COPY_US:
        return visit
    return visit._replace(again_us=at_us, again_latest=webhook.latest)


def _open(room: Room, webhook: Arrived, at_us: int, word: str, look: bool = False) -> Change:
    visit = Visit(
        id=None,
        room=room.id,
        state="waiting",
        arrived_us=at_us,
        base=room.closed_service,
        base_proved=webhook.latest is not None and webhook.latest == room.closed_service,
        channel=webhook.channel,
        source=webhook.source,
        look=look,
    )
    return Change(room._replace(visit=visit), word)
