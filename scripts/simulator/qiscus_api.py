"""The Qiscus half of the server: what an allocation service calls. After it comes the model, beside it `control`.

Each endpoint is a plain function from (app, call) to a JSON answer; `qiscus_calls` puts the credentials check, the
latency and the faults around it.
"""

import base64

from aiohttp import web

from scripts.simulator import qiscus_lists, shapes
from scripts.simulator.app import App
from scripts.simulator.model import SERVER_MAX_AGENT, Agent, Room
from scripts.simulator.qiscus_calls import Apps, Call, Endpoint, serve
from scripts.simulator.refused import Refused
from scripts.simulator.shapes import Json

DEFAULT_PAGE = 20
ROOMS_PAGE_MAX = 50
STALE_ROW_P = 0.3  # how often a page of unserved rooms shows a resolved one


def routes(apps: Apps) -> list[web.RouteDef]:
    def at(method: str, path: str, name: str, endpoint: Endpoint) -> web.RouteDef:
        async def handler(request: web.Request) -> web.StreamResponse:
            return await serve(apps, request, name, endpoint)

        return web.route(method, path, handler)

    service = "/api/v1/admin/service"
    return [
        at("GET", "/api/v2/admin/service/available_agents", "roster", available_agents),
        at("GET", "/api/v2/admin/service/other_agents", "roster", other_agents),
        at("POST", f"{service}/assign_agent", "assign", assign_agent),
        at("POST", f"{service}/allocate_agent", "allocate", allocate_agent),
        at("POST", f"{service}/allocate_assign_agent", "allocate_assign", allocate_assign_agent),
        at("POST", f"{service}/mark_as_resolved", "resolve", mark_as_resolved),
        at("POST", f"{service}/remove_agent", "remove", remove_agent),
        at("GET", "/api/v2/customer_rooms/{room}", "room", customer_room),
        at("POST", "/api/v2/customer_rooms", "rooms", customer_rooms),
        at("GET", "/api/v2/customer_rooms", "rooms", customer_rooms),
        at("GET", "/api/v2/admin/agents", "agents", qiscus_lists.agents),
        at("GET", "/api/v2/admin/agents/by_division", "division", qiscus_lists.agents_by_division),
        at("GET", "/api/v1/admin/agents/get_by_ids", "agents_by_ids", qiscus_lists.agents_by_ids),
        at("GET", "/api/v2/divisions", "divisions", qiscus_lists.divisions),
        at("POST", "/{app}/bot", "bot", bot_message),
        at("GET", "/api/v1/admin/office_hours", "office_hours", office_hours),
        at("GET", "/api/v1/admin/get_profile", "other", get_profile),
        at("GET", "/api/v2/admin/webhook_config", "webhooks", webhook_config),
        at("POST", "/api/v1/app/webhook/mark_as_resolved", "set_webhook", set_resolved_webhook),
        at("POST", "/api/v1/app/webhook/agent_allocation", "set_webhook", set_caa_webhook),
    ]


# --- agents


def available_agents(app: App, call: Call) -> Json:
    room_id = call.text("room_id") or ""
    if call.flag("is_available_in_room"):
        room = app.model.rooms.get(room_id)
        return _agents_page(app, call, [a for a in app.model.staff() if a.id in room.agents] if room else [])
    return _agents_page(app, call, app.model.eligible(room_id))


def other_agents(app: App, call: Call) -> Json:
    room = app.model.rooms.get(call.text("room_id") or "")
    inside = room.agents if room else {}
    return _agents_page(app, call, [a for a in app.model.staff() if a.id not in inside])


