"""Whatever stands in the queue of jobs, nothing but our own job is ever run, and ours is not kept waiting by it."""

import json
import pickle
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rq
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from rq import Callback, Queue, Repeat, Retry
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import suspend

import logs
from db import tickets
from db.inbox import key
from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line
from tests.variants import first_of
from worker import jobs, serving
from worker.jobs import Work
from worker.stop import Stop

OURS = tickets.JOB
HERE = "tests.services.test_foreign_jobs"
ran: list[Any] = []


def foreign(*args: Any, **more: Any) -> None:
    """What must never run."""
    ran.append(args)


class Thing:
    def method(self) -> None:
        ran.append("method")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of each `drain`."""
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(jobs, "drain", lambda *args: made.append(args))
    ran.clear()
    return made


@pytest.fixture
def work(line: Line, looks: Any) -> Work:
    made = line.work(object())
    made.desks.refresh(line.rows("SELECT id, base_url, secret_key, webhook_digest FROM tenants"))
    return made


def worker(work: Work, stop: Stop | None = None) -> serving.TicketWorker:
    log = serving.log
    strangers, outage = serving.Strangers(work), logs.Outage(log, "redis_away", "redis_back")
    return serving.TicketWorker(work.tickets, work, stop or Stop(), strangers, outage)


def serve_all(work: Work) -> None:
    """All that stands in the queue."""
    worker(work).work(burst=True, logging_level="WARNING")


def put(work: Work, data: bytes, job_id: str = "x", **fields: Any) -> None:
    """A job as somebody writes it by hand."""
    values = {"data": data, "created_at": "2026-01-01T00:00:00Z", "status": "queued", "origin": "giliran", **fields}
    work.tickets.connection.hset(f"rq:job:{job_id}", mapping=values)
    work.tickets.connection.rpush(work.tickets.key, job_id)


def packed(*parts: Any) -> bytes:
    return zlib.compress(json.dumps(parts).encode())


def test_a_job_of_ours_is_run_with_what_it_says(work: Work, looks: list[Any]) -> None:
    tickets.ask(work.tickets, TENANT, due=True)
    serve_all(work)
    assert looks == [(TENANT, True)]
    assert work.figures.foreign_jobs == 0


ODD: dict[str, Callable[[Path], bytes]] = {
    "another function": lambda mark: packed("subprocess.getoutput", None, [f"touch {mark}"], {}),
    "a function of ours": lambda mark: packed("worker.jobs.open_for", None, [TENANT, True], {}),
    "a name that begins like ours": lambda mark: packed(f"{OURS}.__call__", None, [TENANT, True], {}),
    "a method of an instance": lambda mark: packed("method", "rq.Queue", [], {}),
    "our name with an instance": lambda mark: packed(OURS, "os", [TENANT, True], {}),
    "pickle bytes": lambda mark: zlib.compress(pickle.dumps((f"{HERE}.foreign", None, (), {}))),
    "not packed": lambda mark: json.dumps([OURS, None, [TENANT, True], {}]).encode(),
    "packed twice": lambda mark: zlib.compress(packed(OURS, None, [TENANT, True], {})),
    "something behind it": lambda mark: packed(OURS, None, [TENANT, True], {}) + b"x",
    "a bomb": lambda mark: zlib.compress(b"[" * 900_000),
    "deep nesting": lambda mark: zlib.compress(b"[" * 4000),
    "ten megabytes": lambda mark: packed(OURS, None, ["x" * 10_000_000, True], {}),
    "ten megabytes that don't pack": lambda mark: b"\xff" * 10_000_000,
    "nothing": lambda mark: b"",
    "null": lambda mark: packed(),
    "not UTF-8": lambda mark: zlib.compress(b'["\xff"]'),
    "keyword arguments": lambda mark: packed(OURS, None, [TENANT], {"due": True}),
    "no flag": lambda mark: packed(OURS, None, [TENANT], {}),
    "a flag that is a number": lambda mark: packed(OURS, None, [TENANT, 1], {}),
    "a tenant that is a list": lambda mark: packed(OURS, None, [[TENANT], True], {}),
    "a tenant that is a dictionary": lambda mark: packed(OURS, None, [{"id": TENANT}, True], {}),
    "a tenant with a line break": lambda mark: packed(OURS, None, [f"{TENANT}\n", True], {}),
    "a tenant too many": lambda mark: packed(OURS, None, [TENANT, True, TENANT], {}),
    "arguments that are a dictionary": lambda mark: packed(OURS, None, {"0": TENANT, "1": True}, {}),
    "a tenant that nobody knows": lambda mark: packed(OURS, None, ["nobody", True], {}),
}


@pytest.mark.parametrize("what", ODD)
def test_whatever_a_job_of_others_holds_it_is_dropped_and_the_next_one_is_served(
    work: Work, looks: list[Any], what: str, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    put(work, ODD[what](mark))
    tickets.ask(work.tickets, TENANT)
    serve_all(work)
    assert looks == [(TENANT, False)]
    assert not mark.exists()
    assert not ran
    assert not work.tickets.connection.exists("rq:job:x")
    assert work.figures.foreign_jobs == (what != "a tenant that nobody knows")


FIELDS: dict[str, dict[str, Any]] = {
    "callbacks": {
        "success_callback_name": f"{HERE}.foreign",
        "failure_callback_name": f"{HERE}.foreign",
        "stopped_callback_name": f"{HERE}.foreign",
    },
    "no end of time": {"timeout": "-1"},
    "a timeout that is none": {"timeout": "soon"},
    "numbers that are none": {"result_ttl": "x", "ttl": "x", "retries_left": "x", "success_callback_timeout": "x"},
    "a status that is none": {"status": "dancing"},
    "dates that are none": {"created_at": "yesterday", "enqueued_at": "\xff"},
    "dependencies": {"dependency_ids": '["a"]', "allow_dependency_failures": "x"},
    "a group": {"group_id": "g"},
    "meta of another serializer": {"meta": pickle.dumps({"a": 1})},
    "repeats": {"repeats_left": "3", "repeat_intervals": "[0]"},
    "webhooks": {"webhooks": '[{"url": "http://127.0.0.1:1/"}]'},
    "another queue": {"origin": "elsewhere"},
}


@pytest.mark.parametrize("what", FIELDS)
def test_of_a_job_with_our_function_nothing_but_its_arguments_is_read(work: Work, looks: list[Any], what: str) -> None:
    put(work, packed(OURS, None, [TENANT, True], {}), **FIELDS[what])
    serve_all(work)
    assert looks == [(TENANT, True)]
    assert not ran
    assert work.tickets.connection.keys("rq:*:x") == []


def test_callbacks_repeats_and_retries_that_rq_itself_put_in_are_not_called(work: Work, looks: list[Any]) -> None:
    more: dict[str, Any] = {"on_success": Callback(foreign), "on_failure": Callback(foreign), "retry": Retry(3)}
    work.tickets.enqueue(OURS, TENANT, False, repeat=Repeat(3, 0), **more)
    serve_all(work)
    serve_all(work)
    assert looks == [(TENANT, False)]
    assert not ran


def test_other_serializers_put_in_what_is_dropped(work: Work, looks: list[Any]) -> None:
    elsewhere = Queue(tickets.QUEUE, connection=work.tickets.connection)
    elsewhere.enqueue(foreign, 1)
    elsewhere.enqueue(Thing().method)
    elsewhere.enqueue(OURS, TENANT, True)
    serve_all(work)
    assert (looks, ran) == ([], [])
    assert work.figures.foreign_jobs == 3


def test_jobs_that_failed_callbacks_are_due_for_are_left_alone(work: Work, looks: list[Any]) -> None:
    """RQ's upkeep calls the failure callback of a job that some worker left behind."""
    put(work, packed(f"{HERE}.foreign", None, [1], {}), failure_callback_name=f"{HERE}.foreign")
    work.tickets.connection.delete(work.tickets.key)
    work.tickets.connection.zadd(f"rq:wip:{tickets.QUEUE}", {"x": 1})
    work.tickets.connection.rpush(f"{work.tickets.key}:intermediate", "x")
    serve_all(work)
    assert not ran


