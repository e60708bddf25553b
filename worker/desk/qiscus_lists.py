"""Pure: Qiscus's lists of agents and divisions that come by page numbers, as values. `qiscus_teams.py` reads them."""

from dataclasses import dataclass
from typing import Any

from routing.texts import RAW_MAX
from worker.desk.base import RosterAgent
from worker.desk.qiscus_answers import (
    Ask,
    Malformed,
    agents_of,
    broken,
    count,
    meta_of,
    plain_id,
    roster_agent,
    within,
)


@dataclass(frozen=True)
class NumberedPage:
    """One of a listing by page numbers. How many pages or rows there are in all; None: not told."""

    rows: list[Any]
    pages: int | None
    total: int | None

    def is_last(self, number: int, seen: int) -> bool:
        """`seen`: the rows of this page and of those before."""
        told = self.pages is not None and number >= self.pages or self.total is not None and seen >= self.total
        return told or not self.rows

    @property
    def is_counted(self) -> bool:
        return self.pages is not None or self.total is not None


@dataclass(frozen=True)
class Division:
    id: str
    name: str  # as the desk writes it


@dataclass(frozen=True)
class Listed:
    """An agent in one of the admin's lists."""

    agent: RosterAgent
    email: str
    divisions: frozenset[str] = frozenset()  # their ids, where the list tells them


def numbered_agents(told: dict[str, Any], ask: Ask) -> NumberedPage:
    return _numbered(told, agents_of(told), ask)


def numbered_divisions(told: dict[str, Any], ask: Ask) -> NumberedPage:
    return _numbered(told, told.get("data"), ask)


def listed(row: object) -> Listed | None:
    """None also for who was deleted: the list by ids names them."""
    agent, email = roster_agent(row), within(row, "email")
    if agent is None or within(row, "deleted_at"):
        return None
    return Listed(agent, email if isinstance(email, str) and len(email) <= RAW_MAX else "", _divisions(row))


def _divisions(row: object) -> frozenset[str]:
    """Called roles there."""
    roles = within(row, "user_roles")
    ids = (plain_id(within(role, "id")) for role in roles) if isinstance(roles, list) else ()
    return frozenset(id_ for id_ in ids if id_ is not None)


def division(row: object) -> Division:
    id_, name = plain_id(within(row, "id")), within(row, "name")
    if id_ is None or not isinstance(name, str) or len(name) > RAW_MAX:
        raise Malformed
    return Division(id_, name)


def _numbered(told: dict[str, Any], rows: object, ask: Ask) -> NumberedPage:
    if not isinstance(rows, list):
        raise broken(ask, "no list in the answer")
    meta = meta_of(told)
    total = count(within(meta, "total")) or count(within(meta, "total_count"))
    return NumberedPage(rows, count(within(meta, "total_page")) or None, total or None)
