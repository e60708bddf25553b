"""One decision over a real ledger and a real inbox: which visit a webhook means, who is next, whose seat it is.

Each hole of the algorithm that a decision closes (H1 to H4, H8, H11) is made to happen here.
"""

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from db.inbox import GONE, HELD, key, limit_key
from db.ledger import LEDGER
from db.turn import Turn, commit
from tests.services.line_of import TENANT, Line, line_of, remind
from tests.variants import first_of
from worker import intake, jobs, visits
from worker.calls import Parked, Roster, Suggested
from worker.decide import INBOX_BATCH
from worker.decision import Decision
from worker.desk.base import DeskTrouble, RosterAgent
from worker.rules import CIRCUIT_FAILURES
from worker.seating import RUNNERS_UP
from worker.visits import Arrived, Resolved, Room


def given(made: Decision) -> dict[str, str]:
    """Room → agent of what was reserved."""
    return {reserved.room: reserved.agent for reserved in made.reserved}


# --- H4: which visit a webhook means; the table, row by row. A5: arrives, latest service 5. R6: service 6 resolved.
#     A-, R-: no service named. "!": what came before is held by an agent; "~": for longer than the desk's lag.

TABLE = {
    # history: the room's visits, W, what the desk is asked (None: nothing, '': whether it is open at all)
    "A-": (["waiting"], None, None),
    "A5": (["waiting"], 5, None),
    "A5 A5": (["waiting"], 5, None),
    "A5 A-": (["waiting"], 5, None),
    "A5 A3": (["waiting"], 5, None),
    "A- A5": (["waiting"], 5, None),
    "A5 R6": (["closed"], 6, None),
    "A5 R5": (["waiting"], 5, None),
    "A5 R3": (["waiting"], 5, None),
    "A5 R6 R6": (["closed"], 6, None),
    "A5 R6 A6": (["closed", "waiting"], 6, None),
    "A5 R6 A6 A6": (["closed", "waiting"], 6, None),
    "A5 R6 A6 R6": (["closed", "waiting"], 6, None),
    "A5 R6 A6 R7": (["closed", "closed"], 7, None),
    "A5 R6 A6 R7 A7": (["closed", "closed", "waiting"], 7, None),
    "A5 R6 A5": (["closed", "waiting"], 6, ""),
    "A5 R6 A-": (["closed", "waiting"], 6, ""),
    "A- R6": (["waiting"], 6, "resolved"),
    "A- R-": (["waiting"], None, "resolved"),
    "A5 R-": (["waiting"], 5, "resolved"),
    "R6": ([], 6, None),
    "R6 A6": (["waiting"], 6, None),
    "R6 A5": (["waiting"], 6, ""),
    "R6 A-": (["waiting"], 6, ""),
    "R6 A7": (["waiting"], 7, None),
    "R-": ([], None, None),
    "R- A-": (["waiting"], None, ""),
    "R- A5": (["waiting"], 5, None),
    "R6 R5": ([], 6, None),
    "A5 ! A5": (["held"], 5, None),
    "A- ! A-": (["held"], None, None),
    "A5 ! R6": (["closed"], 6, None),
    "A5 ! R6 A6": (["closed", "waiting"], 6, None),
    "A5 ! R6 A6 ! R6": (["closed", "held"], 6, None),
    "A- ! A5": (["held"], 5, "waiting"),
    "A- ! R6": (["held"], 6, "resolved"),
    "A- ! R-": (["held"], None, "resolved"),
    "A5 ! ~ A5": (["held"], 5, "waiting"),
    "A- ! ~ A-": (["held"], None, "waiting"),
    "A5 ! ~ R6": (["closed"], 6, None),
}


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_a_webhook_means_the_visit_that_the_table_says(line: Line, together: bool) -> None:
    """Each history in a room of its own, all of them side by side."""
    line.roster("ani")
    rooms = {history: f"r{n}" for n, history in enumerate(TABLE)}
    steps = {room: history.split() for history, room in rooms.items()}
    while any(steps.values()):
        for room, left in steps.items():
            while left and left[0] not in "!~":
                _post(line, room, left.pop(0))
                if not together:
                    break
        line.decide(free=0)
        if not any(left and left[0] not in "!~" for left in steps.values()):
            for room, left in steps.items():
                _mark(line, room, left.pop(0) if left else "")
    found = {history: _outcome(line, room) for history, room in rooms.items()}
    assert found == TABLE


def _post(line: Line, room: str, event: str) -> None:
    number = None if event[1:] == "-" else int(event[1:])
    (line.arrive if event[0] == "A" else line.resolve)(room, number)


def _mark(line: Line, room: str, mark: str) -> None:
    if mark == "!":
        line.run(
            "UPDATE visits SET state = 'held', agent = 'ani', last_agent = 'ani', reserved_at = clock_timestamp(),"
            " settled_at = clock_timestamp() WHERE room = %s AND state = 'waiting'",
            room,
        )
    elif mark == "~":
        line.aged(line.rules.lag_s + 1, room)


def _outcome(line: Line, room: str) -> tuple[list[str], int | None, str | None]:
    visit = line.visit(room)
    asked = None if visit is None or visit.look_at is None else visit.suspect or ""
    return line.stays(room), (line.remembered(room) or (None, None))[0], asked


@pytest.mark.parametrize("seed", first_of(range(3)))
def test_the_ledger_remembers_of_every_room_what_the_pure_rules_remember(line: Line, seed: int) -> None:
    """Random histories of 40 rooms, cut into batches at random, rooms served in between: intake loses nothing."""
    dice = random.Random(seed)
    line.roster("ani")
    rooms = {f"r{n}": Room(f"r{n}") for n in range(40)}
    closed = dict.fromkeys(rooms, 0)
    for step in range(1, 400):
        room = dice.choice(list(rooms))
        webhook, fields = _random_webhook(dice, room)
        line.raw(f"{step}-0", room=room, **fields)
        change = visits.after(rooms[room], webhook, step * 1000)
        rooms[room] = change.room
        closed[room] += change.closed is not None
        if dice.random() < 0.1:
            line.decide(free=0)
            _serve_some(line, dice, rooms)
    line.decide(free=0)
    with line.ledger.transaction() as cur:
        rows = intake._recalled(Turn(cur, TENANT), set(rooms), line.rules)
    found = {row.room: intake._room(row) for row in rows}
    assert {name: _plain(room) for name, room in found.items()} == {name: _plain(room) for name, room in rooms.items()}
    ended = line.rows("SELECT room, count(*) n FROM visits WHERE state = 'closed' GROUP BY 1")
    assert {row.room: row.n for row in ended} == {room: n for room, n in closed.items() if n}
    assert line.agent("ani").open_seats == sum(
        room.visit is not None and room.visit.state == "held" for room in rooms.values()
    )


