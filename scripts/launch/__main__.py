"""The start of everything, in its order: claim the folder, servers, migrate, the demo's people, simulator, workers and
sidecar, receiver, `ready`.

Comes after `scripts/run` made `.venv`; whatever goes wrong in here ends as one sentence and exit code 1.
"""

# ruff: noqa: E402 - the first lines come before what takes half a second to load
import os
import signal
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    """Nothing is started yet. As process 1 the kernel ignores a SIGTERM that nobody handles."""
    os._exit(0)


if __name__ == "__main__":
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, _leave)

import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import settings
from scripts.launch import environment, folder, outside, ports, postgres, procfile, ready, valkey
from scripts.launch.errors import Refusal, Stopped
from scripts.launch.output import Output
from scripts.launch.spawn import Program
from scripts.launch.supervise import Child, Supervisor
from settings import DEMO_APP_ID, DEMO_SECRET_KEY, ROOT, Servers, Settings, SettingsError

LEFT_OVER_S = 40  # a gunicorn of a killed run may still finish its requests (30 s)
OUTSIDE_S = 10
SERVER_S = 60  # crash recovery of a busy database, or a long append-only file
SERVER_STARTS = 5
CHILD_STARTS = 3
TENANTS_S = 15
SIMULATOR_S = 15
RECEIVER_S = 30
SIDECAR_S = 30
STOP_S = {  # as docker-compose.yml and docs/operations.md have it; each process's own stop is shorter
    "receiver": 15.0,
    "worker": 30.0,
    "sidecar": 20.0,
    "simulator": 3.0,
}


