"""How many chats an agent may have: the admin's keys, the ledger's copy, the environment's default."""

from hypothesis import given, settings
from hypothesis import strategies as st

from db.limits import GLOBAL, TENANT, Copy, agent_of, agent_scope, parse, read, scopes, to_restore
from tests.variants import each

DEFAULT = 2
ANNA = agent_scope("anna")


def of(agent, found, copies=()):
    return read(found, dict(copies), DEFAULT).of(agent)


@each(
    ("text", "value"),
    [
        ("0", 0),
        ("1", 1),
        ("1000", 1000),
        (" 3 ", 3),
        ("3\n", 3),
        ("\t3", 3),
        ("03", 3),
        ("000000003", 3),
    ],
)
def test_a_whole_number_from_0_to_1000_is_a_limit(text, value):
    assert parse(text) == value


@each(
    "text",
    [
        *("", " ", "banana", "+3", "-1", "-0", "1001", "1e3", "1_0", "2.0", "2,0", "0x2", "1 0", "3 chats", '"3"'),
        *(
            "１",
            "٣",
            "²",
            "Ⅲ",
            "３",
            "3\x00",
            "\x003",
            "nan",
            "inf",
            "None",
            "true",
            "9" * 10,
            "9" * 5000,
            "1" + "0" * 300,
        ),
    ],
)
def test_anything_else_is_not(text):
    assert parse(text) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_no_text_raises_or_gives_a_number_out_of_range(text):
    assert parse(text) is None or 0 <= parse(text) <= 1000


def test_the_narrowest_key_wins():
    found = {GLOBAL: "5", TENANT: "4", ANNA: "3"}
    assert [of("anna", found), of("berta", found)] == [3, 4]
    assert of("berta", {GLOBAL: "5", TENANT: None}) == 5
    assert of("berta", {GLOBAL: None, TENANT: None}) == DEFAULT
    assert of("berta", {}) == DEFAULT


def test_a_narrower_key_may_be_larger_and_0_pauses():
    assert of("anna", {GLOBAL: "0", ANNA: "3"}) == 3
    assert of("berta", {GLOBAL: "0", ANNA: "3"}) == 0
    assert of("anna", {GLOBAL: "9", ANNA: "0"}) == 0


@each("nonsense", ["banana", "", "-1", "1001"])
def test_an_invalid_key_lets_the_next_wider_one_hold(nonsense):
    assert of("anna", {GLOBAL: "5", TENANT: "4", ANNA: nonsense}) == 4
    assert of("anna", {GLOBAL: "5", TENANT: nonsense, ANNA: nonsense}) == 5
    assert of("anna", {GLOBAL: nonsense, TENANT: None, ANNA: None}) == DEFAULT


@each("agent", ["tenant", "", "agent:", "agent:tenant"])
def test_an_agent_with_an_odd_name_is_not_taken_for_a_scope(agent):
    assert agent_of(agent_scope(agent)) == agent
    found = {GLOBAL: "5", TENANT: "4", agent_scope(agent): "3"}
    assert of(agent, found) == 3
    assert of("somebody else", found) == 4


def test_all_keys_that_matter_are_read_once_and_in_a_steady_order():
    assert scopes(["b", "a", "b"], [TENANT, "agent:gone"]) == ["", "agent:a", "agent:b", "agent:gone", "tenant"]


# The copy in the ledger


def test_a_value_is_copied_once():
    first = read({TENANT: "3"}, {}, DEFAULT)
    assert first.keep == {TENANT: Copy(3)}
    again = read({TENANT: " 3 "}, first.keep, DEFAULT)
    assert (again.keep, again.forget, again.complaints) == ({}, [], {})


def test_a_new_value_replaces_its_copy():
    assert read({TENANT: "4"}, {TENANT: Copy(3)}, DEFAULT).keep == {TENANT: Copy(4)}