def _agents_page(app: App, call: Call, agents: list[Agent]) -> Json:
    """Pages by agent id: a cursor stays good when agents come and go."""
    if app.faults.hide_offline:
        agents = [a for a in agents if a.online]
    size = max(1, min(call.number("limit", DEFAULT_PAGE), app.plan.page_size))
    after = _read_cursor(call.text("cursor_after"))
    later = sorted((a for a in agents if after is None or a.id > after), key=lambda a: a.id)
    page = later[:size]
    mono = call.now.mono - app.faults.count_lag_s
    rows = [shapes.roster_agent(a, app.model.divisions.of(a.id), mono) for a in page]
    meta = {
        "after": _cursor(page[-1].id) if len(later) > size else None,
        "before": _cursor(page[0].id) if page and after is not None else None,
        "per_page": size,
        "total_count": None,
    }
    return {"data": rows if app.faults.bare_array else {"agents": rows}, "meta": meta, "status": 200}


# --- rooms and agents together


def assign_agent(app: App, call: Call) -> Json:
    room_id, agent_id = call.needed("room_id"), call.needed("agent_id")
    _refuse_failing(app, room_id, agent_id)
    ceiling = call.number("max_agent", SERVER_MAX_AGENT)
    replace = call.flag("replace_latest_agent")
    room = app.model.assign(call.now, room_id, agent_id, max_agent=ceiling, replace=replace)
    return shapes.assign_answer(room, app.model.agent(agent_id), app.faults)


def allocate_agent(app: App, call: Call) -> Json:
    """Only a suggestion. Without anybody online the agent is null."""
    mono = call.now.mono - app.faults.count_lag_s
    channel = call.number("channel_id", 0) or None
    chosen = app.model.candidate(channel, mono, ignore_presence=call.flag("ignore_availability"))
    return {"data": {"agent": shapes.suggested_agent(chosen, mono) if chosen else None}}


def allocate_assign_agent(app: App, call: Call) -> Json:
    room_id = call.needed("room_id")
    _refuse_failing(app, room_id)
    mono = call.now.mono - app.faults.count_lag_s
    any_presence = call.flag("ignore_availability") or call.flag("ignore_agent_availability")
    chosen = app.model.candidate(app.model.channel_of(room_id), mono, ignore_presence=any_presence)
    if chosen is None:
        raise Refused(400, "No agent available")
    app.model.assign(call.now, room_id, chosen.id, max_agent=SERVER_MAX_AGENT)
    return {"data": {"agent": shapes.suggested_agent(chosen, mono)}}


def _refuse_failing(app: App, room_id: str, agent_id: str = "") -> None:
    if refused := app.faults.refusal(room_id, agent_id, app.model.channel_of(room_id)):
        raise Refused(*refused)


def mark_as_resolved(app: App, call: Call) -> Json:
    room = app.model.room(call.needed("room_id"))
    service = app.model.resolve(call.now, room.id, app.model.admin, call.text("notes"))
    return shapes.resolve_answer(room, service, app.model.admin)


def remove_agent(app: App, call: Call) -> Json:
    room = app.model.remove_agent(call.now, call.needed("room_id"), call.needed("agent_id"))
    return {"data": {"room_id": room.id}, "status": 200}


# --- rooms


def customer_room(app: App, call: Call) -> Json:
    room = app.model.room(call.room or "")
    view = room.views.at(call.now.mono - app.faults.room_lag_s)
    return {"data": {"customer_room": shapes.room_row(room, view)}, "status": 200}


def customer_rooms(app: App, call: Call) -> Json:
    """Newest first, whatever `order` says. The unserved list sometimes shows a resolved room, as the real one does."""
    size = max(1, min(call.number("limit", ROOMS_PAGE_MAX), ROOMS_PAGE_MAX))
    below = _read_cursor(call.text("cursor_after"))
    wanted = _wanted_rooms(app, call)
    page = app.model.newest(wanted, below, size + 1)
    more, page = len(page) > size, page[:size]
    after = _cursor(page[-1].last_comment) if more else None
    if call.text("serve_status") == "unserved" and below is None:
        page = _with_stale(app, page)
    meta = {"cursor_after": after, "cursor_before": _cursor(below) if below is not None else None}
    return {"data": {"customer_rooms": [shapes.room_row(r) for r in page]}, "meta": meta, "status": 200}


