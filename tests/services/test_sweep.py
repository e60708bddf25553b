"""The sweeper, look by look, over a real queue, inbox and ledger: what was lost is found, nothing runs in a ring."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from db import inbox, tickets
from db.acts import ACTS
from db.inbox import InboxDown, Named, digest, key, limit_key
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.postgres import LedgerBusy
from db.push import Sender, Webhook
from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line
from worker import sweep
from worker.calls import Held, Parked, Refused, Roster, Unserved
from worker.desk.base import DeskTrouble, RosterAgent, UnservedRoom
from worker.liveness import Liveness
from worker.sweep import AHEAD_S, Sweeper

RULED = """[queues.bali]
agents = { divisions = ["Bali"] }
[[rules]]
name = "Bali"
when = { property.city = "Ubud" }
queue = "bali"
"""
DOWN = DeskTrouble("503", maybe_applied=False)


class Desk:
    """A desk with one unserved room."""

    def unserved(self) -> list[UnservedRoom]:
        return [UnservedRoom("learned", "", None)]


class Watch:
    """A line, a worker's sweeper that is moved by hand, and the queue that it writes to."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.work = line.work(Desk())
        self.sweeper = Sweeper(self.work)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.sweeper.look()

    @property
    def jobs(self) -> int:
        return self.work.tickets.count

    def served(self) -> list[bool]:
        """All tickets were served, as RQ and the job's first step would: whether each was due."""
        due = [bool(job.args[1]) for job in self.work.tickets.jobs]
        self.work.tickets.empty()
        self.line.redis.delete(key(TENANT, "ticket"))
        return due

    def flag(self) -> str | None:
        return self.line.redis.get(key(TENANT, "ticket"))

    def close(self) -> None:
        self.sweeper._ledger.close()
        self.work.drains.close()
        assert self.work.callers.close(5)


@pytest.fixture
def watch(line: Line) -> Iterator[Watch]:
    """Its first looks are behind it: everything is published, read and quiet; the sweep was made a moment ago."""
    line.roster("ani")
    line.decide()
    line.run("UPDATE tenants SET swept_at = clock_timestamp(), pruned_at = clock_timestamp()")
    with contextlib.closing(Watch(line)) as made:
        made.look(2)
        made.served()
        yield made


# --- tickets that were lost


def test_a_webhook_whose_ticket_was_never_put_into_the_queue_is_found(watch: Watch) -> None:
    """The receiver was killed between the flag and the job."""
    watch.line.arrive("r1")
    lost = watch.flag()
    assert lost
    watch.look(2)
    assert watch.jobs == 1
    assert watch.flag() not in (None, lost)
    assert watch.served() == [True]


def test_an_inbox_without_any_ticket_is_found(watch: Watch) -> None:
    watch.line.arrive("r1")
    watch.line.redis.delete(key(TENANT, "ticket"))
    watch.look(2)
    assert watch.jobs == 1
    assert watch.flag() == watch.work.tickets.job_ids[0]


def test_a_job_that_a_worker_took_along_when_it_died_is_replaced(watch: Watch) -> None:
    watch.line.arrive("r1")
    tickets.enqueue(watch.work.tickets, TENANT, watch.flag() or "")
    watch.work.tickets.connection.lpop(watch.work.tickets.key)
    watch.look(2)
    assert watch.jobs == 1


def test_a_ticket_that_waits_in_the_queue_is_left_alone(watch: Watch) -> None:
    watch.line.arrive("r1")
    tickets.enqueue(watch.work.tickets, TENANT, watch.flag() or "")
    before = watch.flag()
    watch.look(20)
    assert (watch.jobs, watch.flag()) == (1, before)


def test_a_job_whose_flag_is_gone_gets_at_most_one_more_beside_it(watch: Watch) -> None:
    watch.line.arrive("r1")
    tickets.enqueue(watch.work.tickets, TENANT, watch.flag() or "")
    watch.line.redis.delete(key(TENANT, "ticket"))
    watch.look(20)
    assert watch.jobs <= 2


def test_a_webhook_that_came_this_moment_is_nobodys_loss(watch: Watch) -> None:
    """One look is too short to tell a lost ticket from a young one."""
    watch.line.arrive("r1")
    watch.look()
    assert watch.jobs == 0