def main() -> int:
    output = Output(sys.stdout.fileno(), colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    try:
        launch(settings.load(), ROOT / "Procfile", Supervisor(output))
    except (SettingsError, Refusal) as error:
        return _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(
            f"{where}{error.strerror or error}; make it writable for this user, or set GILIRAN_DATA to another folder"
        )
    except Exception as error:  # a defect of ours: the person gets a sentence, the file gets the rest
        return _complain(_defect(error))
    return 0


def launch(config: Settings, procfile_path: Path, supervisor: Supervisor) -> None:
    """Returns after a stop that was asked for. Raises Refusal; either way nothing is left running."""
    commands = procfile.read(procfile_path)
    supervisor.listen()
    claim = folder.Claim(config.data)
    supervisor.keep_open = claim.handed_on
    try:
        _await_last_run(supervisor, claim)
        ports.check(ports.wanted(config))
        _start_all(config, commands, supervisor)
        supervisor.run_for_ever()
    except Stopped:
        supervisor.output.note("stopping")
    finally:
        config.servers_file.unlink(missing_ok=True)
        supervisor.stop()
        claim.release()


def _start_all(config: Settings, commands: dict[str, list[str]], supervisor: Supervisor) -> None:
    servers = _start_servers(config, supervisor)
    folder.write_private(config.servers_file, json.dumps(vars(servers)) + "\n")
    shared = environment.for_children(config, servers, os.environ, settings.for_other_programs())
    start = _Starter(supervisor, config, shared)
    for sentence in settings.warnings(config).values():
        supervisor.output.note(f"WARNING: {sentence}")
    if "release" in commands:
        supervisor.run_once(start.program("release", commands["release"]))
    if config.demo:
        supervisor.run_once(start.program("demo", ["python", "-m", "scripts.launch.demo"]))
        _start_simulator(config, start)
    if not config.redis_url:
        ready.forget_tenants(servers.redis_url)
    children = {name: start.add(name, commands[name]) for name in commands if name not in ("release", "receiver")}
    tenants = _await_tenants(servers, supervisor, list(children.values()))
    if "receiver" in commands:
        _start_receiver(config, start, commands["receiver"], tenants is not None)
    if "sidecar" in children:
        _await_sidecar(config, supervisor, children["sidecar"])
    supervisor.output.block(ready.block(config, servers, tenants, list(settings.warnings(config).values())))


class _Starter:
    """Programs of ours: same folder, an environment that differs in keys only."""

    def __init__(self, supervisor: Supervisor, config: Settings, shared: Mapping[str, str]) -> None:
        self.supervisor, self._config, self._shared = supervisor, config, shared

    def program(self, name: str, command: list[str]) -> Program:
        env = environment.for_one(name, self._shared, self._config)
        return Program(name, command, env, ROOT, stop_within_s=STOP_S.get(name, 10.0))

    def add(self, name: str, command: list[str]) -> Child:
        return self.supervisor.add(self.program(name, command))


def _await_last_run(supervisor: Supervisor, claim: folder.Claim) -> None:
    """After a kill -9 of the launcher its children are still stopping: they hold ports, and files that we open next."""
    if not claim.last_run_is_gone():
        supervisor.output.note("waiting for the processes of the last run to end")
    if not supervisor.wait_until(claim.last_run_is_gone, LEFT_OVER_S):
        pids = ", ".join(map(str, claim.left_over())) or "unknown"
        raise Refusal(f"processes of the last run do not end (pids: {pids}): end them, then start again")


def _start_servers(config: Settings, supervisor: Supervisor) -> Servers:
    """The two are independent: each is embedded unless its URL is given."""
    if config.database_url:
        _await_outside(outside.database(config.database_url), supervisor)
    if config.redis_url:
        _await_outside(outside.redis_server(config.redis_url), supervisor)
    avoid = {port for _, port in ports.wanted(config).values()}
    database_url = config.database_url or _start_postgres(config.data, avoid, supervisor)
    return Servers(database_url, config.redis_url or _start_valkey(config.data, avoid, supervisor))


def _await_outside(probe: outside.Probe, supervisor: Supervisor) -> None:
    if not supervisor.wait_until(probe.answers, OUTSIDE_S):
        raise Refusal(probe.sentence(OUTSIDE_S))


def _start_postgres(data: Path, avoid: set[int], supervisor: Supervisor) -> str:
    if not (data / "postgres" / "data").exists():
        supervisor.output.note("making the PostgreSQL data folder")
    server = postgres.prepare(data / "postgres", avoid)
    child = supervisor.add(server.program())
    supervisor.wait_for_child(
        child, lambda: postgres.answers(server), SERVER_S, SERVER_STARTS, lambda: postgres.why_not(server)
    )
    postgres.make_database(server)
    return server.url


def _start_valkey(data: Path, avoid: set[int], supervisor: Supervisor) -> str:
    server = valkey.prepare(data / "valkey", avoid)
    child = supervisor.add(server.program())
    supervisor.wait_for_child(
        child, lambda: valkey.answers(server), SERVER_S, SERVER_STARTS, lambda: valkey.why_not(server)
    )
    return server.url


def _start_simulator(config: Settings, start: _Starter) -> None:
    command = ["python", "-m", "scripts.simulator", "--port", str(config.sim_port), "--host", ports.LOOPBACK]
    command += ["--webhooks", ready.base_url(config.host, config.port)]
    child = start.add("simulator", [*command, "--app-id", DEMO_APP_ID, "--secret-key", DEMO_SECRET_KEY])
    start.supervisor.wait_for_child(
        child,
        lambda: ports.reachable(ports.LOOPBACK, config.sim_port),
        SIMULATOR_S,
        CHILD_STARTS,
        lambda: _not_started(child, f"listen on port {config.sim_port}"),
    )


def _await_tenants(servers: Servers, supervisor: Supervisor, workers: list[Child]) -> int | None:
    """The receiver opens when it can tell our tenants from strangers. How many there are; an installation may have
    none of Qiscus. None: no worker told."""

    def settled() -> bool:
        return ready.tenants_published(servers.redis_url) is not None or any(
            child.failures >= CHILD_STARTS for child in workers
        )

    if workers and supervisor.wait_until(settled, TENANTS_S):
        for child in workers:
            if child.failures >= CHILD_STARTS:
                raise Refusal(_not_started(child, "stay up"))
    return ready.tenants_published(servers.redis_url)


def _await_sidecar(config: Settings, supervisor: Supervisor, child: Child) -> None:
    supervisor.wait_for_child(
        child,
        lambda: ready.readyz(config.host, config.chat_port) == 200,
        SIDECAR_S,
        CHILD_STARTS,
        lambda: _not_started(child, f"answer 200 on {ready.base_url(config.host, config.chat_port)}/readyz"),
    )


def _start_receiver(config: Settings, start: _Starter, command: list[str], tenants: bool) -> None:
    """Before a worker told of the tenants its answer can't be 200; that it answers at all must do."""
    child = start.add("receiver", command)
    start.supervisor.wait_for_child(
        child,
        lambda: (status := ready.readyz(config.host, config.port)) == 200 or (status is not None and not tenants),
        RECEIVER_S,
        CHILD_STARTS,
        lambda: _not_started(child, f"answer 200 on {ready.base_url(config.host, config.port)}/readyz"),
    )


def _not_started(child: Child, task: str) -> str:
    how = f" ({child.ending})" if child.ending else ""
    return f"{child.name} did not {task}{how}: its lines above say why; everything was stopped again"


def _defect(error: Exception) -> str:
    details = ROOT / "var" / "launcher-error.log"
    details.parent.mkdir(exist_ok=True)
    folder.write_private(details, traceback.format_exc())
    return f"a defect of the launcher ({type(error).__name__}), everything was stopped: {details} has the details"


def _complain(sentence: str) -> int:
    print(f"run: {' '.join(sentence.split())}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
