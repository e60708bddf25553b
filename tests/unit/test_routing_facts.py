"""Facts of an arrival: what is named is found wherever Qiscus puts it, and no nonsense raises or is believed."""

# ruff: noqa: E501 -- tables of nonsense are read by their lines
import json
import time
import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from routing.facts import Facts, Named, as_data, of_chat, of_data, of_webhook
from routing.texts import KEY_MAX, VALUE_MAX, comparable, fold
from tests.variants import each

FOLDER = Path(__file__).parents[2] / "testbed" / "payloads"

ALL = Named(frozenset({"channel", "email", "name", "returning"}), frozenset({"city", "tier", "topic", "kota asal"}))


def payload(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / name).read_text())


def properties(extras: Any, named: Named = ALL) -> dict[str, str]:
    written = extras if isinstance(extras, str) else json.dumps(extras)
    return dict(of_webhook({"room_id": "1", "extras": written}, named).properties)


def tier(value: Any) -> str | None:
    return properties({"user_properties": [{"key": "tier", "value": value}]}).get("tier")


def test_a_webhook_of_today_gives_what_the_rules_name_and_nothing_else() -> None:
    body = {
        **payload("webhook_caa_modern.json"),
        "channel": {"id": 131313, "name": "Example WA", "source": "wa"},
        "source": "WA",
        "latest_service": {"id": 7, "is_resolved": True},
        "extras": json.dumps(
            {"user_properties": [{"key": "City", "value": " Denpasar\t Selatan"}, {"key": "pin", "value": "1"}]}
        ),
    }
    whole = Facts(
        "wa", "131313", "example wa", "customer@example.com", "customer one", True, {"city": "denpasar selatan"}
    )
    for given_as in (body, json.dumps(body), json.dumps(body).encode(), bytearray(json.dumps(body), "utf-16")):
        assert of_webhook(given_as, ALL) == whole
    assert of_webhook(body) == Facts("wa", "131313")


@each("name", ["webhook_caa_modern.json", "webhook_caa_null_candidate.json"])
def test_the_recorded_webhooks_are_read(name: str) -> None:
    found = of_webhook(payload(name), ALL)
    assert (found.source, found.returning, found.properties) == ("qiscus", False, {})
    assert found.email is not None and found.name is not None


@each(
    ("latest", "known"),
    [(None, False), ({"id": 1}, True), ({}, False), ("x", None), (0, None), ([], None)],
)
def test_a_customer_was_served_before_if_the_webhook_says_so(latest: Any, known: bool | None) -> None:
    assert of_webhook({"latest_service": latest}, ALL).returning is known
    assert of_webhook({}, ALL).returning is None, "older webhooks don't say"


def test_properties_are_a_list_or_an_object_in_either_place_once_more_in_quotes_or_not() -> None:
    listed, mapped = [{"key": "tier", "value": "Gold"}], {"Tier": "Gold"}
    for pairs in (listed, mapped, json.dumps(listed), json.dumps(mapped)):
        for place in ("user_properties", "additional_extras"):
            assert properties({place: pairs}) == {"tier": "gold"}
            assert of_webhook({"extras": {place: pairs}}, ALL).properties == {"tier": "gold"}, "extras as an object"


def test_of_what_comes_twice_the_last_counts_and_user_properties_before_additional_extras() -> None:
    twice = [{"key": "tier", "value": "gold"}, {"key": "TIER ", "value": "silver"}]
    assert properties({"user_properties": twice}) == {"tier": "silver"}
    assert properties('{"user_properties": {"tier": "a", "tier": "b"}}') == {"tier": "b"}
    assert properties({"user_properties": {"tier": "a"}, "additional_extras": {"tier": "b"}}) == {"tier": "a"}
    assert properties({"user_properties": [*twice, {"key": "tier", "value": None}]}) == {}, "it was taken away"
    assert properties({"user_properties": [*twice, {"key": "tier"}], "additional_extras": {"tier": "b"}}) == {}


@each(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (7.25, "7.25"),
        (6281234567890, "6281234567890"),
        (9007199254740993, "9007199254740993"),
        (True, "true"),
        (False, "false"),
        ("TRUE", "true"),
        ("  a \n  b\u00a0", "a b"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("ÉCOLE", fold("e\u0301cole")),
        ("ΣΊΣΥΦΟΣ", fold("σίσυφος")),
        ("Jalan Pakubuwono Ⅵ", "jalan pakubuwono ⅵ"),
        ("北京", "北京"),
        ("🥇", "🥇"),
        ("x" * VALUE_MAX, "x" * VALUE_MAX),
    ],
)
def test_values_are_compared_as_text_without_case_accents_of_two_kinds_and_spare_spaces(value: Any, text: str) -> None:
    assert tier(value) == text


@each(
    "value",
    [None, "", "  ", [], ["gold"], {}, {"a": 1}, 1e30, 2**64, -(2**70), 10**500, "x" * 257, "x" * 10**6, "a\0b", "a\ud800", "İ" * 256],
)  # fmt: skip
def test_what_cannot_be_compared_fits_no_rule(value: Any) -> None:
    assert tier(value) is None