def test_a_ticket_of_a_settler_that_was_lost_is_replaced_though_no_webhook_waits(watch: Watch) -> None:
    """A seat is free, a room waits, and the process died between the flag and the job."""
    watch.line.redis.set(key(TENANT, "ticket"), "lost", ex=inbox.TICKET_SECONDS)
    watch.look(3)
    assert watch.jobs == 1


def test_two_sweepers_replace_a_lost_ticket_and_harm_nobody(watch: Watch) -> None:
    with line_life(watch.line) as other:
        watch.line.arrive("r1")
        for _ in range(4):
            watch.look()
            other.look()
        assert 1 <= watch.jobs <= 2


@contextlib.contextmanager
def line_life(line: Line) -> Iterator[Watch]:
    """Another worker's sweeper for the same line."""
    with contextlib.closing(Watch(line)) as other:
        other.work.owner = line.owner + 100_000
        yield other


def test_a_sweeper_that_stopped_does_not_matter(watch: Watch) -> None:
    with line_life(watch.line) as other:
        other.look(2)
        watch.line.arrive("r1")  # `watch` looks no more
        other.look(2)
        assert watch.jobs == 1


# --- the loss of Redis


def test_after_a_loss_of_redis_each_tenant_is_looked_at_and_published_again(watch: Watch) -> None:
    watch.line.lose_redis(published=False)
    watch.look()
    assert watch.served() == [True]
    assert watch.line.inbox.published() == {TENANT: ""}
    watch.line.decide()
    assert watch.line.redis.get(key(TENANT, "epoch"))


def test_after_a_loss_of_redis_the_desks_list_is_read_and_the_caches_are_written_again(watch: Watch) -> None:
    line = watch.line
    line.serve("r1", "r2", "r3")
    line.lose_redis(published=False)
    line.decide()
    watch.look()
    tenant, report = watch.work.reports.get(timeout=5)
    assert (tenant, report.rooms) == (TENANT, (UnservedRoom("learned", "", None),))
    found = line.caches()
    assert (found["line"], found["held"], found["seats"]) == (["r3"], ["r1", "r2"], {"ani": "2"})
    assert line.inbox.open_ticket(TENANT, "run").trusted
    assert line.drift() == {}, "nothing had drifted, it was lost"


def test_a_new_tenant_is_published_and_a_secret_that_changed_too(watch: Watch) -> None:
    line = watch.line
    line.run("INSERT INTO tenants (id, base_url, secret_key, webhook_digest) VALUES ('warung', '', '', 'd')")
    watch.look()
    assert line.inbox.published() == {TENANT: "", "warung": "d"}
    assert line.redis.hget(inbox.TENANTS, "*") == "2"
    line.run("UPDATE tenants SET webhook_digest = 'e' WHERE id = 'warung'")
    watch.look()
    assert (line.inbox.published() or {})["warung"] == "e"
    line.run("DELETE FROM tenants WHERE id = 'warung'")
    watch.look()
    assert line.inbox.published() == {TENANT: ""}


# --- webhooks of the moment without tenants


def unsorted(watch: Watch, *senders: Sender) -> None:
    watch.line.lose_redis(published=False)
    for n, sender in enumerate(senders):
        assert watch.line.push(Webhook("arrived", f"r{n}"), sender).word == "unsorted"


def test_what_the_receivers_could_not_sort_is_sorted_in_order_and_served(watch: Watch) -> None:
    unsorted(watch, *[watch.line.sender()] * 3)
    watch.look()
    watch.line.decide()
    assert watch.line.redis.xlen(inbox.UNSORTED) == 0
    rooms = watch.line.rows("SELECT room FROM visits ORDER BY arrived_us")
    assert [row.room for row in rooms] == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("sender", "let_in"),
    [
        (Sender(TENANT, True, True, ""), True),
        (Sender(TENANT, False, True, ""), False),  # two tenants: an unnamed webhook could be either's
        (Sender(TENANT, True, False, digest("guess")), False),
        (Sender("warung", True, False, digest("right")), True),
        (Sender("warung", True, False, digest("wrong")), False),
        (Sender("warung", True, True, ""), False),  # the installation's secret opens no tenant that has its own
        (Sender("nobody", True, True, ""), False),
    ],
)
def test_what_the_receivers_could_not_sort_is_let_in_by_the_same_rules(
    watch: Watch, sender: Sender, let_in: bool
) -> None:
    insert = "INSERT INTO tenants (id, base_url, secret_key, webhook_digest) VALUES ('warung', '', '', %s)"
    watch.line.run(insert, digest("right"))
    unsorted(watch, sender)
    watch.look()
    assert watch.line.redis.xlen(inbox.UNSORTED) == 0
    sizes = {t: watch.line.redis.xlen(key(t, "inbox")) for t in (TENANT, "warung", "nobody")}
    assert sizes == {t: int(let_in and t == sender.tenant) for t in sizes}


