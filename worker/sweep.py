"""The sweeper: each worker's thread that looks at every tenant twice a second, on its own clock.

A ticket is only a hint; this is what makes sure. It asks for tickets that were lost or that nobody else asks for
(leases, looks, pauses that are over, limits changed), publishes the tenants, and does the housekeeping that is due:
learning rooms from the desk, looking at held ones, rewriting caches, forgetting old visits. Two sweepers harm
nobody: hints are harmless twice, the costly looks are claimed in PostgreSQL.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

import logs
from db import limits, line, tickets
from db.inbox import Entry, Glance, InboxDown
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.postgres import Ledger, LedgerDown
from worker import jobs
from worker.desks import NATIVE
from worker.jobs import Work

log = logging.getLogger("worker.sweep")

LOOK_S = 0.5
LOOKS_A_SWEEP = 100  # held rooms that one sweep asks the desk about
REWRITE_S = 5.0  # caches that can't be believed are rewritten at most this often
AGENTS_S = 5.0  # how long the list of agents, whose limit keys are watched, is kept
UNSORTED_A_LOOK = 1000
PRUNE_MOST = 2000  # old visits deleted in one short transaction; where there are more, the next look goes on
PRUNE_CHATS_MOST = 200  # the same of chats, which may have thousands of messages each


class Sweeper:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._ledger = Ledger(work.database_url, "sweep")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._last: dict[str, Glance] = {}
        self._agents: dict[str, list[str]] = {}
        self._agents_at = 0.0
        self._rewritten: dict[str, float] = {}
        self._extra: dict[str, str] = {}  # jobs asked for beside a ticket
        self.looked_at = time.monotonic()
        self.looked = threading.Event()  # once: this worker is known to live

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        self._stop.set()
        self._thread.join(within_s)
        self._ledger.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self.looked_at = time.monotonic()
                self.looked.set()
            except (LedgerDown, InboxDown, RedisError) as error:
                log.error(logs.line("sweep_failed", why=error))
            except Exception:  # the watch must go on; what gets here is a bug
                log.exception(logs.line("sweep_bug"))
            self._stop.wait(LOOK_S)

    def look(self) -> None:
        """One look at all tenants."""
        with self._ledger.transaction() as cur:
            LEDGER.all(cur, "live", lock_class=WORKER_LOCK_CLASS, owner=self._work.owner)
            rows = LEDGER.all(cur, "tenants")
            due = self._due(cur)
            sweeps = [row.id for row in LEDGER.all(cur, "claim_sweep", idle_s=self._work.rules.idle_s)]
            prunes = [row.id for row in LEDGER.all(cur, "claim_prune")]
            self._learn_agents(cur)
        self._work.desks.refresh(rows)
        by_webhook = [row for row in rows if row.desk != NATIVE]
        self._publish(by_webhook)
        self._sort(by_webhook)
        self._ask_tickets([row.id for row in rows], due)
        for tenant in sweeps:
            self._sweep(tenant)
        for tenant in prunes:
            self._prune(tenant)

    def _due(self, cur: Any) -> set[str]:
        upstream = self._work.rules.policy == "upstream"
        return {row.id for row in LEDGER.all(cur, "due", lock_class=WORKER_LOCK_CLASS, upstream=upstream) if row.due}

    def _learn_agents(self, cur: Any) -> None:
        if time.monotonic() - self._agents_at < AGENTS_S:
            return
        self._agents_at = time.monotonic()
        agents: dict[str, list[str]] = {}
        for row in LEDGER.all(cur, "all_agents"):
            agents.setdefault(row.tenant, []).append(row.id)
        self._agents = agents

    def _publish(self, rows: Sequence[Any]) -> None:
        """Redis may have been emptied, a tenant added: the receivers must know whom to let in. Nobody may post webhooks
        for our own chat."""
        digests = {row.id: row.webhook_digest for row in rows}
        if self._work.inbox.published() != digests:
            self._work.inbox.publish(digests)
            log.info(logs.line("tenants_published", tenants=len(digests)))

    def _sort(self, rows: Sequence[Any]) -> None:
        """Webhooks that came while the receivers could not tell whose they were."""
        known = {row.id: row.webhook_digest for row in rows}
        for entry in self._work.inbox.unsorted(UNSORTED_A_LOOK):
            tenant = entry.fields.get("tenant", "")
            if _let_in(entry, known):
                self._work.inbox.sort(entry, tenant)
                log.info(logs.line("sorted", tenant=tenant, room=entry.fields.get("room")))
            else:
                self._work.inbox.drop_unsorted(entry)
                log.warning(logs.line("unsorted_dropped", tenant=tenant, entry=entry.id))

    def _ask_tickets(self, tenants: Sequence[str], due: set[str]) -> None:
        keys = {tenant: self._limit_keys(tenant) for tenant in tenants}
        now = self._work.inbox.glance(tenants, keys) if tenants else {}
        for tenant, glance in now.items():
            before = self._last.get(tenant)
            urgent = tenant in due or glance.epoch is None or (before is not None and _limits_differ(before, glance))
            waits = before is not None and before.inbox_size and glance.inbox_size
            if urgent or waits or (before is not None and glance.ticket and glance.ticket == before.ticket):
                self._ask_ticket(tenant, before, glance, urgent)
            self._rewrite_if_doubtful(tenant, before, glance)
        self._last = now

    def _ask_ticket(self, tenant: str, before: Glance | None, glance: Glance, due: bool) -> None:
        """A ticket that two looks saw and that nobody will come to is replaced."""
        if glance.ticket is None:
            self._work.wake(tenant, due)
        elif due and not self._is_queued(self._extra.get(tenant)):
            # Under a stream of webhooks a ticket is always out, and theirs don't look at what is due.
            self._extra[tenant] = tickets.add(self._work.tickets, tenant)
        elif before and glance.ticket == before.ticket and not self._is_queued(glance.ticket):
            log.warning(logs.line("ticket_lost", tenant=tenant))
            tickets.replace(self._work.tickets, tenant)

    def _is_queued(self, job_id: str | None) -> bool:
        return job_id is not None and tickets.is_queued(self._work.tickets, job_id)

    def _limit_keys(self, tenant: str) -> list[str]:
        return [limits.key_of(tenant, scope) for scope in limits.scopes(self._agents.get(tenant, []), [])]

    def _rewrite_if_doubtful(self, tenant: str, before: Glance | None, glance: Glance) -> None:
        """Twice the same doubt: no change is under way that would remove it."""
        doubtful = glance.rev is None or glance.rev.startswith("~")
        if not doubtful or before is None or before.rev != glance.rev:
            return
        if time.monotonic() - self._rewritten.get(tenant, 0.0) >= REWRITE_S:
            self._rewrite(tenant)

    def _rewrite(self, tenant: str) -> None:
        """The caches as the ledger is now. The tenant's lock keeps decisions, and their telling, away meanwhile."""
        self._rewritten[tenant] = time.monotonic()
        with self._work.turn(tenant), self._ledger.transaction() as cur:
            row = LEDGER.one(cur, "snapshot", tenant=tenant)
            if row is None:
                return
            rooms = LEDGER.all(cur, "cached_rooms", tenant=tenant)
            seats = {r.id: r.open_seats for r in LEDGER.all(cur, "cached_seats", tenant=tenant)}
            line = [(r.room, r.arrived_us) for r in rooms if r.state == "waiting"]
            held = [r.room for r in rooms if r.state != "waiting"]
            wrong = self._work.inbox.rewrite(tenant, row.rev, line, held, seats)
            if wrong:
                LEDGER.run(cur, "count_drift", tenant=tenant, kind="cache", n=wrong)
        if wrong:
            log.warning(logs.line("caches_rewritten", tenant=tenant, wrong=wrong))

    def _sweep(self, tenant: str) -> None:
        """What is due every IDLE_SECONDS, and at once after Redis lost its data."""
        jobs.learn(self._work, tenant)
        with self._ledger.transaction() as cur:
            LEDGER.run(cur, "ask_looks", tenant=tenant, lag_s=self._work.rules.lag_s, most=LOOKS_A_SWEEP)
            figures = {row.tenant: row for row in LEDGER.all(cur, "figures")}
        self._rewrite(tenant)
        if tenant in figures:
            _log_figures(figures[tenant])

    def _prune(self, tenant: str) -> None:
        with self._ledger.transaction() as cur:
            keep_days = self._work.rules.keep_days
            gone = LEDGER.run(cur, "prune", tenant=tenant, keep_days=keep_days, most=PRUNE_MOST)
            LEDGER.run(cur, "prune_rounds", tenant=tenant, keep_days=keep_days)
            LEDGER.run(cur, "prune_refused", tenant=tenant, keep_days=keep_days)
        chats = self._prune_chats(tenant) if self._work.rules.keep_chats_days else 0
        if gone == PRUNE_MOST or chats == PRUNE_CHATS_MOST:
            with self._ledger.transaction() as cur:
                LEDGER.run(cur, "prune_again", tenant=tenant)
        if gone or chats:
            log.info(logs.line("pruned", tenant=tenant, visits=gone, chats=chats))

    def _prune_chats(self, tenant: str) -> int:
        """Under the tenant's lock: nobody begins a chat as a customer who is just being forgotten."""
        keep_days = self._work.rules.keep_chats_days
        with self._ledger.transaction() as cur:
            line.lock(cur, tenant)
            gone = LEDGER.all(cur, "prune_chats", tenant=tenant, keep_days=keep_days, most=PRUNE_CHATS_MOST)
            LEDGER.run(cur, "prune_customers", customers=[row.customer for row in gone])
        return len(gone)


def _let_in(entry: Entry, known: dict[str, str]) -> bool:
    """The checks of push.lua, made up for."""
    fields = entry.fields
    digest = known.get(fields.get("tenant", ""))
    if digest is None or (digest == "" and fields.get("open") != "1"):
        return False
    if digest and digest not in fields.get("digest", "").split():
        return False
    return fields.get("named") == "1" or len(known) == 1


def _limits_differ(before: Glance, now: Glance) -> bool:
    return len(before.limits) == len(now.limits) and before.limits != now.limits


def _log_figures(row: Any) -> None:
    log.info(
        logs.line(
            "line",
            tenant=row.tenant,
            waiting=row.waiting,
            oldest_wait_s=round(row.oldest_wait_s, 1),
            reserved=row.reserved,
            held=row.held,
            aside=row.aside,
            agents_online=row.agents_online,
            agents_refused=row.agents_refused,
            seats_free=row.seats_free,
            desk_trouble=row.desk_trouble,
        )
    )
