"""One sidecar process: `python -m sidecar`. Pages, REST and sockets of the chat on CHAT_PORT; any number may run.

SIGTERM: sockets are told to come back elsewhere, what was sent is stored, exit 0. SIGHUP: then it begins anew.
"""

# ruff: noqa: E402 - the first lines come before what takes half a second to load
import stopping

if __name__ == "__main__":
    stopping.leave_at_once()

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

import psycopg2
from aiohttp import web

import logs
import settings
from addresses import is_loopback
from db import inbox, installation, migrate, postgres
from db.ledger import roster_s
from db.postgres import LedgerTrouble
from db.upkeep import Upkeep
from sidecar.app import HANDLER_ARGS, SIDECAR, create_app
from sidecar.live.parts import Config, Demo, Times
from sidecar.web.crowd import Crowd
from sidecar.web.listening import listen
from version import VERSION

log = logging.getLogger("sidecar")

FILES_WANTED = 65_536  # one for each socket
STOP_S = 10.0
GONE_LEAST_S = 30.0  # a page that is here is known to be for the last 25 s
REDIS_S = 2.0  # a start does not wait longer for it
SWITCH_S = 0.0005  # the event loop gives its turn away at each write; a busy thread gives it back after this, not 5 ms
KEEPALIVE_S = 75.0
CONNECTIONS = 2  # times the sockets that one address may have: pages ask by REST, too
GARBAGE = (50_000, 10, 5)  # containers, generations: a full look at thousands of sockets stops them all for 0.3 s


class StartError(Exception):
    """This sidecar can't start; the text says why and what to do."""


def main() -> int:
    try:
        config = settings.load()
        logs.setup(config.log_level)
        _check_folder(config.data)
        servers = settings.servers(config)
        here = _check(servers)
        _raise_files()
        _run_evenly()
        anew = asyncio.run(serve(config, servers, here))
    except (settings.SettingsError, StartError, LedgerTrouble) as error:
        print(f"sidecar: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        return 1
    if anew:
        stopping.again()
    return 0


def told(config: settings.Settings, servers: settings.Servers, here: str) -> Config:
    """Raises `SettingsError`."""
    ai = (config.ai_base_url, config.ai_api_key, config.ai_model)
    demo = Demo(settings.DEMO_TENANT, settings.DEMO_PASSWORD, f"http://127.0.0.1:{config.sim_port}")
    return Config(
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        data=config.data,
        secret_key=settings.secret_key(config),
        default_limit=config.max_agent_chat,
        retry_s=config.retry_seconds,
        policy=config.allocation_policy,
        version=VERSION,
        target_s=config.service_level_seconds,
        believe_s=roster_s(config.desk_lag_seconds),
        reassign_s=config.reassign_offline_seconds,
        times=Times(_gone_s(config), config.customer_return_seconds),
        allowed_origins=config.allowed_origins,
        trusted_proxies=config.trusted_proxies,
        sessions_a_minute=config.sessions_per_minute,
        messages_a_second=config.messages_per_second,
        uploads_a_minute=config.uploads_per_minute,
        upload_most_mb=config.upload_max_mb,
        files_per_tenant_mb=config.files_per_tenant_mb,
        sockets_an_address=config.sockets_per_address,
        model=(ai[0], ai[1], ai[2]) if ai[0] and ai[1] and ai[2] else None,
        demo=demo if config.demo else None,
        scope=installation.scope(here, servers.redis_url),
    )


def _gone_s(config: settings.Settings) -> float:
    return max(GONE_LEAST_S, config.customer_gone_seconds) if config.customer_gone_seconds else 0.0


class Stop:
    """Told by the first signal; the second one is not asked twice."""

    def __init__(self) -> None:
        self.told, self.anew = asyncio.Event(), False
        for number in stopping.heeded():
            asyncio.get_running_loop().add_signal_handler(number, self._signal, number)

    def _signal(self, number: signal.Signals) -> None:
        if self.told.is_set():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
            os._exit(1)  # process 1 is still here
        self.anew = number == signal.SIGHUP
        self.told.set()


async def serve(config: settings.Settings, servers: settings.Servers, here: str) -> bool:
    """Until a signal says stop; whether it said to begin anew."""
    stop = Stop()
    app = create_app(told(config, servers, here))
    runner = web.AppRunner(
        app,
        shutdown_timeout=STOP_S,
        handler_cancellation=False,
    )
    await runner.setup()
    try:
        door = app[SIDECAR].parts.door
        crowd = Crowd(CONNECTIONS * config.sockets_per_address, lambda peer: is_loopback(peer) or door.is_trusted(peer))
        server = await _listen(runner, config, crowd)
        log.info(logs.line("sidecar_started", host=config.host, port=config.chat_port))
        await stop.told.wait()
        server.close()  # nobody new; the runner ends who is here
    finally:
        await runner.cleanup()
    log.info(logs.line("sidecar_stopped"))
    return stop.anew


async def _listen(runner: web.AppRunner, config: settings.Settings, crowd: Crowd) -> asyncio.Server:
    try:
        return await listen(
            runner,
            config.host,
            config.chat_port,
            crowd,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            **HANDLER_ARGS,
        )
    except OSError as error:
        where = f"{config.host}:{config.chat_port}"
        raise StartError(f"can't listen on {where} ({error.strerror}): set CHAT_PORT to a free port") from error


def _check_folder(data: Path) -> None:
    """What customers send is kept there: a sidecar that can't write would find out with the first file."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data) as file:
            file.write(b"room")
    except OSError as error:
        raise StartError(
            f"no file can be kept in {data} ({error.strerror}): make it writable for this user and leave room there,"
            " or set GILIRAN_DATA to another folder"
        ) from error


def _check(servers: settings.Servers) -> str:
    """The installation's id. Redis may be away: the chat goes on without it, and a worker claims it."""
    here = _installation(servers.database_url)
    client = inbox.connect(servers.redis_url, REDIS_S, 1)
    try:
        holder = Upkeep(client).owner()
    except inbox.InboxDown as error:
        log.warning(logs.line("redis_unusable", why=error))
        return here
    finally:
        client.close()
    if holder is not None and holder != here:
        raise StartError(installation.not_ours(holder))
    return here


def _installation(database_url: str) -> str:
    postgres.refuse_pooling(database_url)
    conn = postgres.connect(database_url, "start")
    try:
        if problem := migrate.misfit(conn):
            raise StartError(problem)
        with conn, conn.cursor() as cur:
            return installation.id_of(cur)
    except psycopg2.Error as error:
        raise StartError(f"PostgreSQL refused: {postgres.why(error)}") from error
    finally:
        conn.close()


def _raise_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _run_evenly() -> None:
    """No pause that a reader would notice, rather than the least work."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


if __name__ == "__main__":
    sys.exit(main())