def test_an_unnamed_webhook_of_the_only_tenant_is_let_in(watch: Watch) -> None:
    unsorted(watch, Sender(TENANT, False, True, ""))
    watch.look()
    assert watch.line.inbox_size() == 1


# --- what is due, and what is not


def waiting_while_full(line: Line) -> None:
    line.serve("r1", "r2", "r3")


def parked(line: Line) -> None:
    line.arrive("r1")
    line.settle(*(Parked(p, "503", unclear=True, wait_s=60, trouble=DOWN) for p in line.pairs(line.decide())))
    line.roster("ani")


def set_aside(line: Line) -> None:
    line.arrive("r1")
    line.run("UPDATE visits SET refusals = 2")
    line.settle(*(Refused(p, "no") for p in line.pairs(line.decide())))
    line.run("UPDATE visits SET look_at = NULL, aside = 'no', retry_at = clock_timestamp() + interval '1 minute'")


def paused(line: Line) -> None:
    line.arrive("r1")
    line.run("UPDATE tenants SET desk_failures = 7, paused_until = clock_timestamp() + interval '1 minute'")
    line.decide()


def being_called(line: Line) -> None:
    line.arrive("r1")
    line.decide()


def nobody_online(line: Line) -> None:
    line.roster(RosterAgent("ani", "Ani", False, 0))
    line.arrive("r1")
    line.decide()


def empty_line(line: Line) -> None:
    line.serve("r1")


def full_beside_one_failure(line: Line) -> None:
    waiting_while_full(line)
    line.run("UPDATE tenants SET desk_failures = 1")


QUIET = [
    empty_line,
    waiting_while_full,
    parked,
    set_aside,
    paused,
    being_called,
    nobody_online,
    full_beside_one_failure,
]


@pytest.mark.parametrize("arranged", QUIET, ids=lambda arranged: arranged.__name__)
def test_twenty_looks_at_a_line_where_nothing_is_due_ask_for_nothing(
    watch: Watch, arranged: Callable[[Line], None]
) -> None:
    arranged(watch.line)
    watch.served()
    watch.look(20)
    assert watch.jobs == 0


def lease_over(line: Line) -> None:
    being_called(line)
    line.aged(31)


def owner_dead(line: Line) -> None:
    line.arrive("r1")
    line.decide(owner=987_654)


def parked_due(line: Line) -> None:
    parked(line)
    line.aged(61)


def look_due(line: Line) -> None:
    line.serve("r1")
    line.run("UPDATE visits SET look_at = clock_timestamp()")


def retry_due(line: Line) -> None:
    line.arrive("r1")
    line.settle(*(Refused(p, "no") for p in line.pairs(line.decide())))
    line.run("UPDATE visits SET look_at = NULL, retry_at = clock_timestamp()")


def aside_due(line: Line) -> None:
    set_aside(line)
    line.aged(61)


def roster_due(line: Line) -> None:
    waiting_while_full(line)
    line.run("UPDATE rosters SET due_at = clock_timestamp()")


def pause_over(line: Line) -> None:
    paused(line)
    line.ended_pause()


def limit_raised(line: Line) -> None:
    waiting_while_full(line)
    line.redis.set(limit_key(TENANT, "ani"), "3")


DUE = [lease_over, owner_dead, parked_due, look_due, retry_due, aside_due, roster_due, pause_over]


@pytest.mark.parametrize("arranged", DUE, ids=lambda arranged: arranged.__name__)
def test_what_is_due_asks_for_a_ticket_at_the_next_look(watch: Watch, arranged: Callable[[Line], None]) -> None:
    arranged(watch.line)
    watch.served()
    watch.look()
    assert watch.served() == [True]


@pytest.mark.parametrize("arranged", [*DUE, limit_raised], ids=lambda arranged: arranged.__name__)
def test_what_was_due_is_done_by_its_ticket_and_asks_for_no_other(
    watch: Watch, arranged: Callable[[Line], None]
) -> None:
    """The decision claims it: twenty more looks are quiet."""
    arranged(watch.line)
    watch.served()
    watch.look()
    watch.served()
    made = watch.line.decide()
    watch.line.settle(*_yes(watch.line, made))
    watch.line.decide()
    watch.served()
    watch.look(20)
    assert watch.jobs == 0


