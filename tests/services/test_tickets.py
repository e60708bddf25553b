"""Tickets in a real RQ queue, and the job that they name, called by hand: one look at one tenant's line."""

import importlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from db import inbox, tickets
from db.inbox import key, limit_key
from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line, remind
from worker import jobs
from worker.callers import TENANT_QUEUE, Callers
from worker.calls import Held, Suggested
from worker.desk.base import Assigned, RosterAgent
from worker.jobs import Work
from worker.settler import Settler
from worker.sweep import Sweeper


class Desk:
    """Says yes to everything and keeps what was asked."""

    def __init__(self) -> None:
        self.assigned: list[tuple[str, str]] = []

    def roster(self, room: str) -> list[RosterAgent]:
        return [RosterAgent("ani", "Ani", True, 0)]

    def assign(self, room: str, agent: str) -> Assigned:
        self.assigned.append((room, agent))
        return Assigned(None)

    def unserved(self) -> list[Any]:
        return []


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def work(line: Line, desk: Desk) -> Iterator[Work]:
    """A worker whose desk is known; its tickets are served by this test."""
    made = line.work(desk)
    made.desks.refresh(line.rows("SELECT id, base_url, secret_key, webhook_digest FROM tenants"))
    jobs.open_for(made)
    yield made
    assert made.callers.close(5)
    made.drains.close()


def flag(line: Line) -> str | None:
    return line.redis.get(key(TENANT, "ticket"))


def reports(work: Work, number: int) -> list[Any]:
    """So many answers of the desk, as they come."""
    return [work.reports.get(timeout=5)[1] for _ in range(number)]


def test_the_job_is_named_by_a_string_that_means_a_function() -> None:
    module, _, name = tickets.JOB.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_one_ticket_is_out_for_each_tenant(work: Work, line: Line) -> None:
    assert tickets.ask(work.tickets, TENANT)
    assert not tickets.ask(work.tickets, TENANT)
    assert tickets.ask(work.tickets, "warung")
    assert work.tickets.count == 2
    assert work.tickets.job_ids[0] == flag(line)


def test_the_flag_ends_by_itself_in_case_its_job_never_comes(work: Work, line: Line) -> None:
    tickets.ask(work.tickets, TENANT)
    assert 0 < line.redis.ttl(key(TENANT, "ticket")) <= inbox.TICKET_SECONDS


def test_a_job_is_json_and_tells_tenant_and_urgency(work: Work) -> None:
    tickets.ask(work.tickets, TENANT, due=True)
    (job,) = work.tickets.jobs
    assert (job.func_name, list(job.args), job.timeout) == (tickets.JOB, [TENANT, True], tickets.JOB_SECONDS)
    raw = work.tickets.connection.hget(f"rq:job:{job.id}", "data")
    assert json.loads(raw if raw[:1] == b"[" else __import__("zlib").decompress(raw))[0] == tickets.JOB


def test_the_receivers_ticket_is_the_workers_ticket(work: Work, line: Line) -> None:
    said = line.arrive("r1")
    assert said.job_id == flag(line)
    tickets.enqueue(work.tickets, TENANT, said.job_id or "")
    assert not tickets.ask(work.tickets, TENANT)
    assert tickets.is_queued(work.tickets, said.job_id or "")


def during_the_look(work: Work, then: Callable[[], Any]) -> None:
    """Do this once, in the middle of the next look: after the inbox was read."""
    take = work.inbox.take

    def spy(*args: Any) -> Any:
        found = take(*args)
        work.inbox.take = take  # type: ignore[method-assign]
        then()
        return found

    work.inbox.take = spy  # type: ignore[method-assign]


def test_who_comes_while_the_job_looks_is_served_by_the_same_job(work: Work, line: Line) -> None:
    line.arrive("r1")
    late: list[str | None] = []
    during_the_look(work, lambda: late.append(line.arrive("r2").job_id))
    jobs.drain(TENANT)
    assert late == [None], "no job beside the one under way"
    assert line.states() == {"r1": "waiting", "r2": "waiting"}
    assert (flag(line), work.figures.decisions) == (None, 2)


