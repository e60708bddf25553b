"""Redis as inbox, and its caches: nothing leaves before PostgreSQL has it, no cache is believed that may be wrong."""

import pytest
import redis

from db import inbox, push
from db.inbox import GONE, HELD, Changes, Cursor, Entry, Inbox, InboxDown, digest, key, limit_key
from db.push import Sender, Webhook
from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line, remind


@pytest.fixture
def box(redis_url: str) -> Inbox:
    return Inbox(inbox.connect(redis_url, 5.0, 4))


def rooms_of(entries: list[Entry]) -> list[str]:
    return [entry.fields["room"] for entry in entries]


# --- push, take, done


def test_what_was_pushed_is_taken_in_order_with_all_that_a_decision_needs(line: Line) -> None:
    line.push(Webhook("arrived", "r1", "77", "wa", latest="5"))
    line.push(Webhook("resolved", "r2", service="6", first_comment_id="c1"))
    taken = line.inbox.take(TENANT, Cursor("", "0-0", 0), 10, [limit_key()])
    first, second = (dict(entry.fields) for entry in taken.entries)
    assert {k: first[k] for k in ("kind", "room", "class", "source", "latest")} == {
        "kind": "arrived",
        "room": "r1",
        "class": "77",
        "source": "wa",
        "latest": "5",
    }
    assert (second["kind"], second["room"], second["service"], second["first"]) == ("resolved", "r2", "6", "c1")
    assert taken.entries[0].at_us < taken.entries[1].at_us


def test_the_clock_of_redis_orders_arrivals(line: Line) -> None:
    seconds, micros = line.redis.time()
    line.arrive("r1")
    (entry,) = line.inbox.take(TENANT, Cursor("", "0-0", 0), 10, [limit_key()]).entries
    assert 0 <= entry.at_us - (seconds * 1_000_000 + micros) + 1000 < 10_000_000


def test_the_answer_tells_the_place_in_line(line: Line) -> None:
    said = [line.arrive(room) for room in ("r1", "r2", "r1")]
    assert [(answer.word, answer.position) for answer in said] == [
        ("queued", 1),
        ("queued", 2),
        ("already_waiting", 1),
    ]
    assert line.resolve("r1", 5).word == "noted"
    assert line.arrive("r3").position == 2


def test_only_the_first_push_asks_for_a_ticket(line: Line) -> None:
    said = [line.arrive(room) for room in ("r1", "r2")]
    assert said[0].job_id and said[1].job_id is None
    assert line.redis.get(key(TENANT, "ticket")) == said[0].job_id
    assert 0 < line.redis.ttl(key(TENANT, "ticket")) <= inbox.TICKET_SECONDS


def test_a_webhook_is_stored_whatever_the_caches_say(line: Line) -> None:
    """H1: the answer is a courtesy, the entry is the promise."""
    line.redis.sadd(key(TENANT, "held"), "r1")
    line.redis.zadd(key(TENANT, "line"), {"r2": 1})
    assert [line.arrive(room).word for room in ("r1", "r2")] == ["already_assigned", "already_waiting"]
    line.decide()
    assert line.states() == {"r1": "waiting", "r2": "waiting"}


def test_a_webhook_pushed_twice_by_one_call_is_one_visit(line: Line) -> None:
    """redis-py may send a script again after a lost answer."""
    line.arrive("r1")
    line.arrive("r1")
    assert line.inbox_size() == 2
    line.decide()
    assert line.stays("r1") == ["waiting"]


def test_a_take_gives_no_more_than_asked_for_and_goes_on_behind_it(line: Line) -> None:
    line.arrive_all([f"r{n}" for n in range(7)])
    first = line.inbox.take(TENANT, Cursor("", "0-0", 0), 5, [limit_key()])
    rest = line.inbox.take(TENANT, Cursor(first.epoch, first.entries[-1].id, 1), 5, [limit_key()])
    assert rooms_of(first.entries) == [f"r{n}" for n in range(5)]
    assert rooms_of(rest.entries) == ["r5", "r6"]


def test_nothing_is_removed_by_a_decision_that_does_not_commit(line: Line) -> None:
    line.arrive("r1")
    with pytest.raises(ZeroDivisionError):
        line.turn(lambda turn: line.decision(turn) and 1 / 0)
    assert line.states() == {}
    assert line.inbox_size() == 1
    line.decide()
    assert line.states() == {"r1": "waiting"}
    assert line.inbox_size() == 0


