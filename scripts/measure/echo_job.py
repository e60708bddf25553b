"""The floor's RQ worker: a job whose body says when it began. `python -m scripts.measure.echo_job REDIS_URL`."""

import os
import sys
import time

import redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

QUEUE = "floor"
JOB = "scripts.measure.echo_job.body"


def body(number: int) -> None:
    os.write(sys.stdout.fileno(), f"body {number} {time.monotonic()}\n".encode())


def queue(url: str) -> Queue:
    return Queue(QUEUE, connection=redis.Redis.from_url(url), serializer=JSONSerializer)


if __name__ == "__main__":
    tickets = queue(sys.argv[1])
    SimpleWorker([tickets], connection=tickets.connection, serializer=JSONSerializer).work(logging_level="ERROR")
