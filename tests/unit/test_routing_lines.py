"""Lines of keys in TOML: the scanner against `tomllib`, on texts made to mislead it."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from routing.toml_lines import Path, lines

# What stands in strings and comments looks like anything but a key (k1) or a value (7001) of the text around it.
NASTY = st.lists(
    st.sampled_from(["[", "]", "{", "}", "#", "=", ",", ".", "'", '"', "\\", " ", "a", "é", "[[x]]"]), max_size=12
).map("".join)
GAP = st.sampled_from(["", " ", "\n", "  \n\n", " # ]}, [x] = 'y'\n\t", '#"""\n'])


class Names:
    """Each key and each number of a text comes once, so that its line can be looked up."""

    def __init__(self) -> None:
        self.keys = self.values = 0

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}_"

    def value(self) -> str:
        self.values += 1
        return str(70_000 + self.values)


def quoted(draw: Any) -> str:
    text, kind = draw(NASTY), draw(st.sampled_from(["basic", "literal", "basic lines", "literal lines"]))
    newlines = draw(st.sampled_from(["", "\n", "\r\n\n"]))
    if kind == "basic":
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if kind == "literal":
        return "'" + text.replace("'", "") + "'"
    if kind == "basic lines":
        ending = draw(st.sampled_from(["", '"', '""', '\\"', "\\\n "]))
        return '"""' + newlines + text.replace("\\", "\\\\").replace('"', "") + newlines + ending + '"""'
    return "'''" + newlines + text.replace("'", "") + draw(st.sampled_from(["", "'", "''"])) + "'''"


def scalar(draw: Any, names: Names) -> str:
    kind = draw(st.sampled_from(["number", "number", "text", "moment", "flag"]))
    if kind == "text":
        return quoted(draw)
    return {"number": names.value(), "moment": "2026-12-25 08:00:00", "flag": "true"}[kind]


def value(draw: Any, names: Names, depth: int) -> str:
    kind = draw(st.sampled_from(["scalar", "scalar", "array", "inline"])) if depth else "scalar"
    if kind == "array":
        parts = [value(draw, names, depth - 1) for _ in range(draw(st.integers(0, 3)))]
        inner = "".join(f"{draw(GAP)}{part}{draw(GAP)}," for part in parts)
        return f"[{inner}{draw(GAP)}]"
    if kind == "inline":
        pairs = [pair(draw, names, depth - 1) for _ in range(draw(st.integers(0, 3)))]
        return "{ " + ", ".join(pairs) + " }"
    return scalar(draw, names)


def key(draw: Any, names: Names) -> str:
    name = names.key()
    escaped = '"\\u006B' + name[1:] + '"'
    return draw(st.sampled_from([name, f'"{name}"', f"'{name}'", escaped]))


def pair(draw: Any, names: Names, depth: int) -> str:
    dotted = [key(draw, names) for _ in range(draw(st.integers(1, 3)))]
    return (
        draw(st.sampled_from([".", " . "])).join(dotted)
        + draw(st.sampled_from(["=", " = "]))
        + value(draw, names, depth)
    )


@st.composite
def documents(draw: Any) -> str:
    names, headers, text = Names(), [], draw(GAP)
    for _ in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(0, 3))):
            text += "\n" + pair(draw, names, 2) + draw(st.sampled_from([" # k0 = [", ""])) + "\n"
        repeated = draw(st.sampled_from([*headers, ""])) if headers else ""
        fresh = draw(st.sampled_from(["[{}]", "[[{}]]", "[ {} ]"]))
        inner = (
            ".".join([*draw(st.sampled_from([*headers, ""])).strip("[] ").split("."), names.key()]).strip(".")
            if headers
            else names.key()
        )
        header = repeated if repeated.startswith("[[") else fresh.format(inner)
        headers.append(header)
        text += f"\n{header}\n"
    return text


def paths(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, tree
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for child, inner in children:
        yield from paths(inner, (*path, child))


def line_of(text: str, word: str) -> int:
    return text[: text.index(word)].count("\n") + 1


@settings(max_examples=120, deadline=None)
@given(documents(), st.booleans())
def test_each_key_and_each_element_has_the_line_on_which_it_is_first_written(text: str, windows: bool) -> None:
    if windows:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    found = lines(text)
    assert set(found) == {path for path, _ in paths(tree)}
    plain = re.sub(r'"\\u006B(\d+_)"', r"k\1", text)
    for path, inner in paths(tree):
        if path and isinstance(path[-1], str) and any(isinstance(each, int) for each in path):
            assert path[-1] in plain.split("\n")[found[path] - 1], path  # each table of a list mentions it anew
        elif path and isinstance(path[-1], str):
            assert found[path] == line_of(plain, path[-1]), path
        elif path and isinstance(inner, int) and not isinstance(inner, bool):
            assert found[path] == line_of(text, str(inner)), path


def test_a_table_within_a_list_of_tables_belongs_to_the_last_one() -> None:
    text = "[[a.b]]\nc = 1\n[[a.b]]\nc = [\n 2,\n 3]\n[a.b.d]\ne.f = '''\n[x]\n'''\n[[a.b.g]]\n'h.i' = 4"
    assert lines(text) == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "b", 0): 1,
        ("a", "b", 0, "c"): 2,
        ("a", "b", 1): 3,
        ("a", "b", 1, "c"): 4,
        ("a", "b", 1, "c", 0): 5,
        ("a", "b", 1, "c", 1): 6,
        ("a", "b", 1, "d"): 7,
        ("a", "b", 1, "d", "e"): 8,
        ("a", "b", 1, "d", "e", "f"): 8,
        ("a", "b", 1, "g"): 11,
        ("a", "b", 1, "g", 0): 11,
        ("a", "b", 1, "g", 0, "h.i"): 12,
    }


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("[]{}=,.#'\"\\ \na1"), max_size=40))
def test_a_text_that_is_no_toml_ends_the_scan_all_the_same(text: str) -> None:
    assert lines(text)[()] == 1
