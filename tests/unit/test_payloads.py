"""What is kept of a webhook's bytes, and what is refused; with Qiscus's own payloads and every trap in their fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from db.inbox import ARRIVED, RESOLVED
from db.push import Webhook
from receiver import payloads
from receiver.payloads import BadPayload, Posted
from tests.variants import each

FOLDER = Path(__file__).parents[2] / "testbed" / "payloads"
APP = "exampleapp-0123456789abcde"


def fixture(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"webhook_{name}.json").read_text())


def arrived(**fields: Any) -> Posted:
    return payloads.arrived(json.dumps({**fixture("caa_modern"), **fields}).encode())


def resolved(**service: Any) -> Posted:
    payload = fixture("mark_as_resolved")
    payload["service"] |= service
    return payloads.resolved(json.dumps(payload).encode())


def refusal(read: Any, body: Any) -> BadPayload:
    with pytest.raises(BadPayload) as caught:
        read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def without(payload: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != field}


def test_a_room_that_needs_an_agent_is_kept_by_its_ids_only():
    found = payloads.arrived((FOLDER / "webhook_caa_modern.json").read_bytes())
    assert found == Posted(Webhook(ARRIVED, "57491250", class_="qiscus", source="qiscus"), APP)


def test_a_null_candidate_agent_is_as_good_as_any():
    found = payloads.arrived((FOLDER / "webhook_caa_null_candidate.json").read_bytes())
    assert (found.webhook.room, found.app_id) == ("57491251", APP)


def test_a_resolve_is_kept_by_its_ids_and_names_no_app():
    found = payloads.resolved((FOLDER / "webhook_mark_as_resolved.json").read_bytes())
    assert found == Posted(Webhook(RESOLVED, "57398366", service="32054304", first_comment_id="746394772"), None)


HUGE = "9" * 64


@each(
    ("given", "kept"),
    [
        ("57491250", "57491250"),
        (57491250, "57491250"),
        (0, "0"),
        ("007", "007"),
        (2**63, str(2**63)),
        (2**64, str(2**64)),  # beyond what the fast parser reads as a whole number
        (int(HUGE), HUGE),
        ("a", "a"),
        ("!~" * 32, "!~" * 32),
        ('"\\', '"\\'),
    ],
)
def test_a_room_id_is_visible_ascii_or_a_whole_number_kept_as_its_digits(given, kept):
    assert arrived(room_id=given).webhook.room == kept
    assert resolved(room_id=given).webhook.room == kept


@each(
    "given",
    [None, True, False, -1, 1.0, 57491250.5, 1e30, int("1" + "0" * 64), "", " ", "a b", "a\n", "\u0000", "é", "７"]
    + ["\ud800", "x" * 65, [], {}, ["57491250"]],
)
def test_any_other_room_id_is_refused_by_name(given):
    for read, payload, field in (
        (payloads.arrived, {**fixture("caa_modern"), "room_id": given}, "room_id"),
        (payloads.resolved, {"service": {"room_id": given}}, "service.room_id"),
    ):
        bad = refusal(read, payload)
        assert (bad.code, bad.field) == ("invalid_payload", field)
        assert bad.message.startswith(f"{field} ")


@each("digits", [65, 300, 5000])
def test_a_number_of_thousands_of_digits_is_no_room(digits):
    bad = refusal(payloads.arrived, b'{"room_id": ' + b"7" * digits + b"}")
    assert (bad.code, bad.field) == ("invalid_payload", "room_id")


def test_a_number_of_thousands_of_digits_elsewhere_loses_no_room():
    assert payloads.arrived(b'{"room_id": "7", "x": ' + b"7" * 5000 + b"}").webhook.room == "7"


@each(
    ("name", "text"),
    [
        ("half of a pair", rb"\ud83d"),
        ("the other half", rb"\ude00"),
        ("a cut emoji in UTF-8", b"\xf0\x9f\x98"),
        ("a surrogate in UTF-8", b"\xed\xa0\xbd"),
        ("latin-1", b"Jos\xe9"),
    ],
)
def test_a_broken_emoji_in_a_customers_name_does_not_lose_the_room(name, text):
    body = b'{"room_id": "57491250", "app_id": "a", "source": "wa", "name": "Dewi ' + text + b'"}'
    assert payloads.arrived(body) == Posted(Webhook(ARRIVED, "57491250", class_="wa", source="wa"), "a"), name


def test_a_byte_order_mark_is_no_obstacle():
    assert payloads.arrived(b'\xef\xbb\xbf{"room_id": 7}').webhook.room == "7"


@each(
    "body",
    [b"", b"  ", b"{", b"room_id=7", b"\x00", b"\xff\xfe", b'{"room_id": NaN}', b'{"room_id": Infinity}']
    + [b'{"a": -Infinity, "room_id": 7}', b"[" * 100_000, b'{"a":' * 100_000, b'{"room_id": 7}x'],
)
def test_what_is_no_json_is_refused_as_such(body):
    for read in (payloads.arrived, payloads.resolved):
        assert refusal(read, body).code == "invalid_json"


@each("body", [b"null", b"[]", b'"57491250"', b"57491250", b"true", b'[{"room_id": "7"}]'])
def test_json_that_is_no_object_is_refused(body):
    for read in (payloads.arrived, payloads.resolved):
        assert refusal(read, body).code == "invalid_payload"


def test_unknown_fields_and_odd_extras_change_nothing():
    plain = arrived()
    assert arrived(extras="{not json", newcomer={"room_id": 1}, email=None, is_resolved=True) == plain
    assert arrived(extras={"a": 1}, candidate_agent=[], avatar_url=3, name=None, is_new_session="x") == plain


@each(
    ("service", "proof"),
    [
        ({"id": 7, "is_resolved": True}, "7"),
        ({"id": "7", "is_resolved": True}, "7"),
        ({"id": "007", "is_resolved": True}, "7"),
        ({"id": 0, "is_resolved": True}, "0"),
        ({"id": 2**63 - 1, "is_resolved": True}, str(2**63 - 1)),
        ({"id": 2**63, "is_resolved": True}, ""),
        ({"id": "9" * 64, "is_resolved": True}, ""),
        ({"id": 10**30, "is_resolved": True}, ""),
        ({"id": -7, "is_resolved": True}, ""),
        ({"id": "-7", "is_resolved": True}, ""),
        ({"id": "٧", "is_resolved": True}, ""),
        ({"id": "7a", "is_resolved": True}, ""),
        ({"id": True, "is_resolved": True}, ""),
        ({"id": 7.0, "is_resolved": True}, ""),
        ({"id": None, "is_resolved": True}, ""),
        ({"is_resolved": True}, ""),
        ({"id": 7, "is_resolved": False}, ""),
        ({"id": 7, "is_resolved": "true"}, ""),
        ({"id": 7, "is_resolved": 1}, ""),
        ({"id": 7}, ""),
        ({}, ""),
        (None, ""),
        ([], ""),
        ("7", ""),
        (7, ""),
    ],
)
def test_only_a_service_that_says_itself_that_it_is_resolved_is_a_proof(service, proof):
    assert arrived(latest_service=service).webhook.latest == proof


@each(("service_id", "kept"), [(7, "7"), ("7", "7"), (None, ""), ("x", ""), (2**63, ""), (-1, ""), (1.5, ""), ([], "")])
def test_a_resolve_without_a_usable_service_id_is_still_a_resolve(service_id, kept):
    assert resolved(id=service_id).webhook == Webhook(RESOLVED, "57398366", service=kept, first_comment_id="746394772")


def test_comment_ids_are_numbers_or_strings():
    assert resolved(first_comment_id=746394772, last_comment_id=746416921) == resolved()
    assert resolved(first_comment_id=None).webhook.first_comment_id == ""


@each(
    ("channel", "source", "class_", "kept_source"),
    [
        ({"id": 131313, "name": "Widget", "source": "qiscus"}, "qiscus", "131313", "qiscus"),
        ({"id": "131313"}, "wa", "131313", "wa"),
        ({"id": None}, "wa", "wa", "wa"),
        ({"id": True}, "wa", "wa", "wa"),
        ({"id": 1.5}, "wa", "wa", "wa"),
        ({"id": 10**30}, "wa", "wa", "wa"),
        ({}, "wa", "wa", "wa"),
        ("junk", "wa", "wa", "wa"),
        (None, None, "", ""),
        (None, 5, "5", "5"),
        (None, "a\u0000b\ud800c\n" + "d" * 80, "abc" + "d" * 61, "abc" + "d" * 61),
        ({"id": "\u0000"}, "wa", "wa", "wa"),
    ],
)
def test_the_class_is_the_channel_else_the_source_short_and_clean(channel, source, class_, kept_source):
    webhook = arrived(channel=channel, source=source).webhook
    assert (webhook.class_, webhook.source) == (class_, kept_source)


def test_the_app_is_named_by_app_id_or_app_code():
    assert arrived(app_id=None, app_code="other").app_id == "other"
    assert arrived(app_id="same", app_code="same").app_id == "same"
    assert arrived(app_id=None).app_id is None
    assert arrived(app_id="").app_id is None


def test_app_id_and_app_code_must_agree():
    bad = refusal(payloads.arrived, {**fixture("caa_modern"), "app_code": "other"})
    assert (bad.code, bad.field) == ("invalid_payload", "app_id")


@each("app_id", [7, True, [], {}, "a b", "é", "x" * 65, "{a}", "*", "a/b", "a:b", "\ud800", "a\n"])
def test_an_app_id_that_can_be_none_is_refused_by_name(app_id):
    assert refusal(payloads.arrived, {**fixture("caa_modern"), "app_id": app_id}).field == "app_id"
    bad = refusal(payloads.resolved, {**fixture("mark_as_resolved"), "app_code": app_id})
    assert bad.field == "app_code"


@each(
    ("read", "name", "field", "seen"),
    [
        (payloads.arrived, "mark_as_resolved", "room_id", "a Mark As Resolved"),
        (payloads.arrived, "new_session", "room_id", "a New Session"),
        (payloads.arrived, "bot_message", "room_id", "a Bot"),
        (payloads.resolved, "caa_modern", "service.room_id", "a Custom Agent Allocation"),
        (payloads.resolved, "new_session", "service.room_id", "a New Session"),
        (payloads.resolved, "bot_message", "service.room_id", "a Bot"),
    ],
)
def test_another_webhook_is_told_what_it_looks_like_and_where_each_belongs(read, name, field, seen):
    bad = refusal(read, fixture(name))
    assert (bad.code, bad.field) == ("invalid_payload", field)
    assert f"looks like {seen} webhook" in bad.message
    assert "/allocate-agent/webhook" in bad.message
    assert "/mark-as-solved/webhook" in bad.message


def test_a_missing_field_is_just_missing():
    assert refusal(payloads.arrived, without(fixture("caa_modern"), "room_id")).message == "room_id is missing"
    for service in (None, [], "7", {}, {"id": 7}):
        assert refusal(payloads.resolved, {"service": service}).message == "service.room_id is missing"


def test_no_message_repeats_a_value_of_the_payload():
    secret = "hunter2-hunter2"
    for payload in ({"room_id": f"{secret} x"}, {"room_id": "7", "app_id": f"{secret} x"}, {"app_id": secret}):
        assert secret not in refusal(payloads.arrived, payload).message