def _yes(line: Line, made: Any) -> list[Any]:
    """The desk does what it is asked, and says nothing new."""
    return [
        *(Held(pair, pair.agent) for pair in line.pairs(made)),
        *(Roster(q.class_, q.room, (RosterAgent("ani", "Ani", True, 0),)) for q in made.rosters),
    ]


def test_a_paused_desk_is_left_alone_whatever_is_due(watch: Watch) -> None:
    for arranged in (lease_over, look_due):
        arranged(watch.line)
    watch.line.run("UPDATE tenants SET paused_until = clock_timestamp() + interval '1 minute'")
    watch.served()
    watch.look(3)
    assert watch.jobs == 0


@pytest.mark.parametrize("name", [limit_key(), limit_key(TENANT), limit_key(TENANT, "ani")])
@pytest.mark.parametrize("value", ["3", "0", None])
def test_a_limit_that_changed_wakes_its_tenant(watch: Watch, name: str, value: str | None) -> None:
    watch.line.redis.set(name, "2")
    watch.look(2)
    watch.served()
    if value is None:
        watch.line.redis.delete(name)
    else:
        watch.line.redis.set(name, value)
    watch.look()
    assert watch.served() == [True]
    watch.look(5)
    assert watch.jobs == 0


def test_a_limit_of_another_tenant_wakes_nobody_else(watch: Watch) -> None:
    watch.line.redis.set(limit_key("warung"), "9")
    watch.look(3)
    assert watch.jobs == 0


# --- housekeeping


def test_counters_in_doubt_are_rewritten_by_the_second_look(watch: Watch) -> None:
    line = watch.line
    line.serve("r1")
    watch.sweeper._rewritten.clear()  # as if the last rewrite were long ago
    line.arrive("r2")
    line.decide(tell=False)
    watch.served()
    assert not line.inbox.open_ticket(TENANT, "run").trusted
    watch.look(2)
    assert line.inbox.open_ticket(TENANT, "run").trusted
    assert line.caches()["seats"] == {"ani": "2"}
    assert line.drift() == {}, "nothing had drifted, it was not told"


def test_a_change_that_is_under_way_this_moment_is_not_written_over(watch: Watch) -> None:
    line = watch.line
    line.arrive("r1")
    made = line.decide(tell=False)
    watch.sweeper._rewritten.clear()
    watch.look()
    assert line.caches()["rev"] == f"~{line.turns[id(made)].rev}"
    line.tell(made)
    watch.look()
    assert line.caches()["rev"] == str(line.turns[id(made)].rev)


def test_caches_that_drifted_are_healed_and_counted_by_the_sweep(watch: Watch) -> None:
    line = watch.line
    line.serve("r1")
    line.redis.sadd(key(TENANT, "held"), "ghost")
    line.redis.hset(key(TENANT, "seats"), "ani", "7")
    line.run("UPDATE tenants SET swept_at = '-infinity'")
    watch.look()
    assert line.drift() == {"cache": 2}
    assert (line.caches()["held"], line.caches()["seats"]) == (["r1"], {"ani": "1"})


def test_a_sweep_asks_about_held_rooms_first_where_the_desk_counts_fewer(watch: Watch) -> None:
    line = watch.line
    line.roster("ani", "budi")
    line.serve("r1", "r2", "r3")
    line.aged(60)
    line.run("UPDATE agents SET desk_count = CASE id WHEN 'budi' THEN 0 ELSE 9 END")
    with line.ledger.transaction() as cur:
        LEDGER.run(cur, "ask_looks", tenant=TENANT, lag_s=5.0, most=1)
    asked = line.rows("SELECT agent FROM visits WHERE look_at IS NOT NULL")
    assert [row.agent for row in asked] == ["budi"]
    line.run("UPDATE tenants SET swept_at = '-infinity'")
    watch.look()
    assert line.one("SELECT count(*) n FROM visits WHERE look_at IS NOT NULL").n == 3


def test_a_sweep_leaves_rooms_alone_that_were_settled_within_the_lag(watch: Watch) -> None:
    line = watch.line
    line.serve("r1")
    line.run("UPDATE tenants SET swept_at = '-infinity'")
    watch.look()
    assert line.visit("r1").look_at is None


