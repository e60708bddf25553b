"""Who may serve a queue of the rules, read from the lists of a desk that answers as scripted."""

import sys
import threading
import time
import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing import office_hours
from routing.model import Agents
from testbed.deadlines import eventually
from testbed.simulated import simulator
from tests.services.scripted import Server, by_path, desk_at, hang, say, trouble
from worker.desk.base import DeskTrouble, RoomRefused, RosterAgent

DIVISIONS, MEMBERS = "/api/v2/divisions", "/api/v2/admin/agents/by_division"
BY_IDS, AGENTS = "/api/v1/admin/agents/get_by_ids", "/api/v2/admin/agents"
ROSTER = "/api/v2/admin/service/available_agents"
SALES, BY_EMAIL = Agents(divisions=("Sales",)), Agents(emails=("a@x.id",))


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def desk(server):
    desk = desk_at(server.url, total_seconds=2)
    yield desk
    desk.close()


def row(id_, count=1, online=True, **more):
    made = {"id": id_, "name": f"Agent {id_}", "email": f"agent{id_}@x.id", "type": 2, "is_available": online, **more}
    return made if count is None else {**made, "current_customer_count": count}


def paged(*pages, total):
    """An answer for each page number, the last one for all that follow."""

    def answer(request):
        number = int(request.query["page"])
        rows = pages[min(number, len(pages)) - 1]
        return {
            "data": rows,
            "meta": {"page": number, "total": total, "total_page": None if total is None else len(pages)},
        }

    return answer


def division(id_, name):
    return {"id": id_, "name": name}


ONE_DIVISION_TOLD = {"data": [division(2, "Sales")], "meta": {"total": 1}}
ONE_DIVISION = paged([division(2, "Sales")], total=1)


def plays(server, **told):
    """By the names of the lists."""
    paths = {"divisions": DIVISIONS, "members": MEMBERS, "by_ids": BY_IDS, "agents": AGENTS, "roster": ROSTER}
    server.plays = [by_path({paths[name]: answer for name, answer in told.items()})]


def asked(server, path):
    return [request for request in server.requests if request.target.partition("?")[0] == path]


def ids(team):
    return [agent.id for agent in team.agents]


def test_a_division_is_read_over_all_pages_whoever_is_online_by_any_spelling_of_its_name(server, desk):
    plays(
        server,
        divisions=paged([division(1, "Default")], [division(2, " SALES ")], total=2),
        members=paged(
            [row(7), row(8, online=False), row(9, type=3, type_as_string="supervisor")], [row(7), row(10)], total=5
        ),
    )
    team = desk.team("57", Agents(divisions=("sales", "Sales")))
    assert [(a.id, a.available, a.count) for a in team.agents] == [("10", True, 1), ("7", True, 1), ("8", False, 1)]
    assert team.missing == () and 0 <= team.age_s < 2
    assert [r.query for r in asked(server, MEMBERS)] == [
        {"division_ids[]": "2", "page": "1", "limit": "100"},
        {"division_ids[]": "2", "page": "2", "limit": "100"},
    ]


def test_two_divisions_of_one_name_are_one(server, desk):
    members = {"1": [row(7)], "2": [row(8)], "3": []}
    plays(
        server,
        divisions=paged([division(1, "Sales"), division(2, "sales"), division(3, "Sales")], total=3),
        members=lambda request: {"data": members[request.query["division_ids[]"]], "meta": {"total_page": 1}},
    )
    assert (ids(desk.team("57", SALES)), desk.team("57", SALES).missing) == (["7", "8"], ())


def test_what_the_desk_does_not_have_is_said_and_the_others_serve(server, desk):
    plays(
        server,
        divisions=paged([division(1, "Empty"), division(2, "Sales")], total=2),
        members=lambda request: {"data": [row(7)] if request.query["division_ids[]"] == "2" else [row(9, type=3)]},
        by_ids={"data": [row(8), row(11, deleted_at="2024-01-02 00:00:00"), row(12, type=1)]},
        agents=paged([row(13), row(14, deleted_at="2024-01-02 00:00:00")], total=2),
    )
    who = Agents(
        divisions=("Gone", "Empty", "Sales"),
        ids=("8", "11", "12", "x"),
        emails=("AGENT13@x.id", "agent14@x.id", "no@x.id"),
    )
    team = desk.team("57", who)
    assert ids(team) == ["13", "7", "8"]
    assert team.missing == (
        "the desk has no division 'Gone'",
        "the division 'Empty' is empty",
        "the desk has no agent 11",
        "the desk has no agent 12",
        "the desk has no agent x",
        "the desk has no agent agent14@x.id",
        "the desk has no agent no@x.id",
    )


