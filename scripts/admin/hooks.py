"""`giliran hooks`: who is told of a tenant's events, by signed requests."""

import difflib
import time
from typing import Any
from urllib.parse import urlsplit

import click
from psycopg2.extensions import cursor

from addresses import wrong_with_hook
from db import hooks as kept
from db.hooks import HOOKS, KINDS, OF_TENANT_MOST, TEST
from scripts.admin.errors import CantDo, NotFound, Refused
from scripts.admin.installation import Installation, as_json, one, say, some, tenant_filter, tenant_option
from scripts.admin.table import table
from views.words import clean, moment
from worker.hooks.call import POST_S, NotDelivered, checked

URL_MOST = 2000
TEST_S = POST_S + 5.0  # for a worker to see it, and to post it
LOOK_S = 0.2
NOBODY = "no hooks yet: giliran hooks add URL"


@click.group()
def hooks() -> None:
    """Hooks: URLs to which a tenant's events are posted, signed after Standard Webhooks."""


@hooks.command()
@click.argument("url", metavar="URL")
@tenant_option
@click.option("--events", metavar="KINDS", help=f"Which, separated by commas (default: all): {', '.join(KINDS)}.")
@as_json
@click.pass_obj
def add(installation: Installation, url: str, tenant: str | None, events: str | None, as_json: bool) -> None:
    """Add a hook: what happens in the tenant from now on is posted to URL.

    The secret that the receiver checks signatures with is shown once, here.
    """
    private = installation.settings.hooks_allow_private
    wanted, secret = _kinds(events), kept.new_secret()
    _refuse(url, private)
    with installation.writing() as cur:
        tenant = one(cur, tenant)
        hook = kept.add(cur, tenant, url, secret, wanted)
        if hook is None:
            raise Refused(f"{clean(tenant)} has this URL already, or {OF_TENANT_MOST} hooks, which is the most")
        installation.audit(cur, tenant, "hooks add", str(hook), after={"host": _host(url), "events": wanted})
    data = {"hook": hook, "tenant": tenant, "url": _shown(url), "events": wanted, "secret": secret}
    told = f"hook {hook} of {clean(tenant)}: {_shown(url)}\nsecret {secret}\nkeep the secret: it is not shown again."
    say(as_json, data, f"{told} Try it: giliran hooks test {hook}")


def _kinds(events: str | None) -> list[str]:
    wanted = [each.strip() for each in (events or ",".join(KINDS)).split(",")]
    for each in wanted:
        if each not in KINDS:
            alike = difflib.get_close_matches(each, KINDS, 1)
            hint = f"did you mean {alike[0]}?" if alike else f"use {', '.join(KINDS)}"
            raise click.UsageError(f"--events has {clean(each)!r}, which is not an event: {hint}")
    return [each for each in KINDS if each in wanted]


def _refuse(url: str, private: bool) -> None:
    if len(url) > URL_MOST:
        raise Refused(f"the URL has {len(url)} characters: {URL_MOST} are the most")
    if wrong := wrong_with_hook(url, private):
        raise Refused(f"the URL {wrong}")
    try:
        checked(urlsplit(url), private)
    except NotDelivered as error:
        raise Refused(f"the URL can't be used: {error}") from error


def _shown(url: str) -> str:
    """Without its query, which may be a secret."""
    address, mark, _ = url.partition("?")
    return clean(address + ("?…" if mark else ""), 200)


def _host(url: str) -> str:
    """For the audit, which supervisors read: a path may be a secret, too."""
    return clean(urlsplit(url).netloc, 200)


@hooks.command("list")
@tenant_filter
@as_json
@click.pass_obj
def list_(installation: Installation, tenant: str | None, as_json: bool) -> None:
    """Show hooks, with how many of their events wait, and how many were delivered or lost within a day."""
    with installation.reading() as cur:
        some(cur, tenant)
        rows = kept.all_of(cur, tenant)
    head = ("HOOK", "TENANT", "URL", "EVENTS", "WAITING", "DELIVERED", "LOST", "LAST TROUBLE", "SINCE")
    told = table(head, [_row(row) for row in rows]) if rows else NOBODY
    say(as_json, {"hooks": [{**row._asdict(), "url": _shown(row.url)} for row in rows]}, told)


def _row(row: Any) -> tuple[object, ...]:
    events = "all" if set(row.events) == set(KINDS) else ", ".join(row.events)
    about = (row.id, clean(row.tenant), _shown(row.url), events)
    return (*about, row.waiting, row.delivered, row.lost, clean(row.why or "", 80), moment(row.created_at))


@hooks.command()
@click.argument("hook", type=click.IntRange(1, 2**63 - 1))
@as_json
@click.pass_obj
def test(installation: Installation, hook: int, as_json: bool) -> None:
    """Post a test event to a hook's receiver, by a worker, and say what came of it."""
    with installation.writing() as cur:
        row = _known(cur, hook)
        event = HOOKS.one(cur, "write_test", hook=hook, kind=TEST).id
        installation.audit(cur, row.tenant, "hooks test", str(hook))
    try:
        state = _awaited(installation, event)
    finally:
        with installation.writing() as cur:
            HOOKS.run(cur, "forget", id=event)
    if state is None or not state.tries:
        raise CantDo("no worker has posted it: does one run? `giliran doctor` says which processes do")
    if state.outcome != "delivered":
        raise CantDo(f"the receiver has not accepted it: {state.why or 'no answer yet'}")
    say(as_json, {"hook": hook, "delivered": True}, f"hook {hook}: the receiver has accepted a test event")


def _awaited(installation: Installation, event: int) -> Any:
    """What came of the first try. None: the hook was removed meanwhile."""
    ends, state = time.monotonic() + TEST_S, None
    while time.monotonic() < ends:
        with installation.writing() as cur:
            state = HOOKS.one(cur, "state", id=event)
        if state is None or state.outcome or state.why:
            break
        time.sleep(LOOK_S)
    return state


@hooks.command()
@click.argument("hook", type=click.IntRange(1, 2**63 - 1))
@as_json
@click.pass_obj
def remove(installation: Installation, hook: int, as_json: bool) -> None:
    """Remove a hook, with the events that still wait for its receiver."""
    with installation.writing() as cur:
        row = _known(cur, hook)
        HOOKS.run(cur, "remove", hook=hook)
        before = {"host": _host(row.url), "events": row.events}
        installation.audit(cur, row.tenant, "hooks remove", str(hook), before)
    say(as_json, {"hook": hook, "tenant": row.tenant}, f"hook {hook} of {clean(row.tenant)} is removed")


def _known(cur: cursor, hook: int) -> Any:
    found = HOOKS.one(cur, "hook", hook=hook)
    if found is None:
        raise NotFound(f"no hook {hook}: `giliran hooks list` shows them")
    return found
