"""The judge of a storm: P1 to P7 by what the simulated desk, the senders of webhooks and the storm itself wrote down.

Pure. Each function answers one question and returns what is wrong, a sentence for each. The ledger is asked only what
nobody else can know: in which order seats were reserved, and which rooms P4 excepts.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from scripts.storms.watch import Decision, Span

Event = dict[str, Any]

DEFINITE = {"400", "403", "404", "422"}  # outcomes of an assign call after which another agent may be tried
UNTOUCHED = {"401", "402", "429", "429_retry_after"}  # surely not applied: nothing to read back
SLACK_S = 0.3  # between two clocks of this machine, and for the sending of an answer


def lost(events: Sequence[Event]) -> list[str]:
    """P1: stays that nobody served and nobody resolved."""
    open_since: dict[str, Event] = {}
    for event in events:
        if event["kind"] == "arrived":
            open_since[event["room"]] = event
        elif event["kind"] in ("assigned", "resolved"):
            open_since.pop(event["room"], None)
    return [f"room {room} was never served" for room in open_since]


def forgotten(accepted: Iterable[str], known: Collection[str]) -> list[str]:
    """P1: rooms whose webhook got a 200 and of whom the ledger knows nothing."""
    return [f"room {room} was accepted and is not in the ledger" for room in sorted(set(accepted) - set(known))]


def over(events: Sequence[Event], decisions: Iterable[Decision], limit: int, known_s: float) -> list[str]:
    """P2: seats of ours over the limit, but for chats that a supervisor gave so shortly before the decision, or after
    it, that it could not know of them."""
    decided = _by_pair(decisions)
    inside: dict[int, dict[str, Event]] = defaultdict(dict)
    wrong = []
    for event in events:
        if event["kind"] == "removed":
            inside[event["agent"]].pop(event["room"], None)
        elif event["kind"] == "assigned":
            rooms = inside[event["agent"]]
            rooms[event["room"]] = event
            if event["by"] == "api" and len(rooms) > limit:
                since = _decided_at(decided, event) - known_s
                late = sum(1 for other in rooms.values() if other["by"] != "api" and other["mono"] > since)
                if len(rooms) - late > limit:
                    wrong.append(
                        f"agent {event['agent']} had {len(rooms)} with {event['room']}, {late} of them by hand"
                    )
    return wrong


def other_limits(decisions: Iterable[Decision], limit: int) -> list[str]:
    """P6: seats that were reserved under another limit than the admin's."""
    found = Counter(decision.limit for decision in decisions if decision.limit != limit)
    return [f"{count} seats were reserved under a limit of {other}" for other, count in found.items()]


def shared(events: Sequence[Event]) -> list[str]:
    """P3: rooms with two agents at one time, and stays that were served twice without anybody's hand in it."""
    wrong, served = [], set()
    for event in events:
        room, kind = event["room"], event["kind"]
        if kind == "arrived" or (kind == "removed" and event["by"] != "resolve"):
            served.discard(room)
        elif kind == "assigned":
            if event["in_room"] > 1:
                wrong.append(f"room {room} had {event['in_room']} agents")
            if event["by"] == "api" and room in served:
                wrong.append(f"room {room} was served twice in one stay")
            served.add(room)
    return wrong


def to_the_absent(events: Sequence[Event], decisions: Iterable[Decision], known_s: float) -> list[str]:
    """P3: rooms that were decided for an agent who had been offline or deleted for longer than could be unknown."""
    decided = _by_pair(decisions)
    away_since: dict[int, float] = {}
    wrong = []
    for event in events:
        if event["kind"] == "presence":
            if event["online"] and not event.get("deleted"):
                away_since.pop(event["agent"], None)
            else:
                away_since.setdefault(event["agent"], event["mono"])
        elif event["kind"] == "assigned" and event["by"] == "api" and event["agent"] in away_since:
            away_s = _decided_at(decided, event) - away_since[event["agent"]]
            if away_s > known_s:
                wrong.append(f"room {event['room']} was given to {event['agent']}, away for {away_s:.1f} s")
    return wrong


def pairs_changed(events: Sequence[Event]) -> list[str]:
    """P7: in one stay an assign call names another agent only after a definite answer, or after somebody's hand. A call
    that was surely not applied holds nobody: a webhook that came after it may have begun another stay for us; a pair
    of the stay before ends with it."""
    wrong: list[str] = []
    last: dict[str, Event] = {}
    of_before: dict[str, str] = {}  # room → the agent who was called for in the stay before
    for event in _as_begun(events):
        room = event["room"]
        before = last.get(room)
        if _is_over(event) or (event["kind"] == "webhook" and before and before["outcome"] in UNTOUCHED):
            of_before |= {room: before["agent"]} if before else {}
            last.pop(room, None)
        elif event["kind"] == "call":
            if before and before["agent"] != event["agent"]:
                ended = before["outcome"] in UNTOUCHED and of_before.get(room) == before["agent"]
                if before["outcome"] not in DEFINITE and not ended:
                    wrong.append(f"room {room}: {before['agent']} ({before['outcome']}), then {event['agent']}")
            last[room] = event
    return wrong


def not_read_back(events: Sequence[Event]) -> list[str]:
    """P7: after an assign call that may have been applied, the desk is asked about the room before the next call."""
    wrong: list[str] = []
    doubt: dict[str, Event] = {}
    for event in _as_begun(events):
        room = event["room"]
        if event["kind"] == "look" or _is_over(event):
            doubt.pop(room, None)
        elif event["kind"] == "call":
            if before := doubt.pop(room, None):
                wrong.append(f"room {room}: {before['outcome']}, then called again unasked")
            if event["outcome"] not in DEFINITE | UNTOUCHED | {"200"}:
                doubt[room] = event
    return wrong


