"""Places in the queue as pages see them, and how fast the queue moves. Every function runs in the caller's
transaction; the SQL is in `queries/places.sql`.
"""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

from db.postgres import Statements

PLACES = Statements("places")


def pace(cur: cursor, tenant: str) -> Any:
    """(waiting, online, seats, free, lengths)"""
    return PLACES.one(cur, "pace", tenant=tenant)


def first(cur: cursor, tenant: str, most: int) -> list[Any]:
    """(room, position, of) in the queue of each."""
    return PLACES.all(cur, "places", tenant=tenant, most=most)


def behind(cur: cursor, tenant: str, most: int, rooms: Sequence[str]) -> list[Any]:
    """The same of these rooms, as far as they are not among the first."""
    return PLACES.all(cur, "places_behind", tenant=tenant, most=most, rooms=" ".join(rooms))
