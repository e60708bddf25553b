"""Log lines: one line each, bounded, and nothing in a value that could pass for another field."""

import logging
import shlex
import sys
import time

from hypothesis import given, settings
from hypothesis import strategies as st

import logs
from tests.variants import each


def test_a_line_is_an_action_and_ids():
    assert logs.line("reserved", room="7", agent=12, load=0) == "reserved room=7 agent=12 load=0"


def test_what_is_none_is_left_out_and_what_is_empty_is_shown():
    assert logs.line("closed", agent=None, why="") == 'closed why=""'


def test_a_phrase_is_quoted():
    assert logs.line("closed", why="resolved at the desk") == 'closed why="resolved at the desk"'


@each("c", ["\n", "\r", "\x00", "\x1b", "\t", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\u202e"])
def test_control_characters_do_not_reach_the_log(c):
    assert logs.clean(f"a{c}b") == "a?b"


def test_a_value_is_cut():
    assert logs.clean("x" * 10_000) == "x" * logs.VALUE_MAX
    assert len(logs.clean("x " * 10_000)) == logs.VALUE_MAX + 2
    assert logs.clean("\n" * 10_000) == "?" * logs.VALUE_MAX


def test_an_error_is_one_line_too():
    assert logs.clean(ValueError("first\nsecond")) == "first?second"


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_becomes_one_printable_line(text):
    found = logs.clean(text)
    assert found.isprintable() and found
    assert len(found) <= logs.VALUE_MAX + 2


def test_text_that_other_alphabets_write_stays_readable():
    assert logs.clean("Ibu_Sítí_山田") == "Ibu_Sítí_山田"


@each("why", ['no" room="9', '" agent="5'])
def test_a_value_can_not_pass_for_another_field(why):
    assert shlex.split(logs.line("refused", room="7", why=why))[1:] == ["room=7", f"why={why}"]


def test_a_record_has_time_level_and_source_in_utc():
    record = logging.LogRecord("worker.jobs", logging.INFO, "", 0, logs.line("reserved", room="7"), None, None)
    record.created, record.msecs = 0.25, 250.0
    shown = logs._Line("%(asctime)s %(levelname)s %(name)s %(message)s").format(record)
    assert shown == "1970-01-01T00:00:00.250Z INFO worker.jobs reserved room=7"


@each("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_level_holds_and_noisy_libraries_stay_quiet(level):
    root = logging.getLogger()
    handlers, was = root.handlers[:], root.level
    try:
        logs.setup(level)
        assert root.level == logging.getLevelName(level)
        assert logging.getLogger("urllib3").level >= logging.WARNING
        assert len(root.handlers) == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(was)


def formatted(message: str, error: Exception) -> str:
    try:
        raise error
    except Exception:
        return logs._Line("%(levelname)s %(message)s").format(
            logging.LogRecord("x", logging.ERROR, "", 0, message, None, sys.exc_info())
        )


@each("c", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_stack_trace_stays_on_the_line_of_its_record(c):
    found = formatted("drain_bug tenant=toko", ValueError(f"first{c}second"))
    assert len(found.splitlines()) == 1
    assert found.startswith("ERROR drain_bug tenant=toko | Traceback (most recent call last): | File ")
    assert found.endswith("ValueError: first | second")


def test_a_row_of_customers_that_postgresql_shows_in_its_error_is_left_out():
    told = 'null value in "body"\nDETAIL:  Failing row contains (7, Siti, my password).\nCONTEXT:  somewhere\n'
    found = formatted("settle_bug", ValueError(told))
    assert "Siti" not in found
    assert found.endswith('null value in "body" | CONTEXT:  somewhere')


def test_an_outage_is_said_when_it_begins_each_minute_and_when_it_ends(caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    outage = logs.Outage(logging.getLogger("x"), "redis_away", "redis_back", worker=7)
    outage.over()
    for _ in range(150):
        outage.goes_on("refused")
        now[0] += 0.5
    outage.over()
    outage.over()
    assert [record.getMessage() for record in caplog.records] == [
        "redis_away worker=7 why=refused",
        "redis_away worker=7 seconds=60 tries=121 why=refused",
        "redis_back worker=7 seconds=75.0 tries=150",
    ]


def test_an_outage_that_comes_and_goes_is_not_said_each_time(caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    outage = logs.Outage(logging.getLogger("x"), "redis_away", "redis_back")
    for _ in range(300):
        outage.goes_on("timeout")
        now[0] += 0.01
        outage.over()
        now[0] += 0.01
    assert [record.getMessage() for record in caplog.records] == [
        "redis_away why=timeout",
        "redis_back seconds=0.0 tries=1",
    ]
    now[0] += 10
    outage.goes_on("timeout")
    assert caplog.records[-1].getMessage() == "redis_away why=timeout"


def test_what_is_over_soon_is_no_news_and_what_lasts_is_said_with_its_end(caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    found = logs.Outages(logging.getLogger("test"), "busy", "free", after_s=2.0)
    found.go_on("a lock", "t1")
    now[0] += 1
    found.go_on("a lock", "t1")
    found.over("t1")
    assert caplog.messages == []
    now[0] += 5
    for _ in range(4):
        found.go_on("a lock", "t1")
        now[0] += 1
    found.over("t1")
    found.over("t1")
    assert caplog.messages == ['busy tenant=t1 seconds=2 why="a lock"', "free tenant=t1 seconds=4.0"]
