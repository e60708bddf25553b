"""The simulated desk itself: the rooms, agents and services of one app. The shells call it; it calls nobody.

Pure: the clock comes in with each call, what is to be sent leaves through `outbox`, what happened goes to the journal.
Like the real desk it checks neither presence nor load when a room is assigned.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from scripts.simulator.divisions import Divisions
from scripts.simulator.ids import Ids
from scripts.simulator.journal import Instant, Journal
from scripts.simulator.lagging import Lagging
from scripts.simulator.names import customer_name, known_of
from scripts.simulator.refused import Refused

ADMIN, AGENT, SUPERVISOR = 1, 2, 3
KINDS = {ADMIN: "admin", AGENT: "agent", SUPERVISOR: "supervisor"}
SERVER_MAX_AGENT = 5  # agents in one room where the caller names no ceiling; the real value is unknown
ANY_NUMBER = 1_000_000
SAID_KEPT = 50  # messages of the bot in one room; the journal has all of them


@dataclass(frozen=True)
class Channel:
    id: int
    name: str
    source: str


CHANNELS = {
    131314: Channel(131314, "Example Widget", "qiscus"),
    131313: Channel(131313, "Example WA", "wa"),
    131315: Channel(131315, "Example Telegram", "telegram"),
}
DEFAULT_CHANNEL = 131314


@dataclass(eq=False)
class Agent:
    """Somebody who can sit in a room. `channels` None: all of them."""

    id: int
    name: str
    email: str
    kind: int = AGENT
    online: bool = True
    channels: frozenset[int] | None = None
    deleted: bool = False  # no list names them any more; chats that they had stay theirs
    rooms: dict[str, Instant] = field(default_factory=dict)
    counts: Lagging[int] = field(default_factory=lambda: Lagging(0))
    max_held: int = 0

    def serves(self, channel: int) -> bool:
        return not self.deleted and (self.channels is None or channel in self.channels)


@dataclass(frozen=True)
class Service:
    """One stay of a customer that has ended. Ids rise with each resolve, over all rooms of the app."""

    id: int
    room: str
    first_comment: int
    last_comment: int
    notes: str | None
    user_id: int
    started: float  # unix seconds, like the next two
    retrieved: float | None
    resolved: float


@dataclass(eq=False)
class Room:
    """A customer's room. It comes back after a resolve, under the same id."""

    id: str
    number: int
    name: str
    user_id: str
    channel: Channel
    properties: dict[str, Any]  # what is known of the customer, as the webhook's extras have it
    arrived: Instant  # of the present stay
    first_comment: int
    last_comment: int
    last_customer: float
    messages: int = 1  # by the customer, in the present stay
    waiting: bool = True
    resolved: bool = False
    agents: dict[int, Instant] = field(default_factory=dict)
    assigned: Instant | None = None
    latest: Service | None = None
    max_agents: int = 0
    stay: int = 1
    said: list[str] = field(default_factory=list)  # by the bot, the latest last
    views: Lagging[tuple[bool, bool]] = field(default_factory=lambda: Lagging((True, False)))  # (waiting, resolved)


@dataclass(frozen=True)
class Outgoing:
    """A webhook to send. `service` and `by` belong to a resolve."""

    hook: Literal["caa", "resolved"]
    room: Room
    service: Service | None = None
    by: Agent | None = None


