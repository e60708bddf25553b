"""`giliran tenant`: the Qiscus Omnichannel apps that are served, and our own chats (`native`). Secrets come by prompt,
file or pipe.
"""

import random
import time
from typing import Any

import click

from addresses import wrong_with_http
from db import inbox
from db.admin import ADMIN
from db.ledger import NATIVE_DESK
from db.postgres import LedgerBusy
from db.views import VIEWS
from scripts.admin import native, secret
from scripts.admin.errors import CantDo, Refused
from scripts.admin.installation import Installation, as_json, one, say
from scripts.admin.table import table
from settings import SECRET_MIN
from tenant_ids import RULE, TENANT_ID
from views.words import clean, counted, moment
from worker.desk.base import DeskTrouble
from worker.desk.qiscus import QiscusDesk

HOOKS = ("allocate-agent", "mark-as-solved")
PRIVATE_KEYS = ("epoch", "inbox", "ticket", "rev", "line", "held", "seats")
REMOVE_MOST = 500  # rows of one short transaction: whoever else is served meanwhile waits for none of them
REMOVE_TRIES_S = 60.0  # how long rows that somebody has locked are tried again
REMOVED = (  # what may be much, before what it hangs on
    "remove_rounds",
    "remove_sessions",
    "remove_customers",
    "remove_closed",
    "remove_visits",
    "remove_rooms",
    "remove_refused",
)


@click.group()
def tenant() -> None:
    """Tenants: Qiscus Omnichannel apps and native chats."""


@tenant.command("list")
@as_json
@click.pass_obj
def list_(installation: Installation, as_json: bool) -> None:
    """List the tenants, each with its queue and the state of its desk."""
    with installation.reading() as cur:
        now = VIEWS.one(cur, "now").at
        rows = ADMIN.all(cur, "tenants")
    data = {"tenants": [row._asdict() for row in rows], "at": now}
    say(as_json, data, _list_text(rows) if rows else "no tenant yet: see `giliran tenant add --help`")


def _list_text(rows: list[Any]) -> str:
    head = ("TENANT", "NAME", "DESK", "WAITING", "SEATED", "AGENTS", "ONLINE", "SINCE", "TROUBLE")
    return table(head, [_list_row(row) for row in rows])


def _list_row(row: Any) -> tuple[object, ...]:
    trouble = click.style(clean(row.desk_trouble, 60), fg="red") if row.desk_trouble else ""
    desk = "our own chat" if row.desk == NATIVE_DESK else clean(row.base_url, 50)
    name = clean(row.name, 30)
    return clean(row.id), name, desk, row.waiting, row.seated, row.agents, row.online, moment(row.created_at), trouble


@tenant.command()
@click.argument("app_id", metavar="[ID]", required=False)
@click.option("--native", "own_chat", is_flag=True, help="A native chat instead of a Qiscus app; you choose ID.")
@click.option("--name", metavar="NAME", help="Of a native chat: the name that customers see (default: ID).")
@click.option(
    "--identity-secret-file",
    metavar="FILE",
    help="Of a native chat: a file with the key of userHash; - reads standard input.",
)
@click.option("--no-identity-secret", is_flag=True, help="Of a native chat: userHash is no longer used.")
@click.option("--color", metavar="#RRGGBB", help="Of a native chat: the colour of its page; none removes it.")
@click.option("--url", metavar="URL", help="The address of Qiscus's API (default: QISCUS_OMNICHANNEL_URL).")
@click.option("--secret-key-file", metavar="FILE", help="A file with the secret key; - reads standard input.")
@click.option(
    "--webhook-secret-file", metavar="FILE", help="A file with the secret of its webhooks; - reads standard input."
)
@click.option("--no-webhook-secret", is_flag=True, help="Its webhooks no longer need a secret of their own.")
@click.option("--no-check", is_flag=True, help="Do not try the credentials at Qiscus.")
@as_json
@click.pass_obj
def add(
    installation: Installation,
    app_id: str | None,
    own_chat: bool,
    name: str | None,
    identity_secret_file: str | None,
    no_identity_secret: bool,
    color: str | None,
    url: str | None,
    secret_key_file: str | None,
    webhook_secret_file: str | None,
    no_webhook_secret: bool,
    no_check: bool,
    as_json: bool,
) -> None:
    """Add a Qiscus app, or give a known one new credentials. With --native: add a native chat.

    ID is the app id of the Qiscus app. With --native you choose it; the default is `chat`. For a native chat that
    exists, what you do not give stays as it is: its name, its identity secret, its colour.

    Giliran asks for the secret key unless --secret-key-file names a file that holds it. It is never an argument,
    because other users of this machine could read it. A running worker serves the tenant within a second.
    """
    if app_id is not None and not TENANT_ID.fullmatch(app_id):
        raise Refused(f"{clean(app_id)!r} is not a valid id: use {RULE}")
    of_qiscus = url or secret_key_file or webhook_secret_file or no_webhook_secret or no_check
    if own_chat:
        if of_qiscus:
            raise click.UsageError(
                "with --native go --name, --color, --identity-secret-file and --no-identity-secret only"
            )
        if identity_secret_file and no_identity_secret:
            raise click.UsageError("--identity-secret-file and --no-identity-secret exclude one another")
        native.add(installation, app_id, name, identity_secret_file, no_identity_secret, color, as_json)
        return
    if name is not None or identity_secret_file or no_identity_secret or color is not None:
        raise click.UsageError("--name, --color, --identity-secret-file and --no-identity-secret go with --native only")
    if app_id is None:
        raise click.UsageError(
            "ID is missing: the app id of the Qiscus app; only a chat of our own, --native, needs none"
        )
    if webhook_secret_file and no_webhook_secret:
        raise click.UsageError("--webhook-secret-file and --no-webhook-secret exclude one another")
    if [webhook_secret_file, secret_key_file].count("-") > 1:
        raise click.UsageError("standard input can't hold both secrets")
    base_url = _base_url(url or installation.settings.qiscus_url)
    secret_key = secret.read("secret key", secret_key_file)
    digest = _digest(webhook_secret_file, no_webhook_secret)
    with installation.reading():
        pass  # servers that are away, or not migrated, are told before Qiscus is asked
    _check(base_url, app_id, secret_key, ask=not no_check)
    values = {"base_url": base_url, "secret_key": secret_key, "digest": digest}
    with installation.writing() as cur:
        row = ADMIN.one(cur, "put_tenant", tenant=app_id, **values)
        if row is not None:
            installation.audit(cur, app_id, "tenant add", app_id, after=_told(base_url, digest, row.added))
    if row is None:
        raise Refused(f"{app_id} is a chat of our own: `giliran tenant list`")
    paths = [f"/{app_id}/{hook}/webhook" for hook in HOOKS]
    needs_secret = bool(webhook_secret_file)
    data = {"tenant": app_id, "added": row.added, "checked": not no_check, "webhooks": paths}
    own = "\nThis is the settings' own tenant: at its start a worker takes QISCUS_SECRET_KEY of the environment again."
    text = added_text(app_id, row.added, not no_check, paths, needs_secret)
    say(as_json, data, text + (own if app_id == installation.settings.qiscus_app_id else ""))