def test_a_worker_that_dies_between_commit_and_telling_leaves_nothing_to_be_read_twice(line: Line) -> None:
    line.arrive_all(["r1", "r2", "r3"])
    line.decide(tell=False)
    assert line.inbox_size() == 3, "the dead worker could not trim"
    line.arrive("r4")
    with line.ledger.transaction() as cur:
        cur.execute("SELECT inbox_epoch, inbox_seen, rev FROM tenants")
        taken = line.inbox.take(TENANT, Cursor(*cur.fetchone()), 500, [limit_key()])
    assert rooms_of(taken.entries) == ["r4"]
    line.decide()
    assert line.inbox_size() == 0, "the next telling trims for the dead one"
    assert line.states() == dict.fromkeys(("r1", "r2", "r3", "r4"), "waiting")


def test_what_a_dead_worker_did_not_trim_goes_with_the_next_decision_even_if_no_webhook_comes(line: Line) -> None:
    line.arrive_all(["r1", "r2"])
    line.decide(tell=False)
    line.decide()
    assert line.inbox_size() == 0, "the sweeper would ask for a ticket at every look"


def test_entries_that_come_while_a_decision_is_made_survive_its_trim(line: Line) -> None:
    line.arrive("r1")
    made = line.decide(tell=False)
    line.arrive("r2")
    line.tell(made)
    assert line.inbox_size() == 1
    line.decide()
    assert line.states() == {"r1": "waiting", "r2": "waiting"}


def test_telling_twice_is_telling_once(line: Line) -> None:
    line.arrive("r1")
    made = line.decide()
    before = {name: found for name, found in line.caches().items() if name != "rev"}
    line.tell(made)
    assert {name: found for name, found in line.caches().items() if name != "rev"} == before


def test_scripts_that_redis_forgot_are_sent_again(line: Line) -> None:
    line.redis.script_flush()
    line.arrive("r1")
    line.redis.script_flush()
    made = line.decide(tell=False)
    line.redis.script_flush()
    line.tell(made)
    assert line.inbox_size() == 0
    line.redis.script_flush()
    line.redis.xadd(inbox.UNSORTED, {"room": "r2"})
    line.inbox.sort(line.inbox.unsorted(1)[0], TENANT)
    assert line.inbox_size() == 1


def test_the_limits_are_read_together_with_the_entries(line: Line) -> None:
    line.redis.set(limit_key(), "4")
    line.redis.set(limit_key(TENANT, "ani"), "x")
    keys = [limit_key(), limit_key(TENANT), limit_key(TENANT, "ani")]
    assert line.inbox.take(TENANT, Cursor("", "0-0", 0), 10, keys).limits == ["4", None, "x"]


def test_a_redis_that_is_away_or_refuses_is_inbox_down(line: Line, redis_url: str) -> None:
    away = Inbox(inbox.connect("redis://127.0.0.1:9", 0.2, 1))
    with pytest.raises(InboxDown):
        away.take(TENANT, Cursor("", "0-0", 0), 10, [limit_key()])
    line.redis.set(key(TENANT, "inbox"), "no stream")
    with pytest.raises(InboxDown):
        line.inbox.take(TENANT, Cursor("", "0-0", 0), 10, [limit_key()])