def test_one_of_two_sweepers_makes_the_costly_sweep(watch: Watch) -> None:
    with line_life(watch.line) as other:
        watch.line.run("UPDATE tenants SET swept_at = '-infinity'")
        watch.look()
        other.look()
        assert eventually(lambda: watch.work.reports.qsize() == 1, 5)
        assert other.work.reports.qsize() == 0


def test_the_sweep_learns_what_no_webhook_told(watch: Watch) -> None:
    watch.line.run("UPDATE tenants SET swept_at = '-infinity'")
    watch.look()
    _, report = watch.work.reports.get(timeout=5)
    assert isinstance(report, Unserved)
    watch.line.settle(report)
    assert watch.line.states() == {"learned": "waiting"}
    assert watch.line.visit("learned").learned


def test_visits_older_than_is_kept_are_forgotten_with_all_that_hangs_on_them(watch: Watch) -> None:
    line = watch.line
    for room in ("old", "young", "open"):
        line.arrive(room, latest=1)
    line.settle(*line.held(line.decide()))
    line.resolve("old", 2)
    line.resolve("young", 2)
    line.decide()
    line.raw(room="")
    line.decide()
    line.run("INSERT INTO events (visit, what) SELECT id, 'x' FROM visits WHERE room = 'old'")
    keep = f"interval '{line.rules.keep_days} days'"
    line.run(f"UPDATE visits SET closed_at = closed_at - {keep} WHERE room = 'old'")
    line.run(f"UPDATE visits SET opened_at = opened_at - {keep} WHERE room = 'open'")
    line.run(f"UPDATE refused SET at = at - {keep}")
    line.run("UPDATE tenants SET pruned_at = '-infinity'")
    watch.look()
    kept = line.rows("SELECT room FROM visits ORDER BY room")
    assert [row.room for row in kept] == ["open", "young"]
    assert line.one("SELECT count(*) n FROM events").n == 0
    assert line.refused() == []
    assert line.remembered("old") == (2, True), "so that a late webhook of its service opens no ghost"


def test_rooms_agents_and_classes_that_nothing_was_heard_of_are_forgotten(watch: Watch) -> None:
    line = watch.line
    line.roster("ani", "gone", class_="1")
    line.roster("left", "held", class_="old")
    line.roster("ani", class_="1")
    line.roster("kept", class_="waits")
    line.arrive("served", class_="1")
    line.settle(*line.held(line.decide()))
    line.run("INSERT INTO rooms (tenant, id) VALUES ('toko', 'nobody'), ('toko', 'young'), ('toko', 'served')")
    line.run("UPDATE visits SET last_agent = 'held' WHERE room = 'served'")
    line.run("INSERT INTO visits (tenant, room, class, arrived_us, state) VALUES ('toko', 'w', 'waits', 1, 'waiting')")
    keep = f"interval '{line.rules.keep_days} days'"
    line.run(f"UPDATE rooms SET seen_at = seen_at - {keep} WHERE id <> 'young'")
    line.run(f"UPDATE agents SET seen_at = seen_at - {keep}")
    line.run(f"UPDATE rosters SET read_at = read_at - {keep} WHERE class <> '1'")
    line.run("UPDATE tenants SET pruned_at = '-infinity'")
    watch.look()
    assert {row.id for row in line.rows("SELECT id FROM rooms")} == {"served", "young"}
    assert {row.class_ for row in line.rows("SELECT class FROM rosters")} == {"1", "waits"}
    assert {row.id for row in line.rows("SELECT id FROM agents")} == {"ani", "held", "kept", "left"}
    assert not line.agent("left").available, "no class names them, and they were seen until now"
    line.run(f"UPDATE agents SET seen_at = seen_at - {keep}")
    line.run("UPDATE tenants SET pruned_at = '-infinity'")
    watch.look()
    assert {row.id for row in line.rows("SELECT id FROM agents")} == {"ani", "held", "kept"}


def test_agents_of_our_own_chat_are_kept_as_long_as_their_accounts(watch: Watch) -> None:
    line = watch.line
    line.run(
        "INSERT INTO agents (tenant, id, seen_at) VALUES ('toko', 'mine', '-infinity'), ('toko', 'other', '-infinity')"
    )
    line.run(
        "INSERT INTO accounts (tenant, agent, email, name, password_hash, role)"
        " VALUES ('toko', 'mine', 'm@x.id', 'Mine', 'x', 'agent')"
    )
    line.run("UPDATE tenants SET pruned_at = '-infinity'")
    watch.look()
    assert [row.id for row in line.rows("SELECT id FROM agents ORDER BY id")] == ["ani", "mine"]


