"""Whose fault is a refusal (H13)? Judged over a real ledger: the room's, the agent's, the desk's; and what the next
decision makes of it.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from db.ledger import lock
from db.postgres import Ledger
from db.turn import Turn
from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line
from worker import settle
from worker.calls import Held, Pair, Refused
from worker.desk.base import RosterAgent
from worker.rules import ASIDE_S, OUT_S


def refuse(line: Line, *pairs: Pair, room: str | None = "waiting") -> None:
    line.settle(*(Refused(pair, f"no {pair.agent}", room) for pair in pairs))


def pairs_of(line: Line, *rooms: str) -> list[Pair]:
    for room in rooms:
        line.arrive(room)
    return line.pairs(line.decide())


def serve(line: Line, *rooms: str) -> dict[str, str]:
    """Room → the agent whom the desk gave it to; whatever else is reserved is accepted too."""
    found = pairs_of(line, *rooms)
    line.settle(*(Held(pair, pair.agent) for pair in found))
    return {pair.room: pair.agent for pair in found}


def rested(line: Line) -> None:
    """Every pause is over: of rooms, of agents who are left out, of stopped classes."""
    line.run("UPDATE visits SET retry_at = clock_timestamp() WHERE retry_at IS NOT NULL AND aside IS NULL")
    line.run("UPDATE doubts SET out_until = clock_timestamp() WHERE out_until > '-infinity'")
    line.run("UPDATE rosters SET assign_after = clock_timestamp() WHERE assign_after > '-infinity'")


def doubts(line: Line) -> dict[str, int]:
    return {row.agent: row.refused for row in line.rows("SELECT agent, refused FROM doubts WHERE tenant = %s", TENANT)}


def left_out(line: Line) -> list[str]:
    sql = "SELECT agent FROM doubts WHERE out_until > clock_timestamp() ORDER BY 1"
    return [row.agent for row in line.rows(sql)]


# --- the room


def test_a_refused_room_keeps_its_place_and_is_tried_next_with_another_agent_at_once(line: Line) -> None:
    line.roster("ani", "budi")
    (first,) = pairs_of(line, "r1")
    place = line.visit("r1").arrived_us
    refuse(line, first)
    visit = line.visit("r1")
    assert (visit.state, visit.arrived_us, visit.aside) == ("waiting", place, None)
    assert (visit.retry_at, visit.look_at) == (None, None)
    (second,) = pairs_of(line)
    assert (second.room, {first.agent, second.agent}) == ("r1", {"ani", "budi"})


def test_a_decision_that_waits_while_a_refusal_is_written_knows_of_it(line: Line) -> None:
    """Of two the less loaded one was refused. The row is read anew when the lock is free, and what stands beside it."""
    line.roster("ani", "budi")
    has_a_chat = serve(line, "r0")["r0"]
    (first,) = pairs_of(line, "r1")
    assert first.agent != has_a_chat
    with ThreadPoolExecutor(1) as other:
        with closing(Ledger(line.database_url, "settle")) as ledger, ledger.transaction() as cur:
            turn = Turn(cur, TENANT, lock(cur, TENANT))
            settle.write(turn, [Refused(first, "no", "waiting")], line.rules)
            turn.run("bump")
            deciding = other.submit(line.decide)
            eventually(lambda: line.one("SELECT count(*) AS n FROM pg_locks WHERE NOT granted").n)
        made = deciding.result(10)
    assert [pair.agent for pair in made.reserved] == [has_a_chat]


def test_a_room_waits_for_an_agent_who_was_not_refused_while_others_pass(line: Line) -> None:
    line.roster("ani", "budi")
    line.run("INSERT INTO limits (tenant, scope, value) VALUES (%s, 'agent:budi', 1)", TENANT)
    line.redis.set(f"config:max_agent_chat:{TENANT}:budi", "1")
    taken = serve(line, "a", "b")
    (mine,) = [pair for pair in pairs_of(line, "r1") if pair.room == "r1"]
    assert mine.agent == "ani"
    refuse(line, mine)
    later = pairs_of(line, "r2")
    assert [(pair.room, pair.agent) for pair in later] == [("r2", "ani")]
    line.settle(*(Held(pair, pair.agent) for pair in later))
    line.resolve(next(room for room, agent in taken.items() if agent == "budi"), 9)
    look = line.decide()
    line.look(look, "resolved")
    line.aged(60)
    line.look(line.decide(), "resolved")
    assert ("r1", "budi") in {(pair.room, pair.agent) for pair in pairs_of(line)} or line.visit("r1").agent == "budi"


def test_a_room_that_everybody_was_refused_for_is_tried_again_behind_a_pause(line: Line) -> None:
    line.roster("ani", "budi")
    for _ in range(2):
        (pair,) = pairs_of(line) if line.visit("r1") else pairs_of(line, "r1")
        refuse(line, pair)
    assert line.visit("r1").retry_at is not None
    assert pairs_of(line) == []
    rested(line)
    assert [pair.room for pair in pairs_of(line)] == ["r1"]


def bad(line: Line, *agents: str, times: int = 1) -> None:
    """Room `bad` waits, refused with each of these agents."""
    line.roster(*agents)
    line.arrive("bad")
    for _ in range(len(agents) * times):
        rested(line)
        (pair,) = pairs_of(line)
        refuse(line, pair)


def test_a_room_is_set_aside_when_two_who_were_refused_for_it_have_got_others_since(line: Line) -> None:
    bad(line, "ani", "budi")
    assert line.visit("bad").aside is None, "nobody has got another room yet"
    serve(line, "r1")
    assert line.visit("bad").aside is None, "one is not enough"
    serve(line, "r2")
    assert line.visit("bad").aside in ("no ani", "no budi")
    assert line.events("bad").count("set aside") == 1
    assert doubts(line) == {}, "both agents are cleared"
    rested(line)
    assert pairs_of(line) == []


def test_a_room_is_set_aside_after_three_refusals_with_the_only_agent_there_is(line: Line) -> None:
    line.rules = line.rules.__class__(**{**line.rules.__dict__, "default_limit": 9})
    bad(line, "ani")
    for n in range(2):
        assert serve(line, f"r{n}") == {f"r{n}": "ani"}
        assert line.visit("bad").aside is None
        rested(line)
        (pair,) = pairs_of(line)
        refuse(line, pair)
    serve(line, "r3")
    assert line.visit("bad").aside == "no ani"


def test_a_bad_room_alone_takes_nobody_out_and_is_never_set_aside(line: Line) -> None:
    bad(line, "ani", "budi", times=4)
    assert line.visit("bad").aside is None
    assert left_out(line) == []


def test_a_room_that_was_set_aside_gets_one_more_try_after_a_while(line: Line) -> None:
    bad(line, "ani", "budi")
    serve(line, "r1")
    serve(line, "r2")
    line.resolve("r1", 1)
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " WHERE room <> 'bad'"
    )
    line.aged(ASIDE_S + 1, "bad")
    made = line.decide()
    assert (made.reserved, [about.room for about in made.looks]) == ([], ["bad"]), "the desk is asked first"
    line.look(made, "waiting")
    assert line.visit("bad").aside is None
    (pair,) = pairs_of(line)
    refuse(line, pair)
    assert line.visit("bad").aside is not None, "one try"


def test_a_room_that_was_set_aside_comes_back_with_its_customers_next_word(line: Line) -> None:
    bad(line, "ani", "budi")
    serve(line, "r1")
    serve(line, "r2")
    line.run(
        "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'x', closed_at = now()"
        " WHERE room <> 'bad'"
    )
    place = line.visit("bad").arrived_us
    assert [pair.room for pair in pairs_of(line, "bad")] == ["bad"]
    visit = line.visit("bad")
    assert (visit.aside, visit.refusals, visit.arrived_us) == (None, 0, place)


@pytest.mark.parametrize("room", ["unknown", "resolved", "served"])
def test_where_the_desk_says_that_the_room_is_not_waiting_no_agent_is_doubted_and_it_is_asked_again(
    line: Line, room: str
) -> None:
    line.roster("ani", "budi")
    (pair,) = pairs_of(line, "r1")
    refuse(line, pair, room=room)
    assert doubts(line) == {}
    visit = line.visit("r1")
    assert visit.look_at is not None
    line.aged(60)
    made = line.decide()
    assert ([about.room for about in made.looks], made.reserved) == (["r1"], [])


def test_a_yes_forgets_the_refusals_of_a_room(line: Line) -> None:
    line.roster("ani", "budi")
    (pair,) = pairs_of(line, "r1")
    refuse(line, pair)
    serve(line)
    assert (line.visit("r1").state, line.visit("r1").refusals) == ("held", 0)
    assert line.rows("SELECT * FROM refusals") == []


# --- the agent


def test_an_agent_is_left_out_after_refusals_of_two_rooms_in_a_row_and_their_roster_is_read(line: Line) -> None:
    line.roster("ani", "budi")
    found = pairs_of(line, "r1", "r2", "r3", "r4")
    mine = [pair for pair in found if pair.agent == "ani"]
    assert len(mine) == 2
    refuse(line, *mine)
    line.settle(*(Held(pair, "budi") for pair in found if pair.agent == "budi"))
    assert left_out(line) == ["ani"]
    made = line.decide()
    assert len(made.rosters) == 1
    assert [reserved.agent for reserved in made.reserved] == []


def test_an_agent_under_doubt_is_tried_with_one_room_at_a_time(line: Line) -> None:
    line.roster("ani")
    line.rules = line.rules.__class__(**{**line.rules.__dict__, "default_limit": 9})
    (first,) = pairs_of(line, "r1")
    refuse(line, first)
    (second,) = pairs_of(line, "r2", "r3", "r4")
    assert second.room == "r2"
    assert pairs_of(line) == [], "the answer is not there yet"
    line.settle(Held(second, "ani"))
    assert [pair.room for pair in pairs_of(line)] == ["r3", "r4"]


def test_an_agent_is_left_out_longer_each_time_and_a_success_clears_them(line: Line) -> None:
    line.roster("ani", RosterAgent("budi", "budi", True, 1))  # a chat given by hand
    line.redis.set(f"config:max_agent_chat:{TENANT}:budi", "1")
    waits = []
    for n in range(len(OUT_S) + 1):
        refuse(line, *pairs_of(line, *(f"r{n}-{m}" for m in range(2))))
        (row,) = line.rows("SELECT extract(epoch FROM out_until - clock_timestamp())::float8 AS s FROM doubts")
        waits.append(round(row.s))
        line.run(
            "UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'given by hand, resolved',"
            " settled_at = now(), closed_at = now()"
        )
        rested(line)
    assert waits == [*OUT_S, OUT_S[-1]]
    assert serve(line, "z") == {"z": "ani"}
    assert doubts(line) == {}


def test_who_is_not_on_the_roster_any_more_is_tried_anew_when_the_desk_names_them_again(line: Line) -> None:
    line.roster("ani", "budi")
    refuse(line, *[pair for pair in pairs_of(line, "r1", "r2", "r3", "r4") if pair.agent == "ani"])
    assert left_out(line) == ["ani"]
    line.roster("budi")
    line.roster("ani", "budi")
    assert doubts(line) == {}


def test_who_was_offline_meanwhile_is_tried_with_one_room_at_once(line: Line) -> None:
    line.roster("ani", "budi")
    refuse(line, *[pair for pair in pairs_of(line, "r1", "r2", "r3", "r4") if pair.agent == "ani"])
    line.roster(RosterAgent("ani", "ani", False, 0), "budi")
    assert left_out(line) == []
    assert "ani" in doubts(line)


def test_an_agent_whom_the_desk_refuses_for_one_channel_serves_the_others(line: Line) -> None:
    line.rules = line.rules.__class__(**{**line.rules.__dict__, "default_limit": 9})
    line.roster("ani", class_="x")
    line.roster("ani", class_="y")
    line.arrive("x1", class_="x")
    line.arrive("x2", class_="x")
    refuse(line, *pairs_of(line))
    line.arrive("y1", class_="y")
    line.arrive("y2", class_="y")
    line.run("UPDATE rosters SET assign_after = clock_timestamp() + interval '9 seconds' WHERE class = 'x'")
    assert serve(line) == {"y1": "ani"}, "one room shows that they are accepted"
    assert serve(line) == {"y2": "ani"}
    line.arrive("y3", class_="y")
    line.arrive("y4", class_="y")
    assert serve(line) == {"y3": "ani", "y4": "ani"}


# --- the desk


def test_where_all_are_refused_alike_one_room_is_tried_at_a_time_and_nobody_pays(line: Line) -> None:
    line.roster("ani", "budi", "citra")
    refuse(line, *pairs_of(line, *(f"r{n}" for n in range(6))))
    row = line.one("SELECT refused_alike, assign_after > clock_timestamp() AS waits FROM rosters")
    assert row.refused_alike.startswith("no ") and row.waits
    assert left_out(line) == [], "it is no agent's fault"
    assert pairs_of(line, "r6") == []
    for _ in range(4):
        rested(line)
        (pair,) = pairs_of(line)
        assert pairs_of(line) == [], "one at a time"
        refuse(line, pair)
    assert [v.room for v in line.rows("SELECT room FROM visits WHERE aside IS NOT NULL")] == []
    rested(line)
    (pair,) = pairs_of(line)
    line.settle(Held(pair, pair.agent))
    assert line.one("SELECT refused_alike FROM rosters").refused_alike is None
    for _ in range(3):
        serve(line)
    assert sum(line.seats().values()) == 6


def test_a_room_that_everybody_was_refused_for_in_an_outage_does_not_pay_when_they_are_accepted_again(
    line: Line,
) -> None:
    """After it two of them are given other rooms before it is tried: that says nothing about it."""
    line.redis.set("config:max_agent_chat", "4")
    line.roster("ani", "budi", "citra")
    refuse(line, *pairs_of(line, *(f"r{n}" for n in range(6))))
    for _ in range(8):
        rested(line)
        refuse(line, *pairs_of(line))
    rested(line)
    for _ in range(4):
        serve(line)
        assert [v.room for v in line.rows("SELECT room FROM visits WHERE aside IS NOT NULL")] == []
    assert set(line.states().values()) == {"held"}


def test_two_rooms_that_nobody_can_be_given_to_are_set_aside_though_it_looks_like_an_outage(line: Line) -> None:
    line.redis.set("config:max_agent_chat", "100")
    line.roster("ani", "budi")
    for room in ("bad1", "bad2"):
        line.arrive(room)
    for n in range(20):
        line.arrive(f"r{2 * n}")
        line.arrive(f"r{2 * n + 1}")
        for pair in line.pairs(line.decide()):
            if pair.room.startswith("bad"):
                refuse(line, pair)
            else:
                line.settle(Held(pair, pair.agent))
        rested(line)
    serve(line)
    assert [room for room, state in line.states().items() if state == "waiting"] == ["bad1", "bad2"]
    assert line.visit("bad1").aside and line.visit("bad2").aside
    assert line.one("SELECT max(attempt) AS n FROM visits WHERE room LIKE 'bad%%'").n <= 5


def test_rooms_that_are_found_resolved_while_all_are_refused_alike_cost_no_time(line: Line) -> None:
    """A late desk: it says no, and that the room waits; a moment later it knows that the room is over."""
    line.roster("ani", "budi")
    refuse(line, *pairs_of(line, "r1", "r2", "r3", "r4"))
    rested(line)
    for number in range(4):
        tried = pairs_of(line)
        assert len(tried) == 1, f"after {number} rooms: one at a time, and each as soon as the one before is known"
        refuse(line, tried[0], room="resolved")


def test_refusals_of_rooms_that_were_over_are_nobodys_fault(line: Line) -> None:
    line.roster("ani", "budi")
    refuse(line, *pairs_of(line, "r1", "r2", "r3", "r4"))
    assert doubts(line).keys() == {"ani", "budi"}
    for number, room in enumerate(["r1", "r2", "r3", "r4"]):
        line.resolve(room, 9 + number)
    line.aged(60)
    line.look(line.decide(), "resolved")
    line.look(line.decide(), "resolved")
    assert line.one("SELECT count(*) AS n FROM visits WHERE state <> 'closed'").n == 0
    assert len(serve(line, "s1", "s2", "s3", "s4")) == 4, "nobody is under doubt any more"
    assert doubts(line) == {}


def test_a_refusal_of_a_room_that_was_over_takes_nothing_from_another_refusal(line: Line) -> None:
    line.roster("ani", "budi")
    refuse(line, *[pair for pair in pairs_of(line, "r1", "r2", "r3", "r4") if pair.agent == "ani"])
    before = doubts(line)
    over = line.one("SELECT v.room FROM refusals f JOIN visits v ON v.id = f.visit ORDER BY f.at LIMIT 1").room
    line.resolve(over, 9)
    line.aged(60)
    line.look(line.decide(), "resolved")
    line.decide()
    assert before == {"ani": 2}
    assert doubts(line) == {"ani": 1}


def test_an_agent_who_comes_while_all_others_are_refused_serves_at_once(line: Line) -> None:
    line.roster("ani", "budi")
    refuse(line, *pairs_of(line, "r1", "r2", "r3"))
    assert pairs_of(line) == []
    line.roster("ani", "budi", "citra")
    rooms = pairs_of(line)
    assert rooms[0].agent == "citra"
