"""The sweeper: each worker's thread that looks at every tenant twice a second, on its own clock.

A ticket is only a hint; this is what makes sure. It asks for tickets that were lost or that nobody else asks for
(leases, looks, pauses that are over, limits changed), publishes the tenants, and does the housekeeping that is due:
learning rooms from the desk, looking at held ones, rewriting caches, forgetting old visits. Two sweepers harm
nobody: hints are harmless twice, the costly looks are claimed in PostgreSQL.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

import logs
from db import limits, minutes, rules, tickets
from db.inbox import LATER, Entry, Glance, InboxDown, Named
from db.ledger import LEDGER, NATIVE_DESK, WORKER_LOCK_CLASS, lock
from db.postgres import Ledger, LedgerBusy, LedgerDown, LedgerTrouble
from db.redis_why import told
from worker import caches, jobs
from worker.work import BUSY_MS, BUSY_NEWS_S, Work

log = logging.getLogger("worker.sweep")

LOOK_S = 0.5
LOOKS_A_SWEEP = 100  # held rooms that one sweep asks the desk about
REWRITE_S = 5.0  # caches that can't be believed are mended at most this often
REWRITE_SHARE = 0.02  # and take at most this part of the sweeper's time: a long line takes a second
AGENTS_S = 5.0  # how long the list of agents, whose limit keys are watched, is kept
UNSORTED_A_LOOK = 1000
AHEAD_S = 10.0  # longer than an admin's transaction takes
GONE_S = 0.75  # a worker whose lock was free at two looks is dead; until then it may have lost its connection only
CHORES_MOST = 20  # tenants swept, and pruned, in one look; the others follow at the next ones
CHORES_S = 0.25  # how long one look goes on with them
CHORE_AGAIN_S = 1.0  # where a tenant was busy, give or take half
PRUNE_MOST = 2000  # old visits deleted in one short transaction; where there are more, the next look goes on
PRUNE_CHATS_MOST = 200  # the same of chats, which may have thousands of messages each
PRUNE_AGENTS_MOST = 20  # the same of agents, each of whom PostgreSQL looks for among all visits


class Trouble(NamedTuple):
    what: str
    since: float  # monotonic


class Chore(NamedTuple):
    what: str  # sweep, prune, minutes, rewrite
    tenant: str


class Sweeper:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._ledger = Ledger(work.database_url, "sweep", lock_ms=BUSY_MS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._rows: list[Any] = []  # the tenants, as last read
        self._named: dict[str, Named] = {}  # what their rules ask about, for the receivers
        self._ahead: dict[str, float] = {}  # of whom receivers were told a newer version, and since when
        self._last: dict[str, Glance] = {}
        self._limit_keys: dict[str, list[str]] = {}  # by tenant: the wide ones and those of its agents
        self._agents_at = 0.0
        self._rewritten: dict[str, float] = {}  # not again before
        self._extra: dict[str, str] = {}  # jobs asked for beside a ticket
        self._missing: dict[int, float] = {}  # workers whose lock is free, and since when
        self._session = 0  # the connection on which that was seen
        self._owed: dict[Chore, float] = {}  # claimed, but the tenant was busy; not before
        self._outage = logs.Outage(log, "sweep_failed", "sweep_works")
        self._chores = logs.Outages(log, "chore_failed", "chore_works", BUSY_NEWS_S)
        self.looked_at = time.monotonic()
        self.trouble: Trouble | None = None  # of the last look: what all tenants need is away
        self.busy: str | None = None  # of the last look: a lock was in the way

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        self._stop.set()
        self._thread.join(within_s)
        self._ledger.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._step()
            self._stop.wait(LOOK_S)

    def _step(self) -> None:
        """A look, and what the worker says of it."""
        try:
            self.look()
        except (LedgerTrouble, InboxDown, RedisError) as error:
            self._outage.goes_on(told(error))
            self._failed(error)
        except Exception:  # the watch must go on; what gets here is a bug
            log.exception(logs.line("sweep_bug"))
        else:
            self._outage.over()
            self.busy, self.trouble = None, None
        self.looked_at = time.monotonic()

    def _failed(self, error: Exception) -> None:
        """A lock that concerns all tenants is no sign that PostgreSQL is away."""
        if isinstance(error, LedgerBusy):
            self.busy, self.trouble = str(error), None
        else:
            since = self.trouble.since if self.trouble else time.monotonic()
            self.busy, self.trouble = None, Trouble(told(error), since)

    def look(self) -> None:
        """One look at all tenants. What needs no ledger is done with the tenants of the last look where it can't be
        read; then what was in the way is raised."""
        due: set[str] = set()
        trouble: LedgerTrouble | None = None
        try:
            due = self._read()
        except LedgerTrouble as error:
            trouble = error
            if isinstance(error, LedgerDown):
                self._note_dead(set())
        by_webhook = [row for row in self._rows if row.desk != NATIVE_DESK]
        if self._rows or trouble is None:
            self._publish(by_webhook)
            self._sort(by_webhook)
            self._ask_tickets([row.id for row in self._rows], due)
        self._do_chores()
        if trouble:
            raise trouble

    def _read(self) -> set[str]:
        """The tenants; those that are due; what this worker may now do for some of them."""
        with self._ledger.transaction() as cur:
            rows = LEDGER.all(cur, "tenants")
            self._named = rules.named(cur)
            due = self._due(cur)
            dead = {row.id for row in LEDGER.all(cur, "dead_owners", lock_class=WORKER_LOCK_CLASS)}
            sweeps = LEDGER.all(cur, "claim_sweep", idle_s=self._work.rules.idle_s, most=CHORES_MOST)
            prunes = LEDGER.all(cur, "claim_prune", most=CHORES_MOST)
            unwritten = minutes.due(cur)
            self._learn_agents(cur)
        self._rows = rows
        self._work.desks.refresh(rows)
        self._note_dead(dead)
        chores = [Chore("sweep", row.id) for row in sweeps] + [Chore("prune", row.id) for row in prunes]
        for chore in chores + [Chore("minutes", tenant) for tenant in unwritten]:
            self._owed.setdefault(chore, 0.0)
        return due

    def _note_dead(self, dead: set[int]) -> None:
        """Whose lock is free only for a moment has lost its connection, and takes it again. Where this worker lost its
        own too, nothing that was seen before counts."""
        now = time.monotonic()
        if self._session != self._ledger.sessions:
            self._missing, self._session = {}, self._ledger.sessions
        self._missing = {owner: self._missing.get(owner, now) for owner in dead}
        self._work.gone = frozenset(owner for owner, since in self._missing.items() if now - since >= GONE_S)

    def _do_chores(self) -> None:
        """Housekeeping, a tenant at a time: who is busy has it done later, who fails stops no other."""
        began = time.monotonic()
        for chore in [chore for chore, at in self._owed.items() if at <= began]:
            if time.monotonic() - began > CHORES_S:
                return
            try:
                self._chore(chore)
            except (LedgerTrouble, InboxDown, RedisError) as error:
                self._owed[chore] = time.monotonic() + CHORE_AGAIN_S * random.uniform(0.5, 1.5)
                self._chores.go_on(told(error), chore.tenant)
                continue
            except Exception:
                log.exception(logs.line("chore_bug", tenant=chore.tenant, what=chore.what))
            del self._owed[chore]
            self._chores.over(chore.tenant)

    def _chore(self, chore: Chore) -> None:
        if chore.what == "sweep":
            self._sweep(chore.tenant)
        elif chore.what == "prune":
            self._prune(chore.tenant)
        elif chore.what == "minutes":
            with self._ledger.transaction() as cur:
                minutes.write(cur, chore.tenant)
        else:
            self._rewrite(chore.tenant)

    def _due(self, cur: Any) -> set[str]:
        rules = self._work.rules
        due = {"asks_desk": rules.policy.asks_desk, "retry_s": rules.retry_s}
        return {row.id for row in LEDGER.all(cur, "due", lock_class=WORKER_LOCK_CLASS, **due) if row.due}

    def _learn_agents(self, cur: Any) -> None:
        if time.monotonic() - self._agents_at < AGENTS_S:
            return
        self._agents_at = time.monotonic()
        agents: dict[str, list[str]] = {}
        for row in LEDGER.all(cur, "all_agents"):
            agents.setdefault(row.tenant, []).append(row.id)
        self._limit_keys = {tenant: _limit_keys(tenant, names) for tenant, names in agents.items()}

    def _publish(self, rows: Sequence[Any]) -> None:
        """Redis may have been emptied, a tenant added: the receivers must know whom to let in. Nobody may post webhooks
        for our own chat."""
        digests = {row.id: row.webhook_digest for row in rows}
        self._tell_what_rules_ask()
        if self._work.inbox.published() != digests:
            self._work.inbox.publish(digests)
            log.info(logs.line("tenants_published", tenants=len(digests)))

    def _tell_what_rules_ask(self) -> None:
        """Before the tenants: while these are not published, receivers go by what they knew. A newer version is being
        applied just now; if it stays newer, that failed, or the tenant is another one of the same name."""
        told, now = self._work.inbox.names(), time.monotonic()
        ahead = {t for t, named in told.items() if t not in self._named or named.version > self._named[t].version}
        self._ahead = {tenant: self._ahead.get(tenant, now) for tenant in ahead}
        stuck = [tenant for tenant, since in self._ahead.items() if now - since >= AHEAD_S]
        if stuck:
            self._work.inbox.forget_names(stuck)
        for tenant, named in self._named.items():
            if told.get(tenant) != named and (tenant not in ahead or tenant in stuck):
                self._work.inbox.name(tenant, named)

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
        keys = {tenant: self._limit_keys.get(tenant) or _limit_keys(tenant, ()) for tenant in tenants}
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
        if glance.ticket and glance.ticket.startswith(LATER):  # its tenant is busy; a worker comes again in a moment
            return
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

    def _rewrite_if_doubtful(self, tenant: str, before: Glance | None, glance: Glance) -> None:
        """Twice the same doubt: no change is under way that would remove it."""
        doubtful = glance.rev is None or not glance.rev.isdigit()
        if not doubtful or before is None or before.rev != glance.rev:
            return
        if time.monotonic() >= self._rewritten.get(tenant, 0.0):
            self._owed.setdefault(Chore("rewrite", tenant), 0.0)

    def _rewrite(self, tenant: str) -> None:
        began = time.monotonic()
        self._rewritten[tenant] = began + REWRITE_S
        wrong = caches.rewrite(self._work, self._ledger, tenant)
        self._rewritten[tenant] = began + max(REWRITE_S, (time.monotonic() - began) / REWRITE_SHARE)
        if wrong:
            log.warning(logs.line("caches_rewritten", tenant=tenant, wrong=wrong))

    def _sweep(self, tenant: str) -> None:
        """What is due every IDLE_SECONDS, and at once after Redis lost its data."""
        jobs.learn(self._work, tenant)
        with self._ledger.transaction() as cur:
            LEDGER.run(cur, "ask_looks", tenant=tenant, lag_s=self._work.rules.lag_s, most=LOOKS_A_SWEEP)
            figures = LEDGER.one(cur, "figures", tenant=tenant)
        self._rewrite(tenant)
        if figures:
            _log_figures(figures)

    def _prune(self, tenant: str) -> None:
        with self._ledger.transaction() as cur:
            keep_days = self._work.rules.keep_days
            gone = LEDGER.run(cur, "prune", tenant=tenant, keep_days=keep_days, most=PRUNE_MOST)
            LEDGER.run(cur, "prune_rounds", tenant=tenant, keep_days=keep_days)
            LEDGER.run(cur, "prune_refused", tenant=tenant, keep_days=keep_days)
            minutes.prune(cur, tenant, keep_days)
        known, more = self._prune_known(tenant)
        chats = self._prune_chats(tenant) if self._work.rules.keep_chats_days else 0
        if gone == PRUNE_MOST or more or chats == PRUNE_CHATS_MOST:
            with self._ledger.transaction() as cur:
                LEDGER.run(cur, "prune_again", tenant=tenant)
        if gone or known or chats:
            log.info(logs.line("pruned", tenant=tenant, visits=gone, known=known, chats=chats))

    def _prune_known(self, tenant: str) -> tuple[int, bool]:
        """Rooms, classes and agents that nothing has been heard of: how many, and whether there are more. Under the
        tenant's lock: no decision has just read what is forgotten here."""
        old = {"tenant": tenant, "keep_days": self._work.rules.keep_days}
        with self._ledger.transaction() as cur:
            lock(cur, tenant)
            LEDGER.run(cur, "prune_audit", most=PRUNE_MOST, **old)
            rooms = LEDGER.run(cur, "prune_rooms", most=PRUNE_MOST, **old)
            classes = LEDGER.all(cur, "unused_classes", most=PRUNE_MOST, **old)
            LEDGER.run(cur, "prune_rosters", tenant=tenant, classes=[row.class_ for row in classes])
            LEDGER.run(cur, "nobody_names", tenant=tenant, agents=None)
            agents = LEDGER.run(cur, "prune_agents", most=PRUNE_AGENTS_MOST, **old)
        more = rooms == PRUNE_MOST or len(classes) == PRUNE_MOST or agents == PRUNE_AGENTS_MOST
        return rooms + len(classes) + agents, more

    def _prune_chats(self, tenant: str) -> int:
        """Under the tenant's lock: nobody begins a chat as a customer who is just being forgotten."""
        keep_days = self._work.rules.keep_chats_days
        with self._ledger.transaction() as cur:
            lock(cur, tenant)
            gone = LEDGER.all(cur, "prune_chats", tenant=tenant, keep_days=keep_days, most=PRUNE_CHATS_MOST)
            LEDGER.run(cur, "prune_customers", customers=[row.customer for row in gone])
        return len(gone)


def _limit_keys(tenant: str, agents: Sequence[str]) -> list[str]:
    return [limits.key_of(tenant, scope) for scope in limits.scopes(agents, [])]


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
