"""Everything that was read, judged: facts → groups of findings, in the order of a webhook's way. Pure."""

from collections.abc import Iterator
from datetime import datetime

from scripts.admin.doctor import certificates, clocks, desks, disk, postgres, processes, redis, setup, tenants
from scripts.admin.doctor.check import Finding
from scripts.admin.doctor.facts.at_once import Unread
from scripts.admin.doctor.facts.desks import Answered
from scripts.admin.doctor.facts.everything import Facts
from scripts.admin.doctor.facts.postgres import Postgres
from scripts.admin.doctor.facts.redis import Redis
from scripts.admin.doctor.facts.tenants import Tenant, Tenants
from scripts.admin.doctor.processes import Processes
from scripts.admin.doctor.report import Group
from scripts.admin.doctor.setup import Setup
from version import VERSION
from views.words import listed

NATIVE = "native"


def groups(given: Setup, facts: Facts, host: str, now: datetime) -> list[Group]:
    here = facts.postgres.installation if isinstance(facts.postgres, Postgres) else None
    return [
        Group("Settings", setup.judge(given)),
        Group("PostgreSQL", postgres.judge(facts.postgres)),
        Group("Redis", redis.judge(facts.redis, here)),
        Group("Processes", processes.judge(_processes(facts, host))),
        Group("Clocks, disk, certificates", [*_clocks(facts), disk.judge(facts.disk), *_certificates(facts, now)]),
        *_tenants(given, facts),
    ]


def _processes(facts: Facts, host: str) -> Processes:
    server = facts.postgres if isinstance(facts.postgres, Postgres) else None
    is_watched = server is None or bool(server.people) or NATIVE in server.tenants.values()
    return Processes(
        running=facts.running,
        doors=facts.doors,
        workers=server.workers if server and not server.misfit else None,
        version=VERSION,
        host=host,
        needs_sidecar=is_watched,
    )


def _clocks(facts: Facts) -> Iterator[Finding]:
    for check, name, server in (
        (clocks.POSTGRES, "PostgreSQL", facts.postgres),
        (clocks.REDIS, "Redis", facts.redis),
    ):
        if isinstance(server, Postgres | Redis):
            found = clocks.judge(check, name, server.ahead_s, server.unsure_s)
            yield from [found] if found else []


def _certificates(facts: Facts, now: datetime) -> list[Finding]:
    return certificates.judge(facts.certificates, now)


def _tenants(given: Setup, facts: Facts) -> Iterator[Group]:
    if isinstance(facts.tenants, Unread):
        unread = tenants.READ.error(f"no tenant could be checked: {facts.tenants.why}")
        yield Group("Tenants", [unread, desks.any_door(given.settings, given.warnings.get(desks.OPEN.code))])
        return
    yield Group("Tenants", [tenants.READ.ok(_which(facts, facts.tenants))])
    for tenant in facts.tenants.of:
        yield Group(f"Tenant {tenant.id}", [*_desk(given, facts, facts.tenants, tenant), *_tenant(given, tenant)])


def _which(facts: Facts, known: Tenants) -> str:
    names = listed(known.names()) or "there is none yet"
    left = len(known.doors) - len(facts.answers)
    return f"{names}; the desks of {left} were not asked: name one with --tenant" if left > 0 else names


def _tenant(given: Setup, tenant: Tenant) -> list[Finding]:
    return tenants.judge(tenant, given.settings)


def _answers(facts: Facts, tenant: Tenant) -> bool:
    """A desk that can't be asked is said once."""
    answer = facts.answers.get(tenant.id)
    return answer is None or (isinstance(answer, Answered) and answer.trouble is None)


def _desk(given: Setup, facts: Facts, known: Tenants, tenant: Tenant) -> Iterator[Finding]:
    if tenant.id in facts.answers:
        yield desks.answers(tenant.id, facts.answers[tenant.id])
    for row in known.doors:
        if row.id == tenant.id:
            yield desks.credentials(row, given.settings)
            yield desks.door(row, given.settings, given.warnings.get(desks.OPEN.code))
    if tenant.id in facts.strangers and _answers(facts, tenant):
        yield desks.strangers(tenant.id, facts.strangers[tenant.id])
