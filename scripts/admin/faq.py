"""`giliran faq`: the questions and answers that the bot of our own chat answers from, out of a file and back."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from db import faq as entries
from scripts.admin import native
from scripts.admin.errors import CantDo, Refused
from scripts.admin.installation import Installation, as_json, say, tenant_option
from scripts.admin.table import table
from views.words import clean, counted

ENTRIES_MOST = 10_000
QUESTION_MOST, ANSWER_MOST = 500, 5000  # characters
QUESTION_SHOWN, ANSWER_SHOWN = 50, 80  # characters of a table's row
FIELDS = ("question", "answer")
NAMED = {",": "commas", ";": "semicolons", "\t": "tabs"}


@click.group()
def faq() -> None:
    """Questions and answers that the bot knows."""


@faq.command("import")
@click.argument("file", metavar="FILE")
@tenant_option
@as_json
@click.pass_obj
def import_(installation: Installation, file: str, tenant: str | None, as_json: bool) -> None:
    """Replace all questions and answers by those in FILE; - reads standard input.

    FILE is CSV with the columns question and answer (a first line with these names is optional; commas, semicolons or
    tabs separate the columns), or a JSON list of {"question": …, "answer": …}. If a question appears twice, its last
    answer counts. The bot uses the new answers at once.
    """
    found = parsed(_content(file))
    with installation.writing() as cur:
        tenant = native.one(cur, tenant)
        count = entries.replace(cur, tenant, found)
        installation.audit(cur, tenant, "faq", after={"questions": count})
    data = {"tenant": tenant, "entries": count, "replaced": True}
    say(as_json, data, f"{tenant} has {counted(count, 'question')} now, instead of all before")


@faq.command("list")
@tenant_option
@as_json
@click.pass_obj
def list_(installation: Installation, tenant: str | None, as_json: bool) -> None:
    """List the questions and answers, in the order of the file.

    The table shortens long ones. --json shows them whole, in a form that `giliran faq import` reads.
    """
    with installation.reading() as cur:
        tenant = native.one(cur, tenant)
        found = entries.first(cur, tenant, None)
    say(as_json, [entry._asdict() for entry in found], list_text(found))


def list_text(found: Sequence[entries.Entry]) -> str:
    if not found:
        return "no question yet: `giliran faq import FILE` takes them from a file"
    rows = [(_on_one_line(each.question, QUESTION_SHOWN), _on_one_line(each.answer, ANSWER_SHOWN)) for each in found]
    return table(("QUESTION", "ANSWER"), rows)


def _on_one_line(text: str, most: int) -> str:
    return clean(" ".join(text.split()), most)


def parsed(text: str) -> list[tuple[str, str]]:
    """(question, answer) of a file's text. Raises `Refused` with the place of what is wrong."""
    rows = _of_json(text) if text.lstrip().startswith(("[", "{")) else _of_csv(text)
    if not rows:
        raise Refused("the file holds no question")
    if len(rows) > ENTRIES_MOST:
        raise Refused(f"the file holds {len(rows)} questions: {ENTRIES_MOST} are the most")
    return [_checked(where, question, answer) for where, question, answer in rows]


def _of_json(text: str) -> list[tuple[str, Any, Any]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Refused(f"the file is no JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise Refused('the JSON must be a list of {"question": …, "answer": …}')
    return [(f"entry {n}", row.get("question"), row.get("answer")) for n, row in enumerate(found, start=1)]


def _of_csv(text: str) -> list[tuple[str, Any, Any]]:
    mark, text = _mark_between(text)
    reader = csv.reader(io.StringIO(text), delimiter=mark, strict=True)
    rows = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(FIELDS):
                raise Refused(
                    f"line {reader.line_num} has {counted(len(row), 'column')} between {NAMED[mark]}:"
                    " question and answer are wanted"
                )
            rows.append((f"line {reader.line_num}", row[0], row[1]))
    except csv.Error as error:
        raise Refused(f"line {reader.line_num} is no CSV: {error}") from error
    names_first = bool(rows) and _are_names(rows[0][1:])
    return rows[1:] if names_first else rows


def _mark_between(text: str) -> tuple[str, str]:
    """What stands between the columns, and the text without a line that says so: where the decimal mark is a comma,
    spreadsheets write semicolons. Raises `Refused` where it can't be told."""
    first, _, rest = text.partition("\n")
    if said := re.fullmatch(r"sep=([,;\t])", first.strip(" \r"), re.IGNORECASE):
        return said[1], rest
    firsts = {mark: next(_rows(text, mark), []) for mark in NAMED}
    named = [mark for mark, row in firsts.items() if _are_names(row)]
    fit = named or [mark for mark in NAMED if {len(row) for row in _rows(text, mark)} == {len(FIELDS)}]
    if len(fit) > 1:
        both = " and ".join(NAMED[mark] for mark in fit)
        raise Refused(f"both {both} may stand between the columns: begin the file with the line question{fit[0]}answer")
    guessed = max(NAMED, key=lambda mark: len(firsts[mark]) == len(FIELDS))
    return (fit or [guessed])[0], text


def _rows(text: str, mark: str) -> Iterator[list[str]]:
    """Those with something in them, as far as they can be read."""
    with suppress(csv.Error):
        yield from (row for row in csv.reader(io.StringIO(text), delimiter=mark) if any(cell.strip() for cell in row))


def _are_names(row: Sequence[str]) -> bool:
    return tuple(cell.strip().lower() for cell in row) == FIELDS


def _checked(where: str, question: Any, answer: Any) -> tuple[str, str]:
    for name, value, most in (("question", question, QUESTION_MOST), ("answer", answer, ANSWER_MOST)):
        if not isinstance(value, str) or not value.strip():
            raise Refused(f"{where} has no {name}")
        if len(value) > most or "\0" in value:
            raise Refused(f"{where}: the {name} has more than {most} characters, or one that is none")
    return question.strip(), answer.strip()


def _content(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise CantDo(f"{clean(file)} can't be read ({error.strerror})") from error
    except ValueError as error:
        raise Refused(f"{clean(file)} is no text in UTF-8") from error
