"""The agents of a tenant as a person wants to see them: seats, limit, what is not ours. For `agent`, `line`, `why`."""

from collections.abc import Iterable
from datetime import datetime

import click

from scripts.admin.table import table
from views.team import Member
from views.words import age, ahead, clean, listed

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
