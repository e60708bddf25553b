"""`giliran customer`: everything that our own chat stores about one person, to hand out or to erase.

What a law on personal data lets a customer ask for. Rooms of Qiscus have their messages, names and addresses there:
this product stores only their ids.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import click
from psycopg2.extensions import cursor

from db import transcript as transcripts
from db.admin import ADMIN
from db.ledger import lock
from scripts.admin import native
from scripts.admin.errors import CantDo, NotFound, Refused
from scripts.admin.installation import Installation, as_json, say, tenant_option
from scripts.launch import folder
from views.words import clean, counted, harmless

ERASE_BATCH = 20  # chats of one short transaction; each may have thousands of messages
ATTACHMENTS = "attachments"  # in GILIRAN_DATA, as the sidecar lays them out


@click.group()
def customer() -> None:
    """Export or erase what the native chat stores about one customer."""


@customer.command()
@click.argument("email", metavar="E-MAIL")
@click.option("--to", metavar="FOLDER", help="Write customer.json and the files that were sent into this new folder.")
@tenant_option
@as_json
@click.pass_obj
def export(installation: Installation, email: str, to: str | None, tenant: str | None, as_json: bool) -> None:
    """Print everything that is stored about a customer, as text or with --json as JSON.

    That is names, every chat with all its messages, the agents' private notes, ratings, and which files were sent. --to
    also copies the files, on a machine that has the sidecar's GILIRAN_DATA.
    """
    with installation.reading() as cur:
        tenant = native.one(cur, tenant)
        data = _everything(cur, tenant, email)
    if to is None:
        say(as_json, data, _as_text(data))
        return
    missing = _write(data, Path(to), installation.settings.data / ATTACHMENTS)
    chats = len(data["chats"])
    told = f"{counted(chats, 'chat')} of {clean(email)} written to {clean(to)}{_missing_text(missing)}"
    say(as_json, {"tenant": tenant, "email": email, "folder": to, "chats": chats, "files_missing": missing}, told)


@customer.command()
@click.argument("email", metavar="E-MAIL")
@click.option("--yes", is_flag=True, help="Confirm: this can't be undone.")
@tenant_option
@as_json
@click.pass_obj
def erase(installation: Installation, email: str, yes: bool, tenant: str | None, as_json: bool) -> None:
    """Delete everything that is stored about a customer: chats, messages, notes, ratings, names.

    The customer's chats must have ended. The sidecar deletes the files within two hours. A random id of each chat, with
    its times and its agent, stays until KEEP_DAYS. Backups and other programs' logs are yours to clean.
    """
    with installation.reading() as cur:
        tenant = native.one(cur, tenant)
        ids = [row.id for row in _records(cur, tenant, email)]
        sessions = ADMIN.all(cur, "customer_sessions", customers=ids)
    _refuse_open(email, sessions)
    if not yes:
        raise Refused(f"{counted(len(sessions), 'chat')} of {clean(email)} would be deleted for good: say --yes")
    chats = _erase(installation, tenant, ids)
    data = {"tenant": tenant, "email": email, "chats_erased": chats}
    say(as_json, data, f"{clean(email)} erased from {tenant}, with {counted(chats, 'chat')}")


def _records(cur: cursor, tenant: str, email: str) -> list[Any]:
    found = ADMIN.all(cur, "customer_records", tenant=tenant, email=email.strip()) if email.isprintable() else []
    if not found:
        raise NotFound(f"nobody with the address {clean(email)!r} ever chatted in {tenant}")
    return found


def _everything(cur: cursor, tenant: str, email: str) -> dict[str, Any]:
    records = _records(cur, tenant, email)
    sessions = ADMIN.all(cur, "customer_sessions", customers=[row.id for row in records])
    known_as = [
        {"name": row.name, "email": row.email, "proved": row.proved, "since": row.created_at.isoformat()}
        for row in records
    ]
    return {"tenant": tenant, "customer": known_as, "chats": [_chat(cur, tenant, row) for row in sessions]}


def _chat(cur: cursor, tenant: str, session: Any) -> dict[str, Any]:
    notes = ADMIN.all(cur, "customer_notes", session=session.id)
    return {
        **(transcripts.read(cur, tenant, session.room, parts_most=None) or {}),
        "rating_comment": session.rating_comment,
        "facts": session.facts,
        "topic": session.topic,
        "notes": [{"by": note.agent_name, "text": note.body, "at": note.created_at.isoformat()} for note in notes],
    }


def _as_text(data: dict[str, Any]) -> str:
    """A terminal obeys control bytes, and customers write what they like."""
    known = [f"{one['name']} <{one['email']}>, since {one['since'][:19]}" for one in data["customer"]]
    chats = [transcripts.as_text(chat) + _beside(chat) for chat in data["chats"]]
    return "\n".join(map(harmless, "\n".join([*known, "", *chats]).rstrip().split("\n")))


def _beside(chat: dict[str, Any]) -> str:
    comment = [f"Rating: {chat['rating_comment']}"] if chat["rating_comment"] else []
    comment += [f"Known to the rules: {json.dumps(chat['facts'], ensure_ascii=False)}"] if chat["facts"] else []
    notes = [f"Note of {note['by']}, {note['at'][:19]}: {note['text']}" for note in chat["notes"]]
    return "".join(f"{each}\n" for each in [*comment, *notes])


def _refuse_open(email: str, sessions: list[Any]) -> None:
    rooms = [session.room for session in sessions if session.status != "ended"]
    if rooms:
        raise Refused(f"{clean(email)} has a chat that is not over: end it on the agents' page first ({rooms[0]})")


def _erase(installation: Installation, tenant: str, customers: list[int]) -> int:
    """Chats deleted. Under the tenant's lock, batch by batch: nobody begins a chat as somebody who is being erased."""
    chats = 0
    while True:
        with installation.writing() as cur:
            lock(cur, tenant)
            gone = len(ADMIN.all(cur, "erase_sessions", customers=customers, most=ERASE_BATCH))
            chats += gone
            if gone < ERASE_BATCH:
                break
    with installation.writing() as cur:
        lock(cur, tenant)
        if ADMIN.run(cur, "erase_customers", customers=customers) < len(customers):
            raise CantDo("a new chat began meanwhile: end it, then say it again")
        installation.audit(cur, tenant, "customer erase", after={"chats": chats})
    return chats


def _write(data: dict[str, Any], to: Path, shelf: Path) -> int:
    """How many of the files are not on this machine."""
    try:
        to.mkdir(mode=0o700)
        folder.write_private(to / "customer.json", json.dumps(data, indent=1))
        files = [file for chat in data["chats"] for message in chat["messages"] for file in message["attachments"]]
        return sum(not _copied(file, to, shelf) for file in files)
    except OSError as error:
        raise CantDo(f"{clean(to)} can't be written: {error.strerror}") from error


def _copied(file: dict[str, Any], to: Path, shelf: Path) -> bool:
    """A name is a stranger's text: it only ever ends one."""
    own = str(file["id"])
    try:
        shutil.copyfile(shelf / own[:2] / own, to / f"{own}-{Path(file['name']).name[-40:]}")
    except FileNotFoundError:
        return False
    return True


def _missing_text(missing: int) -> str:
    if not missing:
        return ""
    return (
        f"; {counted(missing, 'file is', 'files are')} not on this machine: run it where the sidecar's GILIRAN_DATA is"
    )
