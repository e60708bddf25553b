"""One word, one thing: the glossary against the docs, the help texts and the pages; log words against their table; and
where the architecture page says that something happens.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.source import ROOT, code, last_name, nodes, text
from tests.unit.test_words import ARCHITECTURE, EXAMPLE, OPERATIONS, PAGES, PRODUCT, admin, rows, section
from tests.variants import each

GLOSSARY = (ROOT / "docs/glossary.md").read_text()
CHAT = (ROOT / "docs/chat.md").read_text()
OLDER = {"glossary.md", "CHANGELOG.md"}  # the one lists the words, the other is history
SITE = [
    *(ROOT / f"sidecar/pages/js/words/{page}.js" for page in ("agent", "chat", "site")),
    ROOT / "sidecar/pages/widget/words.js",
    ROOT / "scripts/simulator/page/words.js",
]


# --- terms


def terms() -> list[str]:
    return re.findall(r"^\| \*\*(.+?)\*\* \|", section(GLOSSARY, "Terms"), re.M)


def test_each_term_stands_once_in_the_order_of_the_alphabet() -> None:
    assert terms() == sorted(set(terms()))


def unwanted(on_pages: bool = False) -> Iterator[str]:
    for said, _, pages in rows(section(GLOSSARY, "What we don't say"))[1:]:
        if pages == "yes" or not on_pages:
            yield from said.split(", ")


def prose(text: str) -> str:
    """Without code, names of files, targets of links, addresses."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"`[^`]*`|\[[\w./\\]+\.\w+\]\([^)]*\)|\]\([^)]*\)|<[^>]*>", " ", text)
    return re.sub(r"\s+", " ", text)


def found(words: Iterator[str], text: str) -> list[str]:
    return [word for word in words if re.search(rf"(?<![\w.-]){re.escape(word)}s?(?![\w-])", text, re.I)]


@each("page", [page for page in PAGES if page.name not in OLDER] + [EXAMPLE], ids=lambda p: p.name)
def test_a_document_uses_the_words_of_the_glossary(page: Path) -> None:
    assert found(unwanted(), prose(page.read_text())) == []


def helps(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    yield path, command.get_help(click.Context(command, info_name=path))
    for name, child in getattr(command, "commands", {}).items():
        yield from helps(child, f"{path} {name}")


@each(("path", "text"), [pytest.param(p, text, id=p) for p, text in helps(admin(), "giliran")])
def test_a_help_text_uses_the_words_of_the_glossary(path: str, text: str) -> None:
    assert found(unwanted(), prose(text)) == []


@each("file", SITE, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_page_uses_the_words_of_the_glossary(file: Path) -> None:
    english = re.search(r"^(?:  en: |const ENGLISH = )\{\n(.*?)^ *\}[,;]", file.read_text(), re.M | re.S)
    assert english
    said = " . ".join(re.findall(r'"((?:[^"\\]|\\.)*)"', english[1]))
    assert found(unwanted(on_pages=True), said) == []


# --- log words


BY_NAME = {  # words that a variable carries to `logs.line`
    "receiver/gunicorn.conf.py": r'found\["([a-z_]+)"\]',
    "worker/intake.py": r'"((?:arrived|resolved?|already)(?:_\w+)?)"',
    "sidecar/customers/attendance.py": r'return "(session_ended|customer_gone)"',
    "sidecar/agents/seats.py": r'_logged\("(\w+)"',
}
PASSES_ON = {"logs.py", "db/turn.py"}  # each hands on the word that it is given
SAID_ELSEWHERE = {"receiver/gunicorn.conf.py": "settings.py", "worker/intake.py": "worker/visits.py"}


def log_words() -> set[str]:
    """Of `logs.line("word", …)`, of an outage that begins and ends, and of the few that a variable carries."""
    words = {"arrived", "resolved"}  # the receiver's f-string
    carried = set()
    for path in [*code(*PRODUCT), *(ROOT / "receiver").glob("*.py")]:
        for call in (node for node in nodes(path) if isinstance(node, ast.Call)):
            if not last_name(call.func).endswith(("line", "Outage", "Outages")):
                continue
            name, first = ast.unparse(call.func), call.args[:1]
            if re.fullmatch(r"(?:(?:\w+\.)*(?:logs|_?turn|self)\.)?line", name) and first:
                if isinstance(first[0], ast.Constant):
                    words.add(str(first[0].value))
                else:
                    carried.add(str(path.relative_to(ROOT)))
            elif name.endswith(("Outage", "Outages")):
                words |= {arg.value for arg in call.args[1:3] if isinstance(arg, ast.Constant)}
    assert carried - PASSES_ON <= set(BY_NAME), "say where these words come from"
    for path, pattern in BY_NAME.items():
        words |= set(re.findall(pattern, (ROOT / SAID_ELSEWHERE.get(path, path)).read_text()))
    return words


def told_log_words() -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section(OPERATIONS, "Log words"), re.M)


def test_the_docs_have_every_log_word_once_and_no_other() -> None:
    told = told_log_words()
    assert sorted(told) == sorted(set(told))
    assert set(told) == log_words()


def test_each_log_word_says_what_to_do() -> None:
    assert all(means.endswith(".") and do for _, means, do in rows(section(OPERATIONS, "Log words")) if do != "do")


def test_what_the_runbook_quotes_is_what_the_programs_say() -> None:
    said = "\n".join(text(path) for path in code(*PRODUCT, "scripts"))
    quoted = re.findall(r'"([^"|]+)"', section(OPERATIONS, "Runbook"))
    assert len(quoted) > 5 and [words for words in quoted if words not in said] == []


# --- where things happen


def test_things_happen_where_the_tour_says() -> None:
    for question, answer in rows(section(ARCHITECTURE, "Where does it happen?"))[1:]:
        for file, names in re.findall(r"`([\w/]+\.\w+)`(?:: ((?:`\w+`(?:, )?)+))?", answer):
            text = (ROOT / file).read_text()
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", text, re.M), (question, name)


def test_every_file_that_a_document_names_is_there() -> None:
    for page in PAGES:
        if page.name not in OLDER:
            named = re.findall(r"`((?:\w+/)+[\w.]+\.\w+)`", page.read_text())
            assert [name for name in named if "NNNN" not in name and not (ROOT / name).exists()] == [], page.name


def test_the_docs_have_every_option_of_the_widget() -> None:
    listed = re.search(
        r"^const OPTIONS = \[(.*)\];$", (ROOT / "sidecar/pages/js/site/widget-demo.js").read_text(), re.M
    )
    table = [row[0] for row in rows(section(CHAT, "The widget")) if row[0].startswith("`")]
    assert listed and sorted(re.findall(r"\w+", listed[1])) == sorted(re.findall(r"\w+", " ".join(table)))


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
    assert [path.name for path in (ROOT / "docs/pictures").iterdir() if path.stat().st_size > 150 * 1024] == []
