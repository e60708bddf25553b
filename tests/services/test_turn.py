"""The one protocol by which rooms and seats change, broken at every step: before the lock, in the work, at the commit,
between the commit and the caches.
"""

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
import redis

from db import tickets
from db.inbox import GONE, Inbox
from db.line import NewVisit, next_place, open_visits
from db.postgres import Ledger, LedgerBusy, LedgerDown
from db.turn import Turn, commit, publish
from tests.services.line_of import TENANT, Line, line_of, remind
from worker import caches


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Line]:
    """Whose caches are believed."""
    with line_of(database_url, redis_url) as made:
        made.roster("ani")
        remind(made.inbox, made.tenant_row().rev, {}, {})
        assert trusted(made)
        yield made


@pytest.fixture
def ledger(line: Line) -> Iterator[Ledger]:
    with closing(Ledger(line.database_url, "turn")) as made:
        yield made


def trusted(line: Line) -> bool:
    return str(line.caches()["rev"]).isdigit()


def come(turn: Turn, room: str = "r1") -> str:
    """The work of these turns: a room that waits."""
    place = next_place(turn)
    open_visits(turn, [NewVisit(room, place)])
    turn.move(room, place)
    return room


def lose(line: Line, turn: Turn) -> None:
    """The server ends the turn's session, as at a restart."""
    pid = turn.cur.connection.info.backend_pid
    line.rows("SELECT pg_terminate_backend(%s)", pid)
    while line.rows("SELECT FROM pg_stat_activity WHERE pid = %s", pid):
        time.sleep(0.01)


def test_whoever_dies_between_commit_and_caches_leaves_counters_that_nobody_believes(
    line: Line, ledger: Ledger
) -> None:
    done = commit(ledger, line.inbox, TENANT, come)
    assert done is not None and done[0] == "r1"
    assert (line.states(), trusted(line)) == ({"r1": "waiting"}, False)
    line.decide()
    assert not trusted(line), "the next turn can't make up for what was not told"
    caches.rewrite(line.work(), ledger, TENANT)
    assert (line.caches()["held"], trusted(line)) == (["r1"], True)


def test_the_caches_and_the_wakeup_come_after_the_commit_and_only_then(line: Line, ledger: Ledger) -> None:
    queue = tickets.queue(redis.Redis.from_url(line.redis_url))
    done = commit(ledger, line.inbox, TENANT, come)
    assert done is not None
    assert (line.caches()["line"], queue.count) == ([], 0)
    publish(done[1], line.inbox, queue)
    assert (line.caches()["line"], queue.count, line.caches()["rev"]) == (["r1"], 1, str(line.tenant_row().rev))


def test_a_session_that_is_lost_before_the_commit_costs_one_more_try_and_leaves_nothing_of_the_first(
    line: Line, ledger: Ledger
) -> None:
    tries: list[Turn] = []

    def work(turn: Turn) -> str:
        tries.append(turn)
        room = come(turn, f"r{len(tries)}")
        if len(tries) == 1:
            lose(line, turn)
            turn.run("bump")
        return room

    done = commit(ledger, line.inbox, TENANT, work)
    assert done is not None and done[0] == "r2"
    assert (line.states(), set(done[1].rooms), ledger.sessions) == ({"r2": "waiting"}, {"r2"}, 2)
    publish(done[1], line.inbox, tickets.queue(redis.Redis.from_url(line.redis_url)))
    assert trusted(line), "the first try had not begun to tell"


def test_a_session_that_is_lost_twice_is_down_and_nothing_is_written(line: Line, ledger: Ledger) -> None:
    def work(turn: Turn) -> None:
        come(turn)
        lose(line, turn)
        turn.run("bump")

    with pytest.raises(LedgerDown):
        commit(ledger, line.inbox, TENANT, work)
    assert (line.states(), ledger.sessions, trusted(line)) == ({}, 2, True)


