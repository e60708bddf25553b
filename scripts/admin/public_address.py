"""Whether our receiver answers at a public address: `giliran setup qiscus` asks there as Qiscus will.

No request can make a room: each has a body without one, or names an app that no tenant has.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from views.words import clean
from worker.desk.qiscus_answers import Answer, within
from worker.desk.qiscus_hooks import ALLOCATION, HOOKS, Hook
from worker.desk.qiscus_http import NoAnswer, Wire

CONNECT_S = 2.5
TOTAL_S = 5.0  # of each request; Qiscus is said to wait for 5 s
ROOM = {"room_id": "giliran-setup-test"}

WITHOUT_QUERY = "the address leads to the sidecar in place of the receiver, or the proxy drops what follows the ?"
OPEN_HERE = "the receiver has a WEBHOOK_SECRET and this command has none; run it with the receiver's .env"


@dataclass(frozen=True)
class Door:
    """What is asked for. `secret` None: webhooks need none. `is_own`: the tenant's, not the installation's."""

    tenant: str
    secret: str | None = field(repr=False)
    is_own: bool


def problems(public: str, door: Door) -> list[str]:
    """Exactly what is wrong, a sentence each; none: our receiver answers there and takes the secret."""
    wire = Wire(public, {"User-Agent": "giliran", "Accept": "application/json"}, pool_size=1, connect_s=CONNECT_S)
    with closing(wire):
        try:
            return list(_asked(wire, public, door))
        except NoAnswer as error:
            return [
                f"{clean(public, 200)} can't be reached ({error}): check its DNS name, its certificate, and the proxy"
            ]


def _asked(wire: Wire, public: str, door: Door) -> Iterator[str]:
    if wrong := readiness(*_said(wire.exchange("GET", "/readyz", query=None, body=None, total_s=TOTAL_S))):
        yield wrong
        return
    for hook in HOOKS:
        if wrong := route(hook, bool(door.secret), *_post(wire, door.tenant, hook, door.secret, {})):
            yield wrong
            return
    if not door.is_own:
        yield from _about_the_secret(wire, door.secret)


def _about_the_secret(wire: Wire, secret: str | None) -> Iterator[str]:
    """The receiver says `unknown_app` to who has the right secret, `not_found` to others."""
    nobody = f"setup-test-{secrets.token_hex(8)}"  # an app that no tenant has
    if wrong := right_secret(*_post(wire, nobody, ALLOCATION, secret, ROOM)):
        yield wrong
        return
    guess = secrets.token_hex(16)
    if secret and (wrong := wrong_secret(*_post(wire, nobody, ALLOCATION, guess, ROOM))):
        yield wrong


def _post(wire: Wire, tenant: str, hook: Hook, secret: str | None, body: Any) -> tuple[int, Any]:
    query = {"secret": secret} if secret else None
    return _said(wire.exchange("POST", f"/{tenant}{hook.path}", query=query, body=body, total_s=TOTAL_S))


def _said(answer: Answer) -> tuple[int, Any]:
    try:
        return answer.status, json.loads(answer.body)
    except (ValueError, RecursionError):
        return answer.status, None


def readiness(status: int, body: Any) -> str | None:
    """A proxy may keep this path closed to the public, as those in `deploy/` do."""
    if within(body, "error", "code") == "queue_unavailable":
        return f"the receiver answers, but is not ready: {clean(within(body, 'error', 'message'), 200)}"
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND) or within(body, "status") == "ready":
        return None
    return f"/readyz is answered with {status}, not by our receiver: check where the proxy leads"


def route(hook: Hook, has_secret: bool, status: int, body: Any) -> str | None:
    """To a body that names no room."""
    code = within(body, "error", "code")
    if (status, code) == (HTTPStatus.BAD_REQUEST, "invalid_payload"):
        return None
    if (status, code) == (HTTPStatus.NOT_FOUND, "not_found"):
        return f"POST {hook.path} is refused as not found: {WITHOUT_QUERY if has_secret else OPEN_HERE}"
    return f"POST {hook.path} is answered with {status}, not by our receiver: check where the proxy leads"


def right_secret(status: int, body: Any) -> str | None:
    code = within(body, "error", "code")
    if (status, code) == (HTTPStatus.NOT_FOUND, "unknown_app"):
        return None
    if (status, code) == (HTTPStatus.NOT_FOUND, "not_found"):
        return "the receiver refuses the webhook secret: it runs with another WEBHOOK_SECRET; restart it"
    return f"a test webhook is answered with {status} ({clean(code or 'no reason given')}): see the receiver's log"


def wrong_secret(status: int, body: Any) -> str | None:
    if (status, within(body, "error", "code")) == (HTTPStatus.NOT_FOUND, "not_found"):
        return None
    return "the receiver takes a wrong secret: it runs without WEBHOOK_SECRET; restart it"
