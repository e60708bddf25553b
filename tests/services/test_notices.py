"""What customers who wait are told by the rules: once each, whoever dies or hangs; over a real ledger."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.deadlines import eventually
from tests.services.line_of import TENANT, line_of
from tests.services.test_routed_rooms import Ruled
from worker.desk.base import DeskTrouble
from worker.notices import BOT_CALLS, Notices, write

QUEUED = """
[messages]
queued = { id = "Anda nomor {position}, perkiraan {eta}.", en = "You are number {position}, about {eta}." }
again_every = "30s"
[queues.rest]
agents = { channel = true }
[default]
queue = "rest"
"""
CLOSED = """
[hours]
timezone = "UTC"
open = ["mon-sun 00:00-00:01"]
closed = ["2020-01-01..2099-12-30"]
[messages]
closed = "Kami buka lagi {opens}."
"""


class Bot:
    """A desk that only speaks."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.trouble: Exception | None = None
        self.hangs = threading.Event()
        self.hangs.set()

    def say(self, room: str, text: str) -> None:
        self.said.append((room, text))
        self.hangs.wait(10)
        if self.trouble:
            raise self.trouble


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Ruled]:
    with line_of(database_url, redis_url) as made:
        made.__class__ = Ruled
        yield made  # type: ignore[misc]


@pytest.fixture
def bot() -> Bot:
    return Bot()


@pytest.fixture
def notices(line: Ruled, bot: Bot) -> Iterator[Notices]:
    work = line.work(bot)
    work.desks.refresh(line.rows("SELECT id, desk, base_url, secret_key, webhook_digest FROM tenants"))
    made = Notices(work)
    yield made
    bot.hangs.set()
    made.stop(5)


def waiting(line: Ruled, *rooms: str, language: str | None = None) -> None:
    for room in rooms:
        line.come(room)
    line.decide()
    line.run("UPDATE visits SET facts = facts || jsonb_build_object('language', %s::text)", language)
    line.run("UPDATE visits SET opened_at = opened_at - interval '10 s' WHERE state = 'waiting'")


def told(line: Ruled, bot: Bot, notices: Notices, number: int) -> list[tuple[str, str]]:
    """Everything that was said once so many texts have an outcome."""
    notices.look(TENANT)
    ended = "SELECT count(*) AS n FROM notices WHERE outcome IS NOT NULL"
    eventually(lambda: line.one(ended).n == number, within_s=10)
    return sorted(bot.said)


def test_each_customer_who_waits_is_told_their_place_once(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, "r1", "r2")
    said = told(line, bot, notices, 2)
    assert said == [
        ("r1", "Anda nomor 1, perkiraan belum diketahui."),
        ("r2", "Anda nomor 2, perkiraan belum diketahui."),
    ]
    assert told(line, bot, notices, 2) == said


def test_the_language_of_the_customer_is_spoken_where_it_is_known(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, "r1", language="en")
    assert told(line, bot, notices, 1) == [("r1", "You are number 1, about not yet known.")]


def test_a_new_place_is_told_when_the_time_for_it_has_come(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, "r1", "r2")
    told(line, bot, notices, 2)
    line.end("r1", 1)
    assert len(told(line, bot, notices, 2)) == 2, "thirty seconds are not over"
    line.run("UPDATE notices SET at = at - interval '31 s'")
    assert told(line, bot, notices, 3)[-1] == ("r2", "Anda nomor 2, perkiraan belum diketahui.")
    assert ("r2", "Anda nomor 1, perkiraan belum diketahui.") in bot.said
    line.run("UPDATE notices SET at = at - interval '31 s'")
    assert len(told(line, bot, notices, 3)) == 3, "the place is the same"


def test_who_is_being_given_to_an_agent_is_told_nothing(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, "r1", "r2")
    with line.ledger.transaction() as cur:
        assert write(cur, TENANT) == 2
    line.roster("ani", class_="1/rest/0/7")
    line.decide()
    assert line.visit("r1").state == "reserved"
    assert told(line, bot, notices, 2) == []
    assert {row.outcome for row in line.rows("SELECT outcome FROM notices")} == {"not needed any more"}


def test_what_was_claimed_by_a_worker_that_died_is_not_said_again(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, "r1")
    with line.ledger.transaction() as cur:
        write(cur, TENANT)
    line.run("UPDATE notices SET claimed_at = now()")  # and then came kill -9
    notices.look(TENANT)
    assert bot.said == []
    assert line.one("SELECT count(*) AS n FROM notices").n == 1


def test_two_workers_say_it_once(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, *(f"r{n}" for n in range(20)))
    work = line.work(bot)
    work.desks.refresh(line.rows("SELECT id, desk, base_url, secret_key, webhook_digest FROM tenants"))
    other = Notices(work)
    threads = [threading.Thread(target=one.look, args=(TENANT,)) for one in (notices, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    told(line, bot, notices, 20)
    other.stop(5)
    assert sorted(room for room, _ in bot.said) == sorted(f"r{n}" for n in range(20))


def test_a_failing_bot_is_remembered_and_not_asked_again(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(QUEUED)
    waiting(line, "r1")
    bot.trouble = DeskTrouble("say: 500", maybe_applied=True)
    assert len(told(line, bot, notices, 1)) == 1
    notices.look(TENANT)
    assert len(bot.said) == 1
    assert line.one("SELECT outcome FROM notices").outcome == "say: 500"


def test_a_bot_that_hangs_holds_up_nobody_else(line: Ruled, bot: Bot, notices: Notices) -> None:
    """Its calls have threads of their own, a few for a tenant; the looks go on."""
    line.apply(QUEUED)
    waiting(line, *(f"r{n}" for n in range(10)))
    bot.hangs.clear()
    for _ in range(5):
        notices.look(TENANT)
    eventually(lambda: len(bot.said) == BOT_CALLS, within_s=5)
    line.roster("ani", class_="1/rest/0/7")
    assert [pair.room for pair in line.decide().reserved] == ["r0", "r1"]


def test_outside_the_hours_customers_are_told_once_when_we_open(line: Ruled, bot: Bot, notices: Notices) -> None:
    line.apply(CLOSED)
    waiting(line, "r1")
    said = told(line, bot, notices, 1)
    assert said == [("r1", "Kami buka lagi tanggal 31 Desember 2099 pukul 00.00.")]
    notices.look(TENANT)
    assert told(line, bot, notices, 1) == said


def test_without_messages_nothing_is_looked_for(line: Ruled, notices: Notices, bot: Bot) -> None:
    line.apply('[queues.rest]\nagents = { channel = true }\n[default]\nqueue = "rest"\n')
    waiting(line, "r1")
    assert notices._tenants() == []
    notices.look(TENANT)
    assert line.one("SELECT count(*) AS n FROM notices").n == 0


def test_a_customer_s_words_never_become_a_template(line: Ruled, bot: Any, notices: Notices) -> None:
    line.apply(QUEUED)
    line.come("r1", name="{position} {eta}")
    waiting(line)
    assert told(line, bot, notices, 1) == [("r1", "Anda nomor 1, perkiraan belum diketahui.")]