def _random_webhook(dice: random.Random, room: str) -> tuple[Arrived | Resolved, dict[str, str]]:
    number = dice.choice([None, *range(1, 9)])
    text = "" if number is None else str(number)
    if dice.random() < 0.6:
        return Arrived(room, number, "77", "wa"), {"latest": text, "class": "77", "source": "wa"}
    first = dice.choice([None, f"first of {room}", "another"])
    fields = {"kind": "resolved", "service": text, "first": first or ""}
    return Resolved(room, number, first), fields


def _serve_some(line: Line, dice: random.Random, rooms: dict[str, Room]) -> None:
    """Some waiting rooms get an agent, some held ones have had theirs for long."""
    for name, room in rooms.items():
        visit = room.visit
        if visit is None or dice.random() < 0.5:
            continue
        if visit.state == "waiting":
            _mark(line, name, "!")
            line.run(
                "UPDATE visits SET first_comment_id = %s WHERE room = %s AND state = 'held'", f"first of {name}", name
            )
            rooms[name] = room._replace(visit=visit._replace(state="held", first_comment_id=f"first of {name}"))
        elif not visit.settled_long_ago:
            _mark(line, name, "~")
            rooms[name] = room._replace(visit=visit._replace(settled_long_ago=True))


def _plain(room: Room) -> Room:
    return room._replace(visit=room.visit and room.visit._replace(id=None))


def test_a_resolve_that_comes_twice_does_not_end_the_next_visit(line: Line) -> None:
    """H4 (a)"""
    line.roster("ani")
    line.arrive("r1", latest=5)
    line.settle(*line.held(line.decide()))
    line.resolve("r1", 6)
    line.arrive("r1", latest=6)
    line.settle(*line.held(line.decide()))
    line.resolve("r1", 6)
    line.decide()
    assert line.stays("r1") == ["closed", "held"]
    assert line.seats() == {"ani": 1}


def test_a_late_copy_of_a_webhook_opens_no_ghost(line: Line) -> None:
    """H4 (b)"""
    line.roster("ani")
    line.arrive("r1", latest=5)
    line.settle(*line.held(line.decide()))
    line.resolve("r1", 6)
    line.arrive("r1", latest=5)
    made = line.decide()
    for _ in range(3):
        assert given(made) == {}
        line.look(made, "resolved")
        line.aged(line.rules.lag_s + 1, "r1")
        made = line.decide()
    assert line.stays("r1") == ["closed", "closed"]
    assert line.seats() == {}


def test_a_return_that_overtakes_its_resolve_is_served(line: Line) -> None:
    """H4 (c): with the same room held meanwhile, the desk is asked before a seat is freed."""
    line.roster("ani", "budi")
    line.arrive("r1", latest=5)
    line.settle(*line.held(line.decide()))
    line.arrive("r1", latest=6)
    made = line.decide()
    line.resolve("r1", 6)
    line.decide()
    for _ in range(3):
        line.look(made, "waiting")
        line.aged(line.rules.lag_s + 1, "r1")
        made = line.decide()
    assert line.stays("r1") in (["closed", "reserved"], ["reserved"])
    assert len(line.seats()) == 1


def test_a_room_that_is_to_be_verified_keeps_its_place_but_gets_no_seat_before_the_answer(line: Line) -> None:
    line.resolve("doubted", 6)
    line.arrive("doubted")
    line.arrive("r2")
    line.decide()
    line.roster("ani")
    made = line.decide()
    assert given(made) == {"r2": "ani"}
    line.run("UPDATE visits SET look_at = clock_timestamp() WHERE room = 'doubted'")
    line.arrive("r3")
    made = line.decide()
    assert [about.room for about in made.looks] == ["doubted"]
    line.settle(*line.held(made))
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " WHERE agent IS NOT NULL"
    )
    line.arrive("r4")
    line.look(made, "waiting")
    assert list(given(line.decide())) == ["doubted", "r4"], "open at the desk: first, where it stood"


def test_the_proof_that_comes_later_keeps_the_visits_place(line: Line) -> None:
    for room in ("r1", "r2"):
        line.arrive(room)
    line.decide()
    before = line.visit("r1")
    line.arrive("r1", latest=5)
    line.decide()
    after = line.visit("r1")
    assert (after.id, after.arrived_us) == (before.id, before.arrived_us)
    assert after.base == 5


def test_the_first_comment_proves_which_visit_was_resolved(line: Line) -> None:
    line.roster("ani", "budi")
    line.serve("r1", "r2", first="c1")
    line.resolve("r1", 6, first="c1")
    line.resolve("r2", 7, first="other")
    line.decide()
    assert line.stays("r1") == ["closed"]
    assert line.visit("r1").service_id == 6
    assert (line.visit("r2").state, line.visit("r2").suspect) == ("held", "resolved")


