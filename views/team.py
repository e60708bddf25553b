"""A tenant's agents: seats, limit, foreign chats, what holds them back. Before `queue` and what shows them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

from db import people
from db.views import VIEWS
from views import in_force
from views.source import Source


@dataclass(frozen=True)
class Member:
    """`chats` are our open seats, `others` the estimate of chats that are not ours; both fill the limit."""

    tenant: str
    id: str
    name: str
    online: bool
    chats: int
    others: int
    limit: int
    limit_by: str
    desk_count: int | None
    seen_at: datetime
    last_assigned_at: datetime | None
    reserved: int
    parked: int
    held: int
    refused: str | None = None  # in the desk's words, while it has given them no room since
    refused_until: datetime | None = None  # they get no room before, if they are left out
    email: str = ""  # this and the next ones: of our own chat only
    role: str = ""
    disabled: bool = False
    divisions: tuple[str, ...] = ()
    presence: str | None = None  # of accounts: online, away, offline; `online` says who may be given chats
    locked_until: datetime | None = None  # after too many wrong passwords

    @property
    def load(self) -> int:
        return self.chats + self.others

    @property
    def free(self) -> int:
        return max(0, self.limit - self.load) if self.online else 0


def rows_of(cur: cursor, tenant: str) -> list[Any]:
    """Online ones first."""
    return VIEWS.all(cur, "agents", tenant=tenant, window_s=people.FAILURES_WINDOW_S)


def read(source: Source, cur: cursor, tenant: str) -> list[Member]:
    """Online ones first."""
    rows = rows_of(cur, tenant)
    limits = in_force.read(source, cur, tenant, [row.id for row in rows])
    return [
        Member(
            tenant=tenant,
            id=row.id,
            name=row.name,
            online=row.online,
            chats=row.open_seats,
            others=row.foreign_est,
            limit=limits.of(row.id),
            limit_by=limits.source(row.id),
            desk_count=row.desk_count,
            seen_at=row.seen_at,
            last_assigned_at=row.last_assigned_at,
            reserved=row.reserved,
            parked=row.parked,
            held=row.held,
            refused=row.refused,
            refused_until=row.refused_until,
            email=row.email,
            role=row.role,
            disabled=row.disabled,
            divisions=tuple(row.divisions),
            presence=row.presence,
            locked_until=row.locked_until,
        )
        for row in rows
    ]


def as_data(member: Member) -> dict[str, Any]:
    return {**asdict(member), "free": member.free}