class Model:
    """One app's desk at one moment."""

    def __init__(self, ids: Ids, journal: Journal, *, adopts_unknown_rooms: bool = True) -> None:
        self.ids = ids
        self.journal = journal
        self.adopts_unknown_rooms = adopts_unknown_rooms
        self.agents: dict[int, Agent] = {}
        self.rooms: dict[str, Room] = {}
        self.waiting: dict[str, Room] = {}  # in the order of their arrival
        self.closed: dict[str, Room] = {}  # resolved ones, the latest last
        self.outbox: list[Outgoing] = []  # webhooks to send, taken by the shell
        self.joined: list[Room] = []  # chats that began, taken by the shell
        self.divisions = Divisions(journal)
        self.admin = Agent(162787, "Admin", "admin@example.com", ADMIN)

    # --- customers

    def customer_arrives(
        self,
        now: Instant,
        *,
        room_id: str | None = None,
        channel: int = DEFAULT_CHANNEL,
        name: str | None = None,
        email: str | None = None,
        properties: dict[str, Any] | None = None,
    ) -> Room:
        """A new customer writes for the first time. Without `properties` something is made up of them, too."""
        if room_id is not None and room_id in self.rooms:
            raise Refused(409, f"room {room_id} exists")
        room = self._open_room(now, room_id or str(self.ids.take("room")), channel, name, email, properties)
        self.outbox.append(Outgoing("caa", room))
        return room

    def customer_writes(self, now: Instant, room_id: str) -> Room:
        """A known customer writes again. Announced unless an agent is in the room."""
        room = self.room(room_id)
        if room.resolved:
            self._reopen(now, room)
        else:
            room.last_comment = self.ids.take("comment")
            room.messages += 1
            self.journal.add(now, "message", room=room.id, name=room.name, announced=not room.agents)
        room.last_customer = now.wall
        if not room.agents:
            self.outbox.append(Outgoing("caa", room))
        return room

    def bot_says(self, now: Instant, room_id: str, text: str) -> Room:
        """To the customer. Sent twice it is read twice."""
        room = self.room(room_id)
        room.said = [*room.said[1 - SAID_KEPT :], text]
        self.journal.add(now, "said", room=room.id, name=room.name, text=text, waiting=room.waiting)
        return room

    def _open_room(
        self,
        now: Instant,
        room_id: str,
        channel: int,
        name: str | None = None,
        email: str | None = None,
        properties: dict[str, Any] | None = None,
    ) -> Room:
        number, comment = self.ids.take("row"), self.ids.take("comment")
        room = Room(
            id=room_id,
            number=number,
            name=name or customer_name(number),
            user_id=email or f"customer{number}@example.com",
            channel=CHANNELS.get(channel, Channel(channel, f"Channel {channel}", "custom")),
            properties=known_of(number) if properties is None else properties,
            arrived=now,
            first_comment=comment,
            last_comment=comment,
            last_customer=now.wall,
        )
        self.rooms[room_id] = self.waiting[room_id] = room
        self._note_arrival(now, room, returning=False)
        return room

    def _reopen(self, now: Instant, room: Room) -> None:
        room.first_comment = room.last_comment = self.ids.take("comment")
        room.arrived, room.assigned, room.messages, room.stay = now, None, 1, room.stay + 1
        self.closed.pop(room.id, None)
        self.waiting[room.id] = room
        self._see(now, room, waiting=True, resolved=False)
        self._note_arrival(now, room, returning=True)

    def _note_arrival(self, now: Instant, room: Room, *, returning: bool) -> None:
        """With all that its webhook says of the customer: tests judge from it where the room belongs."""
        self.journal.add(
            now,
            "arrived",
            room=room.id,
            name=room.name,
            channel=room.channel.id,
            source=room.channel.source,
            email=room.user_id,
            properties=room.properties,
            returning=returning,
        )

    # --- agents

    def add_agent(
        self, name: str, email: str, *, kind: int = AGENT, online: bool = True, channels: Iterable[int] | None = None
    ) -> Agent:
        only = None if channels is None else frozenset(channels)
        agent = Agent(self.ids.take("agent"), name, email, kind, online, only)
        self.agents[agent.id] = agent
        return agent

    def set_presence(self, now: Instant, agent_id: int, online: bool) -> Agent:
        agent = self.agent(agent_id)
        agent.online = online
        self.journal.add(now, "presence", agent=agent.id, agent_name=agent.name, online=online)
        return agent

    def set_deleted(self, now: Instant, agent_id: object, deleted: bool) -> Agent:
        """The admin deletes an agent, or hires them again. Their chats stay until somebody resolves them."""
        agent = self.agent(agent_id, deleted_too=True)
        agent.deleted = deleted
        self.journal.add(
            now, "presence", agent=agent.id, agent_name=agent.name, online=agent.online, deleted=agent.deleted
        )
        return agent

    # --- rooms and agents together

    def assign(
        self, now: Instant, room_id: str, agent_id: object, *, max_agent: int, replace: bool = False, by: str = "api"
    ) -> Room:
        """Put the agent into the room. Raises `Refused`; adopts a room nobody heard of, see `adopt`."""
        agent = self.agent(agent_id)
        room = self.rooms.get(room_id) or self.adopt(now, room_id)
        if room.resolved:
            raise Refused(400, "room already resolved")
        leaving = list(room.agents)[-1:] if replace else []
        if len(room.agents) - len(leaving) >= max_agent:
            raise Refused(400, "Cant join room, exceed max agents")
        if leaving != [agent.id] and agent.id not in room.agents:
            for left in leaving:
                self._leave(now, room, self.agents[left], by)
            self._join(now, room, agent, by)
        return room

    def adopt(self, now: Instant, room_id: str) -> Room:
        """A room id never seen: somebody posted a webhook straight at the receiver. Taken for a new waiting room."""
        if not self.adopts_unknown_rooms or not 0 < len(room_id) <= 64:
            raise Refused(404, "Room not found")
        return self._open_room(now, room_id, DEFAULT_CHANNEL, properties={})

    def remove_agent(self, now: Instant, room_id: str, agent_id: object, by: str = "api") -> Room:
        """Take the agent out. A room left without anyone waits again, at its old place by arrival."""
        room, agent = self.room(room_id), self.agent(agent_id, deleted_too=True)
        if agent.id not in room.agents:
            raise Refused(400, "Agent is not in the room")
        self._leave(now, room, agent, by)
        if not room.agents:
            self.waiting[room.id] = room
            self._see(now, room, waiting=True, resolved=False)
        return room

    def resolve(self, now: Instant, room_id: str, by: Agent, notes: str | None = None) -> Service:
        """End the stay, whoever is in the room. Announced with the one who pressed the button."""
        room = self.room(room_id)
        if room.resolved:
            raise Refused(400, "room already resolved")
        service = self._service(now, room, by, notes)
        for held_by in list(room.agents):
            self._leave(now, room, self.agents[held_by], "resolve")
        room.latest = service
        self.waiting.pop(room.id, None)
        self.closed[room.id] = room
        self._see(now, room, waiting=False, resolved=True)
        self.journal.add(
            now, "resolved", room=room.id, name=room.name, service=service.id, by=KINDS[by.kind], by_name=by.name
        )
        self.outbox.append(Outgoing("resolved", room, service, by))
        return service

    def who_presses(self, room: Room, by: str | int) -> Agent:
        """`agent` (the one in the room), `admin`, `supervisor`, or an agent's id."""
        if by == "agent" and room.agents:
            return self.agents[list(room.agents)[-1]]
        if by == "supervisor":
            return next((a for a in self.agents.values() if a.kind == SUPERVISOR), self.admin)
        if by in ("agent", "admin"):
            return self.admin
        return self.agent(by)

    def _service(self, now: Instant, room: Room, by: Agent, notes: str | None) -> Service:
        return Service(
            id=self.ids.take("service"),
            room=room.id,
            first_comment=room.first_comment,
            last_comment=room.last_comment,
            notes=notes,
            user_id=by.id,
            started=room.arrived.wall,
            retrieved=room.assigned.wall if room.assigned else None,
            resolved=now.wall,
        )

    def _join(self, now: Instant, room: Room, agent: Agent, by: str) -> None:
        room.agents[agent.id] = agent.rooms[room.id] = now
        room.assigned = room.assigned or now
        room.max_agents = max(room.max_agents, len(room.agents))
        agent.max_held = max(agent.max_held, len(agent.rooms))
        agent.counts.set(now.mono, len(agent.rooms))
        self.waiting.pop(room.id, None)
        self.joined.append(room)
        self._see(now, room, waiting=False, resolved=False)
        self._note_seat(now, "assigned", room, agent, by)

    def _leave(self, now: Instant, room: Room, agent: Agent, by: str) -> None:
        del room.agents[agent.id], agent.rooms[room.id]
        agent.counts.set(now.mono, len(agent.rooms))
        self._note_seat(now, "removed", room, agent, by)

    def _note_seat(self, now: Instant, kind: str, room: Room, agent: Agent, by: str) -> None:
        """`held` and `in_room` are the numbers just after the event: tests judge every instant from them."""
        self.journal.add(
            now,
            kind,
            room=room.id,
            name=room.name,
            agent=agent.id,
            agent_name=agent.name,
            by=by,
            held=len(agent.rooms),
            in_room=len(room.agents),
            waited_s=round(now.mono - room.arrived.mono, 3),
        )

    def _see(self, now: Instant, room: Room, *, waiting: bool, resolved: bool) -> None:
        room.waiting, room.resolved = waiting, resolved
        room.views.set(now.mono, (waiting, resolved))

    # --- questions

    def room(self, room_id: str) -> Room:
        if room := self.rooms.get(room_id):
            return room
        raise Refused(404, "Room not found")

    def channel_of(self, room_id: str) -> int | None:
        return room.channel.id if (room := self.rooms.get(room_id)) else None

    def agent(self, agent_id: object, *, deleted_too: bool = False) -> Agent:
        text = str(agent_id)
        known = self.agents.get(int(text)) if text.isascii() and text.isdigit() else None
        if known and (deleted_too or not known.deleted):
            return known
        raise Refused(404, "Agent not found")

    def eligible(self, room_id: str) -> list[Agent]:
        """Everybody who may serve the room's channel, offline ones and supervisors too; all for an unknown room."""
        room = self.rooms.get(room_id)
        return [a for a in self.staff() if room is None or a.serves(room.channel.id)]

    def staff(self) -> list[Agent]:
        return [a for a in self.agents.values() if not a.deleted]

    def candidate(self, channel: int | None, mono: float, *, ignore_presence: bool = False) -> Agent | None:
        """The desk's own choice: the online agent with the smallest (late) count. It knows no limit."""
        fit = [
            a
            for a in self.staff()
            if a.kind == AGENT and (a.online or ignore_presence) and (channel is None or a.serves(channel))
        ]
        return min(fit, key=lambda a: (a.counts.at(mono), a.id), default=None)

    def newest(self, rooms: Iterable[Room], below: int | None, limit: int) -> list[Room]:
        """A page of rooms by their last comment, the newest first; `below` is the last comment of the page before."""
        older: Iterator[Room] = (r for r in rooms if below is None or r.last_comment < below)
        return heapq.nlargest(limit, older, key=lambda r: r.last_comment)

    def line(self) -> list[Room]:
        """Who waits, by arrival. A room that lost its agent stands at its old place."""
        return sorted(self.waiting.values(), key=lambda r: r.arrived.mono)

    def held(self) -> list[Room]:
        return [self.rooms[room_id] for a in self.agents.values() for room_id in a.rooms]
