"""A ticket: an RQ job that says "this tenant needs a look". One is out for each tenant; one serves many rooms.

Asked for by the receiver (a webhook came) and by workers (a seat got free, a retry is due). It is a hint: the
sweeper finds what a lost ticket left undone.
"""

import secrets

import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from db import inbox

QUEUE = "giliran"
JOB = "worker.jobs.drain"  # a string, not an import: the receiver must not load the worker; a test holds it to exist
JOB_SECONDS = 60  # never meant to fire: the real bounds are on the connections
FAILED_KEPT_SECONDS = 3600


def queue(client: redis.Redis) -> Queue:
    """The queue on a client of its own (RQ wants bytes, the inbox wants text)."""
    return Queue(QUEUE, connection=client, serializer=JSONSerializer, default_timeout=JOB_SECONDS)


def enqueue(tickets: Queue, tenant: str, job_id: str, due: bool = False) -> None:
    """Put the job in; the flag is set already. `due`: something is due that the counters in Redis don't show."""
    tickets.enqueue(JOB, tenant, due, job_id=job_id, result_ttl=0, failure_ttl=FAILED_KEPT_SECONDS)


def ask(tickets: Queue, tenant: str, due: bool = False) -> bool:
    """Ask for a look unless one is asked for already; whether a job was put in. One under way looks again."""
    job_id = secrets.token_hex(8)
    if not tickets.connection.eval(inbox.ASK.text, 1, inbox.key(tenant, "ticket"), job_id, inbox.TICKET_SECONDS):
        return False
    enqueue(tickets, tenant, job_id, due)
    return True


def add(tickets: Queue, tenant: str) -> str:
    """A look at what is due beside the ticket that is out; the job's id."""
    job_id = secrets.token_hex(8)
    enqueue(tickets, tenant, job_id, due=True)
    return job_id


def is_queued(tickets: Queue, job_id: str) -> bool:
    """Whether some worker will still come to it. A job under way counts as gone: two looks are harmless."""
    if tickets.count == 0:
        return False
    try:
        job = Job.fetch(job_id, connection=tickets.connection, serializer=JSONSerializer)
    except NoSuchJobError:
        return False
    return job.get_status(refresh=False) == JobStatus.QUEUED  # as fetched: asked for again, the job may be gone


def replace(tickets: Queue, tenant: str, due: bool = True) -> None:
    """Another job in place of one that is believed lost, or that ends before all is done."""
    job_id = secrets.token_hex(8)
    tickets.connection.set(inbox.key(tenant, "ticket"), job_id, ex=inbox.TICKET_SECONDS)
    enqueue(tickets, tenant, job_id, due)