def test_a_resolve_frees_the_seat_for_the_next_in_the_same_decision(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1", latest=1)
    line.serve("r2")
    line.arrive("r3")
    assert given(line.decide()) == {}
    line.resolve("r1", 2)
    assert given(line.decide()) == {"r3": "ani"}
    assert line.caches()["seats"] == {"ani": "2"}


def test_a_resolve_before_its_settling_keeps_the_seat_until_the_settling_which_then_frees_it(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1", latest=1)
    made = line.decide()
    line.resolve("r1", 2, first="c2")
    line.decide()
    assert line.seats() == {"ani": 1}, "the call may still be applied"
    after = line.settle(*line.held(made, first="c2"))
    assert line.stays("r1") == ["closed"]
    assert line.seats() == {}
    assert (after.rooms, after.wake) == ({"r1": GONE}, True)
    assert line.remembered("r1") == (2, True)


# --- H1


def test_a_webhook_that_was_answered_from_a_stale_cache_is_served_all_the_same(line: Line) -> None:
    """The worker closed the room, died before it told the caches, and the customer writes again: once."""
    line.roster("ani")
    line.arrive("r7", latest=1)
    line.settle(*line.held(line.decide()))
    line.resolve("r7", 2)
    line.decide(tell=False)
    line.redis.sadd(key(TENANT, "held"), "r7")
    assert line.arrive("r7", latest=2).word == "already_assigned"
    assert given(line.decide()) == {"r7": "ani"}
    assert line.stays("r7") == ["closed", "reserved"]


def test_a_duplicate_for_a_room_held_for_long_asks_whether_the_agent_is_still_there(line: Line) -> None:
    line.roster("ani", "budi")
    line.serve("r7")
    line.aged(line.rules.lag_s + 1)
    assert line.arrive("r7").word == "already_assigned"
    made = line.decide()
    assert [(about.room, about.suspect) for about in made.looks] == [("r7", "waiting")]
    line.look(made, "waiting")
    assert line.states() == {"r7": "waiting"}
    assert line.drift() == {"agent_left": 1}
    assert list(given(line.decide())) == ["r7"]


def test_a_duplicate_for_a_room_that_is_still_served_changes_nothing(line: Line) -> None:
    line.roster("ani")
    line.serve("r7")
    line.aged(line.rules.lag_s + 1)
    line.arrive("r7")
    for _ in range(3):  # one reading may be as late as the desk
        line.look(line.decide(), "served", "ani")
        line.aged(line.rules.lag_s + 1)
    visit = line.visit("r7")
    assert (visit.state, visit.agent, visit.look_at, visit.suspect) == ("held", "ani", None, None)


# --- H2


def test_the_order_survives_the_loss_of_redis(line: Line) -> None:
    line.roster("ani")
    line.arrive("held1", latest=1)
    line.serve("held2")
    waiting = [f"r{n}" for n in range(300)]
    line.arrive_all(waiting)
    line.decide()
    line.lose_redis()
    line.arrive("new")
    line.resolve("held1", 2)
    assert given(line.decide()) == {"r0": "ani"}
    line.run("UPDATE agents SET available = true")
    line.redis.set(limit_key(TENANT), "400")
    line.drain()
    assert line.reserved_order() == ["held1", "held2", *waiting, "new"]


def test_a_batch_read_first_goes_first_whoever_reads_the_next(line: Line, database_url: str) -> None:
    """Two workers: the second one's batch waits for the first one's commit."""
    line.roster(*(f"a{n}" for n in range(4)))
    line.arrive_all([f"r{n}" for n in range(4)])
    first = line.decide(tell=False)
    line.arrive_all([f"s{n}" for n in range(4)])
    second = line.decide(owner=line.owner)
    line.tell(first)
    assert [*given(first), *given(second)] == [*(f"r{n}" for n in range(4)), *(f"s{n}" for n in range(4))]


# --- H3: the admin's limits


def test_a_pause_survives_the_loss_of_redis(line: Line) -> None:
    line.roster("ani")
    line.redis.set(limit_key(TENANT), "0")
    line.arrive("r1")
    assert given(line.decide()) == {}
    line.lose_redis()
    line.arrive("r2")
    assert given(line.decide()) == {}
    assert line.redis.get(limit_key(TENANT)) == "0", "the key is back, too"


def test_every_kind_of_limit_key_is_restored_and_counts_at_once(line: Line) -> None:
    line.roster("ani", "budi", "citra")
    line.redis.mset({limit_key(): "1", limit_key(TENANT): "2", limit_key(TENANT, "ani"): "0"})
    line.decide()
    line.lose_redis()
    line.arrive_all([f"r{n}" for n in range(9)])
    line.decide()
    assert line.seats() == {"budi": 2, "citra": 2}
    names = [limit_key(), limit_key(TENANT), limit_key(TENANT, "ani")]
    assert line.redis.mget(names) == ["1", "2", "0"]


def test_a_limit_that_the_admin_set_after_the_loss_stays(line: Line) -> None:
    line.roster("ani")
    line.redis.set(limit_key(TENANT), "0")
    line.decide()
    line.lose_redis()
    line.redis.set(limit_key(TENANT), "1")
    line.arrive_all(["r1", "r2"])
    line.decide()
    assert line.seats() == {"ani": 1}
    assert line.redis.get(limit_key(TENANT)) == "1"


def test_a_limit_that_the_admin_deleted_is_gone_also_after_a_loss(line: Line) -> None:
    line.roster("ani")
    line.redis.set(limit_key(TENANT), "0")
    line.arrive("r1")
    line.decide()
    line.redis.delete(limit_key(TENANT))
    assert given(line.decide()) == {"r1": "ani"}
    line.lose_redis()
    line.decide()
    assert line.redis.get(limit_key(TENANT)) is None


def test_an_unusable_limit_is_ignored_and_said_once(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    line.roster("ani")
    line.redis.mset({limit_key(): "1", limit_key(TENANT): "many", limit_key(TENANT, "ani"): "1001"})
    line.arrive_all(["r1", "r2"])
    line.decide()
    line.decide()
    assert line.seats() == {"ani": 1}, "the next wider key holds"
    said = [record.message for record in caplog.records if record.message.startswith("limit_ignored")]
    assert len(said) == 2
    assert any("value=many" in text and f"key={limit_key(TENANT)} " in text for text in said)


def test_the_limit_in_force_is_written_beside_the_seat(line: Line) -> None:
    line.roster("ani")
    line.redis.set(limit_key(TENANT), "7")
    line.arrive("r1")
    line.decide()
    assert line.visit("r1").seat_limit == 7
    assert line.one("SELECT seat_limit FROM decisions").seat_limit == 7
    assert line.agent("ani").max_load == 7


def test_a_lowered_limit_takes_no_chat_away_and_gives_none(line: Line) -> None:
    line.roster("ani")
    line.serve("r1", "r2")
    line.redis.set(limit_key(TENANT), "1")
    line.arrive("r3")
    line.decide()
    assert line.states() == {"r1": "held", "r2": "held", "r3": "waiting"}
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " WHERE room = 'r1'"
    )
    assert given(line.decide()) == {}, "one chat of one"
    line.redis.set(limit_key(TENANT), "2")
    assert given(line.decide()) == {"r3": "ani"}


def test_without_any_key_the_settings_limit_holds(line: Line) -> None:
    line.roster("ani")
    line.arrive_all(["r1", "r2", "r3"])
    line.decide()
    assert line.seats() == {"ani": line.rules.default_limit}


# --- H8: the counters in Redis


def _full(line: Line) -> bool:
    """Would a ticket that nobody marked as due be skipped?"""
    work = line.work()
    jobs.full_by_counters(work, TENANT, line.inbox.open_ticket(TENANT, "run"))  # the first look learns the limits
    return jobs.full_by_counters(work, TENANT, line.inbox.open_ticket(TENANT, "run"))


@pytest.fixture
def believed(line: Line) -> Line:
    """Ani has two chats of two, one room waits, and the caches are those of the sweeper."""
    line.roster("ani")
    line.arrive("r1", latest=1)
    line.serve("r2", "r3")
    waiting = line.visit("r3").arrived_us
    remind(line.inbox, line.tenant_row().rev, {"r3": waiting, "r1": HELD, "r2": HELD}, {"ani": 2})
    return line


def test_counters_that_say_full_save_a_transaction(believed: Line) -> None:
    assert _full(believed)


def test_a_webhook_is_never_skipped_by_counters_however_wrong(believed: Line) -> None:
    believed.redis.hset(key(TENANT, "seats"), mapping={"ani": 99, "ghost": 99})
    believed.resolve("r1", 2)
    assert not _full(believed)
    assert given(believed.decide()) == {"r3": "ani"}
    assert believed.caches()["seats"]["ani"] == "2", "overwritten with the ledger's count"


def test_counters_are_not_believed_while_a_change_is_under_way(believed: Line) -> None:
    believed.decide(tell=False)
    assert not _full(believed)


def test_a_raised_limit_is_seen_though_the_counters_say_full(believed: Line) -> None:
    believed.redis.set(limit_key(TENANT), "3")
    assert not _full(believed)


def test_limits_that_changed_since_the_last_look_lead_to_postgresql(believed: Line) -> None:
    """A key that was deleted may be one that has to be restored: only a decision knows."""
    work = believed.work()
    for _ in range(2):
        skipped = jobs.full_by_counters(work, TENANT, believed.inbox.open_ticket(TENANT, "run"))
    assert skipped
    believed.redis.set(limit_key(TENANT), "1")
    assert not jobs.full_by_counters(work, TENANT, believed.inbox.open_ticket(TENANT, "run"))
    assert jobs.full_by_counters(work, TENANT, believed.inbox.open_ticket(TENANT, "run"))


def test_an_agent_below_the_limit_in_the_counters_leads_to_postgresql(believed: Line) -> None:
    believed.redis.hset(key(TENANT, "seats"), "ani", 1)
    assert not _full(believed)
    assert given(believed.decide()) == {}, "which knows better"
    assert believed.seats() == {"ani": 2}


# --- H11: entries that nothing can be made of

LONG = "".join(random.Random(1).choices("abcdefghijklmnop0123456789", k=20_000))
POISON = [
    ("no room", {"class": "x"}),
    ("empty room", {"room": ""}),
    ("room with NUL", {"room": "a\0b"}),
    ("room too long", {"room": "r" * 65}),
    ("room in other letters", {"room": "ruang-é"}),
    ("service no number", {"kind": "resolved", "room": "p", "service": "x"}),
    ("service beyond 64 bits", {"kind": "resolved", "room": "p", "service": str(2**63)}),
    ("service of 5000 digits", {"kind": "resolved", "room": "p", "service": "9" * 5000}),
    ("latest below zero", {"room": "p", "latest": "-1"}),
    ("latest in other digits", {"room": "p", "latest": "٥"}),
    ("arrival beyond all time", {"room": "p", "at": "99999999999999999999-0"}),
    ("arrival no time", {"room": "p", "at": "yesterday"}),
]


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison[0])
def test_an_entry_that_nothing_can_be_made_of_is_set_apart_and_the_good_ones_go_on(line: Line, poison: Any) -> None:
    name, fields = poison
    line.arrive("before")
    line.raw(**fields)
    line.arrive("after")
    line.decide()
    assert line.states() == {"before": "waiting", "after": "waiting"}, name
    assert len(line.refused()) == 1
    assert line.inbox_size() == 0, "the cursor moved"
    line.decide()
    assert len(line.refused()) == 1


@pytest.mark.parametrize("strange", [{"class": "a\0b"}, {"source": "a\0b"}, {"class": LONG}, {"source": LONG}])
def test_a_class_that_postgresql_can_not_hold_costs_the_room_no_place(line: Line, strange: dict[str, str]) -> None:
    line.raw(room="p", **strange)
    line.arrive("after")
    line.decide()
    assert line.states() == {"p": "waiting", "after": "waiting"}
    assert line.refused() == []


def test_bytes_that_are_no_utf8_are_refused_or_made_text(line: Line) -> None:
    raw = line.redis.connection_pool.connection_kwargs
    assert raw["encoding_errors"] == "replace"
    line.raw(room=b"\xff")
    line.raw(room="r1", **{"class": b"\xed\xa0\x80"})
    line.decide()
    assert line.states() == {"r1": "waiting"}
    assert len(line.refused()) == 1


def test_a_batch_that_postgresql_refuses_is_taken_entry_by_entry_in_order(line: Line) -> None:
    line.roster(*(f"a{n}" for n in range(5)))
    for n in range(5):
        line.arrive(f"r{n}")
        if n == 2:
            line.raw(room="bad", at="9999999999999999999-0")
    made = line.decide()
    assert list(given(made)) == [f"r{n}" for n in range(5)]
    assert line.refused() == ["NumericValueOutOfRange"]


def test_what_arrives_resolves_and_arrives_beside_a_bad_entry_ends_as_without_it(line: Line) -> None:
    line.raw(room="bad", at="9999999999999999999-0")
    line.arrive("r1", latest=5)
    line.resolve("r1", 6)
    line.arrive("r1", latest=6)
    line.arrive("r2", latest=5)
    line.resolve("r2", 6)
    line.decide()
    assert line.stays("r1") == ["closed", "waiting"]
    assert line.stays("r2") == ["closed"]
    assert "r2" not in line.caches()["line"]


# --- the line's order


def test_rooms_are_reserved_in_the_order_of_their_arrival_inside_a_priority(line: Line) -> None:
    rooms = [f"r{n}" for n in range(40)]
    random.Random(3).shuffle(rooms)
    line.arrive_all(rooms)
    line.decide()
    line.run("UPDATE visits SET priority = 5 WHERE room = ANY(%s)", rooms[30:])
    line.run("UPDATE visits SET priority = -5 WHERE room = ANY(%s)", rooms[:10])
    line.roster(*(f"a{n}" for n in range(20)))
    line.decide()
    assert line.reserved_order() == [*rooms[30:], *rooms[10:30], *rooms[:10]]


def test_rooms_of_the_same_microsecond_keep_the_order_of_the_inbox(line: Line) -> None:
    """A clock that was set back: Redis keeps the old millisecond and counts on, beyond what a microsecond can tell."""
    rooms = ["d", "b", "c", "a"]
    for n, room in enumerate(rooms):
        line.raw(f"1000-{2000 + n}", room=room)
    line.roster("ani", "budi")
    line.decide()
    assert line.reserved_order() == rooms


@pytest.mark.long
def test_ten_thousand_webhooks_are_taken_batch_by_batch_in_order(line: Line) -> None:
    line.rules = replace(line.rules, lag_s=60.0)  # the roster is believed throughout, on a slow machine too
    rooms = [f"r{n}" for n in range(10_000)]
    line.arrive_all(rooms)
    line.roster("ani")
    line.redis.set(limit_key(TENANT), "1000")
    made = line.drain()
    assert len(made) == len(rooms) / INBOX_BATCH + 1
    ordered = line.rows("SELECT room FROM visits ORDER BY priority DESC, arrived_us, id")
    assert [row.room for row in ordered] == rooms
    assert line.reserved_order() == rooms[:1000]
    assert line.inbox_size() == 0


def test_a_full_channel_holds_nobody_else_up(line: Line) -> None:
    """5,000 rooms of one channel wait; another channel's only room is served at once, and no plan walks the line."""
    line.roster("ani", class_="full")
    line.run(
        "INSERT INTO visits (tenant, room, class, arrived_us, state, reason, closed_at)"
        " SELECT 'toko', 'o' || n, 'full', n, 'closed', 'test', now() FROM generate_series(1, 10000) n"
    )
    line.run(
        "INSERT INTO visits (tenant, room, class, arrived_us, state)"
        " SELECT 'toko', 'r' || n, 'full', n, 'waiting' FROM generate_series(1, 5000) n"
    )
    line.run("ANALYZE visits")
    line.roster("ani", class_="full")
    assert list(given(line.decide())) == ["r1", "r2"]
    line.roster("budi", class_="other")
    line.arrive("mine", class_="other")
    started = time.monotonic()
    made = line.decide()
    assert given(made) == {"mine": "budi"}
    assert time.monotonic() - started < 1.0
    assert line.one("SELECT passed_over FROM rounds ORDER BY id DESC LIMIT 1").passed_over == {
        "full": "all 1 agents online for it are at their limit"
    }
    values = {
        "tenant": TENANT,
        "classes": ["full", "other"],
        "most": 3,
        "rooms": ["r7", "x"],
        "lag_s": 5.0,
        "roster_s": 5.0,
        "retry_s": 30.0,
    }
    for block in ("heads", "classes", "recall", "lift_retries"):
        rows, scans = _plan(line, block, values)
        assert "Seq Scan" not in scans, f"{block}: {scans}"
        assert rows <= 60, f"{block} read {rows} rows"


def _plan(line: Line, block: str, values: dict[str, Any]) -> tuple[int, set[str]]:
    """How many rows of visits the block read in all, and by which kinds of scan."""
    with line.ledger.transaction() as cur:
        cur.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {LEDGER.blocks[block]}", values)
        found = cur.fetchone()[0]
        cur.connection.rollback()
    nodes = list(_nodes((found if isinstance(found, list) else json.loads(found))[0]["Plan"]))
    visits = [node for node in nodes if node.get("Relation Name") == "visits" and "Scan" in node["Node Type"]]
    assert visits
    read = sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in visits)
    return int(read), {node["Node Type"] for node in visits}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def test_a_class_whose_agents_are_full_lets_others_pass_and_the_reason_is_kept(line: Line) -> None:
    line.roster("ani", class_="a")
    line.roster("budi", class_="b")
    for n in range(3):
        line.arrive(f"a{n}", class_="a")
    line.arrive("b0", class_="b")
    made = line.decide()
    assert given(made) == {"a0": "ani", "a1": "ani", "b0": "budi"}
    passed = line.one("SELECT passed_over FROM rounds").passed_over
    assert passed == {"a": "all 1 agents online for it are at their limit"}