def test_a_row_with_a_count_goes_before_one_without(server, desk):
    uncounted = paged([row(7, count=None)], total=1)
    plays(server, divisions=ONE_DIVISION, members=uncounted, agents=uncounted, by_ids={"data": [row(7, count=3)]})
    (agent,) = desk.team("57", Agents(("Sales",), ("7",), ("agent7@x.id",))).agents
    assert agent == RosterAgent("7", "Agent 7", True, 3)
    assert desk.team("57", Agents(emails=("agent7@x.id",))).agents[0].count is None


def test_the_channel_is_the_roster_of_the_room_and_is_asked_for_only_if_it_is_named(server, desk):
    plays(
        server,
        roster={"data": {"agents": [row(5)]}},
        divisions=ONE_DIVISION,
        members=paged([row(7)], total=1),
    )
    assert ids(desk.team("57", Agents(divisions=("Sales",), channel=True))) == ["5", "7"]
    assert asked(server, ROSTER)[0].query["room_id"] == "57"
    assert ids(desk.team("..", SALES)) == ["7"]  # no room at all is needed
    assert desk.team("57", Agents()).agents == ()
    assert len(asked(server, ROSTER)) == 1


def test_ids_are_asked_for_fifty_at_a_time_and_found_by_halves_where_one_spoils_the_list(server, desk):
    def by_ids(request):
        wanted = request.all["ids[]"]
        return None if "13" in wanted else {"data": [row(int(id_)) for id_ in wanted]}

    plays(server, by_ids=by_ids)
    team = desk.team("57", Agents(ids=tuple(str(n) for n in range(10, 70))))
    assert len(team.agents) == 59 and team.missing == ("the desk has no agent 13",)
    assert max(len(request.all["ids[]"]) for request in server.requests) == 50


def test_ids_are_looked_for_among_all_agents_where_their_own_list_is_refused_to_the_account(server, desk):
    all_agents = by_path({AGENTS: paged([row(7), row(8)], total=2)})

    def play(sock, request, done):
        return (say({"errors": "Forbidden"}, 403) if BY_IDS in request.target else all_agents)(sock, request, done)

    server.plays = [play]
    team = desk.team("57", Agents(ids=("7", "9")))
    assert (ids(team), team.missing) == (["7"], ("the desk has no agent 9",))


def test_many_divisions_of_one_queue_are_read_together_and_the_empty_ones_are_told_by_the_rows(server, desk):
    names = [f"D{n}" for n in range(60)]
    plays(
        server,
        divisions=paged([division(n, name) for n, name in enumerate(names)], total=60),
        members=lambda request: {
            "data": [
                row(int(id_) + 100, user_roles=[{"id": int(id_)}, None]) for id_ in request.all["division_ids[]"][1:]
            ]
        },
    )
    team = desk.team("57", Agents(divisions=tuple(names)))
    assert (len(team.agents), team.missing) == (58, ("the division 'D0' is empty", "the division 'D50' is empty"))
    rows = [row(7), row(8, user_roles="x"), row(9, user_roles=[{"id": 99}])]
    plays(
        server, divisions=paged([division(n, name) for n, name in enumerate(names)], total=60), members={"data": rows}
    )
    eventually(lambda: ids(desk.team("57", Agents(divisions=tuple(names)))) == ["7", "8", "9"], what="new answers")
    assert desk.team("57", Agents(divisions=tuple(names))).missing == ()


def inside(function):
    """How many threads are in it now."""
    stacks = [traceback.walk_stack(frame) for frame in sys._current_frames().values()]
    return sum(any(frame.f_code.co_name == function for frame, _ in stack) for stack in stacks)


@pytest.mark.parametrize(
    ("told", "all_get"),
    [({"data": [row(7)], "meta": {"total": 1}}, ["7"]), ({"data": None}, "division: no list in the answer")],
)
def test_threads_that_want_one_division_at_one_moment_share_a_request_or_its_error(server, desk, told, all_get):
    hold = threading.Event()
    plays(server, divisions=ONE_DIVISION, members=lambda request: hold.wait(5) and told)
    got = []

    def want():
        try:
            got.append(ids(desk.team("57", SALES)))
        except DeskTrouble as error:
            got.append(error.what)

    threads = [threading.Thread(target=want) for _ in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: inside("_members_of") == len(threads), what="everybody to wait")
    hold.set()
    for thread in threads:
        thread.join(5)
    assert got == [all_get] * len(threads)
    assert (len(asked(server, DIVISIONS)), len(asked(server, MEMBERS))) == (1, 1)