def test_rounds_and_decisions_go_when_their_last_visit_is_gone(watch: Watch) -> None:
    line = watch.line
    line.serve("r1")
    line.serve("r2")
    line.run("UPDATE rounds SET at = at - interval '1 year'")
    line.run("DELETE FROM visits WHERE room = 'r1'")
    line.run("UPDATE tenants SET pruned_at = '-infinity'")
    watch.look()
    assert line.reserved_order() == ["r2"]
    assert (line.one("SELECT count(*) n FROM rounds").n, line.one("SELECT count(*) n FROM decisions").n) == (1, 1)


CHATS = """
    WITH c AS (INSERT INTO customers (tenant, email, name) VALUES (%(tenant)s, %(who)s, %(who)s)
                   ON CONFLICT (tenant, lower(email), proved) DO UPDATE SET name = EXCLUDED.name RETURNING id),
    s AS (INSERT INTO sessions (tenant, room, key_digest, customer, customer_name, status, ended_at)
          SELECT %(tenant)s, %(room)s, sha256(%(room)s::bytea), id, %(who)s, %(status)s,
                 CASE WHEN %(status)s = 'ended' THEN clock_timestamp() - %(days)s * interval '1 day' END FROM c
          RETURNING id),
    m AS (INSERT INTO messages (session, seq, id, tenant, sender_type, body)
          SELECT id, 1, %(room)s, %(tenant)s, 'customer', 'x' FROM s RETURNING session),
    n AS (INSERT INTO notes (tenant, session, agent, agent_name, body) SELECT %(tenant)s, id, 'a', 'A', 'x' FROM s)
    SELECT session FROM m
"""


def chat_of_ours(line: Line, room: str, who: str, days: float, status: str = "ended") -> None:
    with line.ledger.transaction() as cur:
        cur.execute(CHATS, {"tenant": TENANT, "room": room, "who": who, "days": days, "status": status})
        [(session,)] = cur.fetchall()
        sql = "INSERT INTO attachments (id, tenant, session, seq, name, type, size) VALUES (%s, %s, %s, 1, 'n', 't', 1)"
        cur.execute(sql, (f"file {room}", TENANT, session))


def test_chats_that_were_over_for_so_long_are_forgotten_where_that_is_wished(watch: Watch) -> None:
    line = watch.line
    chat_of_ours(line, "long over", "gone", 31)
    chat_of_ours(line, "long over too", "here", 31)
    chat_of_ours(line, "just over", "here", 29)
    chat_of_ours(line, "open", "talks", 0, "waiting")
    line.run("UPDATE sessions SET created_at = created_at - interval '1 year'")

    def kept(days: int) -> list[str]:
        watch.work.rules = replace(watch.work.rules, keep_chats_days=days)
        line.run("UPDATE tenants SET pruned_at = '-infinity'")
        watch.look()
        return [row.room for row in line.rows("SELECT room FROM sessions ORDER BY room")]

    assert kept(0) == ["just over", "long over", "long over too", "open"], "not wished: for ever"
    assert kept(30) == ["just over", "open"]
    assert [row.email for row in line.rows("SELECT email FROM customers ORDER BY email")] == ["here", "talks"]
    assert [row.id for row in line.rows("SELECT id FROM attachments ORDER BY id")] == ["file just over", "file open"]
    for table in ("messages", "notes"):
        assert line.one(f"SELECT count(*) n FROM {table}").n == 2


def test_more_old_chats_than_one_transaction_takes_are_forgotten_look_by_look(watch: Watch, monkeypatch) -> None:
    line = watch.line
    monkeypatch.setattr(sweep, "PRUNE_CHATS_MOST", 2)
    for number in range(5):
        chat_of_ours(line, f"c{number}", "gone", 31)
    watch.work.rules = replace(watch.work.rules, keep_chats_days=30)
    line.run("UPDATE tenants SET pruned_at = '-infinity'")
    watch.look(3)
    assert line.one("SELECT count(*) n FROM sessions").n == 0