# --- tenants


def test_tenants_with_the_same_rooms_and_agents_do_not_touch_one_another(line: Line) -> None:
    with line_of(line.database_url, line.redis_url, "warung") as other:
        for each in (line, other):
            each.roster("ani")
            each.arrive("r1", latest=1)
            each.serve("r2", "r3")
        line.resolve("r1", 2)
        assert given(line.decide()) == {"r3": "ani"}
        assert other.states() == {"r1": "held", "r2": "held", "r3": "waiting"}
        assert given(other.decide()) == {}
        assert other.remembered("r1") == (1, None)
        assert line.remembered("r1") == (2, True)
        other.redis.set(limit_key("warung"), "3")
        assert given(line.decide()) == {}
        assert given(other.decide()) == {"r3": "ani"}
        assert other.agent("ani").max_load == 3
        assert line.agent("ani").max_load == 2


def test_a_report_of_another_tenants_visit_changes_nothing(line: Line) -> None:
    with line_of(line.database_url, line.redis_url, "warung") as other:
        line.roster("ani")
        other.roster("ani")
        line.arrive("r1")
        made = line.decide()
        after = other.settle(*line.held(made))
        assert line.states() == {"r1": "reserved"}
        assert after.rooms == {}


def test_a_tenant_that_was_removed_decides_nothing(line: Line) -> None:
    line.run("DELETE FROM tenants")
    assert commit(line.ledger, line.inbox, TENANT, line.decision) is None