def test_an_answer_is_used_again_for_a_second_and_the_names_for_longer(server):
    desk = desk_at(server.url, names_seconds=60)
    plays(server, divisions=ONE_DIVISION, members=paged([row(7)], total=1))
    first = desk.team("57", SALES)
    second = desk.team("58", SALES)
    assert second.age_s > first.age_s and len(asked(server, MEMBERS)) == 1
    eventually(lambda: desk.team("57", SALES) and len(asked(server, MEMBERS)) == 2, what="a second request")
    assert len(asked(server, DIVISIONS)) == 1
    desk.close()


def test_a_new_name_is_looked_for_at_most_once_a_second_and_a_renamed_division_is_seen_in_time(server):
    desk = desk_at(server.url, names_seconds=1.5)
    names = [division(2, "Sales")]
    plays(server, divisions=lambda request: {"data": names}, members=paged([row(7)], total=1))
    assert ids(desk.team("57", SALES)) == ["7"]
    names.append(division(3, "New"))
    for _ in range(5):
        desk.team("57", Agents(divisions=("Newer",)))
    assert len(asked(server, DIVISIONS)) <= 2
    eventually(lambda: ids(desk.team("57", Agents(divisions=("New",)))) == ["7"], what="the new division")
    names[0] = division(2, "Verkauf")
    eventually(
        lambda: desk.team("57", SALES).missing == ("the desk has no division 'Sales'",), what="the old name to go"
    )
    desk.close()


def test_a_division_that_the_desk_refuses_is_gone_if_its_name_is_and_trouble_if_not(server):
    desk = desk_at(server.url, names_seconds=60)
    names, members = [division(2, "Sales"), division(3, "Other")], {"data": [row(7)]}
    plays(server, divisions=lambda request: {"data": names}, members=lambda request: members)
    desk.team("57", SALES)
    names.pop(0)
    members = None
    eventually(lambda: desk.team("57", SALES).missing, what="the division to be gone")
    assert trouble(desk.team, "57", Agents(divisions=("Other",))).permanent is False
    desk.close()


@pytest.mark.parametrize(
    "told",
    [
        None,
        {"data": None},
        {"data": {}},
        {"data": "x"},
        {"errors": "no"},
        [],
        {"data": {"agents": 7}},
    ],
)
@pytest.mark.parametrize(
    ("list_", "who"), [("divisions", SALES), ("members", SALES), ("agents", Agents(emails=("a@x.id",)))]
)
def test_what_is_no_list_is_trouble_of_the_desk_not_of_the_room(server, desk, list_, who, told):
    good = {"divisions": ONE_DIVISION, "members": {"data": [row(7)]}}
    plays(server, **{**good, list_: told})
    error = trouble(desk.team, "57", who)
    assert (error.maybe_applied, error.permanent) == (False, False)


def test_credentials_that_are_refused_are_trouble_for_good(server, desk):
    for status in (401, 403):
        server.plays = [say({"errors": "no"}, status)]
        for who in (SALES, Agents(ids=("7",)), Agents(emails=("a@x.id",))):
            assert trouble(desk.team, "57", who).permanent
        assert trouble(desk.division_names).permanent and trouble(desk.office_hours).permanent


@pytest.mark.parametrize(
    "meta", [None, {}, [], {"total_page": None}, {"total_page": "x", "total": -1}, {"total_page": 10**9}]
)
def test_rows_and_numbers_of_pages_that_make_no_sense_hide_nobody(server, desk, meta):
    strange = [
        None,
        7,
        "x",
        {},
        {"id": None, "type": 2},
        {"id": [], "type": 2},
        {"id": "7"},
        {"id": 8, "type": "agent", "name": 5},
    ]
    plays(
        server,
        divisions=lambda r: (
            {
                "data": [None, {"id": 1}, {"id": 2, "name": None}, division(2, "Sales"), {"id": {}, "name": "x"}],
                "meta": meta,
            }
            if r.query["page"] == "1"
            else {"data": []}
        ),
        members=lambda r: {
            "data": [*strange, row(7, count="x", email=None)] if r.query["page"] == "1" else [],
            "meta": meta,
        },
    )
    assert [(a.id, a.available, a.count) for a in desk.team("57", SALES).agents] == [
        ("7", True, None),
        ("8", False, None),
    ]


KEYS = ("data", "meta", "agents", "id", "name", "email", "type", "is_available", "current_customer_count", "user_roles")
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["Sales", "2", "7", "agent", ""])
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=20,
)
lists = st.fixed_dictionaries({"data": st.lists(anything, max_size=5) | anything, "meta": anything}) | anything