def _told(base_url: str, digest: str | None, added: bool) -> dict[str, Any]:
    """To the audit: what was given. Of secrets only that."""
    secrets = {} if digest is None else {"webhook_secret": "set" if digest else "none"}
    return {"added": added, "base_url": base_url, "secret_key": "set", **secrets}


def added_text(app_id: str, added: bool, checked: bool, paths: list[str], needs_secret: bool) -> str:
    credentials = "Qiscus accepts its credentials" if checked else "its credentials were not checked"
    lines = [f"{app_id} {'added' if added else 'updated'}: {credentials}", ""]
    lines += ["Set these webhooks in Qiscus Omnichannel, with the receiver's public address in front:"]
    lines += [f"  agent allocation  {paths[0]}", f"  mark as resolved  {paths[1]}"]
    if needs_secret:
        lines += ["each with the webhook secret: ?secret=… at its end, or a header X-Webhook-Secret"]
    return "\n".join(lines)


def _base_url(text: str) -> str:
    if wrong := wrong_with_http(text):
        raise Refused(f"the URL {wrong}")
    return text.rstrip("/")


def _digest(file: str | None, remove: bool) -> str | None:
    """None keeps what is there, '' asks for none."""
    if file is None:
        return "" if remove else None
    return inbox.digest(secret.read("webhook secret", file, SECRET_MIN))


def _check(base_url: str, app_id: str, secret_key: str, ask: bool) -> None:
    try:
        desk = QiscusDesk(base_url, app_id, secret_key, pool_size=1)
    except ValueError as error:
        raise Refused(f"{base_url} can't be used as a desk") from error
    try:
        if ask:
            desk.probe()
    except DeskTrouble as error:
        if error.permanent:
            raise Refused(f"Qiscus refuses these credentials ({error.what}); nothing was saved") from error
        raise CantDo(f"Qiscus could not be asked ({error.what}); nothing was saved; see --no-check") from error
    finally:
        desk.close()


@tenant.command()
@click.argument("app_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Confirm: its rooms, agents and history are deleted.")
@as_json
@click.pass_obj
def remove(installation: Installation, app_id: str, yes: bool, as_json: bool) -> None:
    """Stop serving a tenant, and delete its data. Its limit keys stay: they are the admin's.

    A long history is deleted in short steps while other tenants are served. If the command is interrupted, run it
    again.
    """
    with installation.reading() as cur:
        one(cur, app_id)
        row = next(row for row in ADMIN.all(cur, "tenants") if row.id == app_id)
    if app_id == installation.settings.qiscus_app_id:
        raise Refused(f"{app_id} is the settings' own tenant, a worker would add it again: unset QISCUS_APP_ID first")
    if not yes:
        rooms = f"{counted(row.waiting, 'room')} waiting and {row.seated} with an agent"
        raise Refused(f"{app_id} has {rooms}; all that is known of it would be deleted: say --yes")
    for block in REMOVED:
        _remove_all(installation, app_id, block)
    _remove_all(installation, app_id, "remove_tenant")
    with installation.writing() as cur:
        installation.audit(cur, None, "tenant remove", app_id)
    installation.redis.delete(*(inbox.key(app_id, name) for name in PRIVATE_KEYS))
    say(as_json, {"tenant": app_id, "removed": True}, f"{app_id} removed")


def _remove_all(installation: Installation, tenant: str, block: str) -> None:
    """One step, in short transactions under the tenant's lock: the lock order is tenants, agents, visits, sessions."""
    until = time.monotonic() + REMOVE_TRIES_S
    while True:
        try:
            with installation.writing() as cur:
                ADMIN.run(cur, "retire", tenant=tenant)
                if ADMIN.run(cur, block, tenant=tenant, most=REMOVE_MOST) < REMOVE_MOST:
                    return
            until = time.monotonic() + REMOVE_TRIES_S
        except LedgerBusy as error:
            if time.monotonic() > until:
                raise CantDo(f"{tenant} is half removed ({error}): say it again to go on") from error
            time.sleep(random.uniform(0.05, 0.2))