# --- policies


def test_the_least_loaded_agent_is_next_and_among_equals_the_longest_idle(line: Line) -> None:
    line.roster("ani", "budi", "citra")
    line.serve("r1")
    line.serve("r2", "r3")
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " WHERE room <> 'r2'"
    )
    line.arrive_all(["r4", "r5", "r6"])
    assert given(line.decide()) == {"r4": "ani", "r5": "citra", "r6": "budi"} or line.visit("r2").agent != "budi"


def test_fill_two_gives_two_rooms_to_an_agent_without_chats(database_url: str, redis_url: str) -> None:
    with line_of(database_url, redis_url, policy="fill_two", limit=3) as line:
        line.roster("ani", "budi")
        line.serve("r1", "r2", "r3")
        assert sorted(line.seats().values()) == [1, 2]
        assert line.visit("r1").agent == line.visit("r2").agent != line.visit("r3").agent


def test_fill_two_owes_the_second_room_also_where_rooms_come_one_by_one(database_url: str, redis_url: str) -> None:
    """Ten rooms, four agents, a decision each: everybody gets two in a row. Another worker remembers it too."""
    with line_of(database_url, redis_url, policy="fill_two", limit=3) as line:
        line.roster("a", "b", "c", "d")
        for n in range(8):
            line.serve(f"r{n}")
        agents = [line.visit(f"r{n}").agent for n in range(8)]
        assert agents[::2] == agents[1::2] == ["a", "b", "c", "d"]


def test_fill_two_owes_nothing_to_an_agent_who_had_two_or_whose_first_is_over(
    database_url: str, redis_url: str
) -> None:
    with line_of(database_url, redis_url, policy="fill_two", limit=3) as line:
        line.roster("ani", "budi", "citra")
        for room in ("r1", "r2", "r3"):
            line.arrive(room, latest=1)
            line.settle(*line.held(line.decide()))
        assert line.seats() == {"ani": 2, "budi": 1}
        line.resolve("r2", 2)
        line.resolve("r3", 2)
        line.serve("r4")
        assert line.visit("r4").agent == "citra", "ani had two, budi has none: who was served longest ago"
        line.serve("r5")
        assert line.visit("r5").agent == "citra"


def test_a_round_of_a_large_team_keeps_the_candidates_that_mattered(line: Line) -> None:
    line.roster(*(f"a{n:03}" for n in range(200)), *(RosterAgent(f"off{n}", "Off", False, 0) for n in range(3)))
    line.redis.set(limit_key(TENANT, "a000"), "0")
    line.serve("r1", "r2", "r3")
    row = line.one("SELECT candidates, crew FROM rounds")
    assert row.crew == {"online": 200, "full": 0, "paused": 1, "offline": 3}
    assert len(row.candidates) == 3 + RUNNERS_UP
    assert {"a001", "a002", "a003"} <= {candidate["agent"] for candidate in row.candidates}


