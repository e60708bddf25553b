"""Around every call of the Qiscus half: credentials, latency, faults, hanging. `qiscus_api` has the endpoints.

`serve` answers one request with an endpoint, a plain function from (app, call) to a JSON answer.
"""

import asyncio
import hmac
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from scripts.simulator.app import App, now
from scripts.simulator.journal import Instant
from scripts.simulator.refused import Refused
from scripts.simulator.shapes import Json

HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"

Apps = dict[str, App]
Answer = tuple[int, Json]


@dataclass(frozen=True)
class Call:
    """One request: query and body together in `given`, the body wins."""

    now: Instant
    given: dict[str, Any]
    room: str | None = None  # from the path, like the next one
    app: str | None = None

    def text(self, name: str) -> str | None:
        value = self.given.get(name)
        return None if value is None or isinstance(value, bool | dict | list) or value == "" else str(value)

    def texts(self, name: str) -> list[str]:
        """Of a list, `name[]`, as the vendor's clients write it."""
        values = self.given.get(f"{name}[]", self.given.get(name))
        return [str(value) for value in (values if isinstance(values, list) else [values]) if value is not None]

    def needed(self, name: str) -> str:
        if (value := self.text(name)) is None:
            raise Refused(422, f"{name} is required")
        return value

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        return int(value) if value and value.isascii() and value.isdigit() else default

    def flag(self, name: str) -> bool:
        """Booleans in forms are words."""
        return str(self.given.get(name)).lower() in ("true", "1")


Endpoint = Callable[[App, Call], Json]


async def serve(apps: Apps, request: web.Request, name: str, endpoint: Endpoint) -> web.StreamResponse:
    app = _authorised(apps, request)
    if app is None:
        return _error(401, "Unauthorized")
    try:
        given = await _given(request)
    except ValueError:
        return _error(400, "Malformed body")
    began = now()
    app.calls[name] += 1
    if name == "assign" and (hang := app.faults.draw_hang(app.random)):
        return await _hang(app, request, endpoint, given, hang)
    if delay_s := app.faults.delay_s(app.random):
        await asyncio.sleep(delay_s)
    failure = app.draw_failure(name)
    applies = failure is None or failure.endswith("_after") and failure != "429_retry_after"
    answer = _apply(app, endpoint, _call(request, given)) if applies else None
    if failure or name == "assign":
        _note(app, name, request, given, began, failure, answer)
    elif room := _asked_about(name, request, given):
        app.note("look", endpoint=name, room=room, began=began.mono)
    if failure:
        return await _fail(app, request, failure)
    status, body = answer or (500, {})
    return _json(body, status)


def _call(request: web.Request, given: dict[str, Any]) -> Call:
    return Call(now(), given, request.match_info.get("room"), request.match_info.get("app"))


async def _hang(
    app: App, request: web.Request, endpoint: Endpoint, given: dict[str, Any], hang: tuple[str, float]
) -> web.StreamResponse:
    """An assign call whose answer, and perhaps whose work, comes late. The caller may have given up by then."""
    (kind, seconds), began, resets = hang, now(), app.resets
    answer = _apply(app, endpoint, _call(request, given)) if kind in ("early", "twice") else None
    await asyncio.sleep(seconds)
    if resets != app.resets:
        return _cut(request)
    if kind in ("late", "twice"):
        answer = _apply(app, endpoint, _call(request, given))
    heard = answer is not None and request.transport is not None and not request.transport.is_closing()
    _note(app, "assign", request, given, began, None if heard else f"hang_{kind}", answer)
    if answer is None or not heard:
        return _cut(request)
    return _json(answer[1], answer[0])


def _asked_about(name: str, request: web.Request, given: dict[str, Any]) -> str | None:
    """The room of a question about who is in it, or about its state."""
    if name == "room":
        return request.match_info.get("room")
    inside = name == "roster" and str(given.get("is_available_in_room")).lower() in ("true", "1")
    return str(given.get("room_id") or "") if inside else None


def _authorised(apps: Apps, request: web.Request) -> App | None:
    app = apps.get(request.headers.get("Qiscus-App-Id", ""))
    secret = request.headers.get("Qiscus-Secret-Key", "")
    return app if app and hmac.compare_digest(secret.encode(), app.secret_key.encode()) else None


async def _given(request: web.Request) -> dict[str, Any]:
    """Query and body. The body may be JSON, a form, or (as the vendor's samples have it) multipart."""
    query = {name: _values(request, name) for name in request.query}
    if not request.body_exists:
        return query
    if request.content_type == "application/json":
        body = json.loads(await request.text() or "{}")
        if not isinstance(body, dict):
            raise ValueError("not an object")
        return {**query, **body}
    if request.content_type == "multipart/form-data":
        return {**query, **{k: v for k, v in (await request.post()).items() if isinstance(v, str)}}
    return {**query, **dict(parse_qsl(await request.text(), keep_blank_values=True))}


def _values(request: web.Request, name: str) -> Any:
    return request.query.getall(name) if name.endswith("[]") else request.query[name]


def _apply(app: App, endpoint: Endpoint, call: Call) -> Answer:
    try:
        if app.faults.unknown_refused and (room_id := call.room or call.text("room_id")):
            app.model.room(room_id)
        answer: Answer = 200, endpoint(app, call)
    except Refused as refused:
        answer = refused.status, {"errors": refused.text}
    app.settle()
    return answer


def _json(body: Json, status: int) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _note(
    app: App,
    name: str,
    request: web.Request,
    given: dict[str, Any],
    began: Instant,
    failure: str | None,
    answer: Answer | None,
) -> None:
    """Every assign call and every fault is told. `applied`: the desk's state has changed by it. `began`: when the call
    came, on the clock of `mono`."""
    outcome = failure or str((answer or (0, {}))[0])
    facts = {
        "endpoint": name,
        "room": str(given.get("room_id") or request.match_info.get("room") or ""),
        "agent": str(given.get("agent_id") or ""),
        "outcome": outcome,
        "applied": bool(answer and answer[0] == 200),
        "error": (answer or (0, {}))[1].get("errors"),
        "began": began.mono,
    }
    app.note("call" if name == "assign" else "fault", **facts)


# --- faults


async def _fail(app: App, request: web.Request, kind: str) -> web.StreamResponse:
    if kind.startswith("timeout"):
        await asyncio.sleep(app.faults.hang_s)
        return _cut(request)
    if kind.startswith("reset"):
        return _cut(request)
    if kind == "429_retry_after":
        return _error(429, "Too Many Requests", {"Retry-After": f"{app.faults.retry_after_s:g}"})
    if kind == "502_html":
        return web.Response(text=HTML.format("502 Bad Gateway"), status=502, content_type="text/html")
    if kind == "200_html":
        return web.Response(text=HTML.format("Please wait"), content_type="text/html")
    return _error(*ERRORS[kind])


ERRORS = {
    "429": (429, "Too Many Requests"),
    "500": (500, "Internal Server Error"),
    "500_after": (500, "Internal Server Error"),
    "401": (401, "Unauthorized"),
    "403": (403, "Forbidden"),
}


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": text}, status=status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    """Break the connection with a reset. The answer goes nowhere; aiohttp wants one."""
    if request.transport is not None:
        plug = request.transport.get_extra_info("socket")
        if plug is not None and plug.fileno() >= 0:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=500)
