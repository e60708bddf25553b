"""One decision of one tenant: the inbox into the line, then seats for the oldest. The transaction, without HTTP.

Before: a ticket (`jobs`). After: the pairs reserved here go to the callers. Everything below runs under the tenant's
row lock, so decisions of a tenant follow one another, and the order of the line is the order of reserving.
"""

import logging
import time
from collections.abc import Collection

from psycopg2.extensions import cursor

import logs
from db import limits, line
from db.inbox import Cursor, Inbox, Taken, Told
from db.ledger import LEDGER
from db.limits import Limits, key_of
from db.line import LINE
from db.refusals import REFUSALS
from worker import intake
from worker.clock import Clock
from worker.decision import CALLS_MOST, Decision
from worker.rules import CIRCUIT_FAILURES, PROBE_S, Rules
from worker.seating import Seating

log = logging.getLogger("worker.decide")

INBOX_BATCH = 500  # webhooks of one decision; more ask for another ticket, so that tenants take turns


def decide(
    cur: cursor,
    inbox: Inbox,
    tenant: str,
    rules: Rules,
    owner: int,
    free_callers: int,
    gone: Collection[int] | None = None,
    due: bool = True,
    clock: Clock | None = None,
) -> Decision | None:
    """None where there is no such tenant. `free_callers`: how many calls the pool would take. `gone`: workers
    whose lock has been free for a while; None where this moment's locks are to be believed. `due`: look also for what
    time alone has brought about: pauses that are over, abandoned reservations, looks. `clock`: of this process."""
    began = time.monotonic()
    row = line.lock(cur, tenant)
    if row is None:
        return None
    if clock:
        rules = clock.held_against(rules, row.now_s, began)
    at = Cursor(row.epoch, row.seen, row.rev)
    taken, limits_digest = _take(cur, inbox, tenant, at, rules, row.limits_digest)
    decision = Decision(at, taken.epoch, _seen(at, taken), more=len(taken.entries) == INBOX_BATCH)
    entries, place_us = intake.placed(taken.entries, row.last_place_us)
    changed = intake.take_over(cur, tenant, entries, rules)
    if changed.agents and rules.policy == "upstream":
        LINE.run(cur, "ask_again", tenant=tenant)
    decision.seats = line.seats_of(cur, tenant, sorted(changed.agents))
    due = due or changed.looks
    if due:
        LINE.run(cur, "lift_retries", tenant=tenant)
        LEDGER.run(cur, "lift_asides", tenant=tenant)
        if row.doubted:
            REFUSALS.run(cur, "lift", tenant=tenant)
    if row.doubted:
        REFUSALS.run(cur, "withdraw", tenant=tenant)
    if not row.paused:
        half_open = row.desk_failures >= CIRCUIT_FAILURES
        decision.most_calls = max(0, min(1 if half_open else CALLS_MOST, free_callers))
        _ask_the_desk(Seating(cur, tenant, rules, owner, decision, row.doubted), due, gone)
        decision.cut = free_callers < CALLS_MOST and decision.calls_left <= 0
        if half_open and decision.calls:  # the one call that shows whether the desk is back
            LEDGER.run(cur, "desk_pauses", tenant=tenant, wait_s=PROBE_S)
    moved = {"place_us": place_us, "served": len(decision.reserved), "limits_digest": limits_digest}
    _move_cursor(cur, tenant, at, taken, **moved)
    decision.told = _told(changed, decision)
    return decision


def _ask_the_desk(seating: Seating, due: bool, gone: Collection[int] | None) -> None:
    if due:
        seating.claim(gone)
    seating.seat()


def _take(cur: cursor, inbox: Inbox, tenant: str, at: Cursor, rules: Rules, limits_digest: str) -> tuple[Taken, str]:
    """The inbox and the limits at one instant, and the digest of these. Values come only where they are not those of
    the ledger's digest: else `agents.max_load` is right."""
    asked, _, values = limits_digest.partition(":")
    keys = inbox.limit_keys.get(tenant)
    if keys is None or keys.digest != asked:  # other agents than this process knows of
        scopes = limits.scopes((), (row.scope for row in LINE.all(cur, "scopes", tenant=tenant)))
        keys = inbox.limit_keys[tenant] = limits.keys_of(tenant, scopes, rules.default_limit)
    taken = inbox.take(tenant, at, INBOX_BATCH, keys.names, values if keys.digest == asked else "")
    if taken.limits is None:
        return taken, limits_digest
    _mark_limits(cur, inbox, tenant, at, taken, dict(zip(keys.scopes, taken.limits, strict=True)), rules)
    return taken, f"{keys.digest}:{taken.limits_digest}" if taken.epoch == at.epoch else ""


def _mark_limits(
    cur: cursor, inbox: Inbox, tenant: str, at: Cursor, taken: Taken, found: dict[str, str | None], rules: Rules
) -> None:
    """The admin's keys into the ledger; after a loss of Redis those that were lost are put back first."""
    known = LINE.all(cur, "scopes", tenant=tenant)
    copies = {row.scope: limits.Copy(row.value, row.invalid) for row in known if row.is_copy}
    if taken.epoch != at.epoch:
        lost = limits.to_restore(found, copies)
        inbox.restore_limits({key_of(tenant, scope): value for scope, value in lost.items()})
        found.update({scope: str(value) for scope, value in lost.items()})
        log.warning(logs.line("new_epoch", tenant=tenant, limits_restored=len(lost)))
    in_force = limits.read(found, copies, rules.default_limit)
    _keep_limits(cur, tenant, in_force)
    agents = [limits.agent_of(row.scope) for row in known if not row.is_copy]
    LINE.run(cur, "mark_limits", tenant=tenant, agents=agents, values=[in_force.of(agent) for agent in agents])


def _keep_limits(cur: cursor, tenant: str, in_force: Limits) -> None:
    for scope, text in in_force.complaints.items():
        log.warning(logs.line("limit_ignored", tenant=tenant, key=key_of(tenant, scope), value=text))
    if in_force.keep:
        copies = sorted(in_force.keep.items())
        LINE.run(
            cur,
            "keep_limits",
            tenant=tenant,
            scopes=[scope for scope, _ in copies],
            values=[copy.value for _, copy in copies],
            invalids=[copy.invalid for _, copy in copies],
        )
    if in_force.forget:
        LINE.run(cur, "forget_limits", tenant=tenant, scopes=list(in_force.forget))


def _move_cursor(cur: cursor, tenant: str, at: Cursor, taken: Taken, **moved: object) -> None:
    flushed = taken.epoch != at.epoch
    LINE.run(cur, "move_cursor", tenant=tenant, epoch=taken.epoch, seen=_seen(at, taken), flushed=flushed, **moved)


def _seen(at: Cursor, taken: Taken) -> str:
    """The last entry that the ledger has after this decision, also where a dead worker did not trim it."""
    if taken.entries:
        return taken.entries[-1].id
    return at.seen if taken.epoch == at.epoch else "0-0"


def _told(changed: intake.Intake, decision: Decision) -> Told:
    held = changed.held | {reserved.room for reserved in decision.reserved}
    waiting = [(room, us) for room, us in changed.waiting.items() if room not in held]
    return Told(waiting, sorted(held), sorted(changed.gone - held), decision.seats)