def test_rooms_at_the_head_that_wait_for_the_desk_are_not_walked_over(line: Line) -> None:
    line.roster("ani")
    line.run(
        "INSERT INTO visits (tenant, room, arrived_us, state, look_at)"
        " SELECT 'toko', 'r' || n, n, 'waiting', clock_timestamp() + interval '20 s' FROM generate_series(1, 5000) n"
    )
    line.arrive("mine")
    line.run("ANALYZE visits")
    assert given(line.decide(free=0)) == {}
    values = {"tenant": TENANT, "classes": [""], "most": 3, "roster_s": 5.0, "retry_s": 30.0}
    rows, _ = _plan(line, "heads", values)
    assert rows < 20


def test_fill_two_keeps_to_a_limit_of_one(database_url: str, redis_url: str) -> None:
    with line_of(database_url, redis_url, policy="fill_two", limit=1) as line:
        line.roster("ani", "budi")
        line.serve("r1", "r2", "r3")
        assert line.seats() == {"ani": 1, "budi": 1}
        assert line.states()["r3"] == "waiting"


def test_round_robin_gives_to_who_was_served_longest_ago(database_url: str, redis_url: str) -> None:
    with line_of(database_url, redis_url, policy="round_robin", limit=9) as line:
        line.roster("ani", "budi", "citra")
        turns = [next(iter(given(line.serve(f"r{n}")).values())) for n in range(6)]
        assert turns[:3] == turns[3:]
        assert sorted(turns[:3]) == ["ani", "budi", "citra"]


def test_longest_idle_lets_rest_who_has_just_finished_a_chat(database_url: str, redis_url: str) -> None:
    """Round robin would take the one who was served longest ago; a chat that ended long ago counts no more."""
    with line_of(database_url, redis_url, policy="longest_idle", limit=9) as line:
        line.roster("ani", "budi")
        assert given(line.serve("r1")) == {"r1": "ani"}
        assert given(line.serve("r2")) == {"r2": "budi"}
        line.run(
            "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
            " WHERE room = 'r1'"
        )
        assert given(line.serve("r3")) == {"r3": "budi"}, "ani's chat has ended a moment ago"
        assert given(line.serve("r4")) == {"r4": "ani"}
        line.run("UPDATE agents SET last_assigned_at = now() - interval '20 min' * (id = 'ani')::integer")
        line.run("UPDATE visits SET closed_at = now() - interval '16 min' WHERE closed_at IS NOT NULL")
        assert given(line.serve("r5")) == {"r5": "ani"}


@pytest.fixture
def upstream(database_url: str, redis_url: str) -> Iterator[Line]:
    with line_of(database_url, redis_url, policy="upstream", limit=1) as made:
        made.roster("ani", "budi", class_="c")
        yield made


def test_upstream_asks_the_desk_and_serves_one_room_with_its_candidate(upstream: Line) -> None:
    upstream.arrive_all(["r1", "r2"], class_="c")
    made = upstream.decide()
    assert given(made) == {}
    assert [(question.class_, question.room) for question in made.suggestions] == [("c", "r1")]
    assert upstream.decide().suggestions == [], "one question at a time"
    upstream.settle(Suggested("c", "budi"))
    made = upstream.decide()
    assert given(made) == {"r1": "budi"}
    assert [question.room for question in made.suggestions] != [], "the next room's candidate is asked for at once"


@pytest.mark.parametrize("candidate", ["budi", "nobody-of-the-roster"])
def test_upstream_waits_when_the_candidate_can_take_nothing_and_does_not_ask_in_a_ring(
    upstream: Line, candidate: str
) -> None:
    upstream.arrive("r1", class_="c")
    upstream.decide()
    upstream.settle(Suggested("c", "budi"))
    upstream.settle(*upstream.held(upstream.decide()))
    upstream.run("UPDATE rosters SET suggested = NULL, claimed_until = '-infinity', ask_after = '-infinity'")
    upstream.arrive("r2", class_="c")
    upstream.decide()
    upstream.settle(Suggested("c", candidate))
    asked = []
    for _ in range(5):
        made = upstream.decide()
        assert given(made) == {}
        asked += made.suggestions
    assert asked == []


def test_upstream_that_is_told_no_candidate_waits_before_it_asks_again(upstream: Line) -> None:
    upstream.arrive("r1", class_="c")
    upstream.decide()
    upstream.settle(Suggested("c", None))
    assert upstream.decide().suggestions == []
    upstream.run("UPDATE rosters SET ask_after = clock_timestamp()")
    assert len(upstream.decide().suggestions) == 1


# --- the desk's trouble


def test_a_tenant_whose_desk_is_paused_takes_its_inbox_and_reserves_nothing(line: Line) -> None:
    line.roster("ani")
    line.run("UPDATE tenants SET paused_until = clock_timestamp() + interval '1 minute'")
    line.arrive("r1")
    made = line.decide()
    assert (given(made), made.looks, made.rosters) == ({}, [], [])
    assert line.states() == {"r1": "waiting"}
    line.ended_pause()
    assert given(line.decide()) == {"r1": "ani"}


def calls(made: Decision) -> int:
    return len(made.reserved) + len(made.looks) + len(made.rosters) + len(made.suggestions)


@pytest.fixture
def half_open(line: Line) -> Line:
    """The circuit was open, its pause is over: three pairs are parked, rooms wait, one is to be looked at."""
    line.roster("ani", "budi", "citra")
    line.arrive_all(["r1", "r2", "r3"])
    trouble = DeskTrouble("down", maybe_applied=False)
    line.settle(*(Parked(pair, "down", unclear=False, trouble=trouble) for pair in line.pairs(line.decide())))
    line.arrive_all(["r4", "r5"])
    line.arrive("r6", class_="other")
    line.resolve("looked", 1)
    line.arrive("looked")
    line.run("UPDATE tenants SET desk_failures = %s", CIRCUIT_FAILURES)
    line.run("UPDATE visits SET lease_until = clock_timestamp() WHERE state = 'reserved'")
    return line


def test_a_half_open_circuit_makes_one_call(half_open: Line) -> None:
    assert calls(half_open.decide()) == 1


def test_a_half_open_circuit_makes_one_call_about_rooms(half_open: Line) -> None:
    made = half_open.decide()
    assert len(made.reserved) + len(made.looks) == 1


def test_a_half_open_circuit_waits_for_the_answer_of_its_probe(half_open: Line) -> None:
    half_open.run("DELETE FROM visits WHERE class = 'other'")
    assert sum(calls(half_open.decide()) for _ in range(4)) == 1


