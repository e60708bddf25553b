"""The judge of a storm over a tenant with rules: by the simulated desk's history, and each change of a visit.

Pure. What a file means is read by `ruled_file`, who belongs to a division when by the desk's journal: nothing here is
shared with the product. Each function answers one question with what is wrong, a sentence for each.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from scripts.storms.ruled_file import NEVER, File, Led, shown
from scripts.storms.ruled_record import Change, Event, Record, Stay, always, ever, reserved

CLOCK_S = 2.0  # between a moment and the turn that goes by it: a lock is waited for, a machine is busy
CROSSED_S = 3.0  # a text that was on its way when the room was given to somebody
LOOK_S = 2.0  # between two looks for seats that nobody was given
SOON = 0.5  # of an interval: of two texts the first may have been sent late and the second at once

# --- one seat after the other


def by_other_rules(record: Record) -> list[str]:
    """Rooms that were given to somebody by a version that was not in force any more."""
    wrong = []
    for seat, _ in reserved(record.changes):
        if (version := record.file_at(seat.at).version) != seat.rules_version:
            since_s = seat.at - record.file_at(seat.at).since
            wrong.append(f"room {seat.room}: by version {seat.rules_version}, {since_s:.1f} s after version {version}")
    return wrong


def elsewhere(record: Record) -> list[str]:
    """Rooms that stood in another queue, by another rule or with another priority than the file says."""
    wrong = []
    for seat, _ in reserved(record.changes):
        stay, file = record.stay_of(seat), record.file_at(seat.at)
        if stay is None or seat.learned or file.version != seat.rules_version:
            continue
        expected = _expected(file, stay, seat)
        if Led(seat.queue, seat.rule, seat.base_priority) not in expected:
            wrong.append(f"room {seat.room} ({file.version}): {_short(seat)}, not {sorted(map(str, expected))}")
    return wrong


def _expected(file: File, stay: Stay, seat: Change) -> set[Led]:
    """Two, where the hours changed just then."""
    arrived = seat.arrived_us / 1e6
    return {file.led(stay.customer, file.is_open(arrived + slack)) for slack in (-CLOCK_S, CLOCK_S)}


def _short(seat: Change) -> str:
    return f"queue {seat.queue} by {seat.rule} with {seat.base_priority}"


def out_of_step(record: Record) -> list[str]:
    """Seats whose room stood at another step, or had another priority, than its time says."""
    wrong = []
    for seat, _ in reserved(record.changes):
        file = record.file_at(seat.at)
        if file.version != seat.rules_version:
            continue
        low, high = _steps(file, seat)
        if not low <= seat.step <= high:
            waited_s = seat.at - file.opens(seat.arrived_us / 1e6)
            wrong.append(f"room {seat.room}: step {seat.step} of {seat.queue} after {waited_s:.1f} s")
        elif seat.priority != file.priority_at(seat.queue, seat.base_priority, seat.step):
            wrong.append(f"room {seat.room}: priority {seat.priority} at step {seat.step} of {seat.queue}")
    return wrong


def _steps(file: File, of: Change, at: float | None = None) -> tuple[int, int]:
    """The fewest and the most that may have come."""
    at = of.at if at is None else at
    starts = [file.opens(of.arrived_us / 1e6 + slack) for slack in (-CLOCK_S, CLOCK_S)]
    return (
        file.step_at(of.queue, at - max(starts) - CLOCK_S),
        file.step_at(of.queue, at - min(starts) + CLOCK_S),
    )


def to_strangers(record: Record) -> list[str]:
    """Seats given to somebody whom the queue, at its step, did not name at any moment that may have been known."""
    wrong = []
    for seat, _ in reserved(record.changes):
        file, stay = record.file_at(seat.at), record.stay_of(seat)
        if file.version != seat.rules_version or stay is None:
            continue
        since, agent = seat.at - record.known_s, str(seat.agent)
        channel, step = stay.customer.channel, _steps(file, seat)[1]
        if not record.desk.may(agent, file, seat.queue, step, channel, ever(since, seat.at)):
            stale_s = record.desk.stale_s(agent, file, seat.queue, step, seat.at)
            old = "never was" if stale_s >= NEVER else f"was {stale_s:.1f} s ago"
            wrong.append(f"room {seat.room} of {seat.queue} was given to {agent}, who {old} among its agents")
        if not record.desk.online(agent).ever(since, seat.at):
            wrong.append(f"room {seat.room} was given to {agent}, who was away for longer than {record.known_s} s")
    return wrong


def oldest_known_s(record: Record) -> float:
    """The oldest membership that a seat was given by."""
    found = [0.0]
    for seat, _ in reserved(record.changes):
        file, stay = record.file_at(seat.at), record.stay_of(seat)
        if file.version == seat.rules_version and stay is not None:
            agent, channel, step = str(seat.agent), stay.customer.channel, _steps(file, seat)[1]
            if not record.desk.may(agent, file, seat.queue, step, channel, ever(seat.at, seat.at)):
                found.append(record.desk.stale_s(agent, file, seat.queue, step, seat.at))
    return max(found)


def outside_hours(record: Record) -> list[str]:
    wrong = []
    for seat, _ in reserved(record.changes):
        file = record.file_at(seat.at)
        if not any(file.serves(seat.at + slack) for slack in (-CLOCK_S, 0.0, CLOCK_S)):
            wrong.append(f"room {seat.room} was given to {seat.agent} at {shown(seat.at)}, outside the hours")
    return wrong


def moved_in_time(record: Record) -> list[str]:
    """Visits whose arrival changed; that of one found on the desk's list is known when its webhook comes."""
    wrong: list[str] = []
    before: dict[int, Change] = {}
    for change in record.changes:
        last = before.setdefault(change.visit, change)
        if last.arrived_us != change.arrived_us and not last.learned:
            later_s = (change.arrived_us - last.arrived_us) / 1e6
            wrong.append(f"room {change.room} came {later_s:.3f} s later than before")
        before[change.visit] = change
    return wrong