def test_keys_of_jobs_that_are_no_jobs_stop_nobody(work: Work, looks: list[Any]) -> None:
    client = work.tickets.connection
    client.set("rq:job:text", "x")
    client.lpush("rq:job:list", "x")
    client.hset("rq:job:empty", "status", "queued")
    ids: list[Any] = ["text", "list", "empty", "missing", b"\xff\xfe", "", "with space", "a:b", "x" * 100_000]
    client.rpush(work.tickets.key, *ids)
    tickets.ask(work.tickets, TENANT)
    serve_all(work)
    assert looks == [(TENANT, False)]
    assert client.keys("rq:job:*") == []


@pytest.mark.parametrize("many", first_of(["strangers", "ours", "missing"]))
def test_ten_thousand_jobs_before_ours_cost_little(work: Work, looks: list[Any], many: str) -> None:
    client = work.tickets.connection
    pipe = client.pipeline(transaction=False)
    data = packed("time.sleep", None, [20], {}) if many == "strangers" else packed(OURS, None, [TENANT, False], {})
    for number in range(10_000):
        if many != "missing":
            pipe.hset(f"rq:job:{number}", "data", data)
        pipe.rpush(work.tickets.key, str(number))
    pipe.execute()
    tickets.ask(work.tickets, TENANT, due=True)
    began = time.process_time()
    serve_all(work)
    assert time.process_time() - began < 5, "of this process's own time: others use the machine too"
    assert looks[-1] == (TENANT, True)
    assert len(looks) < 300
    assert client.dbsize() < 10


