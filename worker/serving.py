"""RQ's worker with nothing believed: from the queue of jobs to `jobs.drain`, one tenant at a time.

After whoever asked (the receiver, the sweeper); before jobs.py. RQ has the loop and the entry in `rq info`. Everything
that Redis could make it do is left out: no function that a job names is imported or called, no callback, retry,
repetition, dependent or webhook of a job is read, no command is listened for, no suspension obeyed, no registry
cleaned. Who can write to Redis can ask for a look at a tenant's line, which is harmless, and nothing else.
"""

import contextlib
import logging
import os
import socket
import time
from collections import Counter
from typing import Any

import redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, worker_registration
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now

import logs
from db import tickets
from db.inbox import CLAIM
from db.redis_why import why
from db.tickets import Ask
from worker import jobs
from worker.jobs import Work
from worker.stop import Stop

log = logging.getLogger("worker.serving")

BLOCK_S = 1.0  # a stop, and a worker whose connection is gone without a word, are noticed within it and SOCKET_S
SOCKET_S = 4
UPKEEP_S = 5  # between two looks whether our keys are what they must be
AGAIN_S = 1.0  # until Redis is tried again, give or take half: workers don't come back in step
CROWD = 200  # more jobs than this that wait are taken together
GATHER_MOST = 1000
WORKER_TTL_S = 60  # RQ adds 60: how long `rq info` lists one that was killed
SAY_S = 60.0  # between two lines on jobs of others


class TicketJob(Job):
    """One look that is asked for; made here, never read from Redis."""

    def __init__(self, connection: redis.Redis, ask: Ask) -> None:
        super().__init__(connection=connection, serializer=JSONSerializer)
        self.ask = ask


class Strangers:
    """Counts jobs that are dropped, and says so once a minute at most."""

    def __init__(self, work: Work) -> None:
        self._figures = work.figures
        self._said_at = -SAY_S
        self._unsaid: Counter[str] = Counter()

    def add(self, why: str) -> None:
        """`why`: not_ours, tenant_unknown (also for a moment after a tenant was added: the sweeper asks again)."""
        self._figures.foreign_jobs += why == "not_ours"
        self._unsaid[why] += 1
        if time.monotonic() - self._said_at >= SAY_S:
            log.warning(logs.line("foreign_jobs_dropped", **self._unsaid))
            self._said_at = time.monotonic()
            self._unsaid.clear()


