"""`giliran retry` and `giliran reconcile`: the two things to do by hand when the line and the desk seem to disagree."""

import time
from typing import Any

import click

from db.acts import ACTS
from db.admin import ADMIN
from db.ledger import LEDGER
from db.views import VIEWS
from scripts.admin.errors import CantDo, NotFound, Refused
from scripts.admin.installation import Installation, as_json, one, say, tenant_option
from views import queue
from views.words import ahead, clean, counted, listed

CLAIM_S = 15.0  # a sweeper looks twice a second
LOOKS_S = 30.0  # two equal readings, a desk's lag apart, and the calls
LOOK_EVERY_S = 0.25


@click.command(short_help="Try a refused or quarantined room again.")
@click.argument("room")
@tenant_option
@as_json
@click.pass_obj
def retry(installation: Installation, room: str, tenant: str | None, as_json: bool) -> None:
    """Try a refused or quarantined room again: forget its refusals and ask the desk about it.

    The room keeps its place. The exit code is 4 if there is nothing to try: an agent has the room, or it is closed.
    """
    with installation.writing() as cur:
        owner = _owner(cur, room, tenant)
        ADMIN.one(cur, "lock_tenant", tenant=owner)
        visit = ACTS.one(cur, "open_visit", tenant=owner, room=room)
        _refuse_seated(visit, room)
        stuck = visit.aside is not None or visit.retry_at is not None or visit.refusals > 0
        if stuck:
            ACTS.run(cur, "try_again", visit=visit.id)
            ACTS.run(cur, "forget_refusals", visit=visit.id)
            LEDGER.run(cur, "event", visit=visit.id, what="retried", detail="by hand: giliran retry")
            installation.audit(cur, owner, "retry", room)
    told = "the desk is asked about it now, then its turn comes" if stuck else "it waits in line, nothing holds it back"
    say(as_json, {"tenant": owner, "room": room, "retried": stuck}, f"room {clean(room, 64)}: {told}")


def _owner(cur: Any, room: str, tenant: str | None) -> str:
    """The tenant whose room is meant."""
    if tenant is not None:
        one(cur, tenant)
    rows = [row for row in VIEWS.all(cur, "room_tenants", room=room) if tenant in (None, row.tenant)]
    if not rows:
        raise NotFound(f"no room {clean(room, 64)!r}" + (f" in {clean(tenant)}" if tenant else ""))
    if len(rows) > 1:
        names = listed(row.tenant for row in rows)
        raise click.UsageError(f"several tenants have this room: say --tenant with one of {names}")
    return rows[0].tenant


def _refuse_seated(visit: Any, room: str) -> None:
    if visit is None:
        raise Refused(f"room {clean(room, 64)} is closed: there is nothing to try again")
    if visit.state != "waiting":
        who = f"{'held by' if visit.state == 'held' else 'reserved for'} {clean(visit.agent)}"
        raise Refused(f"room {clean(room, 64)} is {who}: there is nothing to try again")


@click.command(short_help="Compare with the desk now, and repair.")
@tenant_option
@as_json
@click.pass_obj
def reconcile(installation: Installation, tenant: str | None, as_json: bool) -> None:
    """Compare with the desk now: discover rooms whose webhook was missed, verify assigned ones, repair caches.

    A worker does this within a second. The command waits until it is done, and says what was found.
    """
    with installation.writing() as cur:
        tenant = one(cur, tenant)
        before = _drifts(cur, tenant)
        rev = ADMIN.one(cur, "ask_sweep", tenant=tenant).rev
        installation.audit(cur, tenant, "reconcile")
    _await_claim(installation, tenant)
    finished = _await_looks(installation, tenant, rev)
    with installation.reading() as cur:
        after = _drifts(cur, tenant)
    data = {"tenant": tenant, "finished": finished, "before": before, "after": after}
    say(as_json, data, reconciled_text(before, after, finished))


def _drifts(cur: Any, tenant: str) -> dict[str, int]:
    return {row.kind: row.healed for row in VIEWS.all(cur, "drifts", tenant=tenant)}


def reconciled_text(before: dict[str, int], after: dict[str, int], finished: bool) -> str:
    kinds = sorted(after)
    rows = [f"  {clean(kind)}: {before.get(kind, 0)} -> {after[kind]}" for kind in kinds]
    healed = sum(after[kind] - before.get(kind, 0) for kind in kinds)
    found = f"{counted(healed, 'difference')} healed" if healed else "no difference found"
    late = "" if finished else " so far; looks at the desk are still under way"
    return "\n".join([f"{found}{late}", *rows])


def _await_claim(installation: Installation, tenant: str) -> None:
    deadline = time.monotonic() + CLAIM_S
    click.echo("waiting for a worker to take it ...", err=True)
    while not (state := _state(installation, tenant)).claimed:
        if time.monotonic() > deadline:
            raise CantDo(_not_claimed(installation, state))
        time.sleep(LOOK_EVERY_S)


def _not_claimed(installation: Installation, state: Any) -> str:
    if state.paused_until is not None:
        again = ahead(state.paused_until, state.at)
        return f"the desk is paused ({state.desk_trouble}), next try {again}: it comes then"
    with installation.reading() as cur:
        if queue.workers(cur) == 0:
            return "no worker is running: it comes when one does"
    return "no worker took it in time: see their logs"


def _await_looks(installation: Installation, tenant: str, rev: int) -> bool:
    """Until something was written since, the desk's list at least, and no room is to be looked at any more."""
    deadline, told = time.monotonic() + LOOKS_S, -1
    while (state := _state(installation, tenant)).looks > 0 or state.rev == rev:
        if time.monotonic() > deadline:
            return False
        if state.looks not in (0, told):
            told = state.looks
            click.echo(f"{counted(told, 'room')} to be looked at ...", err=True)
        time.sleep(LOOK_EVERY_S)
    return True


def _state(installation: Installation, tenant: str) -> Any:
    with installation.reading() as cur:
        state = ADMIN.one(cur, "sweep_state", tenant=tenant)
    if state is None:
        raise NotFound(f"{tenant} was removed meanwhile")
    return state