@pytest.mark.long
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(lists, min_size=1, max_size=8), divisions=st.booleans())
def test_any_json_for_a_list_makes_a_team_or_trouble(server, told, divisions):
    desk = desk_at(server.url)
    good = [say(ONE_DIVISION_TOLD)] if divisions else []
    server.plays = [*good, *map(say, told)]
    try:
        team = desk.team("57", Agents(("Sales",), ("7",), ("agent7@x.id",), True))
        assert all(isinstance(agent.id, str) and isinstance(agent.available, bool) for agent in team.agents)
    except DeskTrouble as error:
        assert len(error.what) <= 120
    finally:
        desk.close()


def test_pages_without_end_are_trouble_and_the_same_page_again_is_the_end_of_a_list_without_numbers(server, desk):
    endless = iter(range(10**6))
    plays(server, divisions=lambda request: {"data": [division(next(endless), "x")]})
    assert "no end" in trouble(desk.team, "57", SALES).what
    assert len(server.requests) <= 50
    plays(server, divisions={"data": [division(2, "Sales")]}, members={"data": [row(7)], "meta": {}})
    assert ids(desk.team("57", SALES)) == ["7"]
    plays(server, agents={"data": [row(7)], "meta": {"total": 3}})
    assert "twice" in trouble(desk.team, "57", BY_EMAIL).what


def test_all_of_it_ends_in_the_time_of_one_call(server):
    desk = desk_at(server.url, total_seconds=0.6)

    def slow(request):
        time.sleep(0.25)
        return {"data": [division(int(request.query["page"]), f"D{request.query['page']}")]}

    plays(server, divisions=slow)
    began_s = time.monotonic()
    assert trouble(desk.team, "57", SALES).permanent is False
    assert time.monotonic() - began_s < 1.2
    desk.close()


def test_the_bot_says_a_text_in_a_room_and_what_is_answered_beside_success_does_not_matter(server, desk):
    for answer in (b"ok", b"", {"data": {}}, [1]):
        server.plays = [say(answer)]
        desk.say("57", "Anda nomor 3 \U0001f642")
    sent = server.requests[0]
    assert (sent.method, sent.target) == ("POST", "/app/bot")
    assert sent.json == {
        "sender_email": "app_admin@qismo.com",
        "message": "Anda nomor 3 \U0001f642",
        "type": "text",
        "room_id": "57",
    }


def test_a_text_that_the_desk_did_not_take_is_refused_and_one_in_doubt_is_never_called_said(server, desk):
    for status in (400, 403, 404, 422):
        server.plays = [say({"errors": "no"}, status)]
        with pytest.raises(RoomRefused):
            desk.say("57", "x")
    for play in (say(b"<html>wait</html>"), say({"errors": "no"}), say({"errors": "no"}, 500), hang):
        server.plays = [play]
        assert trouble(desk.say, "57", "x").maybe_applied
    server.plays = [say({"errors": "slow down"}, 429, headers=["Retry-After: 7"])]
    error = trouble(desk.say, "57", "x")
    assert (error.maybe_applied, error.retry_after_s) == (False, 7.0)
    with pytest.raises(RoomRefused):
        desk.say("..", "x")


def test_the_admin_reads_the_names_of_divisions_and_the_office_hours():
    with simulator(page_size=2, divisions="Sales, Café") as sim:
        desk = desk_at(sim.url, app=sim.app_id, secret=sim.secret)
        sim.add_division("sales")
        assert desk.division_names() == ["Default", "Sales", "Café", "sales"]
        assert 'open = [\n    "mon-fri 09:00-17:00",\n]' in office_hours.section(desk.office_hours())
        desk.close()


def test_queues_of_one_channel_share_what_the_desk_says_of_it(server, desk):
    plays(server, roster={"data": {"agents": [row(7)]}, "meta": {"after": None}})
    found = [desk.team(room, Agents(channel=True), "wa") for room in ("57", "58", "59")]
    assert [ids(team) for team in found] == [["7"]] * 3
    assert len(asked(server, ROSTER)) == 1
    desk.team("60", Agents(channel=True), "fb")
    assert len(asked(server, ROSTER)) == 2


def test_what_the_desk_says_against_one_room_is_said_of_no_other(server, desk):
    """Two ask at one moment, one of them for a room that the desk does not know."""
    came = threading.Barrier(2)

    def answer(request):
        if request.query["room_id"] == "unknown":
            time.sleep(0.3)
            return None  # a 404
        return {"data": {"agents": [row(7)]}, "meta": {"after": None}}

    plays(server, roster=answer)
    said = {}

    def ask(room):
        came.wait(5)
        time.sleep(0 if room == "unknown" else 0.1)
        try:
            said[room] = ids(desk.team(room, Agents(channel=True), "wa"))
        except RoomRefused:
            said[room] = "refused"

    threads = [threading.Thread(target=ask, args=(room,)) for room in ("unknown", "57")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert said == {"unknown": "refused", "57": ["7"]}
