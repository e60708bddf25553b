"""The control half of the server: tests and the page play customers, agents, supervisors and fate here.

Everything is JSON. `?app=<app id>` picks the app, the first one where it is left out. A refusal is
`{"error": "<text>"}` with 400, 404 or 409; a body must be sent as `application/json`.

    GET    /control/apps                       [{app_id, webhooks: {caa, resolved}}]
    POST   /control/apps                       {app_id, secret_key, webhooks?, prefix?, agents?, offline?, supervisors?,
                                               page_size?}: one more app, with its own agents and rooms
    POST   /control/reset                      {} as at the start, switches too; numbers (rooms, services) go on
    POST   /control/secret                     {secret_key}: the old one gets 401 from now on

    GET    /control/state                      {app_id, agents: [{id, name, email, type, online, channels, divisions,
                                               load, max_held, rooms: [...]}], divisions: [{id, name, default,
                                               members}], waiting: [{room, name, source, properties, said, waiting_s,
                                               ...}] by arrival (?line=N cuts it), waiting_total, held_total,
                                               resolved_total, counters, calls, queued_webhooks, faults}
    GET    /control/history                    {events, last, max_held: {agent: n}, max_agents: {room: n},
                                               assign_calls}; ?since=N ?limit=N ?kinds=assigned,removed ?events=0
                                               An event: {n, kind, mono, wall, ...}. Kinds: arrived (with email and
                                               properties), message, said (by the bot: room, text), division (division,
                                               name, members after the change, change: added, changed or deleted;
                                               after a reset one for each),
                                               assigned and removed (room, agent, by, held, in_room: the numbers
                                               just after it), resolved (room, service, by), presence, webhook
                                               (hook, room, outcome, status, position, ms), call (an assign
                                               call: room, agent, outcome, applied, began), fault (the same for
                                               other endpoints), look (somebody asked about a room: endpoint, room,
                                               began), reset
    GET    /control/events                     Server-Sent Events: `state` (as above, at most five a second) and
                                               `happened` (a list of events, the id is the last number)

    GET    /control/faults                     all switches, see `faults.Faults`
    PUT    /control/faults                     {name: value, ...}: the named ones move, the others stay
    DELETE /control/faults                     all back to the defaults

    POST   /control/customers                  {count=1, channel?, name?, email?, properties?: {key: value},
                                               rooms?: [ids]} → {rooms}; without properties some are made up
    POST   /control/returns                    {count=1}: customers of random resolved rooms write again → {rooms}
    POST   /control/rooms/{room}/message       the customer writes again
    POST   /control/rooms/{room}/resolve       {by="agent"}: agent (the one inside), admin, supervisor or an agent's id
    POST   /control/rooms/{room}/assign        {agent, replace=true}: by a supervisor's hand, over any limit
    POST   /control/rooms/{room}/remove        {agent}
    POST   /control/resolve                    {count=1 or "all", by="agent", which="held"|"waiting"|"open"} → {rooms}
    POST   /control/agents                     {name?, email?, online=true, channels?: [ids], divisions?: [ids]} → {id}
    PUT    /control/agents/{id}                {online?, channels?: [ids] or null, divisions?: [ids], deleted?}: a
                                               deleted agent is on no list but that by ids, an assign to them is 404;
                                               their chats stay until resolved
    POST   /control/divisions                  {name, members?: [agent ids]} → {id, name, default, members}
    PUT    /control/divisions/{id}             {name?, members?: [agent ids]}
    DELETE /control/divisions/{id}
    PUT    /control/office_hours               {timezone?: "+07:00", office_hours?: [{day, starttime, endtime}]}
"""

import dataclasses
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from scripts.simulator import control_divisions as divisions
from scripts.simulator import faults as switches
from scripts.simulator.app import App, Plan, now
from scripts.simulator.asked import Asked
from scripts.simulator.faults import BadSwitch, Faults
from scripts.simulator.model import ANY_NUMBER, CHANNELS, DEFAULT_CHANNEL, Room
from scripts.simulator.refused import Refused
from scripts.simulator.shapes import Json
from scripts.simulator.told import agent_told, history_of, room_told, state_of, stream, whole

AddApp = Callable[[Plan], App]


