"""The agents of a tenant as a person wants to see them: seats, limit, what is not ours. For `agent`, `line`, `why`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click
from psycopg2.extensions import cursor

from db import people
from db.admin import ADMIN
from scripts.admin import in_force
from scripts.admin.installation import Installation
from scripts.admin.table import age, ahead, clean, listed, table


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
    return ADMIN.all(cur, "agents", tenant=tenant, window_s=people.FAILURES_WINDOW_S)


def read(installation: Installation, cur: cursor, tenant: str) -> list[Member]:
    """Online ones first."""
    rows = rows_of(cur, tenant)
    limits = in_force.read(installation, cur, tenant, [row.id for row in rows])
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


HEAD = (
    "AGENT",
    "NAME",
    "E-MAIL",
    "ROLE",
    "DIVISIONS",
    "ONLINE",
    "CHATS",
    "OTHERS",
    "LIMIT",
    "FREE",
    "DESK SAYS",
    "SEEN",
    "LAST ASSIGNED",
    "NOTE",
)


def text(members: Iterable[Member], now: datetime, indent: str = "") -> str:
    return table(HEAD, [row(member, now) for member in members], indent)


def row(member: Member, now: datetime) -> tuple[object, ...]:
    return (
        clean(member.id),
        clean(member.name, 30),
        clean(member.email, 40),
        member.role,
        listed(member.divisions, 3),
        member.presence or ("yes" if member.online else "no"),
        member.chats,
        member.others or "-",
        member.limit,
        member.free if member.online else "-",
        "-" if member.desk_count is None else member.desk_count,
        age(member.seen_at, now),
        age(member.last_assigned_at, now),
        note(member, now),
    )


def note(member: Member, now: datetime) -> str:
    notes = []
    if member.refused:
        again = f", tried again {ahead(member.refused_until, now)}" if member.refused_until else ""
        notes.append(click.style(f"the desk refuses them: {clean(member.refused, 60)}{again}", fg="yellow"))
    if member.disabled:
        notes.append("disabled: can't log in")
    elif member.locked_until:
        words = f"locked after wrong passwords, may log in again {ahead(member.locked_until, now)}"
        notes.append(click.style(words, fg="yellow"))
    here = member.presence or ("online" if member.online else "offline")
    if member.chats and here != "online":
        notes.append(click.style(f"{here}, still has rooms", fg="yellow"))
    if member.load > member.limit and member.limit:
        notes.append(click.style("over the limit", fg="yellow"))
    if member.limit == 0:
        notes.append("paused: limit 0")
    if member.parked:
        notes.append(f"{member.parked} assign to be tried again")
    return ", ".join(notes)


def as_data(member: Member) -> dict[str, Any]:
    return {**asdict(member), "free": member.free}
