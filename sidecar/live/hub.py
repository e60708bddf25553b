"""Who hears what. Pure: no clock, no I/O, no task; `feed` brings what happened, `connection` registers sockets.

Rule (H12): of a room's stored rows, everybody here hears each seq once, in order, without gaps. The hub knows the
`next` seq of each room that somebody here hears; a later one waits until the feed has fetched what is missing.

Two kinds of ears: a customer's socket hears its room; an agent's hears all open rooms of its tenant, see `audience`. A
socket that sent a message gets the acknowledgement in the very place where others get the message, so that what it has
seen has no gap.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from db.announce import News
from sidecar.live import frames
from sidecar.live.audience import Audience, Later, Member

NEW, ACK = "chat.message.new", "chat.message.ack"
HELD_MOST = 500  # news of a room that wait for an earlier one; the rest is fetched again
ENDED_ROUNDS = 30  # looks for which an ended room is remembered, so that a late word about it is known to be late

Place = tuple[str, str]  # tenant, room
Unit = tuple[News, ...]  # of one room and one seq


class Ear(Member, Protocol):
    """A socket, as the hub sees it.

    agent    the agent's id, None for a customer
    got      a customer's: the seq up to which it has heard its room; None while its history is being sent
    pending  what it sent and what is not acknowledged, (room, client_id) → when it came
    """

    got: int | None
    pending: dict[tuple[str, str], float]


class Head(NamedTuple):
    """How far a room is in the database."""

    tenant: str
    room: str
    last_seq: int
    ended: bool


@dataclass
class _Room:
    next: int | None = None  # None: nobody knows yet
    held: dict[int, Unit] = field(default_factory=dict)
    ears: set[Ear] = field(default_factory=set)  # the customer's
    ended_for: int = 0  # looks
    listed: int = 0  # agents have the rows up to this from the list with which they came

    def hold(self, seq: int, unit: Unit) -> None:
        if len(self.held) < HELD_MOST:
            self.held[seq] = unit


@dataclass
class _Tenant:
    agents: Audience[Ear]
    rooms: dict[str, _Room] = field(default_factory=dict)
    known: bool = False  # all rooms that were open when the first agent came are in `rooms`


class Hub:
    def __init__(
        self,
        delivered: Callable[[float], None] = lambda came: None,
        gathering: Callable[[], Later] = lambda: lambda give, members: give(),
    ) -> None:
        """`delivered`: told when a message of a socket here went out, with the time of its coming. `gathering`: makes
        what says when a tenant's agents are given what they hear; see `audience`."""
        self._tenants: dict[str, _Tenant] = {}
        self._behind: dict[Place, int] = {}
        self._delivered, self._gathering = delivered, gathering

    # --- ears come and go

    def enter(self, tenant: str, room: str, ear: Ear) -> None:
        """A customer's socket; `got` is None until its history was sent, see `catch_up`."""
        self._tenant(tenant).rooms.setdefault(room, _Room()).ears.add(ear)

    def catch_up(self, tenant: str, room: str, ear: Ear, got: int, is_open: bool) -> bool:
        """The socket has been sent all up to `got`: from now on it hears the room. False: the room is further already;
        send the rest first. In one turn of the event loop with what was sent last."""
        found = self._tenants[tenant]
        known = found.rooms[room]
        if known.next is not None and known.next > got + 1:
            return False
        ear.got = got
        if known.next is None and not found.agents:
            self._set_next(tenant, room, known, got + 1)
        elif known.next is None and found.known:  # an open room of which the agents here have heard nothing is new
            self._set_next(tenant, room, known, 1 if is_open else got + 1)
            self._note_behind(tenant, room, known, got)
        return True

    def leave(self, tenant: str, room: str, ear: Ear) -> None:
        found = self._tenants.get(tenant)
        if found and room in found.rooms:
            found.rooms[room].ears.discard(ear)
            self._forget_unheard(tenant, found, (room,))

    def watch(self, tenant: str, ear: Ear) -> bool:
        """An agent's socket. False: fetch the tenant's open rooms and give them to `know` before it is told that it is
        heard; what comes meanwhile is kept."""
        found = self._tenant(tenant)
        found.agents.add(ear)
        return found.known

    def know(self, tenant: str, heads: Iterable[Head]) -> None:
        """All open rooms, and those of `heard_of`, as read after `watch`. Whatever else turns up is new."""
        found = self._tenant(tenant)
        for head in heads:
            room = found.rooms.setdefault(head.room, _Room())
            if room.next is None:  # a customer here may have heard less than the database had just now
                heard = [ear.got for ear in room.ears if ear.got is not None]
                room.listed = head.last_seq
                self._set_next(tenant, head.room, room, min([head.last_seq, *heard]) + 1)
                self._note_behind(tenant, head.room, room, head.last_seq)
        found.known = True
        for name, room in list(found.rooms.items()):
            if room.next is None:
                self._set_next(tenant, name, room, 1)

    def unwatch(self, tenant: str, ear: Ear) -> None:
        found = self._tenants.get(tenant)
        if found:
            found.agents.discard(ear)
            if not found.agents:
                found.known = False
                self._forget_unheard(tenant, found, list(found.rooms))

    # --- what happens

    def hear(self, tenant: str, news: Sequence[News], but: Ear | None = None) -> None:
        """`but`: who did it hears nothing of what is never stored."""
        found = self._tenants.get(tenant)
        if found is None:
            return
        for unit in units(news):
            if unit[0].seq is None:
                self._pass_on(found, unit[0], but)
            else:
                self._hear_unit(tenant, found, unit, unit[0].seq)

    def _hear_unit(self, tenant: str, found: _Tenant, unit: Unit, seq: int) -> None:
        name = unit[0].room or ""
        room = found.rooms.get(name)
        if room is None:
            if not found.agents:
                return
            room = found.rooms[name] = _Room(1 if found.known else None)
        if room.next is None:
            room.hold(seq, unit)
        elif seq == room.next:
            self._deliver(found, name, room, unit)
            self._flush(tenant, found, name, room)
        elif seq > room.next:
            room.hold(seq, unit)
            self._behind[tenant, name] = seq

    def _flush(self, tenant: str, found: _Tenant, name: str, room: _Room) -> None:
        """What was held and is next now; and whether something is still missing before the rest."""
        while room.next in room.held:
            self._deliver(found, name, room, room.held.pop(room.next))
        for seq in [seq for seq in room.held if room.next is not None and seq < room.next]:
            del room.held[seq]
        if room.held:
            self._behind[tenant, name] = max(room.held)
        elif self._behind.get((tenant, name), 0) < (room.next or 1):
            self._behind.pop((tenant, name), None)

    def _set_next(self, tenant: str, name: str, room: _Room, seq: int) -> None:
        room.next = seq
        self._flush(tenant, self._tenants[tenant], name, room)

    # --- what is missing

    def heard_of(self, tenant: str) -> list[str]:
        """The rooms of one tenant that are known here."""
        found = self._tenants.get(tenant)
        return list(found.rooms) if found else []

    def heard(self) -> tuple[list[str], list[tuple[str, str, int]]]:
        """The tenants with agents here; and (tenant, room, the last seq that was told) of all rooms that are heard."""
        watched = [tenant for tenant, found in self._tenants.items() if found.agents and found.known]
        places = [
            (tenant, name, room.next - 1)
            for tenant, found in self._tenants.items()
            for name, room in found.rooms.items()
            if room.next is not None
        ]
        return watched, places

    def compare(self, heads: Iterable[Head]) -> None:
        """With what the database had just now beyond `heard`: it got lost on the way here, and is missing from now on.
        Ended rooms are forgotten a while later."""
        for head in heads:
            found = self._tenants.get(head.tenant)
            if found is None:
                continue
            room = found.rooms.get(head.room)
            if room is None and found.known and not head.ended:
                room = found.rooms[head.room] = _Room(1)
            if room is None or room.next is None:
                continue
            self._note_behind(head.tenant, head.room, room, head.last_seq)
            room.ended_for += head.ended
            if room.ended_for > ENDED_ROUNDS and not room.ears:
                del found.rooms[head.room]

    def _note_behind(self, tenant: str, name: str, room: _Room, last_seq: int) -> None:
        if room.next is not None and last_seq >= room.next:
            self._behind[tenant, name] = max(last_seq, self._behind.get((tenant, name), 0))

    def missing(self) -> list[tuple[str, str, int]]:
        """(tenant, room, after): the rows to be fetched, and to be given to `hear`."""
        wanted = []
        for (tenant, name), up_to in list(self._behind.items()):
            found = self._tenants.get(tenant)
            room = found.rooms.get(name) if found else None
            if room is None or room.next is None or room.next > up_to:
                del self._behind[tenant, name]
            else:
                wanted.append((tenant, name, room.next - 1))
        return wanted

    def give_up(self, places: Iterable[Place]) -> None:
        """Rows that were announced and are not in the database."""
        for place in places:
            self._behind.pop(place, None)
            found = self._tenants.get(place[0])
            if found and place[1] in found.rooms:
                found.rooms[place[1]].held.clear()

    # --- who is here

    def watched(self) -> list[str]:
        """The tenants with agents here."""
        return [tenant for tenant, found in self._tenants.items() if found.agents]

    def customers(self, tenant: str) -> list[str]:
        """The rooms whose customer is connected here."""
        found = self._tenants.get(tenant)
        return [name for name, room in found.rooms.items() if room.ears] if found else []

    def got(self, tenant: str, room: str) -> int | None:
        """The seq up to which this room was told here, None where nobody hears it."""
        found = self._tenants.get(tenant)
        known = found.rooms.get(room) if found else None
        return known.next - 1 if known and known.next is not None else None

    # --- telling

    def _deliver(self, found: _Tenant, name: str, room: _Room, unit: Unit) -> None:
        seq = unit[0].seq or 0
        room.next = seq + 1
        ears = [ear for ear in room.ears if ear.got is not None and ear.got < seq]
        for one in unit:
            if seq > room.listed or one.to != "agents":
                self._say(found, room, one._replace(to="customer") if seq <= room.listed else one, ears)
        for ear in ears:
            ear.got = seq

    def _pass_on(self, found: _Tenant, one: News, but: Ear | None) -> None:
        room = found.rooms.get(one.room or "")
        ears = [ear for ear in room.ears if ear is not but] if room else []
        self._say(found, room, one, ears, but)

    def _say(self, found: _Tenant, room: _Room | None, one: News, customers: list[Ear], but: Ear | None = None) -> None:
        if one.to == "agents":
            customers = []
        if not customers and (one.to == "customer" or not found.agents):
            return
        if one.type == NEW:
            self._say_message(found, one, customers)
            return
        frame = frames.frame(one.type, one.payload)
        for ear in customers:
            ear.push(frame)
        if one.to != "customer" and found.agents:
            found.agents.say(frame, [but] if but and but in found.agents else ())

    def _say_message(self, found: _Tenant, one: News, customers: list[Ear]) -> None:
        """The socket that sent it gets the acknowledgement; other pages of the same sender see its `client_id`."""
        voices = Voices(one.payload)
        for ear in customers:
            self._say_to(ear, voices, voices.of_customer)
        if one.to != "customer" and found.agents:
            own = list(found.agents.of(voices.of_agent)) if voices.of_agent else []
            found.agents.say(voices.plain, own)
            for ear in own:
                self._say_to(ear, voices, is_own=True)

    def _say_to(self, ear: Ear, voices: "Voices", is_own: bool) -> None:
        if is_own and voices.sent in ear.pending:
            ear.push(voices.ack)
            self._delivered(ear.pending.pop(voices.sent))
        else:
            ear.push(voices.own if is_own else voices.plain)

    def _tenant(self, tenant: str) -> _Tenant:
        if tenant not in self._tenants:
            self._tenants[tenant] = _Tenant(Audience(self._gathering()))
        return self._tenants[tenant]

    def _forget_unheard(self, tenant: str, found: _Tenant, rooms: Iterable[str]) -> None:
        if found.agents:
            return
        for name in [name for name in rooms if not found.rooms[name].ears]:
            del found.rooms[name]
        if not found.rooms:
            self._tenants.pop(tenant, None)


class Voices:
    """One message in the three ways in which it is told, each made when it is first needed."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload
        self.sent: tuple[str, str] = payload["session_id"], payload.get("client_id", "")
        self.of_customer: bool = payload["sender_type"] == "customer"  # all of a room's customer's sockets are one
        self.of_agent: str | None = payload["sender_id"] if payload["sender_type"] == "agent" else None

    @cached_property
    def plain(self) -> bytes:
        return frames.frame(NEW, {name: value for name, value in self._payload.items() if name != "client_id"})

    @cached_property
    def own(self) -> bytes:
        return frames.frame(NEW, self._payload)

    @cached_property
    def ack(self) -> bytes:
        told = ("session_id", "client_id", "id", "seq", "created_at")
        return frames.frame(ACK, {name: self._payload[name] for name in told})


def units(news: Sequence[News]) -> Iterator[Unit]:
    """What belongs together: neighbours of one room and one seq. What has no seq stands alone."""
    for (_, seq), group in groupby(news, key=lambda one: (one.room, one.seq)):
        found = tuple(group)
        yield from [(one,) for one in found] if seq is None else [found]