Action = Callable[[Asked], Json]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(apps: dict[str, App], add_app: AddApp) -> list[web.RouteDef]:
    def act(method: str, path: str, action: Action) -> web.RouteDef:
        return web.route(method, f"/control/{path}", _acting(apps, action))

    async def new_app(request: web.Request) -> web.StreamResponse:
        return await _new_app(apps, add_app, request)

    async def list_apps(_: web.Request) -> web.StreamResponse:
        return web.json_response([_about(app) for app in apps.values()])

    async def history(request: web.Request) -> web.StreamResponse:
        return _answer(lambda: history_of(_chosen(apps, request), request.query))

    async def state(request: web.Request) -> web.StreamResponse:
        return _answer(lambda: state_of(_chosen(apps, request), whole(request.query, "line", None)))

    async def events(request: web.Request) -> web.StreamResponse:
        return await stream(_chosen(apps, request), request)

    return [
        web.get("/control/apps", list_apps),
        web.post("/control/apps", new_app),
        web.get("/control/state", state),
        web.get("/control/history", history),
        web.get("/control/events", events),
        act("GET", "faults", lambda asked: switches.as_json(asked.app.faults)),
        act("PUT", "faults", move_switches),
        act("DELETE", "faults", clear_switches),
        act("POST", "reset", reset),
        act("POST", "secret", rotate_secret),
        act("POST", "customers", add_customers),
        act("POST", "returns", customers_return),
        act("POST", "resolve", resolve_some),
        act("POST", "agents", add_agent),
        act("PUT", "agents/{agent}", change_agent),
        act("POST", "divisions", divisions.add),
        act("PUT", "divisions/{division:[0-9]{1,9}}", divisions.change),
        act("DELETE", "divisions/{division:[0-9]{1,9}}", divisions.remove),
        act("PUT", "office_hours", divisions.set_office_hours),
        act("POST", "rooms/{room}/message", write_again),
        act("POST", "rooms/{room}/resolve", resolve_room),
        act("POST", "rooms/{room}/assign", assign_by_hand),
        act("POST", "rooms/{room}/remove", remove_by_hand),
    ]


# --- around every action


def _acting(apps: dict[str, App], action: Action) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            body = await _body(request)
        except Refused as refused:
            return web.json_response({"error": refused.text}, status=refused.status)
        return _answer(lambda: _done(Asked(_chosen(apps, request), body, request), action))

    return handler


def _done(asked: Asked, action: Action) -> Json:
    try:
        return action(asked)
    finally:
        asked.app.settle()  # a refusal in the middle of many keeps what was done before it


def _answer(make: Callable[[], Json]) -> web.Response:
    try:
        return web.json_response(make())
    except Refused as refused:
        return web.json_response({"error": refused.text}, status=refused.status)
    except BadSwitch as bad:
        return web.json_response({"error": str(bad)}, status=400)


async def _body(request: web.Request) -> Json:
    """A body that is not declared as JSON is refused: forms of foreign pages can't press our buttons."""
    if foreign(request):
        raise Refused(403, "this origin may not control the simulator")
    if not request.body_exists:
        return {}
    if request.content_type != "application/json":
        raise Refused(400, "send application/json")
    try:
        body = await request.json()
    except ValueError as error:
        raise Refused(400, "this is not JSON") from error
    if not isinstance(body, dict):
        raise Refused(400, "send a JSON object")
    return body


