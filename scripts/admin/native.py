"""Our own chat as a tenant, for `tenant`, `agent`, `faq` and `transcript`: adding one, and which one is meant."""

import re
from typing import Any

import click
from psycopg2.extensions import cursor

from db import people
from db.admin import ADMIN
from scripts.admin import installation as here
from scripts.admin import secret
from scripts.admin.errors import NotFound, Refused
from scripts.admin.installation import Installation, say
from settings import SECRET_MIN
from views.words import clean, listed

ID = "chat"  # where `tenant add --native` is given none
COLOR = re.compile("#[0-9a-fA-F]{6}")
NO_COLOR = "none"


def add(
    installation: Installation,
    given: str | None,
    name: str | None,
    identity_file: str | None,
    no_identity: bool,
    color: str | None,
    json: bool,
) -> None:
    """Add it, or give a known one another name, identity secret or colour. What is not given stays as it is."""
    tenant = ID if given is None else given
    shown = None if name is None else _shown(name)
    identity = (
        secret.read("identity secret", identity_file, SECRET_MIN) if identity_file else "" if no_identity else None
    )
    values = {"name": shown, "identity_secret": identity, "color": None if color is None else _color(color)}
    with installation.writing() as cur:
        row = ADMIN.one(cur, "put_native_tenant", tenant=tenant, **values)
        if row is not None:
            told = {"name": row.name, "color": row.color, "identity_secret": "set" if row.proves else "none"}
            installation.audit(cur, tenant, "tenant add", tenant, after={**told, "added": row.added})
    if row is None:
        raise Refused(f"{clean(tenant)} is a Qiscus app: our own chat needs an id of its own")
    page = f"/chat?tenant={tenant}"
    data = {
        "tenant": tenant,
        "added": row.added,
        "name": row.name,
        "page": page,
        "identity_secret": row.proves,
        "color": row.color,
    }
    say(json, data, added_text(tenant, row, page, chosen=given is None))


def added_text(tenant: str, row: Any, page: str, chosen: bool) -> str:
    lines = [f"no ID was given: {tenant} is meant"] if chosen else []
    done = "added" if row.added else "updated"
    lines += [f"{tenant} {done} ({clean(row.name)}): customers' page {page}, agents' page /agent (CHAT_PORT)"]
    lines += ["an identity secret is set: it proves who a userHash belongs to"] if row.proves else []
    lines += (
        [f"Agents log in with accounts: giliran agent add E-MAIL --name NAME --tenant {tenant}"] if row.added else []
    )
    return "\n".join(lines)


def _color(color: str) -> str:
    """As it is kept; empty for none."""
    if color == NO_COLOR:
        return ""
    if not COLOR.fullmatch(color):
        raise Refused(f"{clean(color)!r} is not a colour: write it like #7c3aed, or {NO_COLOR}")
    return color.lower()


def _shown(name: str) -> str:
    shown = people.shown_name(name)
    if shown is None:
        raise Refused(f"a name has 1 to {people.NAME_MOST} characters that can be shown, on one line")
    return shown


def with_accounts(cur: cursor, wanted: str | None, role: str = "supervisor") -> str:
    """The tenant that is meant of those whose people may have accounts: each may have supervisors, our own chat's
    agents too. Not named: the only one with a chat of our own, else the only one."""
    if wanted is None and ADMIN.all(cur, "native_tenants"):
        return one(cur, None)
    tenant = here.one(cur, wanted)
    if role == "agent" and tenant not in [row.id for row in ADMIN.all(cur, "native_tenants")]:
        why = "its agents are those of Qiscus; people with --role supervisor or admin may log in to /ops"
        raise Refused(f"{clean(tenant)} is a Qiscus app: {why}")
    return tenant


def one(cur: cursor, wanted: str | None) -> str:
    """The tenant with our own chat that is meant: the only one, or the one named."""
    known = [row.id for row in ADMIN.all(cur, "native_tenants")]
    if wanted is not None and wanted not in known:
        names = f"known: {listed(known)}" if known else "there is none yet: see `giliran tenant add --help`"
        raise NotFound(f"no tenant {clean(wanted)!r} with a chat of our own ({names})")
    if wanted is None and len(known) > 1:
        raise click.UsageError(f"several tenants have a chat of our own: say --tenant with one of {listed(known)}")
    if not known:
        raise NotFound("no tenant with a chat of our own yet: see `giliran tenant add --help`")
    return wanted or known[0]
