"""The processes: whether each kind runs, answers, and has this version; whether a proxy is believed. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.admin.doctor.check import Check, Finding
from scripts.admin.doctor.facts.at_once import Unread
from scripts.admin.doctor.facts.processes import Door, Process
from views.now import NO_WORKER
from views.words import clean, counted, listed

RECEIVER = Check(
    "receiver",
    "a receiver runs and can store webhooks",
    "start it, or repair what it names: until then only the comparison with Qiscus finds waiting rooms",
)
WORKER = Check("worker", "a worker runs", "start one, and read the last lines of its log if it ends")
SIDECAR = Check("sidecar", "a sidecar runs and can serve", "start it, or repair what it names; its log says more")
VERSIONS = Check(
    "process_versions", "all processes have this version", "restart those with this version: see Upgrade in the docs"
)
PROXY = Check(
    "proxy_not_trusted",
    "no proxy sends X-Forwarded-For in vain",
    "if it is your proxy, add it to TRUSTED_PROXIES of the sidecars; else close CHAT_PORT to it",
)
CHECKS = (RECEIVER, WORKER, SIDECAR, VERSIONS, PROXY)
OF_KIND = {"receiver": RECEIVER, "worker": WORKER, "sidecar": SIDECAR}


@dataclass(frozen=True)
class Processes:
    """`workers`: that live, as PostgreSQL sees it; None: it could
    not say. `version`, `host`: of who asks. `needs_sidecar`: somebody would miss one."""

    running: list[Process] | Unread
    doors: Mapping[str, Door]
    workers: int | None
    version: str
    host: str
    needs_sidecar: bool


def judge(found: Processes) -> list[Finding]:
    kinds = [_kind(found, "receiver"), _worker(found), _sidecar(found)]
    known = [] if isinstance(found.running, Unread) else found.running
    return [*kinds, _versions(known, found.version), _proxy(known)]


def _of(found: Processes, kind: str) -> list[Process]:
    return [] if isinstance(found.running, Unread) else [each for each in found.running if each.kind == kind]


def _worker(found: Processes) -> Finding:
    """PostgreSQL knows which live: each holds a lock there."""
    if found.workers == 0:
        return WORKER.error(NO_WORKER)
    return _kind(found, "worker")


def _sidecar(found: Processes) -> Finding:
    door = found.doors.get("sidecar")
    answers = door is not None and door.status is not None
    if not (_of(found, "sidecar") or answers or found.needs_sidecar):
        return SIDECAR.ok("none runs, and nobody needs one: there is no native chat and no account")
    return _kind(found, "sidecar")


def _kind(found: Processes, kind: str) -> Finding:
    """Its door on this machine counts most; then what Redis says of it."""
    check, door, known = OF_KIND[kind], found.doors.get(kind), _of(found, kind)
    if door and door.status == 200:
        return check.ok(_where(known) or f"port {door.port}")
    if door and door.status is not None:
        return check.error(f"the {kind} on port {door.port} says: {clean(door.words, 200)}")
    near = [each for each in known if each.host == found.host]
    if door and near:
        return check.error(f"a {kind} runs here, and nothing answers on port {door.port}")
    if known or (kind == "worker" and found.workers):
        return check.ok(_where(known) or counted(found.workers or 0, "worker"))
    if isinstance(found.running, Unread):
        return check.error(
            f"nothing answers on this machine, and Redis can't say who runs elsewhere: {found.running.why}"
        )
    return check.error(NO_WORKER if kind == "worker" else f"no {kind} is running")


def _where(known: Iterable[Process]) -> str:
    return listed(sorted({each.id for each in known}), 4)


def _versions(known: Iterable[Process], version: str) -> Finding:
    other = [f"{each.id} has version {each.version}" for each in known if each.version != version]
    return VERSIONS.warning(f"this is version {version}, and {listed(other, 4)}") if other else VERSIONS.ok(version)


def _proxy(known: Iterable[Process]) -> Finding:
    peers = sorted({each.peer for each in known if each.peer})
    if not peers:
        return PROXY.ok()
    who = f"X-Forwarded-For from {listed(peers)} is not believed"
    return PROXY.warning(f"{who}: all who come from there count as one address")
