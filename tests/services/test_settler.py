"""The settler while PostgreSQL is away, also while it is told to stop: it neither spins nor forgets."""

import logging
import time

import pytest

from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line
from worker import settler as settling
from worker.calls import Held
from worker.jobs import Work

NOBODY = "postgresql://giliran@127.0.0.1:9/none"


def _held(line: Line, work: Work) -> None:
    line.roster("ani")
    line.arrive("r1")
    (pair,) = line.pairs(line.decide())
    work.reports.put((TENANT, Held(pair, pair.agent)))


def test_a_stop_while_postgresql_is_away_ends_in_time_and_says_little(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    work = line.work()
    work.database_url = NOBODY
    settler = settling.Settler(work)
    settler.start()
    with caplog.at_level(logging.WARNING):
        _held(line, work)
        time.sleep(0.5)
        began, busy = time.monotonic(), time.process_time()
        settler.stop(1.5)
        assert time.monotonic() - began < 3.0
        assert time.process_time() - busy < 1.0, "it waits between its tries"
    said = [record.getMessage() for record in caplog.records if "settle" in record.name or "jobs" in record.name]
    assert len([text for text in said if text.startswith("settle_failed")]) <= settling.SETTLERS
    assert any(text.startswith("reports_left") for text in said)
    eventually(lambda: not any(thread.is_alive() for thread in settler._threads), 3, "the end of its threads")


def test_what_was_reported_while_postgresql_was_away_is_written_when_it_is_back(line: Line) -> None:
    work = line.work()
    url, work.database_url = work.database_url, NOBODY
    settler = settling.Settler(work)
    settler.start()
    _held(line, work)
    time.sleep(0.5)
    settler.stop(0.1)
    assert line.states() == {"r1": "reserved"}
    again = settling.Settler(work)
    work.database_url = url
    work.backlog.pause(0.0)
    again.start()
    eventually(lambda: line.states() == {"r1": "held"}, 10, "the report")
    again.stop(5)
