"""The Qiscus half's lists of agents and divisions, page by page: `qiscus_api` has their routes and the others."""

from typing import Any, TypeVar

from scripts.simulator import shapes
from scripts.simulator.app import App
from scripts.simulator.model import Agent
from scripts.simulator.qiscus_calls import Call
from scripts.simulator.shapes import Json

DEFAULT_PAGE = 20

T = TypeVar("T")


def agents(app: App, call: Call) -> Json:
    """Supervisors too. The count is there or not, `meta` stands beside `data` or within: see the switches."""
    everybody = [agent for agent in app.model.staff() if _found(app, call, agent)]
    page, meta = _page(app, call, everybody)
    rows = [_listed(app, call, agent) for agent in page]
    about = {"after": None, "before": None, "per_page": meta["limit"], "total_count": len(everybody)}
    if app.faults.nested_meta:
        return {"data": {"agents": rows, "meta": about}, "status": 200}
    return {"data": {"agents": rows}, "meta": about, "status": 200}


def agents_by_division(app: App, call: Call) -> Json:
    """Who is in any of the divisions; one that is not there has nobody. `is_available` filters, to either side."""
    wanted = {int(text) for text in call.texts("division_ids") if _is_number(text)}
    members = set().union(*(one.members for one in app.model.divisions.all() if one.id in wanted))
    found = [agent for agent in app.model.staff() if agent.id in members and _is_as_asked(call, agent)]
    if call.text("sort") == "asc":
        found.sort(key=lambda agent: agent.counts.at(_mono(app, call)))
    page, meta = _page(app, call, found)
    rows = [shapes.division_member(one, app.model.divisions.of(one.id), _mono(app, call)) for one in page]
    return {"data": rows, "meta": meta}


def agents_by_ids(app: App, call: Call) -> Json:
    """Unknown ids are left out, deleted agents are not."""
    known = (app.model.agents.get(int(text)) for text in call.texts("ids") if _is_number(text))
    found = {agent.id: agent for agent in known if agent}
    return {"data": [shapes.v1_agent(agent, _mono(app, call)) for agent in found.values()]}


def divisions(app: App, call: Call) -> Json:
    page, meta = _page(app, call, app.model.divisions.all())
    return {"data": [shapes.division(one) for one in page], "meta": meta}


def _page(app: App, call: Call, rows: list[T]) -> tuple[list[T], dict[str, Any]]:
    """By numbers, so that a row can move to another page while they are read: as at the real desk."""
    size = max(1, min(call.number("limit", DEFAULT_PAGE), app.plan.page_size))
    page = max(1, call.number("page", 1))
    meta = {"limit": size, "page": page, "total": len(rows), "total_page": -(-len(rows) // size)}
    return rows[(page - 1) * size : page * size], meta


def _listed(app: App, call: Call, agent: Agent) -> Json:
    row = shapes.roster_agent(agent, app.model.divisions.of(agent.id), _mono(app, call))
    if app.faults.listed_without_counts:
        del row["current_customer_count"]
    return row


def _found(app: App, call: Call, agent: Agent) -> bool:
    names = ", ".join(one.name for one in app.model.divisions.of(agent.id))
    fields = {"name": agent.name, "email": agent.email, "division": names}
    wanted = (call.text("search") or "").lower()
    return wanted in fields.get(call.text("scope") or "", f"{agent.name} {agent.email}").lower()


def _is_as_asked(call: Call, agent: Agent) -> bool:
    return call.text("is_available") is None or call.flag("is_available") == agent.online


def _mono(app: App, call: Call) -> float:
    """Counts come late, as in every list."""
    return call.now.mono - app.faults.count_lag_s


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
