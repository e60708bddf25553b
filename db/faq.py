"""A tenant's frequent questions and their answers in PostgreSQL: written and listed by `giliran faq`, searched by the
bot. Every function runs in the caller's transaction. The SQL is in `queries/faq.sql`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor

from db.postgres import Statements

FAQ = Statements("faq")
PREFIX_FROM = 4  # letters; a shorter word must be met exactly, a longer one also as the beginning of another


class Entry(NamedTuple):
    question: str
    answer: str


def replace(cur: cursor, tenant: str, entries: Sequence[tuple[str, str]]) -> int:
    """These entries, (question, answer), instead of all there were. Gives how many there are now; a question that
    comes twice counts once, with its last answer."""
    FAQ.run(cur, "forget", tenant=tenant)
    return FAQ.run(
        cur,
        "add",
        tenant=tenant,
        questions=[question.strip() for question, _ in entries],
        answers=[answer.strip() for _, answer in entries],
    )


def has(cur: cursor, tenant: str) -> bool:
    return bool(FAQ.one(cur, "has", tenant=tenant).has)


def search(cur: cursor, tenant: str, words: Iterable[str], most: int) -> list[Entry]:
    """Entries with any of the words, best first. Words: letters and digits only, as `bot/answers.py` cuts them."""
    query = " | ".join(_term(word) for word in words if word.isalnum())
    if not query:
        return []
    return [Entry(*row) for row in FAQ.all(cur, "search", tenant=tenant, query=query, most=most)]


def first(cur: cursor, tenant: str, most: int | None) -> list[Entry]:
    """The first entries as imported, for who can read them all. `most` None: every one."""
    return [Entry(*row) for row in FAQ.all(cur, "first", tenant=tenant, most=most)]


def _term(word: str) -> str:
    return f"'{word}':*" if len(word) >= PREFIX_FROM else f"'{word}'"
