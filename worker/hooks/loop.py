"""Posts events to receivers, and finds the targets that were missed. A thread of each worker.

Beside the path of a room, never in it: it takes no lock of a tenant, and its calls have a pool of their own, so that a
receiver that hangs delays no assign, nor any other receiver. An event is claimed, posted, then settled: whoever dies in
between leaves it to another worker once its claim is over, so a receiver may get it twice, with the same id.
"""

import functools
import logging
import threading
import time
from collections import Counter
from typing import Any

import logs
from db import hooks, rules
from db.hooks import HOOKS
from db.postgres import LedgerTrouble
from worker.callers import Callers
from worker.desk.connections import Connections
from worker.hooks import call
from worker.hooks.signature import AGAIN_S, JITTER, again_s
from worker.work import Work

log = logging.getLogger("worker.hooks")

LOOK_S = 0.5
CHORES_S = 5.0  # between two looks for missed targets, and for what is to be dropped or forgotten
LEASE_S = 60.0  # longer than a name server and a receiver take together
THREADS, HOOK_CALLS, HOOK_QUEUE = 64, 2, 1  # in all, of one hook at once, waiting for one hook
IN_TURN_MOST = 100  # events of a hook before others have their turn
CONNECTIONS = 4
LONGEST_S = [0.0, *(max(LEASE_S, wait_s * (1 + JITTER)) for wait_s in AGAIN_S)]  # by tries, until the next


class Hooks:
    def __init__(self, work: Work, target_s: int, private: bool) -> None:
        """`target_s`: of queues whose rules have no target; `private`: receivers may have private addresses."""
        self._work, self._target_s, self._private = work, target_s, private
        self._connections = Connections(work.database_url, CONNECTIONS, name="hooks")
        self._callers = Callers(THREADS, HOOK_CALLS, HOOK_QUEUE)
        self._stop = threading.Event()
        self._outage = logs.Outage(log, "hooks_failed", "hooks_work")
        self._chores_at = 0.0
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)
        self._callers.close(within_s)
        self._connections.close()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self.look()
            except LedgerTrouble as error:
                self._outage.goes_on(error)
            except Exception:  # the watch must go on; what gets here is a bug
                log.exception(logs.line("hooks_bug"))
            else:
                self._outage.over()

    def look(self) -> None:
        """Whoever has something to be posted has it posted. Raises `LedgerTrouble`."""
        if time.monotonic() >= self._chores_at:
            self._chores_at = time.monotonic() + CHORES_S
            self.miss_targets()
            self._tidy()
        with self._connections.transaction() as cur:
            due = [row.id for row in HOOKS.all(cur, "due")]
        for hook in due:
            self._callers.submit(f"hook {hook}", functools.partial(self._serve, hook))

    def miss_targets(self) -> None:
        with self._connections.transaction() as cur:
            tenants = [row.tenant for row in HOOKS.all(cur, "target_tenants", kind=hooks.MISSED)]
        for tenant in tenants:
            with self._connections.transaction() as cur:
                book, _ = rules.of(cur, tenant)
                queues = book.rules.queues if book.rules else {}
                targets = {name: queue.target_s for name, queue in queues.items() if queue.target_s is not None}
                hooks.miss_targets(cur, tenant, targets, self._target_s)

    def _tidy(self) -> None:
        with self._connections.transaction() as cur:
            HOOKS.run(cur, "mend", longest_s=LONGEST_S, lease_s=LEASE_S)
            HOOKS.run(cur, "prune", most=hooks.PRUNE_MOST)
            dropped = Counter(HOOKS.all(cur, "drop", most=hooks.WAITING_MOST))
        for row, number in dropped.items():
            self._work.latency.posted(row.tenant, "dropped", number)
            log.error(logs.line("hook_dropped", **row._asdict(), events=number, why="too many wait for its receiver"))

    def _serve(self, hook: int) -> None:
        """Events of one hook, the oldest first, until nothing is due."""
        for _ in range(IN_TURN_MOST):
            if self._stop.is_set():
                return
            try:
                claimed = self._claimed(hook)
                if claimed is None:
                    return
                self._settle(claimed, self._trouble(claimed))
            except LedgerTrouble as error:  # its claim brings it back
                log.warning(logs.line("hook_not_settled", hook=hook, why=error))
                return

    def _claimed(self, hook: int) -> Any:
        with self._connections.transaction() as cur:
            return HOOKS.one(cur, "claim", hook=hook, lease_s=LEASE_S)

    def _trouble(self, claimed: Any) -> str | None:
        """None: its receiver has accepted it."""
        try:
            call.post(claimed.url, claimed.secret, claimed.event, claimed.body, self._private)
        except call.NotDelivered as error:
            return str(error)
        return None

    def _settle(self, claimed: Any, trouble: str | None) -> None:
        wait_s = again_s(claimed.tries) if trouble else None
        outcome = None if wait_s is not None else "given_up" if trouble else "delivered"
        values = {"outcome": outcome, "why": trouble, "wait_s": wait_s or 0.0}
        with self._connections.transaction() as cur:
            HOOKS.run(cur, "tried", id=claimed.id, tries=claimed.tries, **values)
        self._work.latency.posted(claimed.tenant, outcome or "failed")
        _say(claimed, outcome, trouble, wait_s)


def _say(claimed: Any, outcome: str | None, trouble: str | None, wait_s: float | None) -> None:
    ids = {"tenant": claimed.tenant, "hook": claimed.hook, "event": claimed.event, "tries": claimed.tries}
    if outcome == "delivered":
        log.info(logs.line("hook_delivered", **ids))
    elif wait_s is not None:
        log.warning(logs.line("hook_failed", **ids, again_s=round(wait_s), why=trouble))
    else:
        log.error(logs.line("hook_given_up", **ids, why=trouble))