def test_bytes_that_are_no_text_come_out_as_text(line: Line, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as raw:
        raw.xadd(key(TENANT, "inbox"), {b"room": b"\xff\xfe", b"class": b"\xed\xa0\x80"})
    (entry,) = line.inbox.take(TENANT, Cursor("", "0-0", 0), 10, [limit_key()]).entries
    entry.fields["class"].encode()
    assert "\ufffd" in entry.fields["room"]


# --- another life of Redis


def test_after_a_loss_of_redis_the_inbox_is_read_from_its_beginning(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    seen = line.tenant_row().inbox_seen
    line.lose_redis()
    line.raw("1-1", room="r2")  # the clock of the new Redis stands earlier
    line.decide()
    row = line.tenant_row()
    assert line.states() == {"r1": "waiting", "r2": "waiting"}
    assert (row.inbox_seen, row.inbox_epoch) == ("1-1", line.redis.get(key(TENANT, "epoch")))
    assert seen != "1-1"


def test_an_empty_inbox_of_a_new_life_sets_the_cursor_back(line: Line) -> None:
    line.arrive("r1")
    line.decide()
    line.lose_redis()
    line.decide()
    assert line.tenant_row().inbox_seen == "0-0"
    line.raw("1-1", room="r2")
    line.decide()
    assert line.states() == {"r1": "waiting", "r2": "waiting"}


def test_a_trim_of_an_earlier_life_touches_nothing(line: Line) -> None:
    line.arrive("r1")
    made = line.decide(tell=False)
    line.lose_redis()
    line.raw("1-1", room="r2")
    line.tell(made)
    assert line.inbox_size() == 1
    line.decide()
    assert line.states() == {"r1": "waiting", "r2": "waiting"}


def test_a_limit_that_the_admin_sets_at_this_very_moment_is_not_written_over(box: Inbox, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as admin:
        admin.set(limit_key(TENANT), "1")
        box.restore_limits({limit_key(TENANT): 5, limit_key(): 4})
        assert admin.mget(limit_key(TENANT), limit_key()) == [b"1", b"4"]


def test_after_a_loss_of_redis_the_desk_is_asked_for_unserved_rooms_at_once(line: Line) -> None:
    line.run("UPDATE tenants SET swept_at = clock_timestamp()")
    line.arrive("r1")
    line.decide()
    line.run("UPDATE tenants SET swept_at = clock_timestamp()")
    line.decide()
    due = "SELECT swept_at = '-infinity' AS due FROM tenants"
    assert not line.one(due).due
    line.lose_redis()
    line.decide()
    assert line.one(due).due


# --- rev: whether the caches may be believed


@pytest.fixture
def believed(line: Line) -> Line:
    """A tenant whose caches were rewritten by the sweeper."""
    remind(line.inbox, line.tenant_row().rev, {}, {})
    return line


def trusted(line: Line) -> bool:
    return line.inbox.open_ticket(TENANT, "run").trusted


def test_counters_that_nobody_wrote_as_yet_are_not_believed(line: Line) -> None:
    assert not trusted(line)
    line.arrive("r1")
    line.decide()
    assert not trusted(line)


def test_the_counters_are_believed_only_between_changes(believed: Line) -> None:
    line = believed
    line.roster("ani")
    line.arrive("r1")
    made = line.decide(tell=False)
    assert line.caches()["rev"] == f"~{line.turns[id(made)].rev}"
    assert not trusted(line)
    line.tell(made)
    assert line.caches()["rev"] == str(line.turns[id(made)].rev)
    assert trusted(line)
    line.inbox.begin(TENANT, line.turns[id(made)].rev + 1)
    assert not trusted(line)
    line.inbox.done(TENANT, "", "", line.turns[id(made)].rev + 1, Changes())
    assert trusted(line)


def test_a_change_that_was_overtaken_makes_the_counters_doubtful(believed: Line) -> None:
    line = believed
    line.roster("ani")
    line.arrive("r1")
    slow = line.decide(tell=False)
    line.decide()
    line.tell(slow)
    assert not trusted(line)
    line.decide()
    assert not trusted(line), "only the ledger can say what the counters should be"


def test_a_change_that_died_before_it_was_told_makes_the_counters_doubtful(believed: Line) -> None:
    line = believed
    line.roster("ani")
    line.serve("r1", "r2")
    assert line.caches()["seats"] == {"ani": "2"}
    line.resolve("r1", 1)
    line.run("UPDATE visits SET base_proved = true")
    line.decide(tell=False)
    line.decide()
    assert line.caches()["seats"] == {"ani": "2"}, "what the ledger counts is 1"
    assert not trusted(line)
    rev, told = line.tenant_row().rev, {"r2": HELD}
    assert remind(line.inbox, rev, told, {"ani": 1}) == 0, "a known doubt is no drift"
    assert trusted(line)


def test_a_settling_after_a_change_that_was_not_told_makes_no_counters_believed(believed: Line) -> None:
    line = believed
    line.roster("ani")
    line.arrive("r1")
    made = line.decide(tell=False)
    line.settle(*line.held(made))
    assert not trusted(line)


def test_after_a_loss_of_redis_the_counters_are_not_believed_before_they_were_rewritten(believed: Line) -> None:
    line = believed
    line.roster("ani", "budi")
    line.serve("r1", "r2")
    line.lose_redis()
    line.arrive("r3")
    line.decide()
    assert line.caches()["seats"] != {"ani": "2", "budi": "1"}, "half of the counters are missing"
    assert not trusted(line)


def test_the_caches_are_told_when_a_seat_is_reserved_and_stay_believed_when_it_is_held(believed: Line) -> None:
    line = believed
    line.roster("ani")
    line.arrive("r1")
    made = line.decide()
    assert line.caches() == {"line": [], "held": ["r1"], "seats": {"ani": "1"}, "rev": str(line.turns[id(made)].rev)}
    line.settle(*line.held(made))
    assert line.caches() == {"line": [], "held": ["r1"], "seats": {"ani": "1"}, "rev": str(line.turns[id(made)].rev)}
    assert line.inbox.open_ticket(TENANT, "run").trusted


# --- rewrite


def test_a_rewrite_heals_the_caches_and_counts_what_was_really_wrong(believed: Line) -> None:
    line = believed
    line.roster("ani")
    line.serve("r1", "r2")
    line.arrive("r3")
    line.decide()
    rev = line.tenant_row().rev
    right = line.caches()
    line.redis.zadd(key(TENANT, "line"), {"ghost": 1})
    line.redis.zrem(key(TENANT, "line"), "r3")
    line.redis.srem(key(TENANT, "held"), "r1")
    line.redis.hset(key(TENANT, "seats"), "ani", 9)
    told = {"r3": line.visit("r3").arrived_us, "r1": HELD, "r2": HELD, "ghost": GONE}
    assert remind(line.inbox, rev, told, {"ani": 2}) == 4
    assert line.caches() == right
    assert remind(line.inbox, rev, told, {"ani": 2}) == 0


def test_rooms_alone_are_mended_without_a_word_about_the_whole(box: Inbox, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.set(key(TENANT, "rev"), "~8")
        client.hset(key(TENANT, "seats"), "ani", 3)
        box.remind(TENANT, 8, Changes(rooms={"r1": 5, "r2": HELD}), "", "a1")
        assert client.get(key(TENANT, "rev")) == "~8"
        assert client.hgetall(key(TENANT, "seats")) == {"ani": "3"}
        assert box.cached_rooms(TENANT) == ({"r1": 5}, frozenset({"r2"}))


@pytest.mark.parametrize("state", ["under way", "another change", "lost", "not taken yet"])
def test_a_difference_that_a_change_under_way_explains_is_no_drift(box: Inbox, redis_url: str, state: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.zadd(key(TENANT, "line"), {"r1": 1})
        if state != "lost":
            client.set(key(TENANT, "rev"), {"under way": "~8", "another change": "6"}.get(state, "7"))
        if state == "not taken yet":
            client.xadd(key(TENANT, "inbox"), {"room": "r1"})
        assert remind(box, 7, {"r1": GONE}, {}) == 0
        assert client.exists(key(TENANT, "line")) == 0, "it is healed all the same"
        assert client.get(key(TENANT, "rev")) == b"7"


def test_a_telling_that_comes_after_a_rewrite_makes_the_counters_doubtful(box: Inbox) -> None:
    box.begin(TENANT, 5)
    remind(box, 6, {}, {"ani": 1})
    box.done(TENANT, "", "", 5, Changes(seats={"ani": 2}))
    assert not box.open_ticket(TENANT, "run").trusted


# --- unsorted: webhooks that came while the tenants were not known


def redis_us(line: Line) -> int:
    seconds, microseconds = line.redis.time()
    return int(seconds * 1_000_000 + microseconds)


def test_a_webhook_of_a_moment_without_tenants_is_kept_and_sorted_with_its_arrival(line: Line) -> None:
    line.lose_redis(published=False)
    assert line.arrive("old").word == "unsorted"
    (entry,) = line.inbox.unsorted(10)
    eventually(
        lambda: redis_us(line) // 1000 > entry.at_us // 1000, what="the next millisecond: two streams count each"
    )
    line.publish()
    assert line.arrive("young").word == "queued"
    line.inbox.sort(entry, TENANT)
    assert line.inbox.unsorted(10) == []
    line.decide()
    rooms = line.rows("SELECT room, arrived_us FROM visits ORDER BY arrived_us")
    assert [row.room for row in rooms] == ["old", "young"]
    assert rooms[0].arrived_us == entry.at_us


def test_what_two_sweepers_sort_is_in_the_inbox_once(line: Line) -> None:
    line.lose_redis(published=False)
    line.arrive("r1")
    (entry,) = line.inbox.unsorted(10)
    line.inbox.sort(entry, TENANT)
    line.inbox.sort(entry, TENANT)
    assert line.inbox_size() == 1


@pytest.mark.parametrize(
    ("sender", "word"),
    [
        (Sender(TENANT, True, True, ""), "queued"),
        (Sender(TENANT, True, False, ""), "denied"),
        (Sender(TENANT, False, True, ""), "ambiguous"),
        (Sender("nobody", True, True, ""), "unknown"),
        (Sender("warung", True, True, ""), "denied"),
        (Sender("warung", True, False, digest("wrong")), "denied"),
        (Sender("warung", True, False, digest("right")), "queued"),
    ],
)
def test_a_webhook_is_let_in_by_its_own_tenants_rules_and_stored_nowhere_else(
    line: Line, sender: Sender, word: str
) -> None:
    line.inbox.publish({TENANT: "", "warung": digest("right")})
    assert line.push(Webhook("arrived", "r1"), sender).word == word
    sizes = {tenant: line.redis.xlen(key(tenant, "inbox")) for tenant in (TENANT, "warung", "nobody")}
    assert sizes == {tenant: int(word == "queued" and tenant == sender.tenant) for tenant in sizes}
    assert line.redis.xlen(inbox.UNSORTED) == 0


def test_a_full_inbox_says_so_and_stores_nothing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "INBOX_MOST", 2)
    monkeypatch.setattr(push, "UNSORTED_MOST", 1)
    assert [line.arrive(room).word for room in ("r1", "r2", "r3")] == ["queued", "queued", "full"]
    line.lose_redis(published=False)
    assert [line.arrive(room).word for room in ("r1", "r2")] == ["unsorted", "full"]
    assert line.redis.xlen(inbox.UNSORTED) == 1
