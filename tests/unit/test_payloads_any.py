"""Whatever bytes come, the answer is a small clean webhook or a `BadPayload`; never another exception."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from receiver import payloads
from receiver.payloads import BadPayload, Posted

NAMES = ["room_id", "service", "payload", "app_id", "app_code", "channel", "source", "latest_service", "id"]
NAMES += ["is_resolved", "first_comment_id", "webhook_type", "room", "extras"]
WORDS = st.text(st.characters(codec=None), max_size=8) | st.sampled_from([*NAMES, "7", "new_session", "\ud800", "a"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.just(10**70)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | WORDS, inner, max_size=6),
    max_leaves=20,
)


def read_both(body: bytes) -> None:
    for read in (payloads.arrived, payloads.resolved):
        try:
            check(read(body))
        except BadPayload as bad:
            assert bad.code in ("invalid_json", "invalid_payload")
            assert (bad.field is None) == (bad.code == "invalid_json")
            assert bad.message.encode()


def check(posted: Posted) -> None:
    webhook = posted.webhook
    assert 1 <= len(webhook.room) <= 64
    assert all("!" <= letter <= "~" for letter in webhook.room)
    for word in (webhook.class_, webhook.source, webhook.first_comment_id):
        assert len(word.encode()) <= 4 * 64
        assert word.isprintable()
    for number in (webhook.latest, webhook.service):
        assert number == "" or 0 <= int(number) < 2**63


@settings(deadline=None)  # a busy machine is no fault of the parser
@given(st.binary(max_size=200))
@example(b'{"room_id": 1e999}')
@example(b'{"service": {"room_id": 1e999}}')
@example(b'{"room_id": 7, "channel": {"id": "\\ud800"}}')
def test_any_bytes_are_read_or_refused(body):
    read_both(body)


@settings(deadline=None)  # a busy machine is no fault of the parser
@given(JSON)
def test_any_json_is_read_or_refused(value):
    read_both(json.dumps(value).encode())
    read_both(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@settings(deadline=None)  # a busy machine is no fault of the parser
@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.text("!7~", min_size=1, max_size=64))
def test_a_good_room_in_any_company_is_read_unless_the_app_id_is_bad(company, room):
    try:
        found = payloads.arrived(json.dumps({**company, "room_id": room}).encode())
    except BadPayload as bad:
        assert bad.field in ("app_id", "app_code") or "NaN" in json.dumps(company) or "Infinity" in json.dumps(company)
    else:
        assert found.webhook.room == room