def test_nonsense_is_complained_about_once_and_leaves_the_value_of_the_copy():
    first = read({TENANT: "banana"}, {TENANT: Copy(3)}, DEFAULT)
    assert first.complaints == {TENANT: "banana"}
    assert first.keep == {TENANT: Copy(3, "banana")}
    assert first.of("anna") == DEFAULT
    again = read({TENANT: "banana"}, first.keep, DEFAULT)
    assert (again.complaints, again.keep) == ({}, {})


def test_other_nonsense_is_complained_about_again():
    assert read({TENANT: "apple"}, {TENANT: Copy(3, "banana")}, DEFAULT).complaints == {TENANT: "apple"}


def test_nonsense_of_any_length_is_complained_about_once_and_cut():
    first = read({TENANT: "x" * 5000}, {}, DEFAULT)
    assert len(first.complaints[TENANT]) <= 100
    assert read({TENANT: "x" * 5000}, first.keep, DEFAULT).complaints == {}


def test_what_postgresql_can_not_store_is_not_handed_to_it():
    first = read({TENANT: "a\0b"}, {}, DEFAULT)
    assert "\0" not in first.keep[TENANT].invalid
    assert read({TENANT: "a\0b"}, first.keep, DEFAULT).complaints == {}


def test_a_value_after_nonsense_clears_the_complaint():
    assert read({TENANT: "3"}, {TENANT: Copy(3, "banana")}, DEFAULT).keep == {TENANT: Copy(3)}


@each("copy", [Copy(3), Copy(3, "banana"), Copy(None, "banana")])
def test_a_key_that_the_admin_deletes_is_forgotten(copy):
    done = read({TENANT: None, GLOBAL: "5"}, {TENANT: copy, GLOBAL: Copy(5)}, DEFAULT)
    assert (list(done.forget), done.of("anna"), done.keep) == ([TENANT], 5, {})


def test_a_key_that_never_was_is_not_forgotten():
    assert list(read({TENANT: None}, {}, DEFAULT).forget) == []


# A loss of Redis


def test_lost_limits_are_restored_from_the_copy():
    copies = {GLOBAL: Copy(0), TENANT: Copy(4, "banana"), ANNA: Copy(None, "apple")}
    assert to_restore(dict.fromkeys(copies), copies) == {GLOBAL: 0, TENANT: 4}
    assert to_restore({}, copies) == {GLOBAL: 0, TENANT: 4}


@each("text", ["7", "banana", ""])
def test_what_the_admin_has_set_since_is_not_overwritten(text):
    copies = {GLOBAL: Copy(0), TENANT: Copy(4)}
    assert to_restore({GLOBAL: text, TENANT: None}, copies) == {TENANT: 4}


def test_a_pause_survives_a_loss_of_redis():
    """Restored first, decided afterwards: no moment in which the environment's default gives a paused agent chats."""
    copies = {GLOBAL: Copy(0)}
    found = {GLOBAL: None, TENANT: None}
    found.update({scope: str(value) for scope, value in to_restore(found, copies).items()})
    done = read(found, copies, DEFAULT)
    assert (done.of("anna"), list(done.forget), done.keep) == (0, [], {})


texts = st.none() | st.sampled_from(["0", "3", " 4 ", "banana", "", "1001"]) | st.text(max_size=5)
scope_names = st.sampled_from([GLOBAL, TENANT, ANNA])
copies_of = st.builds(Copy, st.none() | st.integers(0, 1000), st.none() | st.text(max_size=5))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(scope_names, texts), st.dictionaries(scope_names, copies_of))
def test_once_written_down_the_same_keys_change_nothing_more(found, copies):
    first = read(found, copies, DEFAULT)
    now = {scope: copy for scope, copy in {**copies, **first.keep}.items() if scope not in first.forget}
    again = read(found, now, DEFAULT)
    assert (again.keep, list(again.forget), again.complaints) == ({}, [], {})
    assert again.values == first.values
    assert 0 <= first.of("anna") <= 1000
