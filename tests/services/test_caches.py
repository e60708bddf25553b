"""The sweeper's mending of the caches: whole again after anything, and nobody waits for it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from db.inbox import Changes, InboxDown, key
from db.postgres import Ledger
from tests.services.line_of import TENANT, Line, line_of
from worker import caches
from worker.work import Work


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Line]:
    """Ani has two chats of two, three rooms wait."""
    with line_of(database_url, redis_url) as made:
        made.roster("ani")
        made.serve("r1", "r2")
        for room in ("r3", "r4", "r5"):
            made.arrive(room)
        made.decide()
        yield made


@pytest.fixture
def work(line: Line) -> Iterator[Work]:
    made = line.work()
    yield made
    made.drains.close()
    assert made.callers.close(5)


@pytest.fixture
def rewrite(line: Line, work: Work) -> Iterator[Callable[[], int]]:
    ledger = Ledger(line.database_url, "sweep")
    yield lambda: caches.rewrite(work, ledger, TENANT)
    ledger.close()


def ledgers(line: Line) -> tuple[dict[str, int], set[str]]:
    rows = line.rows("SELECT room, state, arrived_us FROM visits WHERE state <> 'closed'")
    return {r.room: r.arrived_us for r in rows if r.state == "waiting"}, {r.room for r in rows if r.state != "waiting"}


def is_right(line: Line) -> bool:
    cached: Any = line.redis.zrange(key(TENANT, "line"), 0, -1, withscores=True)
    return (dict(cached), line.redis.smembers(key(TENANT, "held"))) == ledgers(line)


def is_believed(line: Line) -> bool:
    return line.inbox.open_ticket(TENANT, "run").trusted


def test_whatever_is_wrong_is_found_and_mended(line: Line, rewrite: Callable[[], int]) -> None:
    rewrite()
    redis = line.redis
    redis.zadd(key(TENANT, "line"), {"ghost": 1, "r1": 2, "r3": 3})
    redis.zrem(key(TENANT, "line"), "r4")
    redis.srem(key(TENANT, "held"), "r1")
    redis.sadd(key(TENANT, "held"), "phantom", "r5")
    redis.hset(key(TENANT, "seats"), mapping={"ani": 9, "gone": 1})
    wrong = rewrite()
    assert (is_right(line), is_believed(line)) == (True, True)
    assert redis.hgetall(key(TENANT, "seats")) == {"ani": "2"}
    # each entry once in each cache; a wrong place alone counts for none
    assert wrong == len(["line: ghost", "line: r1", "held: r1", "line: r4", "held: phantom", "held: r5", "seats: ani"])
    assert line.drift() == {"cache": wrong}
    assert rewrite() == 0


def test_after_a_loss_of_redis_all_is_told_again_and_nothing_is_counted(line: Line, rewrite: Callable[[], int]) -> None:
    line.redis.delete(*(key(TENANT, name) for name in ("line", "held", "seats", "rev")))
    assert rewrite() == 0
    assert (is_right(line), is_believed(line), line.drift()) == (True, True, {})


def test_a_long_line_is_told_in_steps_and_decisions_go_on_between_them(
    line: Line, work: Work, rewrite: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "ROOMS_A_STEP", 40)
    line.arrive_all([f"many{n}" for n in range(130)])
    line.decide()
    line.redis.delete(key(TENANT, "line"), key(TENANT, "rev"))
    sizes: list[int] = []
    remind = work.inbox.remind

    def watched(tenant: str, rev: int, changes: Changes, *more: Any) -> int:
        sizes.append(len(changes.rooms))
        return remind(tenant, rev, changes, *more)

    def between(*_: object) -> tuple[dict[str, int], frozenset[str]]:
        found = cached_rooms(TENANT)
        line.arrive("meanwhile")
        line.resolve("r1", 1)
        line.decide()
        return found

    cached_rooms = work.inbox.cached_rooms
    monkeypatch.setattr(work.inbox, "remind", watched)
    monkeypatch.setattr(work.inbox, "cached_rooms", between)
    rewrite()
    assert sizes == [0, 40, 40, 40, 13, 0], sizes
    assert (is_right(line), is_believed(line)) == (True, True)


@pytest.mark.parametrize("told", ["late", "never"])
def test_where_a_change_meanwhile_was_not_told_in_its_turn_the_caches_are_not_believed(
    line: Line, work: Work, rewrite: Callable[[], int], monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    cached_rooms = work.inbox.cached_rooms

    def between(tenant: str) -> tuple[dict[str, int], frozenset[str]]:
        found = cached_rooms(tenant)
        line.arrive("new1")
        untold = line.decide(tell=False)
        if told == "late":
            line.arrive("new2")
            line.decide()
            line.tell(untold)
        return found

    line.redis.delete(key(TENANT, "line"), key(TENANT, "held"), key(TENANT, "rev"))
    monkeypatch.setattr(work.inbox, "cached_rooms", between)
    rewrite()
    assert not is_believed(line)
    monkeypatch.undo()
    rewrite()
    assert (is_right(line), is_believed(line)) == (True, True)


def test_of_two_who_mend_at_once_the_first_believes_nothing_that_was_lost_before_the_second_began(
    line: Line, work: Work, rewrite: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker has a sweeper, and both see the same doubt."""
    cached_rooms = work.inbox.cached_rooms

    def between(tenant: str) -> tuple[dict[str, int], frozenset[str]]:
        found = cached_rooms(tenant)
        line.arrive("lost")
        line.decide(tell=False)
        line.inbox.remind(TENANT, line.tenant_row().rev, Changes(), "first", "b2")
        return found

    line.redis.delete(key(TENANT, "rev"))
    monkeypatch.setattr(work.inbox, "cached_rooms", between)
    rewrite()
    assert not is_believed(line)
    monkeypatch.undo()
    rewrite()
    assert (is_right(line), is_believed(line)) == (True, True)


def test_what_dies_between_its_steps_leaves_caches_that_nobody_believes(
    line: Line, work: Work, rewrite: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(tenant: str) -> tuple[dict[str, int], frozenset[str]]:
        raise InboxDown("on purpose")

    line.redis.delete(key(TENANT, "line"), key(TENANT, "rev"))
    monkeypatch.setattr(work.inbox, "cached_rooms", dies)
    with pytest.raises(InboxDown):
        rewrite()
    line.arrive("r6")
    line.decide()
    assert not is_believed(line)
    monkeypatch.undo()
    rewrite()
    assert (is_right(line), is_believed(line)) == (True, True)


def test_what_was_read_before_a_change_is_not_told_after_it(
    line: Line, work: Work, rewrite: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room that is over since must not come back into the cached line."""
    cached_rooms = work.inbox.cached_rooms

    def between(tenant: str) -> tuple[dict[str, int], frozenset[str]]:
        found = cached_rooms(tenant)
        closed = "state = 'closed', closed_at = clock_timestamp(), reason = 'resolved'"
        line.run(f"UPDATE visits SET {closed} WHERE room = 'r3'")
        return found

    line.redis.delete(key(TENANT, "line"))
    monkeypatch.setattr(work.inbox, "cached_rooms", between)
    rewrite()
    assert is_right(line)
    assert line.redis.zscore(key(TENANT, "line"), "r3") is None


def test_a_tenant_that_is_gone_has_no_caches_to_mend(line: Line, work: Work) -> None:
    ledger = Ledger(line.database_url, "sweep")
    assert caches.rewrite(work, ledger, "nobody") == 0
    ledger.close()
    assert not list(line.redis.scan_iter(key("nobody", "*")))