def test_who_asks_while_the_job_looks_makes_it_look_again_at_what_is_due(work: Work, line: Line) -> None:
    line.arrive("r1")
    during_the_look(work, lambda: tickets.ask(work.tickets, TENANT, due=True))
    looks = []
    decide = jobs.decide.decide
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.decide, "decide", lambda *of, **how: (looks.append(of[-1].due), decide(*of, **how))[1])
        jobs.drain(TENANT)
    assert looks == [False, True]
    assert (flag(line), work.tickets.count) == (None, 0)


def test_what_was_asked_of_a_job_that_another_overtook_is_not_forgotten(work: Work, line: Line) -> None:
    work.inbox.open_ticket(TENANT, "first")
    tickets.ask(work.tickets, TENANT, due=True)
    assert work.inbox.open_ticket(TENANT, "second").asked
    assert work.inbox.close_ticket(TENANT, "first", work.tickets.key)[0] == "closed"
    assert flag(line) == "run-second", "a ticket is closed by its own job only"


def test_while_other_tickets_wait_a_job_goes_to_the_tail_instead_of_looking_again(work: Work, line: Line) -> None:
    line.arrive("r1")
    tickets.ask(work.tickets, "warung")
    during_the_look(work, lambda: line.arrive("r2"))
    jobs.drain(TENANT)
    assert [job.args[0] for job in work.tickets.jobs] == ["warung", TENANT]
    assert flag(line) == work.tickets.job_ids[1]
    assert line.states() == {"r1": "waiting"}


