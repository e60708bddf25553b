"""What the control half tells of an app: its state, its history, both as a live stream; `control` has the routes."""

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from scripts.simulator import faults as switches
from scripts.simulator.app import App
from scripts.simulator.divisions import Division
from scripts.simulator.model import KINDS, Agent, Room
from scripts.simulator.shapes import Json

LINE_SHOWN = 100  # waiting rooms in the live stream
HAPPENED_AT_ONCE = 200  # events in one message of the stream; the older ones of a burst are left out
STREAM_GAP_S = 0.2
KEEPALIVE_S = 15.0


def state_of(app: App, line_shown: int | None = None) -> Json:
    model, mono = app.model, time.monotonic()
    line = model.line()
    return {
        "app_id": app.plan.app_id,
        "agents": [agent_told(app, agent) for agent in model.agents.values()],
        "divisions": [division_told(division) for division in model.divisions.all()],
        "waiting": [_waiting_told(room, mono) for room in line[:line_shown]],
        "waiting_total": len(line),
        "held_total": sum(len(agent.rooms) for agent in model.agents.values()),
        "resolved_total": len(model.closed),
        "counters": dict(app.journal.counts),
        "calls": dict(app.calls),
        "queued_webhooks": app.senders.queued,
        "webhooks": {name: hook.url.split("?")[0] for name, hook in app.hooks.items()},
        "faults": switches.as_json(app.faults),
        "last": app.journal.last,
    }


def agent_told(app: App, agent: Agent) -> Json:
    mono = time.monotonic()
    return {
        "id": agent.id,
        "name": agent.name,
        "email": agent.email,
        "type": KINDS[agent.kind],
        "online": agent.online,
        "deleted": agent.deleted,
        "channels": sorted(agent.channels) if agent.channels is not None else None,
        "divisions": [division.id for division in app.model.divisions.of(agent.id)],
        "load": len(agent.rooms),
        "reported": agent.counts.at(mono - app.faults.count_lag_s),
        "max_held": agent.max_held,
        "rooms": [
            {**room_told(app.model.rooms[room]), "held_s": round(mono - since.mono, 1)}
            for room, since in agent.rooms.items()
        ],
    }


def division_told(division: Division) -> Json:
    return {
        "id": division.id,
        "name": division.name,
        "default": division.is_default,
        "members": sorted(division.members),
    }


def room_told(room: Room) -> Json:
    return {
        "room": room.id,
        "name": room.name,
        "source": room.channel.source,
        "channel": room.channel.id,
        "waiting": room.waiting,
        "resolved": room.resolved,
        "agents": list(room.agents),
        "returning": room.latest is not None,
        "email": room.user_id,
        "properties": room.properties,
        "said": room.said,
    }


def _waiting_told(room: Room, mono: float) -> Json:
    return {**room_told(room), "waiting_s": round(mono - room.arrived.mono, 1), "messages": room.messages}


def history_of(app: App, query: Any) -> Json:
    kinds = set(filter(None, (query.get("kinds") or "").split(",")))
    since = whole(query, "since", 0) or 0
    events = app.journal.after(since, whole(query, "limit", None)) if query.get("events") != "0" else []
    return {
        "events": [e for e in events if not kinds or e["kind"] in kinds],
        "last": app.journal.last,
        "max_held": {str(agent.id): agent.max_held for agent in app.model.agents.values()},
        "max_agents": {room.id: room.max_agents for room in app.model.rooms.values()},
        "assign_calls": [e for e in events if e["kind"] == "call"],
    }


def whole(query: Any, name: str, default: int | None) -> int | None:
    value = query.get(name)
    return int(value) if value and value.isascii() and value.isdigit() else default


# --- the live stream


async def stream(app: App, request: web.Request) -> web.StreamResponse:
    """Begins with the state and goes on from `Last-Event-ID`. Bursts are joined: a slow reader costs nothing."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    last = request.headers.get("Last-Event-ID", "")
    seen = int(last) if last.isascii() and last.isdigit() else max(0, app.journal.last - HAPPENED_AT_ONCE)
    news = asyncio.Event()
    app.readers.add(news)
    try:
        await _tell_all(app, response, news, min(seen, app.journal.last))
    except ConnectionResetError:
        pass  # the reader left: nobody to tell
    finally:
        app.readers.discard(news)
    return response


async def _tell_all(app: App, response: web.StreamResponse, news: asyncio.Event, seen: int) -> None:
    while True:
        news.clear()
        happened = app.journal.after(seen, HAPPENED_AT_ONCE)
        seen = app.journal.last
        await response.write(_event("state", seen, state_of(app, LINE_SHOWN)))
        if happened:
            await response.write(_event("happened", seen, happened))
        await asyncio.sleep(STREAM_GAP_S)
        while not await _news_within(news, KEEPALIVE_S):
            await response.write(b": still here\n\n")


async def _news_within(news: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(news.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _event(kind: str, number: int, data: object) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