def in_order_of_seats(events: Sequence[Event], decisions: Iterable[Decision], excepted: Collection[str]) -> list[str]:
    """The rooms that P4 is judged by, as they were first reserved: those that came once, by an accepted webhook, and
    that the ledger does not except."""
    once = {room for room, n in Counter(e["room"] for e in events if e["kind"] == "arrived").items() if n == 1}
    first: dict[str, int] = {}
    for decision in decisions:
        first[decision.room] = min(decision.number, first.get(decision.room, decision.number))
    _, answered = _webhooks(events, by_last_copy=False)
    return sorted((once & answered.keys() & first.keys()) - set(excepted), key=lambda room: first[room])


def out_of_order(
    events: Sequence[Event], decisions: Iterable[Decision], excepted: Collection[str], *, by_last_copy: bool
) -> list[str]:
    """P4: rooms that were reserved before another one whose webhook had been answered before theirs was sent.
    `by_last_copy`: Redis may have lost the first."""
    sent, answered = _webhooks(events, by_last_copy)
    wrong, latest = [], None
    for room in in_order_of_seats(events, decisions, excepted):
        if latest is not None and sent[latest] > answered[room] + SLACK_S:
            ahead_s = sent[latest] - answered[room]
            wrong.append(f"room {latest} was reserved before {room}, which had come {ahead_s:.1f} s earlier")
        if latest is None or sent[room] > sent[latest]:
            latest = room
    return wrong


def waits(events: Sequence[Event]) -> list[tuple[str, float, float]]:
    """Room, from, to: from the first webhook of a stay that got a 200, to its agent or its end."""
    found: list[tuple[str, float, float]] = []
    accepted: dict[str, float] = {}
    for event in events:
        room = event["room"]
        if event["kind"] == "webhook" and event["hook"] == "caa" and event["outcome"] == "200":
            accepted.setdefault(room, event["mono"])
        elif event["kind"] in ("assigned", "resolved"):
            if room in accepted and event["kind"] == "assigned":
                found.append((room, accepted[room], max(event["mono"], accepted[room])))
        elif event["kind"] == "arrived":
            accepted.pop(room, None)
    return found


def waited_too_long(waited: Iterable[tuple[str, float, float]], held_up: Sequence[Span], most_s: float) -> list[str]:
    """P5: customers of a tenant with free seats who waited longer than `most_s`, not counting while everybody was held
    up."""
    wrong = []
    for room, begin, end in waited:
        own_s = end - begin - covered_s(held_up, begin, end)
        if own_s > most_s:
            wrong.append(f"room {room} waited {own_s:.1f} s with free seats")
    return wrong


def turned_away(events: Sequence[Event], held_up: Sequence[Span]) -> list[str]:
    """Webhooks that were refused or not answered, though nothing that all tenants share was disturbed."""
    bad = [e for e in events if e["kind"] == "webhook" and e["outcome"] not in ("200", "dropped")]
    return [
        f"a webhook of room {event['room']} got {event['outcome']}"
        for event in bad
        if not any(span.begin <= event["mono"] and event["mono"] - event["ms"] / 1000 <= span.end for span in held_up)
    ]


def covered_s(spans: Sequence[Span], begin: float, end: float) -> float:
    """How much of the time from begin to end lies in any of the spans."""
    covered_s, reached = 0.0, begin
    for span in sorted(spans, key=lambda each: each.begin):
        low, high = max(span.begin, reached), min(span.end, end)
        if high > low:
            covered_s, reached = covered_s + high - low, high
    return covered_s


def _webhooks(events: Sequence[Event], by_last_copy: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Room → when its first arrival that may have been taken was sent, and when one was answered with 200: the first,
    or the last copy. A sender that had no answer in time does not know whether it was taken."""
    sent: dict[str, float] = {}
    answered: dict[str, float] = {}
    for event in events:
        if event["kind"] != "webhook" or event["hook"] != "caa" or event["outcome"] in ("dropped", "refused"):
            continue
        room, began = event["room"], event["mono"] - event["ms"] / 1000
        sent[room] = min(began, sent.get(room, began))
        if event["outcome"] == "200":
            best = max if by_last_copy else min
            answered[room] = best(event["mono"], answered.get(room, event["mono"]))
    return sent, answered


def _as_begun(events: Sequence[Event]) -> list[Event]:
    """Calls stand where they came in, not where they ended."""
    return sorted(events, key=lambda event: event["began"] if event["kind"] == "call" else event["mono"])


def _is_over(event: Event) -> bool:
    """The stay, or what was decided for it: a new one begins, or somebody's hand was in it."""
    kind, by = event["kind"], event.get("by")
    by_hand = kind == "assigned" and by != "api"
    return by_hand or kind in ("arrived", "resolved") or (kind == "removed" and by != "resolve")


def _by_pair(decisions: Iterable[Decision]) -> Mapping[tuple[str, str], list[Decision]]:
    found: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in sorted(decisions, key=lambda each: each.number):
        found[decision.room, decision.agent].append(decision)
    return found


def _decided_at(decided: Mapping[tuple[str, str], list[Decision]], event: Event) -> float:
    """Not later than the decision that led to this assignment was made; its own moment where none is known."""
    made = [d.low for d in decided.get((event["room"], str(event["agent"])), []) if d.low <= event["mono"]]
    return made[-1] if made else event["mono"]
