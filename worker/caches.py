"""Makes a tenant's caches in Redis what the ledger says: the line, the held rooms, the seats.

A chore of the sweeper. What differs is found without a lock, then told again under the tenant's lock, some rooms at a
time: however long the line is, no decision waits for more than one such step.
"""

import functools
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from db.inbox import GONE, HELD, Changes
from db.ledger import LEDGER
from db.postgres import Ledger
from db.turn import Drift
from worker.work import BUSY_MS, Work

ROOMS_A_STEP = 1000  # some 20 ms


class Rooms(NamedTuple):
    """`waiting`: room → place, microseconds."""

    waiting: Mapping[str, int]
    held: frozenset[str]


def rewrite(work: Work, ledger: Ledger, tenant: str) -> int:
    """How many entries were wrong though they passed for true. Raises `LedgerTrouble` and `InboxDown`; then what is
    done is done."""
    tell = functools.partial(_tell, work, ledger, tenant, secrets.token_hex(4))
    wrong = tell((), "first")
    with ledger.transaction() as cur:
        rooms = LEDGER.all(cur, "open_rooms", tenant=tenant)
    ours = Rooms(
        {r.room: r.arrived_us for r in rooms if r.state == "waiting"},
        frozenset(r.room for r in rooms if r.state != "waiting"),
    )
    wanted = differences(ours, Rooms(*work.inbox.cached_rooms(tenant)))
    for start in range(0, len(wanted), ROOMS_A_STEP):
        wrong += tell(wanted[start : start + ROOMS_A_STEP])
    return wrong + tell((), "last")


def differences(ours: Rooms, cached: Rooms) -> list[str]:
    """The rooms that the caches know otherwise, or not, or that there are not."""
    line = [room for room, place in ours.waiting.items() if cached.waiting.get(room) != place]
    return sorted({*line, *(cached.waiting.keys() - ours.waiting.keys()), *(ours.held ^ cached.held)})


def _tell(work: Work, ledger: Ledger, tenant: str, mender: str, rooms: Sequence[str], step: str = "") -> int:
    """One step. The last one tells the seats, too. How many entries were wrong."""
    with work.alone(tenant, BUSY_MS / 1000), ledger.transaction() as cur:
        row = LEDGER.one(cur, "snapshot", tenant=tenant)
        if row is None:
            return 0
        found = LEDGER.all(cur, "open_rooms_of", tenant=tenant, rooms=list(rooms)) if rooms else []
        changes = Changes(rooms=dict.fromkeys(rooms, GONE))
        changes.rooms.update({r.room: r.arrived_us if r.state == "waiting" else HELD for r in found})
        if step == "last":
            changes.seats = {r.id: r.open_seats for r in LEDGER.all(cur, "cached_seats", tenant=tenant)}
        wrong = work.inbox.remind(tenant, row.rev, changes, step, mender)
        if wrong:
            LEDGER.run(cur, "count_drift", tenant=tenant, kind=Drift.CACHE, n=wrong)
    return wrong