@each(
    "extras",
    ["", "x", "[]", "null", "7", '"x"', "{", "[" * 10**5, '{"user_properties":' * 10**4, '{"user_properties": "{"}', '{"user_properties": [7, null, [], {}, {"key": 7, "value": 1}, {"key": null}, {"value": "x"}, {"key": {}, "value": 2}]}', '{"user_properties": NaN}', '{"user_properties": 1e999}'],
)  # fmt: skip
def test_nonsense_in_extras_gives_nothing(extras: str) -> None:
    assert properties(extras) == {}


def test_one_broken_value_costs_no_other() -> None:
    text = '{"user_properties": [{"key": "city", "value": "\\ud800"}, {"key": "kota asal", "value": %s}, {"key": "tier", "value": "gold"}]}'
    assert properties(text % ("9" * 5000)) == {"tier": "gold"}
    assert of_webhook(b'{"name": "\xff", "source": "wa", "extras": "{}"}', ALL).source == "wa"


@each("body", [None, 7, "", b"", b"\xff\xfe", "[]", [], {}, {"extras": 7, "channel": "x", "source": {}, "email": [], "name": 7.5}, object()])  # fmt: skip
def test_any_body_gives_facts(body: Any) -> None:
    found = of_webhook(body, ALL)
    assert (found.source, found.channel_id, found.email, found.properties) == (None, None, None, {})


def test_a_key_is_bounded_and_no_more_keys_are_kept_than_twenty() -> None:
    long = "k" * (KEY_MAX + 1)
    assert properties({"user_properties": {long: "x"}}, Named(properties=frozenset({long}))) == {}
    many = Named.of_list([f"property.k{n:02}" for n in range(40)] + ["email", "nonsense", "property."])
    assert len(many.properties) == 20 and many.fields == {"email"}
    assert len(properties({"user_properties": {f"k{n:02}": n for n in range(40)}}, many)) <= 20
    assert Named.of_list(ALL.as_list()) == ALL


def test_a_chat_of_our_own_gives_its_topic_its_properties_and_whether_they_are_proved() -> None:
    arrival = {"name": "Ani", "email": "Ani@X.id", "topic": "Pembelian", "properties": {"TIER": "Gold", "topic": "forged"}, "language": "id", "proved": True}  # fmt: skip
    found = of_chat(arrival, ALL)
    assert found == Facts(
        "native", "native", "native", "ani@x.id", "ani", None, {"tier": "gold", "topic": "pembelian"}, False, "id"
    )
    assert of_chat(arrival, ALL, proved=True).proved
    assert of_chat({"language": ["id"], "properties": 7, "topic": {}, "returning": 1}, ALL) == Facts(
        "native", "native", "native"
    )


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("tier")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=8), st.sampled_from(["key", "value", "tier", "City", "user_properties", "additional_extras"])), inner, max_size=4),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(json_values, json_values, st.sampled_from(["as it is", "in a text", "cut"]), st.integers(0, 50))
def test_any_nonsense_is_read_bounded_and_the_same_when_it_was_kept(body: Any, extras: Any, how: str, cut: int) -> None:
    text = json.dumps(extras)
    given_as = {"as it is": extras, "in a text": text, "cut": text[:cut]}[how]
    whole = {**(body if isinstance(body, dict) else {}), "extras": given_as}
    for found in (
        of_webhook(whole, ALL),
        of_webhook(json.dumps(whole), ALL),
        of_chat(whole, ALL),
        of_webhook(body, ALL),
    ):
        assert set(found.properties) <= ALL.properties
        assert all(0 < len(value) <= VALUE_MAX for value in found.properties.values())
        kept = json.dumps(as_data(found)).encode().decode()
        assert of_data(json.loads(kept)) == found
    assert of_data(body) == of_data(body)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
@example("\u0345\u0313")
@example("ǰ\u0323")
def test_folding_twice_is_folding_once_and_case_makes_no_difference(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(text) == fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
    if "\u0345" not in unicodedata.normalize("NFD", text):  # which has to be put in order before its case is folded
        assert fold(text.casefold()) == fold(text)
    assert comparable(fold(text)) == comparable(text)


@each(
    "grow",
    [
        lambda n: json.dumps({"user_properties": [{"key": "tier", "value": "x"}] * n}),
        lambda n: json.dumps({"user_properties": {f"k{i}": "é" for i in range(n)}}),
        lambda n: json.dumps({"user_properties": [{"key": "tier", "value": "é" * n * 10}]}),
        lambda n: '{"user_properties": {"tier": ' + "9" * n * 20,
        lambda n: '{"user_properties": "\\ud800' + "\\ud800" * n * 4 + '"}',
        lambda n: "[" * n * 20,
    ],
    ids=["pairs", "keys", "long value", "digits", "surrogates", "brackets"],
)
def test_the_time_grows_with_the_text_and_not_faster(grow: Any) -> None:
    def cost(n: int) -> float:
        text, best = grow(n), 9.0
        for _ in range(5):
            began = time.process_time()
            of_webhook({"extras": text}, ALL)
            best = min(best, time.process_time() - began)
        return best

    cost(100)
    assert cost(16_000) < 16 * 5 * max(cost(1000), 20e-6), "sixteen times the text"
