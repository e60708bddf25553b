"""Small questions about tenants: which there are, whether they have changed, when today began and how it went."""

from datetime import datetime

from psycopg2.extensions import cursor

from db import minutes
from db.minutes import Today
from db.views import VIEWS


def tenants(cur: cursor) -> list[str]:
    return [row.id for row in VIEWS.all(cur, "tenant_ids")]


def revs(cur: cursor) -> dict[str, int]:
    """Of each tenant a number that rises with each decision."""
    return {row.id: row.rev for row in VIEWS.all(cur, "revs")}


def customers(cur: cursor, tenant: str, rooms: list[str]) -> dict[str, str]:
    """Of rooms that are sessions of our own chat: room → name."""
    return {row.room: row.name for row in VIEWS.all(cur, "customers_of", tenant=tenant, rooms=rooms)}


def midnight(cur: cursor) -> datetime:
    """Of the UTC day."""
    found: datetime = VIEWS.one(cur, "midnight").at
    return found


def today(cur: cursor, tenant: str, target_s: float) -> Today:
    return minutes.today(cur, tenant, midnight(cur), target_s)