def test_a_half_open_circuit_that_has_nothing_parked_tries_one_waiting_room(line: Line) -> None:
    line.roster("ani", "budi")
    line.run("UPDATE tenants SET desk_failures = %s", CIRCUIT_FAILURES)
    line.arrive_all(["r1", "r2", "r3"])
    assert list(given(line.decide())) == ["r1"]


def test_a_closed_circuit_gives_all_seats(line: Line) -> None:
    line.roster("ani", "budi")
    line.run("UPDATE tenants SET desk_failures = %s", CIRCUIT_FAILURES - 1)
    line.arrive_all(["r1", "r2", "r3"])
    assert len(given(line.decide())) == 3


# --- who is considered, and what is kept of it


def test_a_round_tells_who_was_considered_and_a_decision_what_it_stood_on(line: Line) -> None:
    line.roster("ani", RosterAgent("budi", "Budi", True, 1), RosterAgent("off", "Off", False, 0))
    line.arrive_all(["r1", "r2", "r3"])
    line.decide()
    row = line.one("SELECT * FROM rounds")
    assert row.policy == "least_loaded"
    assert row.candidates == [
        {"agent": "ani", "load": 0, "limit": 2},
        {"agent": "budi", "load": 1, "limit": 2},
    ]
    made = line.rows("SELECT * FROM decisions ORDER BY id")
    assert [(d.agent, d.load_before, d.seat_limit) for d in made] == [("ani", 0, 2), ("ani", 1, 2), ("budi", 1, 2)] or [
        (d.agent, d.load_before) for d in made
    ] == [("ani", 0), ("budi", 1), ("ani", 1)]
    assert {d.round for d in made} == {row.id}
    assert [line.visit(f"r{n}").id for n in (1, 2, 3)] == [d.visit for d in made]


