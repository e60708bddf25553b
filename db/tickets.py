"""A ticket: an RQ job that says "this tenant needs a look". One is out for each tenant; one serves many rooms.

Asked for by the receiver (a webhook came) and by workers (a seat got free, a retry is due). It is a hint: the
sweeper finds what a lost ticket left undone. Who can write to Redis can put in any job: `read` tells ours.
"""

import json
import re
import secrets
import zlib
from typing import NamedTuple

import redis
from redis.exceptions import ResponseError
from rq import Queue
from rq.serializers import JSONSerializer

from db import inbox

QUEUE = "giliran"
JOB = "worker.jobs.drain"  # a string, not an import: the receiver must not load the worker; a test holds it to exist
JOB_SECONDS = 60  # RQ writes it into the job; nothing of ours reads it: the real bounds are on the connections
DATA_MAX = 1024  # bytes of a job's data as stored; ours have about 100
PLAIN_MAX = 4096  # and unpacked

_TENANT = re.compile(r"[!-~]{1,64}")  # every tenant's id is such a word; which of them exist, a worker knows


class Ask(NamedTuple):
    """What a ticket of ours says."""

    tenant: str
    due: bool  # something is due that the counters in Redis don't show


def queue(client: redis.Redis) -> Queue:
    """The queue on a client of its own (RQ wants bytes, the inbox wants text)."""
    return Queue(QUEUE, connection=client, serializer=JSONSerializer, default_timeout=JOB_SECONDS)


def enqueue(tickets: Queue, tenant: str, job_id: str, due: bool = False) -> None:
    """Put the job in; the flag is set already. RQ alone would make two round trips of it, at twice the cost."""
    with tickets.connection.pipeline() as trip:
        tickets.enqueue_call(JOB, (tenant, due), job_id=job_id, result_ttl=0, description=JOB, pipeline=trip)
        trip.execute()


def read(data: bytes) -> Ask | None:
    """What a job's data says if it is one of ours, to the letter: our function, one tenant, one flag, nothing else.
    The bytes may be anybody's: their length is bounded packed and unpacked, and no name in them is ever imported."""
    try:
        found = json.loads(_plain(data))
    except (ValueError, RecursionError, zlib.error):
        return None
    if not isinstance(found, list) or len(found) != 4:
        return None
    name, instance, args, kwargs = found
    if name != JOB or instance is not None or kwargs != {} or not isinstance(args, list) or len(args) != 2:
        return None
    tenant, due = args
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant) or not isinstance(due, bool):
        return None
    return Ask(tenant, due)


def _plain(data: bytes) -> bytes:
    """RQ packs what it stores. Raises `zlib.error`, and `ValueError` for what unpacks to too much."""
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(data, PLAIN_MAX)
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("more than a job of ours holds")
    return plain


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
    """Whether some worker will still come to it: it stands in the queue itself. A job under way counts as gone: two
    looks are harmless."""
    try:
        return tickets.connection.lpos(tickets.key, job_id) is not None
    except ResponseError:  # the queue is no list: somebody else wrote there, and nobody will come
        return False


def replace(tickets: Queue, tenant: str, due: bool = True) -> None:
    """Another job in place of one that is believed lost, or that ends before all is done."""
    job_id = secrets.token_hex(8)
    tickets.connection.set(inbox.key(tenant, "ticket"), job_id, ex=inbox.TICKET_SECONDS)
    enqueue(tickets, tenant, job_id, due)