# --- limits


def over(record: Record) -> list[str]:
    """At the desk, at any instant."""
    given = [event for event in record.events if event["kind"] == "assigned" and event["held"] > record.limit]
    return [f"agent {event['agent']} had {event['held']} with {event['room']}" for event in given]


def over_in_queue(record: Record) -> list[str]:
    """More chats of one queue than one agent may have when the last of them was given."""
    wrong, book = [], _Book()
    for change in record.changes:
        is_new = book.note(change)
        limit = record.file_at(change.at).limit(change.queue)
        if is_new and limit is not None and (had := book.seats[str(change.agent), change.queue]) > limit:
            wrong.append(f"agent {change.agent} had {had} of {change.queue} with room {change.room}, not {limit}")
    return wrong


class _Book:
    """All visits as they stand, and who has how many chats of which queue."""

    def __init__(self) -> None:
        self.waiting: dict[int, Change] = {}
        self.seats: Counter[tuple[str, str | None]] = Counter()
        self._held: dict[int, tuple[str, str | None]] = {}
        self._all: Counter[str] = Counter()
        self.free_since: dict[str, float] = {}  # since somebody has had as many chats as now, or fewer

    def of(self, agent: str) -> int:
        """How many chats they have."""
        return self._all[agent]

    def note(self, change: Change) -> bool:
        """Whether a seat was given by it."""
        held, now = self._held.get(change.visit), (change.agent, change.queue) if change.agent else None
        if held is not None:
            self.seats[held] -= 1
            self._all[held[0]] -= 1
            self.free_since[held[0]] = change.at
        if now is not None:
            self.seats[now] += 1
            self._all[now[0]] += 1
            self._held[change.visit] = now
        else:
            self._held.pop(change.visit, None)
        self.waiting.pop(change.visit, None)
        if change.state == "waiting":
            self.waiting[change.visit] = change
        return held is None and now is not None


# --- order


class Passed(NamedTuple):
    """What `out_of_order` found: what is wrong, and why rooms were passed over rightly."""

    wrong: list[str]
    why: Counter[str]


def out_of_order(record: Record) -> Passed:
    """Rooms that were passed over by one that comes after them, though its agent may serve them too."""
    found, book = Passed([], Counter()), _Book()
    for group in _together(record.changes):
        given = [change for change in group if book.note(change)]
        for seat in given:
            _judge_seat(record, seat, book, found)
    return found


