"""One worker process: `python -m worker`. RQ in the main thread, beside it the callers, the settler and the sweeper.

Any number of them may run. SIGTERM: no new ticket, callers finish what they have, all is settled, exit 0. A second
SIGTERM leaves at once; leases bring back what it left undone. SIGHUP: the same, then it begins anew.
"""

# ruff: noqa: E402 - the first lines come before what takes half a second to load
import stopping

if __name__ == "__main__":
    stopping.leave_at_once()

import logging
import sys
import time

import psycopg2
import redis
from redis.exceptions import RedisError
from rq import Queue

import logs
import settings
from db import inbox, installation, migrate, postgres, processes, redis_why, tickets
from db.ledger import LEDGER, NATIVE_DESK
from db.processes import Teller
from db.upkeep import Upkeep
from policies import POLICIES
from version import VERSION
from worker import health, jobs, serving, settler, sweep
from worker.desk.registry import Desks, Kinds, every_kind, timed
from worker.hooks.loop import Hooks
from worker.latency import Latency
from worker.liveness import Liveness
from worker.notices import Notices
from worker.redis_watch import NotOurs, RedisWatch
from worker.rules import Rules
from worker.stop import Stop

log = logging.getLogger("worker")
stop = Stop()

FINISH_S = 22.0  # for the callers: longer than any desk call
SETTLE_S = 3.0  # for what they said last, and for the look under way; docs/operations.md says how long a stop takes
STOP_S = 0.5  # of which for the threads that have nothing to finish
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
        return serve(config, servers)
    except (settings.SettingsError, StartError, NotOurs, postgres.LedgerTrouble) as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
    except RedisError as error:
        print(f"worker: {redis_why.why(error)}", file=sys.stderr)  # noqa: T201
    return 1


def rules(config: settings.Settings) -> Rules:
    return Rules(
        policy=POLICIES[config.allocation_policy],
        default_limit=config.max_agent_chat,
        lag_s=config.desk_lag_seconds,
        retry_s=config.retry_seconds,
        idle_s=config.idle_seconds,
        keep_days=config.keep_days,
        keep_chats_days=config.keep_chats_days,
    )


def _register(
    config: settings.Settings, servers: settings.Servers, kinds: Kinds, latency: Latency
) -> tuple[int, str, Desks]:
    """This worker's number, the installation's id, and the desks of all tenants, the settings' own among them."""
    postgres.refuse_pooling(servers.database_url)
    conn = postgres.connect(servers.database_url, "start")
    try:
        if problem := migrate.misfit(conn):
            raise StartError(problem)
        with conn, conn.cursor() as cur:
            if config.qiscus_app_id and config.qiscus_secret_key:
                values = {"base_url": config.qiscus_url, "secret_key": config.qiscus_secret_key}
                LEDGER.run(cur, "put_tenant", tenant=config.qiscus_app_id, **values)
            rows = LEDGER.all(cur, "tenants")
            if any(row.id == config.qiscus_app_id and row.desk == NATIVE_DESK for row in rows):
                raise StartError(f"QISCUS_APP_ID is {config.qiscus_app_id}, but that tenant has a desk of our own")
            here = installation.id_of(cur)
            scope = installation.scope(here, servers.redis_url)
            make = kinds(servers.database_url, servers.redis_url, scope, config.retry_seconds)
            desks = Desks(timed(make, latency.answered))
            desks.refresh(rows)
            return LEDGER.one(cur, "next_worker").id, here, desks
    except psycopg2.Error as error:
        raise StartError(f"PostgreSQL refused: {postgres.why(error)}") from error
    finally:
        conn.close()


def serve(config: settings.Settings, servers: settings.Servers, kinds: Kinds = every_kind) -> int:
    """Work until a signal says stop; the exit code. Raises `StartError`, `NotOurs`."""
    latency = Latency()
    owner, here, desks = _register(config, servers, kinds, latency)
    box = inbox.Inbox(inbox.connect(servers.redis_url, REDIS_S, REDIS_CONNECTIONS))
    watch = RedisWatch(Upkeep(inbox.connect(servers.redis_url, REDIS_S, 1)), here, desks.tenants, stop)
    watch.start()
    work = jobs.Work(servers.database_url, box, _queue(servers, REDIS_S), rules(config), desks, owner, latency)
    lives, settles, sweeper = Liveness(servers.database_url, owner), settler.Settler(work), sweep.Sweeper(work)
    notices = Notices(work)
    hooks = Hooks(work, config.service_level_seconds, config.hooks_allow_private)
    work.redis_trouble = watch.trouble
    jobs.open_for(work)
    if config.worker_port:
        _answer_health(config.host, config.worker_port, work, settles, sweeper)
    stop.finish_first()
    lives.start()
    settles.start()
    sweeper.start()
    notices.start()
    hooks.start()
    teller = _teller(servers, work, settles)
    teller.start()
    _wait_for(lives)
    log.info(logs.line("worker_started", worker=owner, policy=config.allocation_policy))
    try:
        serving.serve(_queue(servers, serving.SOCKET_S), work, stop)
        log.info(logs.line("worker_stops", worker=owner))  # what is under way is finished; a second signal ends it
    finally:
        teller.stop()
        notices.stop(STOP_S)
        hooks.stop(STOP_S)
        _finish(work, settles, sweeper, lives)
    log.info(logs.line("worker_stopped", worker=owner))
    if watch.refused:
        raise watch.refused
    return 0


def _teller(servers: settings.Servers, work: jobs.Work, settles: settler.Settler) -> Teller:
    """What this worker says of itself, on a connection of its own."""
    box = inbox.Inbox(inbox.connect(servers.redis_url, REDIS_S, 1))
    own = work.figures

    def load() -> dict[str, float]:
        waiting = work.reports.qsize() + settles.waiting
        return {"decisions": own.decisions, "reserved": own.reserved, "settled": own.settled, "to_settle": waiting}

    return Teller(box, processes.about("worker", VERSION), load)


def _answer_health(host: str, port: int, work: jobs.Work, settles: settler.Settler, sweeper: sweep.Sweeper) -> None:
    try:
        health.serve(host, port, work, settles, sweeper)
    except OSError as error:
        raise StartError(
            f"can't listen on {host}:{port} ({error.strerror}): set WORKER_PORT to a free port, another one for each"
            " worker of a machine"
        ) from error


def _wait_for(lives: Liveness) -> None:
    until = time.monotonic() + FIRST_LOOK_S
    while not lives.held.is_set() and not stop.told.is_set() and time.monotonic() < until:
        stop.told.wait(0.02)


def _queue(servers: settings.Servers, timeout_s: float) -> Queue:
    """On connections of its own, whose every wait is bounded: a Redis that hangs must hold nobody for minutes."""
    client = redis.Redis.from_url(
        servers.redis_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
    )
    return tickets.queue(client)


def _finish(work: jobs.Work, settles: settler.Settler, sweeper: sweep.Sweeper, lives: Liveness) -> None:
    """The lock of this worker goes last: until then its pairs are its own business."""
    if not work.callers.close(FINISH_S):
        log.warning(logs.line("callers_left", seconds=FINISH_S))
    until = time.monotonic() + SETTLE_S
    settles.stop(SETTLE_S - STOP_S)
    sweeper.stop(max(0.1, until - time.monotonic()))
    lives.stop(STOP_S)


if __name__ == "__main__":
    code = main()
    if stop.anew and code == 0:
        stopping.again()
    sys.exit(code)
