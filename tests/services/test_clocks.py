"""PostgreSQL's and Redis's clocks step: no wait gets longer than its own interval, no newcomer passes who waits (H18).

The clock of a test can't be set. That PostgreSQL's goes back by a step is the same as that all times in it lie a step
further ahead.
"""

import re
import time

import pytest

from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.people import PEOPLE
from db.postgres import QUERIES
from tests.services.line_of import TENANT, Line, line_of
from worker import intake
from worker.calls import Parked, Roster, Seen
from worker.clock import Clock
from worker.decision import LEASE_S, Decision
from worker.desk.base import DeskTrouble, RosterAgent
from worker.desk.qiscus_answers import RETRY_AFTER_MAX_S
from worker.rules import ALIKE_MOST_S, ASIDE_S, OUT_S, PARK_MOST_S, PAUSE_MOST_S, backoff_s
from worker.seating import LOOK_LEASE_S, ROSTER_LEASE_S

STEPS_S = [70, 600, 3600, 86400]


@pytest.fixture(params=STEPS_S, ids=lambda seconds: f"{seconds} s")
def step_s(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def step_back(line: Line, seconds: float) -> None:
    """PostgreSQL's clock is set back."""
    times = line.rows(
        "SELECT table_name AS of, column_name AS name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' AND is_generated = 'NEVER'"
    )
    for of in {column.of for column in times}:
        sets = ", ".join(f"{each.name} = {each.name} + interval '{seconds} s'" for each in times if each.of == of)
        line.run(f"UPDATE {of} SET {sets}")
    lows = "SELECT coalesce(jsonb_agg(jsonb_build_array((low->>0)::float8 + %s, low->1)), '[]') FROM"
    line.run(f"UPDATE agents SET foreign_lows = ({lows} jsonb_array_elements(foreign_lows) AS low)", seconds)
    tries = "SELECT array_agg(at + %s * interval '1 s') FROM unnest(failed) AS at"
    line.run(f"UPDATE login_tries SET failed = ({tries})", seconds)


def noticed(line: Line, ahead_s: float) -> Clock:
    """PostgreSQL's clock is set so far ahead, or back; the clock of a worker that had looked at it just before."""
    clock = Clock()
    now_s = line.one("SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s").now_s
    clock.held_against(line.rules, now_s - ahead_s, time.monotonic())
    step_back(line, -ahead_s)
    return clock


def given(made: Decision) -> dict[str, str]:
    return {reserved.room: reserved.agent for reserved in made.reserved}


def is_due(line: Line) -> bool:
    """Whether the sweeper asks for a ticket."""
    with line.ledger.transaction() as cur:
        values = {"lock_class": WORKER_LOCK_CLASS, "asks_desk": False, "retry_s": line.rules.retry_s}
        return bool(LEDGER.all(cur, "due", **values)[0].due)


def test_a_parked_pair_is_tried_again(line: Line, step_s: int) -> None:
    line.roster("ani")
    line.arrive("r1")
    trouble = DeskTrouble("timed out", maybe_applied=True)
    line.settle(*(Parked(p, "timed out", unclear=True, wait_s=5.0, trouble=trouble) for p in line.pairs(line.decide())))
    assert line.decide().reserved == []
    step_back(line, step_s)
    assert is_due(line)
    (again,) = line.decide().reserved
    assert (again.room, again.agent) == ("r1", "ani")
    assert again.unclear_s is not None and again.unclear_s > line.rules.lag_s, "long ago: no second wait for the lag"


def test_a_lease_ends(line: Line, step_s: int) -> None:
    line.roster("ani")
    line.arrive("r1")
    line.decide()
    step_back(line, step_s)
    assert list(given(line.decide())) == ["r1"]


def test_the_roster_is_read_again_before_a_seat_is_given_by_it(line: Line, step_s: int) -> None:
    line.roster("ani")
    step_back(line, step_s)
    line.arrive("r1")
    made = line.decide()
    assert (given(made), len(made.rosters)) == ({}, 1)
    line.roster(RosterAgent("ani", "Ani", False, 0), "budi")
    assert given(line.decide()) == {"r1": "budi"}


def test_a_roster_in_which_nobody_is_free_is_due(line: Line, step_s: int) -> None:
    line.roster("ani")
    line.serve("r1", "r2", "r3")
    assert not is_due(line)
    step_back(line, step_s)
    assert is_due(line)
    assert len(line.decide().rosters) == 1
    line.roster("ani")
    assert line.decide().rosters == []
    assert not is_due(line)


def test_a_roster_whose_reader_was_stepped_over_is_read_by_another(line: Line, step_s: int) -> None:
    line.arrive("r1")
    assert len(line.decide().rosters) == 1
    step_back(line, step_s)
    assert len(line.decide().rosters) == 1
    line.settle(Roster("", "r1", trouble=DeskTrouble("timed out", maybe_applied=False)))
    step_back(line, step_s)
    assert len(line.decide().rosters) == 1


def test_a_desk_that_paused_for_a_moment_is_called_again(line: Line, step_s: int) -> None:
    line.roster("ani")
    line.arrive("r1")
    trouble = DeskTrouble("429", maybe_applied=False, retry_after_s=20.0)
    line.settle(*(Parked(p, "429", unclear=False, trouble=trouble) for p in line.pairs(line.decide())))
    assert line.tenant_row().paused
    step_back(line, step_s)
    assert list(given(line.decide())) == ["r1"]


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("sign", [1, -1], ids=["forward", "back"])
def test_a_chat_that_has_just_begun_stays_with_its_agent(line: Line, step_s: int, sign: int, copies: int) -> None:
    """A copy of its webhook comes, and the desk is so late that it says that the room waits."""
    line.roster("ani")
    line.serve("r1")
    clock = noticed(line, sign * step_s)
    for _ in range(copies):
        line.aged(1.5)
        line.arrive("r1")
        line.look(line.decide(clock=clock), "waiting")
    assert (line.states(), line.drift()) == ({"r1": "held"}, {})
    line.aged(line.rules.lag_s)
    line.look(line.decide(clock=clock), "served", "ani")
    assert line.states() == {"r1": "held"}


def test_a_customer_who_comes_back_after_the_step_is_served(line: Line, step_s: int) -> None:
    line.roster("ani", "budi")
    line.serve("r1")
    clock = noticed(line, step_s)
    line.resolve("r1", 9)
    line.arrive("r1", latest=9)
    line.look(line.decide(clock=clock), "waiting")
    line.aged(line.rules.lag_s + 1)
    line.roster("ani", "budi")
    line.look(line.decide(clock=Clock()), "waiting")
    line.decide(clock=Clock())
    assert line.stays("r1") == ["closed", "reserved"]


def test_a_look_is_made_and_what_it_sees_is_believed(line: Line, step_s: int) -> None:
    line.roster("ani")
    line.arrive("r1", latest=1)
    line.settle(*line.held(line.decide()))
    line.resolve("r1")
    made = line.decide()
    line.look(made, "resolved")
    step_back(line, step_s)
    made = line.decide()
    assert [about.room for about in made.looks] == ["r1"]
    line.settle(*(Seen(about, "resolved") for about in made.looks))
    assert line.stays("r1") == ["closed"]


def test_a_room_that_was_refused_or_set_aside_or_learned_stands_in_the_line_again(line: Line, step_s: int) -> None:
    line.arrive_all(["refused", "aside"])
    line.decide()
    line.run("UPDATE visits SET retry_at = clock_timestamp() + interval '30 s' WHERE room = 'refused'")
    line.run("UPDATE visits SET retry_at = clock_timestamp() + interval '300 s', aside = 'x' WHERE room = 'aside'")
    step_back(line, max(step_s, 600))
    assert is_due(line)
    made = line.decide()
    assert {row.room for row in line.rows("SELECT room FROM visits WHERE retry_at IS NULL AND aside IS NULL")} == {
        "refused", "aside",
    }  # fmt: skip
    assert [about.room for about in made.looks] == ["aside"]


def test_sweeps_and_prunes_are_claimed(line: Line, step_s: int) -> None:
    with line.ledger.transaction() as cur:
        for block, values in (("claim_sweep", {"idle_s": 60, "most": 9}), ("claim_prune", {"most": 9})):
            assert len(LEDGER.all(cur, block, **values)) == 1
            assert LEDGER.all(cur, block, **values) == []
    step_back(line, step_s)
    with line.ledger.transaction() as cur:
        assert len(LEDGER.all(cur, "claim_sweep", idle_s=60, most=9)) == 1
        assert len(LEDGER.all(cur, "claim_prune", most=9)) == 1


def test_our_own_chats_are_not_taken_for_others(line: Line, step_s: int) -> None:
    """H9 after a step: the desk counts what we gave before it."""
    line.roster("ani")
    line.serve("r1")
    step_back(line, step_s)
    line.roster(RosterAgent("ani", "Ani", True, 1))
    assert (line.agent("ani").foreign_est, line.agent("ani").load) == (0, 1)
    line.roster(RosterAgent("ani", "Ani", True, 2))
    assert line.agent("ani").foreign_est == 1
    step_back(line, step_s)
    line.roster(RosterAgent("ani", "Ani", True, 1))
    assert line.agent("ani").foreign_est == 0


@pytest.mark.parametrize("policy", ["round_robin", "least_loaded"])
def test_agents_take_turns(database_url: str, redis_url: str, policy: str, step_s: int) -> None:
    with line_of(database_url, redis_url, policy=policy, limit=4) as line:
        line.roster("ani", "budi", "citra")
        line.serve("r1", "r2", "r3")
        step_back(line, step_s)
        line.roster("ani", "budi", "citra")
        found: list[str] = []
        for n in range(4, 10):
            line.arrive(f"r{n}")
            found += given(line.decide()).values()
        assert found == ["ani", "budi", "citra"] * 2


# --- places


def test_who_comes_while_the_clock_of_an_emptied_redis_is_behind_stands_last(line: Line, step_s: int) -> None:
    line.arrive_all(["r1", "r2"])
    line.decide()
    line.run("UPDATE visits SET arrived_us = arrived_us + %s", step_s * 1_000_000)
    line.run("UPDATE tenants SET last_place_us = last_place_us + %s", step_s * 1_000_000)
    line.lose_redis()
    line.arrive_all(["r3", "r4"])
    line.decide()
    line.arrive("r5")
    line.roster("ani", "budi", "citra")
    assert list(given(line.decide())) == ["r1", "r2", "r3", "r4", "r5"]


def test_a_webhook_that_was_kept_for_an_unknown_tenant_has_its_place_unless_that_clock_is_behind(line: Line) -> None:
    line.raw("2000000-0", room="later")
    line.raw("2000001-0", room="kept", at="1000000-0")
    line.decide()
    line.run("UPDATE tenants SET last_place_us = 9000000000")
    line.raw("2000002-0", room="behind", at="1000001-0")
    line.decide()
    line.roster("ani", "budi")
    assert list(given(line.decide())) == ["kept", "later", "behind"]


def test_places_rise_also_where_a_thousand_webhooks_come_in_a_millisecond(line: Line) -> None:
    entries = [intake.Entry(f"7-{n}", 7000 + min(n, 999), {}) for n in range(3000)]
    places = [entry.at_us for entry in intake.placed(entries, 0)[0]]
    assert places == sorted(set(places))


def test_a_native_newcomer_stands_behind_who_waits(line: Line, step_s: int) -> None:
    with line.ledger.transaction() as cur:
        before = [LEDGER.one(cur, "next_place", tenant=TENANT).last_place_us for _ in range(3)]
    line.run("UPDATE tenants SET last_place_us = last_place_us + %s", step_s * 1_000_000)
    with line.ledger.transaction() as cur:
        after = [LEDGER.one(cur, "next_place", tenant=TENANT).last_place_us for _ in range(3)]
    assert before == sorted(set(before))
    assert after == [before[-1] + step_s * 1_000_000 + n for n in (1, 2, 3)]


def test_a_sidecar_that_died_before_the_step_keeps_nobody_present(line: Line, step_s: int) -> None:
    line.run("INSERT INTO agents (tenant, id) VALUES (%s, 'ani')", TENANT)
    line.run(
        "INSERT INTO accounts (tenant, agent, email, name, password_hash) VALUES (%s, 'ani', 'a@b.c', 'Ani', 'x')",
        TENANT,
    )
    line.run("INSERT INTO sidecars (id) VALUES ('dead')")
    line.run("INSERT INTO presence VALUES (%s, 'ani', 'dead', clock_timestamp() + interval '25 s')", TENANT)
    step_back(line, step_s)
    with line.ledger.transaction() as cur:
        PEOPLE.run(cur, "beat", sidecar="living", life_s=25.0)
        PEOPLE.run(cur, "forget_sidecars")
    assert line.rows("SELECT * FROM presence") == []
    line.run("DELETE FROM sidecars")


def test_nobody_is_kept_from_logging_in_by_tries_in_the_future(line: Line, step_s: int) -> None:
    blocked = {"subjects": [b"me"], "window_s": 600.0, "mosts": [2]}
    with line.ledger.transaction() as cur:
        for _ in range(2):
            PEOPLE.run(cur, "fail", **blocked)
        assert PEOPLE.one(cur, "blocked", **blocked).wait_s > 0
    step_back(line, step_s)
    with line.ledger.transaction() as cur:
        assert PEOPLE.one(cur, "blocked", **blocked) is None
    line.run("DELETE FROM login_tries")


# --- one way to read a clock

FREE = {  # column: why it may be compared with the clock as it is
    "expires_at": "the end of a token: no wait",
    "until": "presence: whoever beats takes away those whose sidecar beat in the future",
    "at": "what is old enough to be forgotten",
    "closed_at": "what is old enough to be forgotten",
    "ended_at": "what is old enough to be forgotten",
    "seen_at": "what is old enough to be forgotten",
    "read_at": "asks whether it lies in the future, or is old enough to be forgotten",
    "look_at": "asks whether it lies in the future",
}


def test_no_query_compares_a_time_with_the_clock_by_itself() -> None:
    found = []
    for path in sorted(QUERIES.glob("*.sql")):
        for column, _ in re.findall(r"(\w+)\s*(<=|<|>=|>)\s*clock_timestamp\(\)(?! [+-] %\(wait)", path.read_text()):
            if column not in FREE:
                found.append(f"{path.name}: {column}")
    assert not found, "is_due() or seconds_since()"


def test_the_longest_interval_of_each_due_time_is_long_enough() -> None:
    longest: dict[str, set[int]] = {}
    for path in QUERIES.glob("*.sql"):
        for column, seconds in re.findall(r"is_due\((?:\w+\.)?(\w+), interval '(\d+) s'", path.read_text()):
            longest.setdefault(column, set()).add(int(seconds))
    lag_s = 60  # the longest that settings allow
    assert longest == {
        "lease_until": {61},
        "look_at": {61},
        "retry_at": {61, 301},
        "out_until": {301},
        "assign_after": {16},
        "claimed_until": {5},
        "ask_after": {5},
    }
    assert max(LEASE_S, LOOK_LEASE_S, PARK_MOST_S, PAUSE_MOST_S, lag_s) <= 61
    assert max(RETRY_AFTER_MAX_S + 0.5, ASIDE_S, *OUT_S) <= 301
    assert ALIKE_MOST_S <= 16
    assert max(ROSTER_LEASE_S, backoff_s(3)) <= 5