def test_a_commit_of_which_nobody_knows_is_not_tried_again(line: Line, ledger: Ledger) -> None:
    """The session ends when all is ready for the commit: that may have happened."""
    tries: list[Turn] = []

    class Last(Inbox):
        def begin(self, tenant: str, rev: int) -> None:
            super().begin(tenant, rev)
            lose(line, tries[-1])

    def work(turn: Turn) -> None:
        tries.append(turn)
        come(turn)

    with pytest.raises(LedgerDown) as raised:
        commit(ledger, Last(line.redis), TENANT, work)
    assert (len(tries), raised.value.is_undone, trusted(line)) == (1, False, False)
    caches.rewrite(line.work(), ledger, TENANT)
    assert trusted(line)


def test_a_locked_tenant_is_busy_soon_and_its_work_is_not_begun(line: Line, ledger: Ledger) -> None:
    tries: list[Turn] = []
    with closing(psycopg2.connect(line.database_url)) as other:
        other.cursor().execute("SELECT FROM tenants WHERE id = %s FOR UPDATE", (TENANT,))
        began = time.monotonic()
        with pytest.raises(LedgerBusy):
            commit(ledger, line.inbox, TENANT, tries.append, lock_ms=50)
        assert (tries, time.monotonic() - began < 1.5) == ([], True)
    assert commit(ledger, line.inbox, TENANT, come, lock_ms=50)
    assert ledger.sessions == 1, "busy is not down"


def test_a_row_that_is_locked_in_the_middle_undoes_the_whole_turn(line: Line, ledger: Ledger) -> None:
    with closing(psycopg2.connect(line.database_url)) as other:
        other.cursor().execute("SELECT FROM agents WHERE tenant = %s FOR UPDATE", (TENANT,))

        def work(turn: Turn) -> None:
            come(turn)
            turn.cur.execute("UPDATE agents SET name = 'x' WHERE tenant = %s", (TENANT,))

        with pytest.raises(LedgerBusy):
            commit(ledger, line.inbox, TENANT, work, lock_ms=50)
    assert (line.states(), trusted(line), ledger.sessions) == ({}, True, 1)


def test_work_that_fails_is_undone_and_no_cache_is_doubted(line: Line, ledger: Ledger) -> None:
    def work(turn: Turn) -> None:
        come(turn)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        commit(ledger, line.inbox, TENANT, work)
    assert (line.states(), trusted(line)) == ({}, True)
    assert commit(ledger, line.inbox, TENANT, come)


def test_a_turn_that_changes_nothing_tells_nobody(line: Line, ledger: Ledger) -> None:
    rev = line.tenant_row().rev
    done = commit(ledger, line.inbox, TENANT, lambda turn: None)
    assert done is not None and not done[1].begun
    publish(done[1], line.inbox, tickets.queue(redis.Redis.from_url(line.redis_url)))
    assert (line.tenant_row().rev, trusted(line)) == (rev, True)


def test_there_is_no_turn_of_a_tenant_that_there_is_not(line: Line, ledger: Ledger) -> None:
    tries: list[Turn] = []
    assert commit(ledger, line.inbox, "nobody", tries.append) is None
    assert tries == []


def test_of_a_room_the_last_word_counts(line: Line, ledger: Ledger) -> None:
    def work(turn: Turn) -> None:
        turn.move("r1", 5)
        turn.move("r1", GONE, "ani", None)

    done = commit(ledger, line.inbox, TENANT, work)
    assert done is not None
    assert (done[1].rooms, done[1].seats) == ({"r1": GONE}, {"ani": 0})


def test_a_redis_that_is_away_stops_no_turn(line: Line, ledger: Ledger) -> None:
    nowhere = redis.Redis(port=9, socket_connect_timeout=0.2, retry=None)
    done = commit(ledger, Inbox(nowhere), TENANT, come)
    assert done is not None
    publish(done[1], Inbox(nowhere), tickets.queue(nowhere))
    assert line.states() == {"r1": "waiting"}
    line.decide()
    assert not trusted(line), "the next turn finds that one was not told"