def test_a_decision_that_gives_nothing_leaves_no_round(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    line.decide()
    assert line.one("SELECT count(*) n FROM rounds").n == 0


def test_a_roster_that_is_too_old_is_not_believed_but_read_again(line: Line) -> None:
    line.roster("ani")
    line.run("UPDATE rosters SET read_at = clock_timestamp() - interval '1 hour', due_at = clock_timestamp()")
    line.arrive("r1")
    made = line.decide()
    assert given(made) == {}
    assert [(question.class_, question.room) for question in made.rosters] == [("", "r1")]
    assert line.decide().rosters == [], "one reader at a time"
    line.roster("ani")
    assert given(line.decide()) == {"r1": "ani"}


# --- H16: how old a roster may be


def read_ago(line: Line, seconds: float, class_: str = "") -> None:
    """The roster of a class was asked for so long ago; it is not due by itself as yet."""
    line.run("UPDATE rosters SET read_at = clock_timestamp() - %s * interval '1 s' WHERE class = %s", seconds, class_)


@pytest.mark.parametrize(("lag_s", "young_s", "old_s"), [(5, 4.5, 5.5), (0, 0.5, 1.5), (1, 0.5, 1.5), (60, 55, 65)])
def test_a_seat_is_given_by_a_roster_of_at_most_one_lag(
    database_url: str, redis_url: str, lag_s: float, young_s: float, old_s: float
) -> None:
    with line_of(database_url, redis_url, lag_s=lag_s) as line:
        line.roster("ani")
        read_ago(line, young_s)
        line.arrive("r1")
        made = line.decide()
        assert given(made) == {"r1": "ani"}
        assert [question.class_ for question in made.rosters] == [""], "read again beside, before it is too old"
        line.roster("ani")
        read_ago(line, old_s)
        line.arrive("r2")
        made = line.decide()
        assert (given(made), [question.room for question in made.rosters]) == ({}, ["r2"])
        line.roster(RosterAgent("ani", "Ani", False, 1), "budi")
        assert given(line.decide()) == {"r2": "budi"}, "ani has gone offline meanwhile"


@pytest.mark.parametrize(("common", "expected"), [("ani", {}), ("budi", {"late": "budi"})])
def test_a_later_room_takes_no_agent_of_an_older_one_whose_roster_is_read_first(
    database_url: str, redis_url: str, common: str, expected: dict[str, str]
) -> None:
    """P4 over channels that share agents: the channel that nobody wrote in for a while is not overtaken."""
    with line_of(database_url, redis_url, limit=1) as line:
        line.roster("ani", class_="quiet")
        read_ago(line, 6, "quiet")
        line.roster(common, class_="busy")
        line.arrive("early", class_="quiet")
        line.arrive("late", class_="busy")
        made = line.decide()
        assert (given(made), [question.room for question in made.rosters]) == (expected, ["early"])
        line.roster("ani", class_="quiet")
        assert given(line.decide()) == {"early": "ani"}


def test_a_roster_that_can_not_be_read_for_long_holds_no_other_channel_up(database_url: str, redis_url: str) -> None:
    with line_of(database_url, redis_url, limit=1, retry_s=10.0) as line:
        line.roster("ani", class_="quiet")
        read_ago(line, 60, "quiet")
        line.arrive("early", class_="quiet")
        assert given(line.decide()) == {}
        line.aged(60, "early")
        line.roster("ani", class_="busy")
        line.arrive("late", class_="busy")
        assert given(line.decide()) == {"late": "ani"}


@pytest.mark.parametrize("retry_s", [1.0, 30.0])
def test_an_old_roster_in_which_nobody_has_a_free_seat_is_read_when_it_is_due(
    database_url: str, redis_url: str, retry_s: float
) -> None:
    with line_of(database_url, redis_url, retry_s=retry_s, limit=1) as line:
        line.roster("ani", RosterAgent("off", "Off", False, 0))
        line.serve("r1")
        line.arrive("r2")
        read_ago(line, 20)
        assert line.decide().rosters == []
        line.run("UPDATE rosters SET due_at = clock_timestamp()")
        assert len(line.decide().rosters) == 1


def test_a_burst_asks_for_one_roster_and_a_young_one_for_none(line: Line) -> None:
    line.roster(*(f"a{n}" for n in range(50)))
    line.arrive_all([f"r{n}" for n in range(40)])
    made = line.decide()
    assert (len(made.reserved), made.rosters) == (40, [])
    read_ago(line, 6)
    line.arrive_all([f"s{n}" for n in range(40)])
    asked = [line.decide(), line.decide(), line.decide()]
    assert [len(made.rosters) for made in asked] == [1, 0, 0]
    assert not any(made.reserved for made in asked)


def test_another_reader_is_not_waited_for_for_long(line: Line) -> None:
    """The first one hangs. What it says in the end is older than what the second one said."""
    line.arrive("r1")
    assert len(line.decide().rosters) == 1
    assert line.decide().rosters == []
    line.run("UPDATE rosters SET claimed_until = claimed_until - interval '4 seconds'")
    assert len(line.decide().rosters) == 1
    line.roster(RosterAgent("ani", "Ani", False, 0), "budi", took_s=0.1)
    line.roster("ani", took_s=4.0)
    assert [a.id for a in line.rows("SELECT id FROM agents WHERE available")] == ["budi"]
    assert given(line.decide()) == {"r1": "budi"}


def test_a_roster_that_could_not_be_read_is_asked_for_again_after_its_pause_and_not_before(line: Line) -> None:
    line.roster("ani")
    read_ago(line, 6)
    line.arrive("r1")
    assert len(line.decide().rosters) == 1
    line.settle(Roster("", "r1", trouble=DeskTrouble("timed out", maybe_applied=False)))
    made = line.decide()
    assert (given(made), made.rosters) == ({}, [])
    line.run("UPDATE rosters SET claimed_until = claimed_until - interval '2 seconds'")
    assert len(line.decide().rosters) == 1


def test_a_desk_that_takes_longer_than_a_lag_to_answer_serves_its_rooms_all_the_same(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    line.roster("ani", took_s=8.0)
    assert given(line.decide()) == {"r1": "ani"}


def test_a_roster_that_was_settled_too_late_to_go_by_is_dropped(line: Line) -> None:
    """Its worker slept: agents who are offline by now are not brought back."""
    line.arrive("r1")
    line.decide()
    answered_at = time.monotonic() - 60
    line.settle(Roster("", "r1", (RosterAgent("ani", "Ani", True, 0),), 0.1, answered_at))
    assert line.rows("SELECT id FROM agents WHERE available") == []
    assert given(line.decide()) == {}


def test_what_another_class_has_just_said_of_an_agent_counts_here_too(line: Line) -> None:
    line.roster("ani", "budi", class_="a")
    line.roster(RosterAgent("ani", "Ani", False, 0), RosterAgent("budi", "Budi", True, 1), class_="b")
    for n in range(3):
        line.arrive(f"r{n}", class_="a")
    assert given(line.decide()) == {"r0": "budi"}, "ani is offline, budi has a chat by hand"


def test_the_word_of_another_class_makes_no_old_roster_young(line: Line) -> None:
    line.roster("ani", class_="a")
    read_ago(line, 6, "a")
    line.roster("ani", class_="b")
    line.arrive("r1", class_="a")
    made = line.decide()
    assert (given(made), [question.class_ for question in made.rosters]) == ({}, ["a"])


def test_upstream_goes_by_no_old_roster_and_no_old_candidate(upstream: Line) -> None:
    upstream.roster("ani", "budi", class_="c")
    upstream.settle(Suggested("c", "ani"))
    upstream.run("UPDATE rosters SET ask_after = ask_after - interval '10 seconds'")
    upstream.arrive("r1", class_="c")
    made = upstream.decide()
    assert (given(made), len(made.suggestions)) == ({}, 1)
    upstream.settle(Suggested("c", "budi"))
    read_ago(upstream, 6, "c")
    made = upstream.decide()
    assert (given(made), len(made.rosters)) == ({}, 1)
    upstream.roster("ani", "budi", class_="c")
    assert given(upstream.decide()) == {"r1": "budi"}


def test_a_class_that_nobody_asked_about_is_asked_about_with_its_oldest_room(line: Line) -> None:
    line.arrive("r1", class_="77", source="wa")
    line.arrive("r2", class_="77", source="wa")
    (question,) = line.decide().rosters
    assert (question.class_, question.room, question.source) == ("77", "r1", "wa")


def test_agents_who_are_offline_or_of_another_class_get_nothing(line: Line) -> None:
    line.roster(RosterAgent("off", "Off", False, 0), class_="a")
    line.roster("budi", class_="b")
    line.arrive("r1", class_="a")
    assert given(line.decide()) == {}


def test_callers_who_are_busy_get_no_more_than_they_can_take_and_the_rest_is_asked_for(line: Line) -> None:
    line.roster(*(f"a{n}" for n in range(5)))
    line.arrive_all([f"r{n}" for n in range(10)])
    made = line.decide(free=3)
    assert list(given(made)) == ["r0", "r1", "r2"]
    assert given(line.decide(free=0)) == {}
    assert list(given(line.decide())) == [f"r{n}" for n in range(3, 10)]


def test_an_estimate_of_chats_that_are_not_ours_closes_a_seat_and_hastens_the_next_look(line: Line) -> None:
    line.roster(RosterAgent("ani", "Ani", True, 1))
    assert line.agent("ani").foreign_est == 1
    line.serve("r1", "r2")
    assert line.states() == {"r1": "held", "r2": "waiting"}
    due = "SELECT due_at - read_at < interval '6 seconds' AS soon FROM rosters"
    line.decide()
    assert line.one(due).soon


# --- forged service ids


def test_a_forged_resolve_with_the_largest_service_id_takes_no_seat_and_poisons_nothing(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1", latest=7)
    line.settle(*line.held(line.decide()))
    line.resolve("r1", 2**63 - 1)
    made = line.decide()
    assert (line.visit("r1").state, [about.room for about in made.looks]) == ("held", ["r1"])
    line.resolve("r1", 8)
    line.decide()
    assert (line.visit("r1").state, line.visit("r1").service_id) == ("closed", 8)
    assert line.remembered("r1") == (8, True)


def test_a_forged_service_id_that_may_be_true_is_forgotten_when_a_true_arrival_contradicts_it(line: Line) -> None:
    line.roster("ani")
    line.arrive("r1", latest=7)
    line.settle(*line.held(line.decide()))
    line.resolve("r1", 10**9)
    line.decide()
    assert line.remembered("r1") == (10**9, True)
    line.aged(60)  # else the desk's word may be of the stay before
    line.arrive("r1", latest=8)
    line.look(line.decide(), "waiting")
    assert line.remembered("r1") == (8, True), "the desk says that it waits, as that webhook did"
    line.settle(*line.held(line.decide()))
    line.resolve("r1", 9)
    made = line.decide()
    assert [about.room for about in made.looks] == ["r1"] or line.visit("r1").state == "closed"
    assert line.remembered("r1") == (9, True) or line.remembered("r1") == (9, None)


def test_when_a_seat_became_free_is_found_without_reading_old_chats(line: Line) -> None:
    """A clock that moves within the statement would not bound the index: it took seconds with many closed visits."""
    with line.ledger.transaction() as cur:
        cur.execute("SET LOCAL enable_seqscan = off")
        seats = {"tenant": line.tenant, "visit": [1], "agent": ["ani"]}
        cur.execute(f"EXPLAIN {LEDGER.blocks['freed']}", seats)
        plan = "\n".join(row[0] for row in cur.fetchall())
    assert re.search(r"closed_by_time.*\n.*Index Cond: .*closed_at > ", plan), plan
