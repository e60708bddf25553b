"""The names of people: what is kept of a text, and which text is no name."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from db.people import NAME_MOST, shown_name
from tests.variants import each

SPOOFS = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
JOINED = "\u0645\u0647\u062f\u06cc\u200c\u0632\u0627\u062f\u0647"  # a Persian surname, with its ZWNJ
CODER = "\U0001f469\u200d\U0001f4bb"  # woman, ZWJ, computer: one emoji
SPACES = [chr(code) for code in range(0x3001) if unicodedata.category(chr(code)) == "Zs"]  # there is none above


@each(
    "name",
    [
        "Ani",
        "Ani Wijaya",
        JOINED,
        "\u0915\u094d\u200d\u0937\u092e\u093e",  # Devanagari with ZWJ
        f"{CODER} Dev",
        "Heart \u2764\ufe0f",
        "\u200f\u05d3\u05d5\u05d3\u200e",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England's flag: tag characters
        "\u179f\u17bb\u1781\u200b\u17a1\u17c1\u1784",  # Khmer parts words with U+200B
        "Ani \U0001faea",  # an emoji younger than this Python's tables
        "O'Neil-Müller, Jr. (2)",
        "李小龍",
        "x" * NAME_MOST,
    ],
)
def test_a_name_in_any_script_is_kept_as_it_is(name: str) -> None:
    assert shown_name(f"  {name}\n") == name


@each("space", SPACES)
def test_a_space_of_any_kind_becomes_a_plain_one(space: str) -> None:
    assert shown_name(f"{space}Anne{space}Marie{space} {space}Li{space}") == "Anne Marie Li"


@each("mark", ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\ue000"])
def test_what_breaks_the_line_or_has_no_picture_is_refused(mark: str) -> None:
    assert shown_name(f"A{mark}ni") is None


@each("mark", SPOOFS)
def test_what_turns_the_text_beside_a_name_around_is_refused(mark: str) -> None:
    assert shown_name(f"Ani{mark}gpj.exe") is None


@each("blank", ["", " ", "\u00a0", "\u200b\u200d", "\u200f", "\ufe0f", "\u3164", "\u2800", "\u0301"])
def test_a_name_that_nobody_would_see_is_refused(blank: str) -> None:
    assert shown_name(blank) is None


def test_the_length_counts_after_cleaning() -> None:
    assert shown_name("x" * (NAME_MOST + 1)) is None
    assert shown_name(f"a{' ' * NAME_MOST}b") == "a b"


@given(st.text(st.one_of(st.characters(), st.sampled_from([" ", "\u00a0", "\u200c", "\u200f", "\u202e", "a"]))))
@example("\u2003a\u2003\u2003b\x1c")
def test_what_is_kept_is_stable_visible_and_on_one_line(text: str) -> None:
    name = shown_name(text)
    if name is not None:
        assert shown_name(name) == name
        assert 1 <= len(name) <= NAME_MOST
        assert not {unicodedata.category(mark) for mark in name} & {"Cc", "Cs", "Zl", "Zp"}
        assert not set(name) & set(SPOOFS)
        assert "  " not in name and name == name.strip()
        assert any(unicodedata.category(mark)[0] in "LNPS" for mark in name)