def test_a_job_that_is_asked_for_ever_ends_and_goes_to_the_tail(
    work: Work, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOKS_S", 0.0)
    line.arrive("r1")
    during_the_look(work, lambda: tickets.ask(work.tickets, TENANT))
    jobs.drain(TENANT)
    assert [list(job.args) for job in work.tickets.jobs] == [[TENANT, True]]
    assert flag(line) == work.tickets.job_ids[0]


def test_a_redis_that_refuses_the_next_ticket_is_away_and_no_defect(
    work: Work, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise ResponseError("NOREPLICAS Not enough good replicas to write.")

    monkeypatch.setattr(tickets, "replace", refused)
    line.arrive("r1")
    tickets.ask(work.tickets, "warung")
    during_the_look(work, lambda: line.arrive("r2"))
    jobs.drain(TENANT)
    assert "drain_failed" in caplog.text and "replication is broken" in caplog.text
    assert line.states() == {"r1": "waiting"}


def test_a_look_that_failed_leaves_its_ticket_and_the_sweeper_replaces_it(work: Work, line: Line) -> None:
    url, work.drains._url = work.drains._url, "postgresql://giliran@127.0.0.1:9/none"
    line.arrive("r1")
    jobs.drain(TENANT)
    assert (flag(line) or "").startswith("run-")
    work.drains._url = url
    sweeper = Sweeper(work)
    sweeper.look()
    sweeper.look()
    sweeper._ledger.close()
    assert [list(job.args) for job in work.tickets.jobs] == [[TENANT, True]]


def test_a_lost_ticket_is_replaced_by_one_that_is_never_skipped(work: Work, line: Line) -> None:
    line.redis.set(key(TENANT, "ticket"), "lost")
    assert not tickets.is_queued(work.tickets, "lost")
    tickets.replace(work.tickets, TENANT)
    (job,) = work.tickets.jobs
    assert (job.id, list(job.args)) == (flag(line), [TENANT, True])


def test_a_job_under_way_counts_as_gone(work: Work) -> None:
    tickets.ask(work.tickets, TENANT)
    (job_id,) = work.tickets.job_ids
    work.tickets.connection.lpop(work.tickets.key)
    assert Job.exists(job_id, connection=work.tickets.connection)
    assert not tickets.is_queued(work.tickets, job_id)


def test_a_job_that_ends_while_it_is_looked_at_is_no_fault(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, fetch = tickets.add(work.tickets, TENANT), Job.fetch

    def fetched(*args: Any, **more: Any) -> Job:
        job = fetch(*args, **more)
        work.tickets.connection.delete(job.key)
        return job

    monkeypatch.setattr(Job, "fetch", fetched)
    assert tickets.is_queued(work.tickets, job_id), "as it was found"


# --- the job


def test_a_ticket_leads_to_the_desk_and_leaves_the_inbox_empty(work: Work, line: Line, desk: Desk) -> None:
    line.roster("ani")
    line.arrive("r1")
    jobs.drain(TENANT)
    (report,) = reports(work, 1)
    assert isinstance(report, Held)
    assert desk.assigned == [("r1", "ani")]
    assert line.inbox_size() == 0
    assert line.caches()["held"] == ["r1"]
    assert (work.figures.decisions, work.figures.reserved) == (1, 1)


def test_a_real_worker_of_rq_serves_the_ticket(work: Work, line: Line, desk: Desk) -> None:
    line.roster("ani")
    line.arrive("r1")
    tickets.enqueue(work.tickets, TENANT, flag(line) or "")
    worker = SimpleWorker([work.tickets], connection=work.tickets.connection, serializer=JSONSerializer)
    worker.work(burst=True, with_scheduler=False, logging_level="WARNING")
    assert isinstance(reports(work, 1)[0], Held)
    assert work.tickets.failed_job_registry.count == 0
    assert flag(line) is None


def test_a_backlog_of_many_batches_is_taken_by_one_job(work: Work, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOOKS_S", 60.0)
    line.arrive_all([f"r{n}" for n in range(1100)])
    line.redis.delete(key(TENANT, "ticket"))
    jobs.drain(TENANT)
    assert line.inbox_size() == 0
    assert len(line.states()) == 1100
    assert (flag(line), work.tickets.count) == (None, 0), "nothing more to ask for"


def test_a_ticket_for_a_full_tenant_costs_no_transaction(work: Work, line: Line) -> None:
    line.roster("ani")
    line.serve("r1", "r2", "r3")
    remind(line.inbox, line.tenant_row().rev, {}, {"ani": 2})
    rev = line.tenant_row().rev
    jobs.drain(TENANT)
    jobs.drain(TENANT)
    jobs.drain(TENANT)
    assert work.figures.skipped_full == 2, "the first look learns the limits"
    assert line.tenant_row().rev == rev + 1


def test_a_due_ticket_is_never_skipped(work: Work, line: Line) -> None:
    line.roster("ani")
    line.serve("r1", "r2", "r3")
    remind(line.inbox, line.tenant_row().rev, {}, {"ani": 2})
    rev = line.tenant_row().rev
    for _ in range(3):
        jobs.drain(TENANT, True)
    assert line.tenant_row().rev == rev + 3
    assert work.figures.skipped_full == 0


def test_counters_that_are_wrong_keep_no_room_from_a_free_seat(work: Work, line: Line, desk: Desk) -> None:
    """H8: the cache says full for ever, PostgreSQL knows better, and a webhook is enough to be asked."""
    line.roster("ani")
    remind(line.inbox, line.tenant_row().rev, {}, {"ani": 99})
    for _ in range(2):
        jobs.drain(TENANT)
    line.arrive("r1")
    jobs.drain(TENANT)
    reports(work, 1)
    assert desk.assigned == [("r1", "ani")]


def test_a_raised_limit_gives_the_seat_at_the_next_ticket(work: Work, line: Line, desk: Desk) -> None:
    line.roster("ani")
    line.serve("r1", "r2", "r3")
    remind(line.inbox, line.tenant_row().rev, {}, {"ani": 2})
    for _ in range(2):
        jobs.drain(TENANT)
    line.redis.set(limit_key(TENANT, "ani"), "3")
    jobs.drain(TENANT)
    reports(work, 1)
    assert desk.assigned == [("r3", "ani")]


def test_a_tenant_that_this_worker_does_not_know_as_yet_is_left_for_later(work: Work, line: Line) -> None:
    work.desks.refresh([])
    line.arrive("r1")
    jobs.drain(TENANT)
    assert line.inbox_size() == 1
    assert line.states() == {}


def test_a_redis_or_ledger_that_is_away_fails_no_job(work: Work, line: Line) -> None:
    line.arrive("r1")
    line.redis.set(key(TENANT, "rev"), "x")
    work.drains._url = "postgresql://giliran@127.0.0.1:9/none"
    jobs.drain(TENANT)
    assert line.inbox_size() == 1, "still there, for whoever comes next"


def test_settled_answers_wake_the_line_where_they_freed_a_seat(work: Work, line: Line) -> None:
    """The settler's thread, with the report of a caller whom the desk refused."""
    line.roster("ani")
    line.arrive("r1")
    (pair,) = line.pairs(line.decide())
    settler = Settler(work)
    settler.start()
    started = time.monotonic()
    work.reports.put((TENANT, jobs.calls.Refused(pair, "no")))
    line.redis.delete(key(TENANT, "ticket"))
    eventually(lambda: work.tickets.count, 5, "a ticket")
    assert time.monotonic() - started < 2
    settler.stop(5)
    assert line.states() == {"r1": "waiting"}
    assert line.caches()["seats"] == {"ani": "0"}


def test_rooms_that_found_the_callers_busy_are_served_as_soon_as_they_are_not(work: Work, line: Line) -> None:
    """P5: seats are free, rooms wait, the desk answers at once; only the callers' queue was short."""
    work.callers = Callers(threads=2, tenant_calls=2, queue=3)
    line.roster(*(f"a{n}" for n in range(5)))
    line.arrive_all([f"r{n}" for n in range(10)])
    settler, sweeper = Settler(work), Sweeper(work)
    settler.start()
    jobs.drain(TENANT)

    def all_held() -> bool:
        sweeper.look()
        if work.tickets.count:
            work.tickets.empty()
            jobs.drain(TENANT, True)
        return list(line.states().values()) == ["held"] * 10

    try:
        eventually(all_held, 2, "ten rooms held")
    finally:
        settler.stop(5)
        sweeper._ledger.close()


def test_a_report_that_can_not_be_written_stops_no_other(work: Work, line: Line) -> None:
    line.roster("ani", "budi")
    line.arrive_all(["r1", "r2"])
    first, second = line.pairs(line.decide())
    settler = Settler(work)
    work.reports.put((TENANT, Held(first, "a\0b")))
    work.reports.put((TENANT, Held(second, second.agent)))
    settler.start()
    eventually(lambda: line.states().get("r2") == "held", 5, "the good report")
    settler.stop(5)
    assert line.states() == {"r1": "reserved", "r2": "held"}


def test_two_queues_of_the_same_redis_see_the_same_tickets(work: Work, line: Line) -> None:
    tickets.ask(work.tickets, TENANT)
    with redis.Redis.from_url(line.redis_url) as client:
        assert tickets.queue(client).job_ids == work.tickets.job_ids


def test_what_is_not_written_yet_bounds_what_is_given_away(work: Work, line: Line, desk: Desk) -> None:
    """A settler that comes behind, with thousands of rooms for thousands of agents, loses no report of theirs."""
    line.roster("ani", "budi")
    for _ in range(TENANT_QUEUE - 1):
        assert work.backlog.add(TENANT, Suggested("", None), time.monotonic())
    for room in ("r1", "r2", "r3"):
        line.arrive(room)
    jobs.drain(TENANT)
    assert sorted(line.states().values()) == ["reserved", "waiting", "waiting"]
    assert TENANT in work.cut, "the line is looked at again when they are written"
    while work.backlog.take(time.monotonic()):
        work.backlog.done(TENANT)
    jobs.drain(TENANT)
    assert set(line.states().values()) == {"reserved"}
    reports(work, 3)
    assert sorted(room for room, _ in desk.assigned) == ["r1", "r2", "r3"]