def _together(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Changes of one transaction that follow one another."""
    group: list[Change] = []
    for change in changes:
        if group and group[-1].tx != change.tx:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _judge_seat(record: Record, seat: Change, book: _Book, found: Passed) -> None:
    file = record.file_at(seat.at)
    for other in book.waiting.values():
        if other.place > seat.place and other.priority <= seat.priority:
            continue
        if (why := _why_passed(record, file, seat, other, book)) == "":
            continue
        if why is not None:
            found.why[why] += 1
            continue
        found.wrong.append(
            f"{shown(seat.at)}: {seat.agent} got room {seat.room} ({seat.queue}, priority {seat.priority}), though"
            f" {other.room} ({other.queue}, {other.priority}) came {(seat.arrived_us - other.arrived_us) / 1e6:.1f} s"
            f" earlier"
        )


def _why_passed(record: Record, file: File, seat: Change, other: Change, book: _Book) -> str | None:
    """Empty: it does not come first; None: nobody knows why."""
    if other.rules_version != file.version:
        return "not moved to the new rules yet"
    step = _steps(file, other, seat.at - CLOCK_S)[0]
    priority = file.priority_at(other.queue, other.base_priority, step)
    if (-priority, *other.place) > (-seat.priority, *seat.place):
        return ""
    stay = record.stay_of(other)
    if stay is None or not other.ready:
        return "verified, refused or not known"
    if not _could(record, file, seat, other, step, stay.customer.channel, book):
        return "its agent may not serve it"
    if other.sticky_agent is not None and (other.sticky_until or 0.0) > seat.at - CLOCK_S:
        return "it waited for who served it last"
    unread_s = record.unread_s(other.class_, seat.at + CLOCK_S)
    return "its team could not be read for long" if unread_s > record.given_up_s else None


def _could(record: Record, file: File, seat: Change, other: Change, step: int, channel: str, book: _Book) -> bool:
    """Whether the agent of this seat could surely have been given the other room instead."""
    agent, limit = str(seat.agent), file.limit(other.queue)
    named = record.desk.may(agent, file, other.queue, step, channel, always(seat.at - record.known_s, seat.at))
    before = book.seats[agent, other.queue] - (seat.queue == other.queue)
    return named and (limit is None or before < limit)


# --- seats that nobody was given


class Idle(NamedTuple):
    """The longest time that a room waited while somebody who may serve it had a seat, and was known to have it."""

    seconds: float = 0.0
    what: str = ""


def beside_a_free_seat(record: Record) -> Idle:
    """By a look every two seconds. Not counted: outside the hours, while it waits for who served it last, and before
    what the desk changed had to be known."""
    longest, book, looks_at = Idle(), _Book(), record.changes[0].at if record.changes else 0.0
    for change in record.changes:
        while looks_at < change.at:
            longest = _look(record, book, looks_at, longest)
            looks_at += LOOK_S
        book.note(change)
    return longest


def _look(record: Record, book: _Book, at: float, longest: Idle) -> Idle:
    file = record.file_at(at)
    free = {agent: book.free_since.get(agent, 0.0) for agent in record.desk.agents if book.of(agent) < record.limit}
    for room in book.waiting.values():
        begin = max(room.at, room.sticky_until or 0.0, file.since, file.opens(room.arrived_us / 1e6))
        if not room.ready or room.rules_version != file.version or at - begin <= longest.seconds:
            continue
        if not file.serves(begin) or not file.serves(at):
            continue
        longest = max(longest, _idle(record, file, book, room, free, begin, at))
    return longest


def _idle(
    record: Record, file: File, book: _Book, room: Change, free: Mapping[str, float], begin: float, at: float
) -> Idle:
    found, stay, limit = Idle(), record.stay_of(room), file.limit(room.queue)
    step = _steps(file, room, begin)[0]
    for agent, since in free.items():
        both = max(begin, since)
        if stay is None or at - both <= found.seconds or (limit is not None and book.seats[agent, room.queue] >= limit):
            continue
        so = always(both - record.known_s, at)
        named = record.desk.may(agent, file, room.queue, step, stay.customer.channel, so)
        if named and so(record.desk.online(agent)):
            found = Idle(at - both, f"room {room.room} of {room.queue} waited beside {agent} at {shown(at)}")
    return found


# --- what customers were told


def told_too_often(record: Record) -> list[str]:
    """Each stay reads when we open once, and its place once in each interval."""
    wrong: list[str] = []
    last: dict[tuple[str, str], Event] = {}
    for event in record.events:
        if event["kind"] == "arrived":
            last = {key: each for key, each in last.items() if key[0] != event["room"]}
        elif event["kind"] == "said":
            key = event["room"], event["text"][0]
            again_s = NEVER if key[1] == "C" else record.file_at(event["wall"]).again_s * SOON
            if key in last and event["wall"] - last[key]["wall"] < again_s:
                after_s = event["wall"] - last[key]["wall"]
                wrong.append(
                    f"room {key[0]} was told {last[key]['text']!r} and {event['text']!r} {after_s:.1f} s later"
                )
            last[key] = event
    return wrong


def told_though_served(record: Record) -> tuple[list[str], int]:
    """Texts to rooms that had somebody; and how many crossed with the agent."""
    wrong, crossed = [], 0
    since: dict[str, float] = {}
    for event in record.events:
        room = event.get("room")
        if event["kind"] == "assigned":
            since.setdefault(str(room), event["wall"])
        elif event["kind"] in ("arrived", "resolved", "removed"):
            since.pop(str(room), None)
        elif event["kind"] == "said" and room in since:
            late_s = event["wall"] - since[room]
            crossed += late_s <= CROSSED_S
            if late_s > CROSSED_S:
                wrong.append(f"room {room} was told {event['text']!r} {late_s:.1f} s after it had an agent")
    return wrong, crossed


def told_of_others(record: Record) -> list[str]:
    """That we are closed, while we are open, and a place while we are closed."""
    wrong = []
    for event in record.events:
        if event["kind"] == "said":
            files = [record.file_at(event["wall"] - slack) for slack in (0.0, CROSSED_S)]
            serves = {file.serves(event["wall"] - slack) for file in files for slack in (0.0, CROSSED_S)}
            if (event["text"][0] == "C") not in {not each for each in serves}:
                wrong.append(f"room {event['room']} was told {event['text']!r} at {shown(event['wall'])}")
    return wrong
