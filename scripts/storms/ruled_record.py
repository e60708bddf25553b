"""What `ruled_judge` judges: the desk's journal, each change of a visit, files in force, who came and when. Pure."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scripts.storms.ruled_file import NEVER, Customer, File, same

Event = dict[str, Any]


class Change(NamedTuple):
    """A row of a visit as it was after a change, in the order of changing. Times are unix seconds."""

    seq: int
    tx: int
    at: float
    visit: int
    room: str
    state: str
    agent: str | None
    queue: str | None
    rule: str | None
    rules_version: int
    step: int
    priority: int
    base_priority: int
    arrived_us: int
    serve_from: float | None
    sticky_agent: str | None
    sticky_until: float | None
    ready: bool  # not verified, refused or set aside
    learned: bool  # from the desk's list: no webhook said anything of it
    class_: str = ""

    @property
    def place(self) -> tuple[int, int]:
        return self.arrived_us, self.visit


class Member(NamedTuple):
    id: str
    email: str
    channels: frozenset[str] | None  # None: all


@dataclass
class Spells:
    """When something was so: from, to."""

    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def begin(self, at: float) -> None:
        if len(self.begins) == len(self.ends):
            self.begins.append(at)

    def end(self, at: float) -> None:
        if len(self.begins) > len(self.ends):
            self.ends.append(at)

    def ever(self, since: float, until: float) -> bool:
        """At any moment of this time."""
        last = bisect_right(self.begins, until) - 1
        return last >= 0 and self._end(last) >= since

    def always(self, since: float, until: float) -> bool:
        last = bisect_right(self.begins, since) - 1
        return last >= 0 and self._end(last) > until

    def last_before(self, at: float) -> float:
        """Seconds since it was last so; 0: it is."""
        last = bisect_right(self.begins, at) - 1
        return max(0.0, at - self._end(last)) if last >= 0 else NEVER

    def _end(self, number: int) -> float:
        return self.ends[number] if number < len(self.ends) else NEVER


NEVER_SO = Spells()


def ever(since: float, until: float) -> Callable[[Spells], bool]:
    return lambda spells: spells.ever(since, until)


def always(since: float, until: float) -> Callable[[Spells], bool]:
    return lambda spells: spells.always(since, until)


class Desk:
    """Who could serve what, at every moment, by the desk's own journal."""

    def __init__(self, events: Sequence[Event], agents: Iterable[Member], online: Iterable[str]) -> None:
        self.agents = {agent.id: agent for agent in agents}
        self._in: dict[tuple[str, str], Spells] = defaultdict(Spells)
        self._online: dict[str, Spells] = defaultdict(Spells)
        for agent in online:
            self._online[agent].begin(0.0)
        self._read_divisions(events)
        for event in events:
            if event["kind"] == "presence":
                spells = self._online[str(event["agent"])]
                (spells.begin if event["online"] else spells.end)(event["wall"])

    def _read_divisions(self, events: Sequence[Event]) -> None:
        now: dict[int, tuple[str, list[int]]] = {}
        before: set[tuple[str, str]] = set()
        for event in events:
            if event["kind"] != "division":
                continue
            now[event["division"]] = (same(event["name"]), event["members"])
            if event["change"] == "deleted":
                del now[event["division"]]
            pairs = {(name, str(agent)) for name, members in now.values() for agent in members}
            for pair in pairs - before:
                self._in[pair].begin(event["wall"])
            for pair in before - pairs:
                self._in[pair].end(event["wall"])
            before = pairs

    def online(self, agent: str) -> Spells:
        return self._online.get(agent, NEVER_SO)

    def may(
        self, agent: str, file: File, queue: str | None, step: int, channel: str, so: Callable[[Spells], bool]
    ) -> bool:
        """Whether a list that counts after these steps names the agent; of divisions it is `so` that decides."""
        member = self.agents[agent]
        for who in file.who(queue, step):
            if agent in who.ids or same(member.email) in who.emails:
                return True
            if who.channel and (member.channels is None or channel in member.channels):
                return True
            if any(so(self._in[name, agent]) for name in who.divisions if (name, agent) in self._in):
                return True
        return False

    def stale_s(self, agent: str, file: File, queue: str | None, step: int, at: float) -> float:
        """How long ago a division that counts had the agent, where nothing else names them."""
        names = [name for who in file.who(queue, step) for name in who.divisions]
        return min((self._in[n, agent].last_before(at) for n in names if (n, agent) in self._in), default=NEVER)


class Stay(NamedTuple):
    """One stay of a customer at the desk."""

    since: float
    customer: Customer


@dataclass(frozen=True)
class Record:
    """All that is judged. `known_s`: how old what is known of the desk may be, by the settings; `read`: class → when
    its team was read, as requests went out; `given_up_s`: a team that could not be read for so long holds nobody up."""

    events: Sequence[Event]
    changes: Sequence[Change]

    files: Sequence[File]
    desk: Desk
    stays: Mapping[str, Sequence[Stay]]
    limit: int
    known_s: float
    read: Mapping[str, Sequence[float]] = field(default_factory=dict)
    given_up_s: float = NEVER

    def unread_s(self, class_: str, at: float) -> float:
        """For how long the team of a class was not read."""
        times = self.read.get(class_, ())
        return at - max((each for each in times if each <= at), default=0.0)

    def file_at(self, at: float) -> File:
        return [file for file in self.files if file.since <= at][-1]

    def stay_of(self, change: Change) -> Stay | None:
        """The last one that began before the visit's place."""
        found = [stay for stay in self.stays.get(change.room, ()) if stay.since <= change.arrived_us / 1e6 + 0.2]
        return found[-1] if found else None


def stays_of(events: Sequence[Event], channel_names: Mapping[int, str]) -> dict[str, list[Stay]]:
    found: dict[str, list[Stay]] = defaultdict(list)
    for event in events:
        if event["kind"] == "arrived":
            name = channel_names.get(event["channel"], f"Channel {event['channel']}")
            customer = Customer(
                event["source"],
                str(event["channel"]),
                name,
                event["email"],
                event["name"],
                event["returning"],
                event["properties"],
            )
            found[event["room"]].append(Stay(event["wall"], customer))
    return found


def reserved(changes: Sequence[Change]) -> Iterator[tuple[Change, Change | None]]:
    """Each seat that was given, with the row before it."""
    before: dict[int, Change] = {}
    for change in changes:
        last = before.get(change.visit)
        if change.state == "reserved" and (last is None or last.state == "waiting"):
            yield change, last
        before[change.visit] = change