def _wanted_rooms(app: App, call: Call) -> list[Room]:
    model = app.model
    match call.text("serve_status"):
        case "unserved":
            return [r for r in model.waiting.values() if r.arrived.mono <= call.now.mono - app.faults.list_lag_s]
        case "served":
            return list({r.id: r for r in model.held()}.values())
        case "resolved":
            return list(model.closed.values())
        case _:
            return list(model.rooms.values())


def _with_stale(app: App, page: list[Room]) -> list[Room]:
    if app.faults.stale_rows and app.model.closed and app.random.random() < STALE_ROW_P:
        last = next(reversed(app.model.closed.values()))
        return sorted([*page, last], key=lambda r: -r.last_comment)
    return page


def bot_message(app: App, call: Call) -> Json:
    """To the customer, as the desk's bot. Who sends it is checked as far as the name goes."""
    if call.app != app.plan.app_id or call.needed("sender_email") != f"{call.app}_admin@qismo.com":
        raise Refused(400, "sender_email is invalid")
    if call.needed("type") != "text":
        raise Refused(422, "type is invalid")
    app.model.bot_says(call.now, call.needed("room_id"), call.needed("message"))
    return {"data": {}, "status": 200}


# --- the app


def office_hours(app: App, _: Call) -> Json:
    return {"data": app.office_hours}


def get_profile(app: App, _: Call) -> Json:
    admin = app.model.admin
    about = {"name": app.plan.app_id, "app_code": app.plan.app_id}
    return {
        "data": {"id": admin.id, "name": admin.name, "email": admin.email, "type": 1, "type_as_string": "admin"}
        | {"app": about}
    }


def set_caa_webhook(app: App, call: Call) -> Json:
    return _set_webhook(app, call, "caa")


def set_resolved_webhook(app: App, call: Call) -> Json:
    return _set_webhook(app, call, "resolved")


def _set_webhook(app: App, call: Call, hook: str) -> Json:
    url = call.needed("webhook_url")
    if not url.startswith(("http://", "https://")):
        raise Refused(422, "webhook_url is invalid")
    app.hooks[hook].url, app.hooks[hook].enabled = url, call.flag("is_webhook_enabled")
    caa, resolved = app.hooks["caa"], app.hooks["resolved"]
    return {
        "data": {
            "id": 1001,
            "name": app.plan.app_id,
            "app_code": app.plan.app_id,
            "secret_key": app.secret_key,
            "created_at": "2024-01-01 00:00:00",
            "updated_at": "2024-01-02 00:00:00",
            "bot_webhook_url": None,
            "is_bot_enabled": False,
            "allocate_agent_webhook_url": caa.url,
            "is_allocate_agent_webhook_enabled": caa.enabled,
            "mark_as_resolved_webhook_url": resolved.url,
            "is_mark_as_resolved_webhook_enabled": resolved.enabled,
            "is_mobile_pn_enabled": True,
            "is_active": True,
            "is_sessional": False,
            "is_agent_allocation_enabled": False,
            "is_agent_takeover_enabled": False,
            "is_token_expiring": False,
            "paid_channel_approved": None,
            "use_latest": True,
            "free_sessions": 0,
            "is_force_send_bot": False,
        }
    }


def webhook_config(app: App, _: Call) -> Json:
    kinds = {"caa": "agent_allocation", "resolved": "mark_as_resolved"}
    rows = [
        {
            "created_at": shapes.BORN,
            "id": number,
            "is_active": hook.enabled,
            "type": kinds[name],
            "updated_at": shapes.BORN,
            "url": hook.url,
        }
        for number, (name, hook) in enumerate(app.hooks.items(), 1)
    ]
    return {"data": {"webhook_configs": rows}, "status": 200}


def _cursor(key: int) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def _read_cursor(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError as error:
        raise Refused(400, "cursor is invalid") from error
