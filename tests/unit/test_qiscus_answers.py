"""The pure half of the Qiscus desk: every answer on record, and whatever else JSON can hold."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.variants import each
from worker.desk import qiscus_answers as answers
from worker.desk.base import Assigned, DeskError, DeskTrouble, RoomRefused, RoomTaken, RoomView, RosterAgent
from worker.desk.qiscus import ASSIGN, PROBE, ROSTER, SUGGEST, UNSERVED
from worker.desk.qiscus_answers import Answer, Ask

PAYLOADS = Path(__file__).parents[2] / "testbed" / "payloads"
LOOK = Ask("look", "GET", "/", about_room=True)
SECRET = "s3cret-key"


def recorded(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def refused(status, body, ask=ASSIGN, **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answers.refusal(Answer(status, body, **headers), ask, SECRET)


def agents(told):
    return answers.readable(answers.roster_agent, answers.agents_page(told, ROSTER).rows)[0]


# What was recorded


def test_the_roster_has_agents_only_and_says_who_is_online():
    assert [a for a in agents(recorded("api_available_agents")) if a] == [
        RosterAgent("150851", "Agent A", True, 1),
        RosterAgent("150880", "Agent B", True, 2),
        RosterAgent("150890", "Agent Offline", False, 0),
    ]


def test_a_bare_list_of_agents_is_a_roster_too():
    assert [a.id for a in agents(recorded("api_agents_by_division"))] == ["150851", "150880"]


def test_pages_name_the_next_one_until_the_last():
    after = [answers.agents_page(recorded(f"api_available_agents_page{n}"), ROSTER).after for n in (1, 2)]
    assert after == ["cursor-page-2", None]


def test_an_empty_roster_is_a_value():
    assert agents(recorded("api_available_agents_empty")) == []


@each(
    ("name", "agent", "comment"), [("api_assign_agent", "150851", "746394772"), ("api_assign_agent_legacy", "22", None)]
)
def test_an_assign_tells_the_first_comment_where_the_desk_does(name, agent, comment):
    assert answers.assigned(recorded(name), ASSIGN, agent) == Assigned(comment)


def test_an_assign_that_added_somebody_else_means_the_room_was_taken():
    with pytest.raises(RoomTaken):
        answers.assigned(recorded("api_assign_agent"), ASSIGN, "150880")


def test_a_room_by_id_is_waiting():
    assert answers.room_view(recorded("api_customer_room_by_id"), LOOK) == RoomView(waiting=True, resolved=False)


def test_the_unserved_list_leaves_the_stale_row_out():
    page = answers.rooms_page(recorded("api_customer_rooms_unserved"), UNSERVED)
    rooms = [r for r in answers.readable(answers.unserved_room, page.rows)[0] if r]
    assert [(r.room, r.channel) for r in rooms] == [("57491253", "131314"), ("57491250", "131314")]
    assert rooms[1].last_customer_s == datetime(2024, 1, 12, 15, tzinfo=UTC).timestamp()
    assert answers.rooms_page(recorded("api_customer_rooms_empty"), UNSERVED).rows == []


def test_a_suggestion_is_an_agent_with_a_count():
    assert answers.suggestion(recorded("api_allocate_agent"), SUGGEST) == RosterAgent("150851", "Agent A", True, 1)


@each(
    ("name", "status", "error", "text"),
    [
        ("api_error_exceed_max_agents", 400, RoomTaken, "assign 400: Cant join room, exceed max agents"),
        ("api_error_room_resolved", 400, RoomRefused, "assign 400: room already resolved"),
        ("api_error_token_expired", 401, DeskTrouble, "assign 401: invalid token"),
        ("api_error_unauthorized", 401, DeskTrouble, "assign 401: Unauthorized"),
    ],
)
def test_recorded_errors_keep_their_meaning_and_their_words(name, status, error, text):
    found = refused(status, recorded(name))
    assert (type(found), found.what) == (error, text)


# What was not recorded


def test_a_403_speaks_of_the_agent_only_where_one_was_to_be_assigned():
    assert type(refused(403, {"errors": "Forbidden"})) is RoomRefused
    assert refused(403, {"errors": "Forbidden"}, ROSTER).permanent
    assert refused(403, b"<html>Forbidden</html>").permanent, "a gateway speaks of nobody"


@each("status", [401, 402])
def test_credentials_and_plan_wait_for_a_person(status):
    found = refused(status, {})
    assert (found.permanent, found.maybe_applied) == (True, False)


@each(
    ("status", "maybe"),
    [(301, True), (302, True), (405, False), (408, False), (429, False), (500, True), (502, True), (503, True)],
)
def test_only_the_statuses_after_the_desk_may_have_acted_leave_doubt(status, maybe):
    found = refused(status, {})
    assert isinstance(found, DeskTrouble)
    assert (found.maybe_applied, found.permanent) == (maybe, False)


def test_a_desk_that_names_a_time_has_not_acted():
    found = refused(503, {}, retry_after="7")
    assert (found.maybe_applied, found.retry_after_s) == (False, 7.0)


def test_a_question_leaves_no_doubt_whatever_happened_to_it():
    assert not refused(500, {}, ask=ROSTER).maybe_applied


@each("status", [400, 404, 422])
def test_a_definite_answer_is_about_the_room_only_where_a_room_was_asked_for(status):
    assert isinstance(refused(status, {"errors": "no"}, ask=ROSTER), RoomRefused)
    assert isinstance(refused(status, {"errors": "no"}, ask=PROBE), DeskTrouble)


@each("status", [400, 404, 422])
def test_a_gateways_page_says_nothing_about_the_room(status):
    found = refused(status, b" <html><title>exceed max agents</title>")
    assert isinstance(found, DeskTrouble)
    assert not found.maybe_applied


@each(
    "body",
    [
        {"errors": {"message": "Cant join room, EXCEED Max Agents"}},
        {"errors": ["cant join", "exceed  max\nagents"]},
        {"errors": {"room": [{"x": "exceed max agents"}]}},
        {"error": {"message": "exceed max agents"}, "status": 400},
        {"message": "exceed max agents"},
        "exceed max agents",
        b"exceed max agents",
    ],
)
def test_exceed_is_understood_in_every_wrapper(body):
    assert isinstance(refused(400, body), RoomTaken)


def test_exceed_concerns_an_assign_only():
    assert isinstance(refused(400, {"errors": "exceed max agents"}, ask=ROSTER), RoomRefused)


@each("body", [b"", b"null", b"[]", b"{}", b'{"errors": null}', b"\xff\xfe\x00"])
def test_an_error_without_a_reason_is_still_an_error(body):
    assert refused(400, body).what.startswith("assign 400: ")


@each("errors", ["no", ["no"], {"message": "no"}])
def test_a_success_with_errors_is_unclear(errors):
    with pytest.raises(DeskTrouble) as caught:
        answers.accepted(Answer(200, json.dumps({"data": {}, "errors": errors}).encode()), ASSIGN)
    assert caught.value.maybe_applied


@each("body", [b"", b"<html>", b"[1]", b'"ok"', b"{", b"[" * 100_000, b"1" * 5000, b"\xff"])
def test_a_success_that_cannot_be_read_is_unclear_for_an_assign_and_harmless_for_a_question(body):
    for ask in (ASSIGN, ROSTER):
        with pytest.raises(DeskTrouble) as caught:
            answers.accepted(Answer(200, body), ask)
        assert caught.value.maybe_applied is ask.changes


@each(
    ("value", "seconds"),
    [("0", 0.0), ("120", 120.0), (" 5 ", 5.0), ("86400", 300.0), ("-5", None), ("soon", None), ("1e3", None)]
    + [("", None), (None, None), ("٣", None), ("9" * 400, None)],
)
def test_retry_after_in_seconds(value, seconds):
    assert answers.retry_after_s(value) == seconds


def test_retry_after_as_a_date_is_measured_by_the_desks_own_clock():
    there = datetime(2020, 1, 1, tzinfo=UTC)
    for ahead_s, expected in [(42, 42.0), (-42, 0.0), (4200, 300.0)]:
        then = format_datetime(there + timedelta(seconds=ahead_s), usegmt=True)
        assert answers.retry_after_s(then, format_datetime(there, usegmt=True)) == expected


@each(
    "text",
    [
        "agent budi@example.com is busy",
        "bearer abc.def",
        "token: abc",
        "authorization=Bearer abc",
        "key 0123456789abcdef0123456789",
        "customer +62 812-3456-7890 left",
        f"bad secret {SECRET}",
        "<b>s3cret</b>\x00-key",
        f"x&lt;script&gt;alert('{SECRET}')&lt;/script&gt;",
    ],
)
def test_a_reason_keeps_private_things_out(text):
    shown = answers.shown(text, SECRET)
    assert not any(word in shown for word in (SECRET, "budi", "abc", "0123", "812", "alert", "<"))


def test_a_page_is_reduced_to_its_words():
    assert answers.reason(b"<html><style>p {}</style><title>502 Bad&nbsp;Gateway</title>") == "502 Bad Gateway"


@each(
    ("value", "seconds"),
    [
        ("2019-02-04 04:49:47", 1549255787.0),
        ("2019-02-04T04:49:47", 1549255787.0),
        ("2019-02-04T04:49:47Z", 1549255787.0),
        ("2019-02-04T11:49:47.5+07:00", 1549255787.5),
        ("0000-00-00 00:00:00", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        (1549255787, None),
        (None, None),
    ],
)
def test_moments_are_read_in_every_form_on_record(value, seconds):
    assert answers.unix_s(value) == seconds


@each(
    ("value", "id_"),
    [(7, "7"), ("7", "7"), ("a.b@c:d-e", "a.b@c:d-e"), (True, None), (-1, None), (1.0, None), ("", None), (None, None)]
    + [("a b", None), ("a\x00", None), ("\ud800", None), ("é", None), ("a" * 65, None), (10**64, None)],
)
def test_ids_are_text_that_a_database_takes(value, id_):
    assert answers.plain_id(value) == id_


@each(
    ("fields", "available"),
    [
        ({"is_available": True}, True),
        ({"is_available": 1, "force_offline": "false"}, True),
        ({"is_available": True, "force_offline": True}, False),
        ({"is_available": "yes"}, False),
        ({}, False),
    ],
)
def test_only_an_agent_who_is_surely_online_is_available(fields, available):
    assert answers.roster_agent({"id": 1, "type": 2, **fields}).available is available


@each("kind", [{"type": 2}, {"type": "2"}, {"type": "agent"}, {"type_as_string": "agent"}])
def test_an_agent_is_known_by_number_or_word(kind):
    assert answers.roster_agent({"id": 1, **kind}).id == "1"


@each("kind", [{"type": 1}, {"type": 3, "type_as_string": "supervisor"}, {}, {"type": True}])
def test_everybody_else_is_left_out(kind):
    assert answers.roster_agent({"id": 1, **kind}) is None


def test_rows_that_cannot_be_read_are_counted_and_do_not_hide_the_others():
    rows = [None, {}, {"id": True}, {"id": 4, "type": 2, "name": 5, "current_customer_count": -1}, "x"]
    assert answers.readable(answers.roster_agent, rows) == ([RosterAgent("4", "", False, None)], 4)


def test_a_room_that_is_resolved_does_not_wait_whatever_else_it_says():
    told = {"data": {"customer_room": {"is_waiting": True, "is_resolved": True}}}
    assert answers.room_view(told, LOOK) == RoomView(waiting=False, resolved=True)


@each("cursor", [["x"], {"a": 1}, "a b", "\ud800", "x" * 3000, -1.5])
def test_a_cursor_that_no_url_can_carry_is_a_broken_answer(cursor):
    with pytest.raises(DeskTrouble):
        answers.agents_page({"data": [], "meta": {"after": cursor}}, ROSTER)


# Anything


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["2", "agent", "exceed"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
WHERE = [
    (name, path)
    for name in ("api_available_agents", "api_assign_agent", "api_customer_room_by_id", "api_customer_rooms_unserved")
    for path in ([], ["data"], ["meta"], ["data", 0], ["data", 0, 0], ["data", 0, "id"], ["meta", "after"], ["errors"])
]
READERS = [
    lambda told: answers.assigned(told, ASSIGN, "150851"),
    lambda told: answers.room_view(told, LOOK),
    lambda told: answers.suggestion(told, SUGGEST),
    lambda told: answers.readable(answers.roster_agent, answers.agents_page(told, ROSTER).rows),
    lambda told: answers.readable(answers.agent_id, answers.agents_page(told, ROSTER).rows),
    lambda told: answers.readable(answers.unserved_room, answers.rooms_page(told, UNSERVED).rows),
]


def planted(told, path, value):
    """The answer with `value` at the path; a number means "the n-th of whatever is there"."""
    if not path:
        return value
    step = path[0]
    if isinstance(step, int) and isinstance(told, dict) and told:
        step = list(told)[min(step, len(told) - 1)]
    if isinstance(told, list) and isinstance(step, int) and told:
        return [planted(told[0], path[1:], value), *told[1:]]
    return {**told, step: planted(told.get(step), path[1:], value)} if isinstance(told, dict) else value


@given(st.sampled_from(WHERE), anything)
def test_any_json_in_any_place_ends_in_a_value_or_a_desk_error(where, value):
    name, path = where
    body = json.dumps(planted(recorded(name), path, value)).encode()
    for read in READERS:
        try:
            read(answers.accepted(Answer(200, body), ASSIGN, SECRET))
        except DeskError as error:
            assert len(error.what) <= 120


@given(anything, st.sampled_from(["id", "room_id", "name", "type", "is_resolved", "channel_id", "force_offline"]))
def test_any_json_in_a_row_is_read_or_skipped(value, field):
    room = {"room_id": "1", "is_resolved": False, "is_waiting": True, field: value}
    agent = {"id": 1, "type": 2, "is_available": True, field: value}
    for read, row in [(answers.unserved_room, room), (answers.roster_agent, agent), (answers.agent_id, agent)]:
        values, skipped = answers.readable(read, [row, value])
        assert len(values) + skipped == 2


@given(st.integers(300, 599), anything | st.binary(), st.text() | st.none(), st.text() | st.none())
def test_any_refusal_is_short_printable_and_keeps_the_secret(status, body, retry_after, date):
    body = body if isinstance(body, bytes) else json.dumps({"errors": body, SECRET: SECRET}).encode()
    what = refused(status, body + SECRET.encode(), retry_after=retry_after, date=date).what
    assert len(what) <= 120
    assert what.isprintable()
    assert SECRET not in what


@given(st.text(alphabet="<>a&;lgt @.sript/bearer\x00", max_size=3000))
def test_no_text_gets_a_tag_or_an_address_through(text):
    shown = answers.shown(text)
    assert not set("<>@") & set(shown)