@contextlib.contextmanager
def alive(line: Line) -> Iterator[Liveness]:
    """What says that the worker of this line lives; the line's own lock is given up."""
    line.die()
    made = Liveness(line.database_url, line.owner)
    made.start()
    assert made.held.wait(5)
    yield made
    made.stop(5)


LIVES = (
    "SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = %s AND l.granted"
    " AND a.datname = current_database()"
)


def test_a_worker_lives_as_long_as_its_connection_for_that(line: Line) -> None:
    """What says that reservations have an owner: a lock on a connection on which nothing else runs."""
    line.roster("ani")
    with contextlib.closing(Watch(line)) as mine, line_life(line) as other:
        with alive(line):
            mine.look(2)
            other.look(2)
            mine.served()
            line.arrive("r1")
            line.decide()
            mine.served()
            mine.look(3)
            mine.sweeper._ledger.close()
            mine.look(3)
            assert mine.jobs == 0, "its own pair is not taken for abandoned"
            assert other.work.gone == frozenset()
        eventually(lambda: (other.look(), other.jobs)[1], 5, "the dead worker's pair")
        eventually(lambda: (other.look(), line.owner in other.work.gone)[1], 5, "the worker is known to be dead")


def test_a_worker_whose_liveness_is_cut_takes_it_again_before_anybody_takes_it_for_dead(line: Line) -> None:
    line.roster("ani")
    with contextlib.closing(Watch(line)) as other, alive(line):
        line.arrive("r1")
        line.decide()
        for _ in range(5):
            [(pid,)] = line.rows(LIVES, WORKER_LOCK_CLASS, line.owner)
            line.rows("SELECT pg_terminate_backend(%s, 2000)", pid)
            other.look()
            eventually(lambda: line.rows(LIVES, WORKER_LOCK_CLASS, line.owner), 2, "the lock, taken again")
            other.look()
            assert other.work.gone == frozenset()


def test_what_a_dead_worker_was_asking_the_desk_is_asked_by_another_at_once(line: Line) -> None:
    """Not only when the lease of its question ends."""
    other = line.owner + 100_000
    with contextlib.closing(Watch(line)) as watch:
        with alive(line):
            line.resolve("r1")
            line.decide()
            line.arrive("r1")
            assert len(line.decide().looks) == 1, "nothing proves that it waits"
            watch.served()
            watch.look(3)
            assert watch.jobs == 0, "its worker lives"
            assert line.decide(owner=other).looks == []
        eventually(lambda: (watch.look(), watch.jobs)[1], 5, "a ticket for the dead worker's question")
        assert len(line.decide(owner=other).looks) == 1


def test_a_question_that_waits_for_its_time_is_nobodys(line: Line) -> None:
    with contextlib.closing(Watch(line)) as watch:
        with alive(line):
            line.resolve("r1")
            line.decide()
            line.arrive("r1")
            line.look(line.decide(), "trouble")
            watch.served()
        watch.look(3)
        assert (watch.jobs, line.decide(owner=line.owner + 100_000).looks) == (0, [])


def test_who_was_seen_dead_over_a_connection_that_is_lost_itself_is_counted_anew(line: Line) -> None:
    """What cuts this worker's connections cuts the others' too: they take their locks again."""
    line.roster("ani")
    with contextlib.closing(Watch(line)) as other:
        with alive(line):
            line.arrive("r1")
            line.decide()
        eventually(lambda: (other.look(), line.owner in other.work.gone)[1], 5, "dead: nobody holds the lock")
        line.rows(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'giliran sweep'"
        )
        other.look()
        assert other.work.gone == frozenset()
        eventually(lambda: (other.look(), line.owner in other.work.gone)[1], 5, "dead all the same")


def test_a_worker_whose_old_connection_lingers_takes_the_lock_when_that_ends(line: Line) -> None:
    """After a break of the network PostgreSQL may keep the old session for a while, and the lock with it."""
    made = Liveness(line.database_url, line.owner)
    made.start()
    try:
        assert not made.held.wait(0.5), "the old session still has it"
        line.die()
        assert made.held.wait(5)
    finally:
        made.stop(5)
    eventually(lambda: not line.rows(LIVES, WORKER_LOCK_CLASS, line.owner), 5, "free, as the worker has stopped")


# --- one tenant's lock, slowness or failure is nobody else's


@contextlib.contextmanager
def locked(line: Line, sql: str, *values: Any) -> Iterator[None]:
    """Somebody, an admin's session for one, holds a lock for as long as this lasts."""
    with contextlib.closing(psycopg2.connect(line.database_url)) as holder:
        with holder.cursor() as cur:
            cur.execute(sql, values or None)
        yield


