"""Whose turn it is where a tenant has rules: the worker's choice, held against `tests/whose_turn.py`."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from db.routes import standing
from db.rules import Book
from policies import POLICIES
from policies.policy import Seats
from routing.file import read
from tests.whose_turn import FOR_STICKY, Group, Room, Seat, order
from worker.choose import NO_DOUBTS, QueueLimits, Waiting, choose

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
RULES = read("""
[sticky]
within = "30d"
wait = "2m"
[queues.sales]
agents = { divisions = ["Sales"] }
limit = 1
steps = [{ after = "2m", agents = { divisions = ["Support"] } }, { after = "5m", priority = 10 }]
[queues.support]
agents = { divisions = ["Support"] }
[queues.gold]
agents = { divisions = ["Gold"], channel = true }
priority = 5
[[rules]]
name = "gold"
when = { source = "gold" }
queue = "gold"
[[rules]]
name = "support"
when = { source = "support" }
queue = "support"
[default]
queue = "sales"
""")
BOOK = Book(1, RULES)
DIVISIONS = {"Sales": frozenset("ab"), "Support": frozenset("bc"), "Gold": frozenset("acd")}
CHANNELS = {"wa": frozenset("de"), "fb": frozenset("b")}

rooms = st.lists(
    st.tuples(
        st.sampled_from(["sales", "support", "gold"]),
        st.integers(0, 400),
        st.sampled_from([0, 5, 20]),
        st.sampled_from([None, *"abcde"]),
        st.sampled_from(["wa", "fb"]),
    ),
    max_size=12,
)
seats = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)))


def team(group: Group) -> frozenset[str]:
    """Said once more, from the file's words."""
    of = RULES.queue(group.queue)
    parts = [of.agents, *(step.agents for step in of.steps[: group.step] if step.agents)]
    named = frozenset().union(*(DIVISIONS[name] for part in parts for name in part.divisions))
    return named | (CHANNELS[group.channel] if any(part.channel for part in parts) else frozenset())


@settings(max_examples=300)
@given(rooms, seats)
def test_the_worker_chooses_as_the_words_of_the_file_say(came, online) -> None:
    asked = [
        Room(n, queue, NOW - timedelta(seconds=waited), NOW - timedelta(seconds=waited), priority, served_by, channel)
        for n, (queue, waited, priority, served_by, channel) in enumerate(came, 1)
    ]
    taken = {name: min(of_sales, load) for name, (load, _, of_sales) in online.items()}
    judged = order(
        asked,
        RULES,
        NOW,
        team,
        [Seat(name, load, limit, {"sales": taken[name]}) for name, (load, limit, _) in online.items()],
    )

    waiting, eligible, most = [], {}, {}
    for room in asked:
        until = room.arrived + timedelta(minutes=2)
        place = standing(BOOK, room.queue, room.channel, room.priority, room.serve_from, until, NOW)
        us = int(room.arrived.timestamp() * 1e6)
        waits = until > NOW
        waiting.append(
            Waiting(room.visit, str(room.visit), place.class_, us, place.priority, room.queue, room.served_by, waits)
        )
        eligible[place.class_] = team(Group(room.queue, place.step, room.channel)) & online.keys()
        if room.queue == "sales":
            most[place.class_] = ("sales", 1)
    limits = QueueLimits(most, {(name, "sales"): n for name, n in taken.items()})
    named = [Seats(name, load, limit) for name, (load, limit, _) in sorted(online.items())]
    found = choose(waiting, named, eligible, POLICIES["least_loaded"], 1000, None, NO_DOUBTS, limits)

    assert [(pick.waiting.visit, pick.agent) for pick in found.picks] == [
        (turn.room.visit, turn.agent) for turn in judged.turns
    ]
    stuck = {visit for visit, passed in judged.passed_over.items() if passed.reason != FOR_STICKY}
    assert {place.class_ for place in waiting if place.visit in stuck} == set(found.passed_over)
    loads = Counter(pick.agent for pick in found.picks)
    assert all(online[name][0] + n <= max(online[name][:2]) for name, n in loads.items())
