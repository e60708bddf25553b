"""One worker process: `python -m worker`. RQ in the main thread, beside it the callers, the settler and the sweeper.

Any number of them may run. SIGTERM: no new ticket, callers finish what they have, all is settled, exit 0. A second
SIGTERM leaves at once; leases bring back what it left undone.
"""

import logging
import random
import sys
import time
from typing import Any

import psycopg2
import redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

import logs
import settings
from db import inbox, migrate, postgres, tickets
from db.ledger import LEDGER
from worker import health, jobs, sweep
from worker.desks import NATIVE, Desks, every_kind
from worker.rules import Rules

log = logging.getLogger("worker")

FINISH_S = 25.0  # longer than any desk call
AGAIN_S = 1.0  # until RQ is begun anew, give or take half
FIRST_LOOK_S = 5.0  # then on without it: leases make up for a worker that is not known to live
REDIS_S = 5.0
REDIS_CONNECTIONS = 16


class StartError(Exception):
    """This worker can't start; the text says why and what to do."""


def main() -> int:
    try:
        config = settings.load()
        logs.setup(config.log_level)
        servers = settings.servers(config)
        return serve(config, servers, Desks(every_kind(servers.database_url, servers.redis_url)))
    except (settings.SettingsError, StartError, postgres.LedgerDown) as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
    except RedisError as error:
        print(f"worker: Redis can't be used: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    return 1


def rules(config: settings.Settings) -> Rules:
    return Rules(
        policy=config.allocation_policy,
        default_limit=config.max_agent_chat,
        lag_s=config.desk_lag_seconds,
        retry_s=config.retry_seconds,
        idle_s=config.idle_seconds,
        keep_days=config.keep_days,
        keep_chats_days=config.keep_chats_days,
    )


def _register(config: settings.Settings, database_url: str, desks: Desks) -> int:
    """This worker's number; the settings' own tenant is entered, the desks are known before the first ticket."""
    conn = postgres.connect(database_url, "start")
    try:
        if not migrate.is_current(conn):
            raise StartError("the database is not migrated: run `python -m db.migrate` first")
        with conn, conn.cursor() as cur:
            if config.qiscus_app_id and config.qiscus_secret_key:
                values = {"base_url": config.qiscus_url, "secret_key": config.qiscus_secret_key}
                LEDGER.run(cur, "put_tenant", tenant=config.qiscus_app_id, **values)
            rows = LEDGER.all(cur, "tenants")
            if any(row.id == config.qiscus_app_id and row.desk == NATIVE for row in rows):
                raise StartError(f"QISCUS_APP_ID is {config.qiscus_app_id}, but that tenant has a desk of our own")
            desks.refresh(rows)
            return LEDGER.one(cur, "next_worker").id
    except psycopg2.Error as error:
        raise StartError(f"PostgreSQL refused: {postgres.why(error)}") from error
    finally:
        conn.close()


def serve(config: settings.Settings, servers: settings.Servers, desks: Desks) -> int:
    """Work until a signal says stop; the exit code."""
    owner = _register(config, servers.database_url, desks)
    box = inbox.Inbox(inbox.connect(servers.redis_url, REDIS_S, REDIS_CONNECTIONS))
    ticket_queue = tickets.queue(redis.Redis.from_url(servers.redis_url))
    work = jobs.Work(servers.database_url, box, ticket_queue, rules(config), desks, owner)
    settler, sweeper = jobs.Settler(work), sweep.Sweeper(work)
    jobs.open_for(work)
    settler.start()
    sweeper.start()
    sweeper.looked.wait(FIRST_LOOK_S)
    if config.worker_port:
        health.serve(config.host, config.worker_port, work, settler, sweeper)
    log.info(logs.line("worker_started", worker=owner, policy=config.allocation_policy))
    try:
        _serve_tickets(ticket_queue)
    finally:
        _finish(work, settler, sweeper)
    log.info(logs.line("worker_stopped", worker=owner))
    return 0


class TicketWorker(SimpleWorker):
    """RQ's worker in this very process; the class remembers whether a signal came, whichever worker it met."""

    told_to_stop = False

    def request_stop(self, signum: Any, frame: Any) -> None:
        TicketWorker.told_to_stop = True
        super().request_stop(signum, frame)


def _serve_tickets(queue: Queue) -> None:
    """Until a signal. RQ leaves its loop also when Redis goes away in the middle of its book-keeping: begun anew, so
    that callers and settler go on meanwhile."""
    while not TicketWorker.told_to_stop:
        try:
            worker = TicketWorker([queue], connection=queue.connection, serializer=JSONSerializer)
            worker.work(with_scheduler=False, logging_level="WARNING")
        except RedisError as error:
            log.warning(logs.line("tickets_interrupted", why=type(error).__name__))
        except StopRequested:  # the signal came between two of them
            return
        if not TicketWorker.told_to_stop:
            _again()


def _again() -> None:
    try:
        time.sleep(random.uniform(0.5, 1.5) * AGAIN_S)
    except StopRequested:
        TicketWorker.told_to_stop = True


def _finish(work: jobs.Work, settler: jobs.Settler, sweeper: sweep.Sweeper) -> None:
    if not work.callers.close(FINISH_S):
        log.warning(logs.line("callers_left", seconds=FINISH_S))
    settler.stop(FINISH_S)
    sweeper.stop(FINISH_S)


if __name__ == "__main__":
    sys.exit(main())
