"""The pure half of `giliran setup qiscus`: addresses, what is missing, what our receiver's answers say."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from scripts.admin import public_address, setup_plan
from settings import ROOT
from tests.variants import each
from worker.desk.base import DeskTrouble
from worker.desk.qiscus_hooks import ALLOCATION, HOOKS, RESOLVED, Hook, Registered, confirmed, registered

PUBLIC, APP = "https://chat.example.com", "shop"
ODD = "a&b#c+d%e/f?g=h_0123"
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=60)


@given(visible)
def test_a_secret_of_any_visible_characters_comes_out_of_the_address_as_it_went_in(secret: str) -> None:
    parts = urlsplit(setup_plan.address(PUBLIC, APP, ALLOCATION, secret))
    assert (parts.path, parts.fragment) == ("/shop/allocate-agent/webhook", "")
    assert parse_qs(parts.query, strict_parsing=True) == {"secret": [secret]}


def rows(secret: str | None = ODD, is_active: bool = True) -> list[Registered]:
    return [Registered(hook.kind, setup_plan.address(PUBLIC, APP, hook, secret), is_active) for hook in HOOKS]


def test_what_is_registered_exactly_so_is_not_missing() -> None:
    assert setup_plan.missing(rows(), PUBLIC, APP, ODD) == []


@each("known", [[], rows("another-secret-0123"), rows(None), rows(is_active=False)])
def test_what_is_registered_otherwise_or_switched_off_is_missing(known: list[Registered]) -> None:
    assert setup_plan.missing(known, PUBLIC, APP, ODD) == list(HOOKS)


def test_a_list_that_leaves_a_webhook_out_does_not_contradict_its_registration() -> None:
    url = setup_plan.address(PUBLIC, APP, RESOLVED, ODD)
    assert not setup_plan.contradicts([Registered("new_session", "https://other", True)], RESOLVED, url)
    assert not setup_plan.contradicts(rows(), RESOLVED, url)
    assert setup_plan.contradicts(rows(is_active=False), RESOLVED, url)
    assert setup_plan.contradicts(rows("another-secret-0123"), RESOLVED, url)


@each("hook", HOOKS)
def test_what_is_entered_by_hand_never_shows_the_secret_and_says_how_to_write_it(hook) -> None:
    text = setup_plan.by_hand(hook, "https://omnichannel.qiscus.com", APP, PUBLIC, ODD)
    assert ODD not in text and f"{PUBLIC}/shop{hook.path}?secret=<WEBHOOK_SECRET>" in text
    assert "& as %26" in text and "+ as %2B" in text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["data", "webhook_configs", "type", "url", "is_active", "error", "code", "message", "status"]), inner,
    max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["data", "status"]), json_values), json_values)
def test_whatever_qiscus_or_a_stranger_answers_is_judged(told, body) -> None:
    try:
        assert all(isinstance(one, Registered) for one in registered(told))
    except DeskTrouble as trouble:
        assert "no list" in trouble.what
    assert not confirmed(told, ALLOCATION, "https://x")
    assert public_address.route(ALLOCATION, True, 200, body) and public_address.right_secret(200, body)
    assert public_address.wrong_secret(200, body)


def refused(code: str) -> dict[str, object]:
    return {"error": {"code": code, "message": "why"}}


def test_only_our_receivers_own_answers_are_taken_for_it() -> None:
    assert public_address.readiness(200, {"status": "ready"}) is None
    assert public_address.readiness(404, None) is None  # a proxy that keeps it closed
    assert "not ready" in str(public_address.readiness(503, refused("queue_unavailable")))
    assert "not by our receiver" in str(public_address.readiness(502, None))
    assert public_address.route(RESOLVED, True, 400, refused("invalid_payload")) is None
    assert "drops what follows" in str(public_address.route(RESOLVED, True, 404, refused("not_found")))
    assert "this command has none" in str(public_address.route(RESOLVED, False, 404, refused("not_found")))
    assert "not by our receiver" in str(public_address.route(RESOLVED, True, 404, None))
    assert public_address.right_secret(404, refused("unknown_app")) is None
    assert "another WEBHOOK_SECRET" in str(public_address.right_secret(404, refused("not_found")))
    assert public_address.wrong_secret(404, refused("not_found")) is None
    assert "without WEBHOOK_SECRET" in str(public_address.wrong_secret(404, refused("unknown_app")))


def recorded(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "testbed" / "payloads" / f"{name}.json").read_text())


@each("hook", HOOKS)
def test_a_registration_counts_only_where_the_answer_has_the_address_switched_on(hook: Hook) -> None:
    told = recorded(f"api_set_webhook_{'agent_allocation' if hook == ALLOCATION else 'mark_as_resolved'}")
    url = told["data"][hook.url_field]
    assert confirmed(told, hook, url) and not confirmed(told, hook, url + "?secret=x")
    assert not confirmed({"data": {**told["data"], hook.enabled_field: False}}, hook, url)


def test_the_list_on_record_is_read() -> None:
    url = "https://caa.example.com/webhooks/new-session"
    assert registered(recorded("api_webhook_config")) == [Registered("new_session", url, True)]
