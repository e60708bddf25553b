"""The admin's limits into the ledger, read with the inbox at one instant (H3). The first step of a decision.

`db/limits.py` says what the keys mean.
"""

import logging
from typing import Any

from db import limits
from db.inbox import Cursor, Inbox, LimitKeys, Taken
from db.limits import Limits, key_of
from db.turn import Turn

log = logging.getLogger("worker.decide")


def take(turn: Turn, inbox: Inbox, most: int, default: int) -> tuple[Taken, str]:
    """The inbox, and the digest of the limits that `agents.max_load` follows now. Values are read only where they are
    not those of the ledger's digest."""
    row = turn.row
    asked, _, values = row.limits_digest.partition(":")
    keys = inbox.limit_keys.get(turn.tenant)
    if keys is None or keys.digest != asked:  # other agents than this process knows of
        keys = inbox.limit_keys[turn.tenant] = _keys(turn, default)
    at = Cursor(row.epoch, row.seen, row.rev)
    turn.begun = True
    taken = inbox.take(turn.tenant, at, most, keys.names, values if keys.digest == asked else "")
    turn.epoch = taken.epoch
    if taken.limits is None:
        return taken, row.limits_digest
    _mark(turn, inbox, dict(zip(keys.scopes, taken.limits, strict=True)), default)
    return taken, f"{keys.digest}:{taken.limits_digest}" if taken.epoch == row.epoch else ""


def _keys(turn: Turn, default: int) -> LimitKeys:
    scopes = limits.scopes((), (row.scope for row in turn.all("scopes")))
    return limits.keys_of(turn.tenant, scopes, default)


def _mark(turn: Turn, inbox: Inbox, found: dict[str, str | None], default: int) -> None:
    """After a loss of Redis the keys that were lost are put back first."""
    known = turn.all("scopes")
    copies = {row.scope: limits.Copy(row.value, row.invalid) for row in known if row.is_copy}
    if turn.epoch != turn.row.epoch:
        _restore(turn, inbox, found, copies)
    in_force = limits.read(found, copies, default)
    _keep(turn, in_force)
    agents = [limits.agent_of(row.scope) for row in known if not row.is_copy]
    turn.run("mark_limits", agents=agents, values=[in_force.of(agent) for agent in agents])


def _restore(turn: Turn, inbox: Inbox, found: dict[str, str | None], copies: dict[str, Any]) -> None:
    lost = limits.to_restore(found, copies)
    inbox.restore_limits({key_of(turn.tenant, scope): value for scope, value in lost.items()})
    found.update({scope: str(value) for scope, value in lost.items()})
    log.warning(turn.line("new_epoch", limits_restored=len(lost)))


def _keep(turn: Turn, in_force: Limits) -> None:
    for scope, text in in_force.complaints.items():
        log.warning(turn.line("limit_ignored", key=key_of(turn.tenant, scope), value=text))
    if in_force.keep:
        copies = [(scope, copy.value, copy.invalid) for scope, copy in sorted(in_force.keep.items())]
        scopes, values, invalids = (list(column) for column in zip(*copies, strict=True))
        turn.run("keep_limits", scopes=scopes, values=values, invalids=invalids)
    if in_force.forget:
        turn.run("forget_limits", scopes=list(in_force.forget))
