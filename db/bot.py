"""What the bot reads and writes in PostgreSQL beside its messages. Every function runs in the caller's transaction.
The SQL is in `queries/bot.sql`.
"""

from typing import NamedTuple

from psycopg2.extensions import cursor

from db.postgres import Statements

BOT = Statements("bot")


class Turn(NamedTuple):
    """One earlier message of customer or bot."""

    seq: int
    by_customer: bool
    body: str


class Hears(NamedTuple):
    """A session as the bot sees it. `session` is its number; `language` that of the page, where it told."""

    session: int
    may_answer: bool
    has_faq: bool
    language: str | None


class Asking(NamedTuple):
    """A session that wants a person; as `Hears`."""

    session: int
    language: str | None


def hears(cur: cursor, tenant: str, room: str) -> Hears | None:
    row = BOT.one(cur, "hears", tenant=tenant, room=room)
    return Hears(*row) if row else None


def talk(cur: cursor, session: int, most: int) -> list[Turn]:
    """The last messages of customer and bot, oldest first."""
    rows = BOT.all(cur, "talk", session=session, most=most)
    return [Turn(row.seq, row.sender_type == "customer", row.body) for row in reversed(rows)]


def want_person(cur: cursor, tenant: str, room: str) -> Asking | None:
    """From now on the bot is quiet there. None if it was quiet already, or nobody waits."""
    row = BOT.one(cur, "want_person", tenant=tenant, room=room)
    return Asking(*row) if row else None