def test_strangers_are_said_once_a_minute_and_counted(
    work: Work, looks: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    served = worker(work)
    for number in range(300):
        put(work, packed("time.sleep", None, [number], {}), str(number))
    with caplog.at_level("WARNING"):
        served.work(burst=True, logging_level="WARNING")
    assert sum("foreign_jobs_dropped" in record.getMessage() for record in caplog.records) == 1
    assert work.figures.foreign_jobs == 300


def test_a_worker_obeys_no_command_and_no_suspension(work: Work, looks: list[Any]) -> None:
    client = work.tickets.connection
    suspend(client)
    stop = Stop()
    served = worker(work, stop)
    thread = threading.Thread(target=served.dequeue_job_and_maintain_ttl, args=(1,), daemon=True)
    served.bootstrap("WARNING")
    served.check_for_suspension(burst=False)
    assert client.pubsub_channels() == []
    assert client.pubsub_numpat() == 0
    thread.start()
    tickets.ask(work.tickets, TENANT)
    thread.join(5)
    assert not thread.is_alive()


def test_keys_of_rq_that_somebody_made_into_something_else_are_removed(work: Work, looks: list[Any]) -> None:
    client = work.tickets.connection
    names = [work.tickets.key, "rq:queues", "rq:workers", f"rq:workers:{tickets.QUEUE}"]
    for name in names:
        client.set(name, "x")
    stop = Stop()
    thread = threading.Thread(target=serving.serve, args=(work.tickets, work, stop), daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.signal", lambda *args: None)  # RQ's, which only the main thread may call
        thread.start()
        eventually(lambda: not any(client.type(name) == b"string" for name in names), 10, "all are removed")
        tickets.ask(work.tickets, TENANT)
        eventually(lambda: looks, 10, "a look")
        stop.told.set()
        thread.join(5)
    assert not thread.is_alive()


def test_a_ticket_that_only_claims_to_be_queued_is_not_believed(work: Work, line: Line) -> None:
    put(work, packed(OURS, None, [TENANT, True], {}), "liar")
    work.tickets.connection.delete(work.tickets.key)
    tickets.add(work.tickets, "other")
    line.redis.set(key(TENANT, "ticket"), "liar")
    assert not tickets.is_queued(work.tickets, "liar")
    work.tickets.connection.delete(work.tickets.key)
    work.tickets.connection.set(work.tickets.key, "no list")
    assert not tickets.is_queued(work.tickets, "liar")


def test_rq_s_own_worker_would_have_run_it(work: Work, looks: list[Any]) -> None:
    """What the tests above guard against is real: the same job, served by the library alone."""
    put(work, packed(f"{HERE}.foreign", None, [1], {}))
    served = rq.SimpleWorker([work.tickets], connection=work.tickets.connection, serializer=JSONSerializer)
    served.work(burst=True, logging_level="CRITICAL")
    assert ran == [(1,)]
    assert not Job.exists("none", connection=work.tickets.connection)


def test_a_redis_that_refuses_to_write_between_two_jobs_ends_no_worker(work: Work) -> None:
    """RQ beats after each job; what Redis says against that would end its loop with a stack trace."""
    made = worker(work)
    work.tickets.connection.set(made.key, "a write to it is refused")
    with pytest.raises(ResponseError):
        work.tickets.connection.hset(made.key, "last_heartbeat", "now")
    made.heartbeat()


def test_a_redis_that_is_away_between_two_jobs_ends_no_worker(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("111")

    made = worker(work)
    monkeypatch.setattr(made.connection, "pipeline", away)
    made.run_maintenance_tasks()
