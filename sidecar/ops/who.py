"""Who may see and do what in `/ops`: supervisors and admins their tenant, operators all. Pure; raises `Refused`."""

from db.people import Agent
from sidecar.ops.views import Asked
from sidecar.web.answers import Refused

OF_ALL = ("now", "health")  # views that may be of no tenant
OF_OPERATORS = ("health",)


def supervisor(agent: Agent) -> Agent:
    if not agent.is_operator and not agent.is_supervisor:
        raise Refused("forbidden", "this is for supervisors: ask one of yours")
    return agent


def admin(agent: Agent) -> Agent:
    """Routing, and the limits of a tenant."""
    if not agent.is_operator and agent.role != "admin":
        raise Refused("forbidden", "this is for admins: ask one of yours")
    return agent


def check_tenant(agent: Agent, asked: Asked) -> Asked:
    """Their own where they name none. Another's is unknown here."""
    if asked.view in OF_OPERATORS and not agent.is_operator:
        raise Refused("forbidden", "this is for operators of the installation")
    if not agent.is_operator:
        return asked._replace(tenant=own(agent, asked.tenant))
    if asked.tenant is None and asked.view not in OF_ALL:
        raise Refused("invalid_payload", "tenant: must be given here")
    return asked


def own(agent: Agent, tenant: str | None) -> str:
    if agent.is_operator and tenant is not None:
        return tenant
    if tenant not in (None, agent.tenant):
        raise Refused("not_found", "no such tenant")
    return agent.tenant
