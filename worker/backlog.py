"""Reports of desk callers that wait to be written, by tenant: whoever is busy holds up nobody else.

Before: the callers' queue. After: `jobs.Settler` writes them, one thread for a tenant at a time. Pure but for a lock.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.calls import Pair
from worker.decision import LEASE_S
from worker.settle import Report

PAIRS_KEPT_S = 300.0  # what became of a reserved pair: its lease is renewed meanwhile
OTHERS_KEPT_S = LEASE_S  # looks and rosters: then whoever is due asks again
TENANT_MOST = 2000  # reports of one tenant, more than it can have calls (`Work.room_for`); beyond it the oldest go
BATCH_MOST = 500


class Kept(NamedTuple):
    report: Report
    until: float

    @property
    def pair(self) -> Pair | None:
        """The reserved pair that it is about."""
        return getattr(self.report, "pair", None)


@dataclass
class _Tenant:
    kept: list[Kept] = field(default_factory=list)
    not_before: float = 0.0
    failures: int = 0
    taken: bool = False  # by a thread that is writing


class Backlog:
    """Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tenants: dict[str, _Tenant] = {}
        self._paused_until = 0.0

    def __len__(self) -> int:
        with self._lock:
            return sum(len(tenant.kept) for tenant in self._tenants.values())

    def of(self, name: str) -> int:
        """How many of one tenant wait."""
        with self._lock:
            return len(self._tenants[name].kept) if name in self._tenants else 0

    def is_empty(self) -> bool:
        """Nothing waits, and nobody is writing."""
        with self._lock:
            return not self._tenants

    def add(self, name: str, report: Report, now: float) -> bool:
        """False where the oldest report of the tenant had to go for it."""
        with self._lock:
            tenant = self._tenants.setdefault(name, _Tenant())
            until = now + (PAIRS_KEPT_S if Kept(report, 0.0).pair else OTHERS_KEPT_S)
            tenant.kept.append(Kept(report, until))
            if len(tenant.kept) <= TENANT_MOST:
                return True
            del tenant.kept[0]
            return False

    def take(self, now: float) -> tuple[str, list[Kept]] | None:
        """A tenant whose time has come, and what waits of it; first those that did not fail. Ends with `done` or
        `again`."""
        with self._lock:
            if now < self._paused_until:
                return None
            ready = [(t.failures, t.not_before, name) for name, t in self._tenants.items() if _is_ready(t, now)]
            if not ready:
                return None
            name = min(ready)[2]
            tenant = self._tenants[name]
            tenant.taken = True
            batch, tenant.kept = tenant.kept[:BATCH_MOST], tenant.kept[BATCH_MOST:]
            return name, batch

    def wait_s(self, now: float, most_s: float) -> float:
        """Until `take` may have something again."""
        with self._lock:
            times = [t.not_before for t in self._tenants.values() if t.kept and not t.taken]
            if not times:
                return most_s
            return max(0.0, min(most_s, max(self._paused_until, min(times)) - now))

    def done(self, name: str) -> None:
        with self._lock:
            tenant = self._tenants[name]
            tenant.taken, tenant.failures = False, 0
            if not tenant.kept:
                del self._tenants[name]

    def again(self, name: str, batch: Sequence[Kept], now: float, pause_s: float) -> list[Kept]:
        """It could not be written: the same in front of what came meanwhile. Gives what has waited for too long."""
        with self._lock:
            tenant = self._tenants[name]
            together = [*batch, *tenant.kept]
            tenant.kept = [kept for kept in together if kept.until > now][-TENANT_MOST:]
            tenant.taken, tenant.not_before = False, now + pause_s
            tenant.failures += 1
            if not tenant.kept:
                del self._tenants[name]
            return [kept for kept in together if kept.until <= now]

    def failures(self, name: str) -> int:
        with self._lock:
            return self._tenants[name].failures if name in self._tenants else 0

    def pause(self, until: float) -> None:
        """PostgreSQL is away: nobody's turn before that."""
        with self._lock:
            self._paused_until = until


def _is_ready(tenant: _Tenant, now: float) -> bool:
    return bool(tenant.kept) and not tenant.taken and tenant.not_before <= now
