"""Answers of REST; those that say no have one shape, `{"error":{"code","message"}}`.

After the handlers: `answering` wraps one, and what it raises becomes the answer of the contract.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

import logs
from db.chat import Message, NotTaken
from db.postgres import LedgerBusy, LedgerTrouble
from db.turn import TurnRefused
from sidecar.web.pace import Paces, Windows

log = logging.getLogger("sidecar.refusals")

RETRY_S = 2

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STATUS_OF: Mapping[str, int] = {
    "invalid_json": 400,
    "invalid_payload": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "origin_not_allowed": 403,
    "not_yours": 403,
    "not_found": 404,
    "already_taken": 409,
    "at_max_load": 409,
    "session_ended": 409,
    "too_many_files": 409,
    "storage_full": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "upgrade_required": 426,
    "rate_limited": 429,
    "unavailable": 503,
}


class Refused(Exception):
    """`code` as in the contract; its status follows. `wait_s`: for Retry-After. `closes`: nothing more can be read."""

    def __init__(self, code: str, message: str, wait_s: float | None = None, closes: bool = False) -> None:
        super().__init__(message)
        self.code, self.wait_s, self._closes = code, wait_s, closes

    def response(self) -> web.Response:
        headers = {} if self.wait_s is None else {"Retry-After": str(max(1, math.ceil(self.wait_s)))}
        if self.code == "unauthorized":
            headers["WWW-Authenticate"] = "Bearer"
        if self.code == "upgrade_required":
            headers["Upgrade"] = "websocket"
        body = {"error": {"code": "forbidden" if self.code == "not_yours" else self.code, "message": str(self)}}
        made = answer(body, STATUS_OF[self.code], headers)
        if self._closes:
            made.force_close()
        return made


def not_taken(answer: NotTaken) -> Refused:
    """Why a message was not stored."""
    texts = {
        "session_ended": "this chat is over",
        "not_yours": "this chat has another agent",
        "not_found": "no such session",
    }
    known = answer.code in texts
    return Refused(answer.code if known else "invalid_payload", texts.get(answer.code, "body: can't be stored"))


def taken(answer: Message | NotTaken) -> Message:
    """Raises `Refused`."""
    if isinstance(answer, NotTaken):
        raise not_taken(answer)
    return answer


def why_not(error: LedgerTrouble) -> str:
    """For people. A lock or a slow statement concerns what met it alone."""
    return "the database is busy" if isinstance(error, LedgerBusy) else "the database can't be reached at the moment"


def keep_pace(paces: Paces | Windows, subject: str, complaint: str) -> None:
    """One more of this subject. Raises `Refused`."""
    wait_s = paces.take(subject, time.monotonic())
    if wait_s:
        raise Refused("rate_limited", complaint, wait_s)


def answering(handler: Handler) -> Handler:
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return refused.response()
        except TurnRefused as refused:
            return Refused(refused.code, str(refused)).response()
        except LedgerTrouble as error:
            log.warning(logs.line("unavailable", path=request.match_info.route.resource, why=error))
            return Refused("unavailable", f"{why_not(error)}: try again", RETRY_S).response()

    return answered


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")