LOCK_TENANT = "SELECT 1 FROM tenants WHERE id = %s FOR UPDATE"


@pytest.fixture
def second(watch: Watch) -> str:
    """A second tenant, whose rosters, caches and housekeeping are as new."""
    watch.line.run("INSERT INTO tenants (id, base_url, secret_key) VALUES ('warung', 'http://desk', 'x')")
    watch.look(2)
    watch.served()
    return "warung"


def test_a_locked_tenant_is_passed_over_and_the_others_are_swept(watch: Watch, second: str) -> None:
    line = watch.line
    line.run("UPDATE tenants SET swept_at = '-infinity', pruned_at = '-infinity'")
    before = line.one("SELECT clock_timestamp() AS at").at
    with locked(line, LOCK_TENANT, TENANT):
        began = time.monotonic()
        watch.look(3)
        assert time.monotonic() - began < 1.5
        done = {row.id: (row.swept_at, row.pruned_at) for row in line.rows("SELECT * FROM tenants")}
        assert min(done[second]) > before, "the other one was swept and pruned"
    watch.look()
    done = {row.id: (row.swept_at, row.pruned_at) for row in line.rows("SELECT * FROM tenants")}
    assert min(done[TENANT]) > before, "and this one, as soon as it is free"


def test_one_tenants_failing_housekeeping_stops_no_others_and_is_made_up_for(
    watch: Watch, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was claimed for IDLE_SECONDS: what is not done now would be missed until then."""
    line, rewritten = watch.line, []
    sweep_it = watch.sweeper._rewrite

    def rewrite(tenant: str) -> None:
        if tenant == TENANT and tenant not in rewritten:
            rewritten.append(tenant)
            raise InboxDown("on purpose")
        rewritten.append(tenant)
        sweep_it(tenant)

    monkeypatch.setattr(sweep, "CHORE_AGAIN_S", 0.0)
    monkeypatch.setattr(watch.sweeper, "_rewrite", rewrite)
    line.run("UPDATE tenants SET swept_at = '-infinity'")
    watch.look()
    assert sorted(rewritten) == [TENANT, second]
    watch.look()
    assert rewritten[2:] == [TENANT]


def test_webhooks_are_sorted_though_nobody_can_read_the_tenants(watch: Watch) -> None:
    """Redis was emptied while somebody holds a lock on the whole table: what this worker knew a moment ago serves."""
    line = watch.line
    line.lose_redis(published=False)
    line.arrive("r1")
    assert line.redis.xlen(inbox.UNSORTED) == 1
    with locked(line, "LOCK TABLE tenants"):
        with pytest.raises(LedgerBusy):
            watch.look()
        assert (line.redis.xlen(inbox.UNSORTED), line.inbox_size()) == (0, 1)
        assert line.inbox.published() == {TENANT: ""}


def test_a_slow_look_at_many_tenants_leaves_some_for_the_next(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    line = watch.line
    monkeypatch.setattr(sweep, "CHORES_MOST", 3)
    many = "SELECT 'many' || n, 'http://desk', 'x' FROM generate_series(1, 7) n"
    line.run(f"INSERT INTO tenants (id, base_url, secret_key) {many}")
    swept = "SELECT count(*) AS n FROM tenants WHERE swept_at > '-infinity'"
    watch.look()
    assert line.one(swept).n == 4, "the one of before and three more"
    watch.look(2)
    assert line.one(swept).n == 8


def test_receivers_are_told_what_rules_ask_and_no_late_sweep_takes_a_newer_version_back(watch: Watch) -> None:
    line = watch.line
    with line.ledger.transaction() as cur:
        ACTS.one(cur, "add_rules", tenant=TENANT, content=RULED, who="test")
    watch.look()
    assert line.inbox.names() == {TENANT: Named(1, '["property.city"]')}
    assert line.inbox.name(TENANT, Named(2, '["email"]')), "an admin is applying it"
    watch.look()
    assert line.inbox.names()[TENANT].version == 2
    assert not line.inbox.name(TENANT, Named(1, "[]"))
    watch.sweeper._ahead[TENANT] -= AHEAD_S
    watch.look()
    assert line.inbox.names() == {TENANT: Named(1, '["property.city"]')}, "it was never applied"
