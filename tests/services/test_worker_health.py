"""What a worker says about itself: who asks slowly holds up nobody, what is wrong is said, strangers hear no names."""

import socket
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest
import requests
from redis.exceptions import ResponseError

from db import inbox, processes, tickets
from db.inbox import Inbox
from db.postgres import LedgerDown
from meters import OTHER
from testbed.deadlines import eventually
from testbed.servers import free_port
from tests.services.line_of import TENANT, Line
from worker import health
from worker.health import _is_near
from worker.settler import Settler
from worker.sweep import Sweeper

Row = namedtuple("Row", "tenant queue waiting aside reserved held oldest_wait_s")


class Page:
    """A worker's page, with a settler that runs and a sweeper that is moved by hand."""

    def __init__(self, line: Line) -> None:
        self.work = line.work()
        self.settler, self.sweeper = Settler(self.work), Sweeper(self.work)
        self.settler.start()
        self.port = free_port()
        self._server = health.serve("127.0.0.1", self.port, self.work, self.settler, self.sweeper)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=3)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.settler.stop(5)
        self.sweeper._ledger.close()


@pytest.fixture
def page(line: Line) -> Iterator[Page]:
    with closing(Page(line)) as made:
        yield made


def test_clients_that_say_nothing_or_half_a_request_hold_up_nobody(page: Page) -> None:
    with ExitStack() as open_ones:
        for said in (b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost:") * 3:
            silent = open_ones.enter_context(socket.create_connection(("127.0.0.1", page.port)))
            silent.sendall(said)
        began = time.monotonic()
        assert page.get("/healthz").text == "ok\n"
        assert page.get("/metrics").status_code == 200
        assert time.monotonic() - began < 2


@pytest.mark.long
def test_a_crowd_of_silent_clients_is_hung_up_on(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health._Handler, "timeout", 0.5)
    with ExitStack() as open_ones:
        for _ in range(health.REQUESTS_MOST * 2):
            open_ones.enter_context(socket.create_connection(("127.0.0.1", page.port)))
        eventually(lambda: _status(page) == 200, 5, "an answer, once they have had their time")


def _status(page: Page) -> int | None:
    try:
        return page.get("/healthz").status_code
    except requests.RequestException:
        return None


def test_what_is_wrong_is_said_and_a_lock_is_not_wrong(page: Page, monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    monkeypatch.setattr(health, "DOWN_S", -1.0)
    page.sweeper._failed(LedgerDown("PostgreSQL is read-only"))
    answer = page.get("/healthz")
    assert (answer.status_code, "PostgreSQL is read-only" in answer.text) == (503, True)
    with closing(psycopg2.connect(line.database_url)) as holder, holder.cursor() as cur:
        cur.execute("LOCK TABLE tenants")
        page.sweeper._step()
        answer = page.get("/healthz")
        assert (answer.status_code, "busy" in answer.text) == (200, True)
    page.sweeper._step()
    assert page.get("/healthz").text == "ok\n"


def test_what_redis_refuses_is_a_sentence_here_too(page: Page, monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    monkeypatch.setattr(health, "DOWN_S", -1.0)
    line.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(ResponseError) as refused:
            tickets.ask(page.work.tickets, TENANT, due=True)
    finally:
        line.redis.config_set("maxmemory", 0)
    page.sweeper._failed(refused.value)
    assert page.get("/healthz").text == "for 0 s: Redis is full: raise its maxmemory, or find what fills it\n"


def test_a_ledger_that_can_not_write_is_not_up(page: Page, line: Line) -> None:
    assert "giliran_ledger_up 1.0" in page.get("/metrics").text
    name = line.one("SELECT current_database() AS name").name
    line.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        with closing(Page(line)) as standby:
            told = standby.get("/metrics").text
            standby.sweeper._step()
    finally:
        line.run(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert "giliran_ledger_up 0.0" in told
    assert f'giliran_line_waiting{{queue="",tenant="{TENANT}"}}' in told, "what can be read is still told"
    assert standby.sweeper.trouble is not None
    assert "PostgreSQL is read-only" in standby.sweeper.trouble.what


@pytest.mark.parametrize(
    ("address", "near"),
    [("127.0.0.1", 1), ("::1", 1), ("10.1.2.3", 1), ("::ffff:192.168.0.9", 1), ("fe80::1%eth0", 1), ("fd00::7", 1)]
    + [("203.0.114.7", 0), ("8.8.8.8", 0), ("::ffff:8.8.8.8", 0), ("2a00:1450::1", 0)],
)
def test_this_machine_and_private_networks_are_near(address: str, near: int) -> None:
    assert _is_near(address) == bool(near)


def test_strangers_hear_whether_it_is_well_and_nothing_else(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_is_near", lambda address: False)
    monkeypatch.setattr(health, "DOWN_S", -1.0)
    assert page.get("/metrics").status_code == 404
    assert page.get("/healthz").text == "ok\n"
    page.sweeper._failed(LedgerDown("at db.internal"))
    answer: Any = page.get("/healthz")
    assert (answer.status_code, answer.text) == (503, "unwell\n")


def test_figures_of_the_queue_have_the_queue_as_a_label_and_their_sum_is_the_tenants(line: Line, page: Page) -> None:
    assert f'giliran_line_waiting{{queue="",tenant="{TENANT}"}} 0.0' in page.get("/metrics").text
    line.arrive_all("12345", class_="7")
    line.decide()
    line.run("UPDATE visits SET queue = 'sales' WHERE room IN ('1', '2')")
    line.run("UPDATE visits SET opened_at = now() - interval '1 hour' WHERE room = '1'")
    told = page.get("/metrics").text
    assert f'giliran_line_waiting{{queue="sales",tenant="{TENANT}"}} 2.0' in told
    assert f'giliran_line_waiting{{queue="channel:7",tenant="{TENANT}"}} 3.0' in told
    assert f'giliran_line_oldest_wait_s{{queue="sales",tenant="{TENANT}"}} 36' in told
    assert f'giliran_line_seats_free{{tenant="{TENANT}"}}' in told and 'queue=""' not in told


def test_beyond_a_number_of_queues_the_rest_is_one_series() -> None:
    names = [*(f"channel:{n:03}" for n in range(53)), *(f"q{n:03}" for n in range(202))]
    found = health.by_queue(Row("t", name, 1, 0, 2, 0, n) for n, name in enumerate(names))
    assert len(found) == 200 + 50 + 1
    assert found["t", OTHER] == {"waiting": 5.0, "aside": 0.0, "reserved": 10.0, "held": 0.0, "oldest_wait_s": 254.0}
    assert sum(of["waiting"] for of in found.values()) == len(names)


def figure(page: Page, name: str) -> float:
    return float(page.get("/metrics").text.partition(f"\n{name} ")[2].partition("\n")[0] or "nan")


def test_webhooks_that_nobody_takes_over_are_seen_with_their_age(line: Line, page: Page) -> None:
    of = f'{{tenant="{TENANT}"}}'
    line.arrive_all("123")
    assert figure(page, f"giliran_inbox_entries{of}") == 3
    assert 0 <= figure(page, f"giliran_inbox_oldest_seconds{of}") < 30
    assert f"giliran_last_webhook_timestamp_seconds{of}" not in page.get("/metrics").text
    line.decide()
    assert figure(page, f"giliran_inbox_entries{of}") == 0
    assert abs(figure(page, f"giliran_last_webhook_timestamp_seconds{of}") - time.time()) < 30


def test_a_redis_that_is_full_is_up_and_not_writable_and_one_that_is_away_is_neither(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> tuple[float, float]:
        return figure(page, "giliran_redis_up"), figure(page, "giliran_redis_writable")

    assert state() == (1, 1)
    page.work.redis_trouble = lambda: "Redis is full"
    assert state() == (1, 0)
    page.work.redis_trouble = lambda: None
    page.work.inbox = Inbox(inbox.connect(f"redis://127.0.0.1:{free_port()}/0", 0.5, 1))
    assert state() == (0, 0)
    assert figure(page, "giliran_ledger_up") == 1


def test_who_runs_is_counted_by_kind_and_version(line: Line, page: Page) -> None:
    for number, version in enumerate(("1.0", "1.0", "1.1")):
        processes.tell(line.inbox, processes.about("worker", version, number), {})
    assert figure(page, 'giliran_processes{kind="worker",version="1.0"}') == 2
    assert figure(page, 'giliran_processes{kind="worker",version="1.1"}') == 1


def test_waits_idle_seats_and_chats_come_from_what_was_committed(line: Line, page: Page) -> None:
    """Two seats, three rooms: the third gets the seat that a resolve frees."""
    latency = page.work.latency
    line.roster("ani")
    line.arrive_all("123")
    first = line.decide()
    assert [pair.freed_at for pair in first.reserved] == [None, None], "these seats were free before the rooms came"
    latency.committed(line.settle(*line.held(first, "c1")))
    line.resolve("1", 77, "c1")
    second = line.decide()
    latency.committed(line.turns[id(second)])
    [pair] = second.reserved
    assert pair.freed_at is not None and 0 <= time.monotonic() - pair.freed_at < 10
    latency.calls(pair)
    latency.committed(line.settle(*line.held(second)))
    assert figure(page, f'giliran_wait_seconds_count{{queue="channel:",tenant="{TENANT}"}}') == 3
    assert figure(page, f'giliran_handling_seconds_count{{tenant="{TENANT}"}}') == 1
    assert figure(page, "giliran_seat_idle_seconds_count") == 1