def foreign(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _chosen(apps: dict[str, App], request: web.Request) -> App:
    name = request.query.get("app") or next(iter(apps))
    if app := apps.get(name):
        return app
    raise Refused(404, f"no app {name}")


# --- apps and switches


async def _new_app(apps: dict[str, App], add_app: AddApp, request: web.Request) -> web.StreamResponse:
    try:
        return web.json_response(_about(add_app(_plan(apps, await _body(request)))))
    except Refused as refused:
        return web.json_response({"error": refused.text}, status=refused.status)


def _plan(apps: dict[str, App], body: Json) -> Plan:
    known = {f.name: type(f.default) for f in dataclasses.fields(Plan)}
    for name, value in body.items():
        if name not in known or type(value) is not known[name]:
            raise Refused(400, f"{name}: not known, or of the wrong kind")
    if not body.get("app_id") or not body.get("secret_key"):
        raise Refused(400, "app_id and secret_key are needed")
    if body["app_id"] in apps:
        raise Refused(409, f"app {body['app_id']} exists")
    first = next(iter(apps.values())).plan
    return Plan(**{"webhooks": first.webhooks, "prefix": f"/{body['app_id']}", **body})


def _about(app: App) -> Json:
    return {"app_id": app.plan.app_id, "webhooks": {name: hook.url for name, hook in app.hooks.items()}}


def move_switches(asked: Asked) -> Json:
    asked.app.switch(switches.changed(asked.app.faults, asked.body))
    return switches.as_json(asked.app.faults)


def clear_switches(asked: Asked) -> Json:
    asked.app.switch(Faults())
    return switches.as_json(asked.app.faults)


def reset(asked: Asked) -> Json:
    asked.app.reset()
    return state_of(asked.app)


def rotate_secret(asked: Asked) -> Json:
    secret = asked.text("secret_key")
    if not secret:
        raise Refused(400, "secret_key: a text")
    asked.app.secret_key = secret
    return {"app_id": asked.app.plan.app_id}


# --- customers


def add_customers(asked: Asked) -> Json:
    model, moment = asked.app.model, now()
    channel = asked.body.get("channel", DEFAULT_CHANNEL)
    rooms = asked.body.get("rooms")
    if not isinstance(channel, int) or isinstance(channel, bool):
        raise Refused(400, f"channel: an id, for example one of {', '.join(map(str, CHANNELS))}")
    if rooms is not None and not (isinstance(rooms, list) and all(isinstance(r, str) and r for r in rooms)):
        raise Refused(400, "rooms: a list of room ids")
    names: list[str | None] = rooms if rooms is not None else [None] * asked.count()
    name, email, properties = asked.text("name"), asked.text("email"), asked.properties()
    made = [
        model.customer_arrives(moment, room_id=r, channel=channel, name=name, email=email, properties=properties)
        for r in names
    ]
    return {"rooms": [room.id for room in made]}


def customers_return(asked: Asked) -> Json:
    closed = list(asked.app.model.closed)
    chosen = asked.app.random.sample(closed, min(asked.count(), len(closed)))
    return {"rooms": [asked.app.model.customer_writes(now(), room).id for room in chosen]}


def write_again(asked: Asked) -> Json:
    return room_told(asked.app.model.customer_writes(now(), asked.room))


# --- agents and supervisors


def resolve_room(asked: Asked) -> Json:
    model = asked.app.model
    service = model.resolve(now(), asked.room, model.who_presses(model.room(asked.room), asked.by()))
    return {"room": service.room, "service": service.id}


def resolve_some(asked: Asked) -> Json:
    model = asked.app.model
    rooms = _resolvable(asked)
    if asked.body.get("count") != "all":
        rooms = asked.app.random.sample(rooms, min(asked.count(), len(rooms)))
    for room in rooms:
        model.resolve(now(), room.id, model.who_presses(room, asked.by()))
    return {"rooms": [room.id for room in rooms]}


def _resolvable(asked: Asked) -> list[Room]:
    model = asked.app.model
    held = list({room.id: room for room in model.held()}.values())
    which = asked.body.get("which", "held")
    choices = {"held": held, "waiting": model.line(), "open": held + model.line()}
    if which not in choices:
        raise Refused(400, "which: held, waiting or open")
    return choices[which]


def assign_by_hand(asked: Asked) -> Json:
    """A supervisor may do anything: the limit of the room is as good as none."""
    room = asked.app.model.room(asked.room)
    replace, by = asked.flag("replace", True), "supervisor"
    agent = asked.body.get("agent")
    return room_told(
        asked.app.model.assign(now(), room.id, agent, max_agent=ANY_NUMBER, replace=replace, by=by),
    )


def remove_by_hand(asked: Asked) -> Json:
    return room_told(asked.app.model.remove_agent(now(), asked.room, asked.body.get("agent"), by="supervisor"))


def add_agent(asked: Asked) -> Json:
    model = asked.app.model
    number = len(model.agents) + 1
    name = asked.text("name") or f"Agent {number}"
    made = model.add_agent(
        name,
        asked.text("email") or f"agent{number}@example.com",
        online=asked.flag("online", True),
        channels=asked.channels(),
    )
    divisions.join(asked, made.id, hired=True)
    asked.app.note("presence", agent=made.id, agent_name=made.name, online=made.online)
    return {"id": made.id, "name": made.name}


def change_agent(asked: Asked) -> Json:
    agent = asked.app.model.agent(asked.agent, deleted_too=True)
    if "deleted" in asked.body and agent.deleted != asked.flag("deleted", True):
        asked.app.model.set_deleted(now(), agent.id, asked.flag("deleted", True))
    if "channels" in asked.body:
        agent.channels = None if (channels := asked.channels()) is None else frozenset(channels)
    divisions.join(asked, agent.id)
    if "online" in asked.body and agent.online != asked.flag("online", True):
        asked.app.model.set_presence(now(), agent.id, asked.flag("online", True))
    return agent_told(asked.app, agent)