class TicketWorker(SimpleWorker):
    """In this very process, of one queue. Nothing is asked of Redis before `work`."""

    def __init__(self, queue: Queue, work: Work, stop: Stop, strangers: Strangers, outage: logs.Outage) -> None:
        super().__init__(
            [queue],
            connection=queue.connection,
            serializer=JSONSerializer,
            maintenance_interval=UPKEEP_S,
            worker_ttl=WORKER_TTL_S,
            prepare_for_work=False,
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._queue, self._work, self._stop = queue, work, stop
        self._strangers, self._outage = strangers, outage
        self._claim = queue.connection.register_script(CLAIM.text)
        self._asks: dict[str, bool] = {}  # taken off the queue already: tenant → whether something is due
        self._beat_at = -float(UPKEEP_S)

    @property
    def connection_timeout(self) -> int:
        """RQ raises the connection's own to it."""
        return SOCKET_S

    # --- left out of RQ

    def subscribe(self) -> None:
        """No commands: whoever can publish could stop this process."""

    def check_for_suspension(self, burst: bool) -> None:
        """`rq:suspended` would let every line stand, for ever and unseen."""

    def run_maintenance_tasks(self) -> None:
        """RQ's own would call the failure callbacks of jobs left behind. Keys of another type than ours must have
        (somebody else wrote there) would stop everything: they are removed, there is nothing of ours in them. RQ would
        end on a Redis that is away: that is said where jobs are taken."""
        self.last_cleaned_at = now()  # type: ignore[assignment]  # None by RQ's own annotation
        with contextlib.suppress(RedisError):
            self._remove_strange_keys()

    def _remove_strange_keys(self) -> None:
        wanted = {
            self._queue.key: b"list",
            Queue.redis_queues_keys: b"set",
            worker_registration.REDIS_WORKER_KEYS: b"set",
            worker_registration.WORKERS_BY_QUEUE_KEY % self._queue.name: b"set",
            self.key: b"hash",
        }
        pipe = self.connection.pipeline(transaction=False)
        for name in wanted:
            pipe.type(name)
        for (name, right), found in zip(wanted.items(), pipe.execute(), strict=True):
            if found not in (right, b"none"):
                self.connection.unlink(name)
                log.warning(logs.line("key_removed", key=name, type=found.decode()))

    def request_stop(self, signum: Any, frame: Any) -> None:
        self._stop.signal(signum)

    def request_force_stop(self, signum: Any, frame: Any) -> None:
        self._stop.signal(signum)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """For `rq info` only: not with each job, and RQ would end on what Redis says against it. That Redis is in
        trouble is said where jobs are taken."""
        if time.monotonic() - self._beat_at >= UPKEEP_S:
            self._beat_at = time.monotonic()
            with contextlib.suppress(RedisError):
                super().heartbeat(timeout, pipeline)

    # --- from the queue to the job

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Waits until something is asked for, also through an outage of Redis. Without `timeout` (RQ's burst) it gives
        None where nothing is. Raises `StopRequested` after a signal."""
        while not self._stop.told.is_set():
            try:
                ask = self._next(BLOCK_S if timeout else 0)
            except RedisError as error:
                self._outage.goes_on(why(error))
                self._stop.wait_about(AGAIN_S)
                continue
            self._outage.over()
            if ask:
                return TicketJob(self.connection, ask), self._queue
            if timeout is None:
                return None
        raise StopRequested

    def execute_job(self, job: Job, queue: Queue) -> None:
        if isinstance(job, TicketJob):
            try:
                jobs.drain(*job.ask)
            except Exception:  # the ticket stays out, and the sweeper replaces it
                log.exception(logs.line("drain_bug", tenant=job.ask.tenant))

    def _upkeep(self) -> None:
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        self.heartbeat()

    def _next(self, wait_s: float) -> Ask | None:
        """A signal between the taking and the job loses it; the sweeper finds what a lost one left undone."""
        if not self._asks:
            self._upkeep()
            job_id = self._take(wait_s)
            if job_id is None:
                return None
            data, waiting = self._claim(keys=[_key(job_id), self._queue.key], args=[tickets.DATA_MAX])
            strange = self._note(data)
            if strange or waiting > CROWD:
                self._gather(waiting)
        if not self._asks:
            return None
        tenant = next(iter(self._asks))
        return Ask(tenant, self._asks.pop(tenant))

    def _take(self, wait_s: float) -> bytes | None:
        client: Any = self.connection  # redis-py types every answer as bytes or text or None
        if not wait_s:
            return client.lpop(self._queue.key)
        found = client.blpop([self._queue.key], wait_s)
        return found[1] if found else None

    def _gather(self, waiting: int) -> None:
        """Where strangers or a crowd stand in the queue, half of it is taken at once: jobs of others cost next to
        nothing, and of many of one tenant one is left."""
        client: Any = self.connection
        while waiting and not self._stop.told.is_set():
            ids = client.lpop(self._queue.key, min(GATHER_MOST, waiting // 2 + 1)) or []
            pipe = client.pipeline(transaction=False)
            for job_id in ids:
                self._claim(keys=[_key(job_id), self._queue.key], args=[tickets.DATA_MAX], client=pipe)
            found = pipe.execute()
            strange = sum(self._note(data) for data, _ in found)
            if not strange and self._asks:
                return
            waiting = found[-1][1] if found else 0

    def _note(self, data: bytes) -> bool:
        """One more ask; whether it is a stranger's, and none."""
        ask = tickets.read(data)
        if ask is None or self._work.desks.of(ask.tenant) is None:
            self._strangers.add("tenant_unknown" if ask else "not_ours")
            return True
        self._asks[ask.tenant] = self._asks.get(ask.tenant, False) or ask.due
        return False


def _key(job_id: bytes) -> bytes:
    return b"rq:job:" + job_id


def serve(queue: Queue, work: Work, stop: Stop) -> None:
    """Until a signal. A Redis that is away is tried again each second; its going and its coming back are said."""
    strangers, outage = Strangers(work), logs.Outage(log, "redis_away", "redis_back")
    while not stop.told.is_set():
        try:
            worker = TicketWorker(queue, work, stop, strangers, outage)
            worker.run_maintenance_tasks()
            worker.work(logging_level="WARNING")
        except RedisError as error:
            outage.goes_on(why(error))
        stop.wait_about(AGAIN_S)
