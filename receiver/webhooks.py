"""The two webhooks: who posts, what, and for whom; then through the door, then the answer.

First on the path of a room. Before anything is stored the request is only checked; allocation, Qiscus and PostgreSQL
are none of its business. What the checks need of a payload is in payloads.py, what Redis says is in push.lua.
"""

import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus

import gevent
from flask import Flask, Response, request

from db import inbox
from db.push import Pushed, Sender
from receiver import payloads
from receiver.answers import Refusal, said
from receiver.door import Door
from receiver.health import STARTED, TENANT
from receiver.payloads import CAA_PATH, INVALID_JSON, INVALID_PAYLOAD, SOLVED_PATH, BadPayload, Posted
from tenant_ids import TENANT_ID

BODY_MAX = 1024 * 1024  # bytes; a webhook is about 1 KB
BODY_S = 10  # for all of it, however steadily it drips
ALIAS_PATH = "/mark-as-resolved/webhook"
STORED = ("queued", "already_waiting", "already_assigned", "noted")  # for a tenant that there is
UNKNOWN = "no tenant has this app id"

log = logging.getLogger("receiver")


class Webhooks:
    """The views. `secret`: the installation's WEBHOOK_SECRET; `tenant`: for payloads that name none."""

    def __init__(self, door: Door, secret: str | None, tenant: str | None) -> None:
        self._door, self._tenant = door, tenant
        self._secret = secret.encode() if secret else b""

    def routes(self, app: Flask) -> None:
        for name, view, paths in (
            ("allocate-agent", self.arrived, (CAA_PATH,)),
            ("mark-as-solved", self.resolved, (SOLVED_PATH, ALIAS_PATH)),
        ):
            for rule in [rule for path in paths for rule in (path, f"/<app_id>{path}")]:
                app.add_url_rule(rule, name, view, methods=["POST"], provide_automatic_options=False)

    def arrived(self, app_id: str | None = None) -> Response:
        return self._take(payloads.arrived, app_id)

    def resolved(self, app_id: str | None = None) -> Response:
        return self._take(payloads.resolved, app_id)

    def _take(self, read: Callable[[bytes], Posted], path_app_id: str | None) -> Response:
        environ = request.environ
        environ[STARTED] = time.perf_counter()
        given = _given_secrets(environ)
        if self._secret and not given:  # no tenant's own secret can fit either
            raise Refusal(404)
        if path_app_id is not None and not TENANT_ID.fullmatch(path_app_id):
            raise Refusal(404, "unknown_app", UNKNOWN)
        _check_type(environ.get("CONTENT_TYPE", ""))
        posted = read(_body(environ))
        sender = self._sender(path_app_id, posted.app_id, given)
        done = self._door.push(posted, sender)
        if done.word in STORED:
            environ[TENANT] = sender.tenant
        return _answer(posted, sender, done)

    def _sender(self, path_app_id: str | None, payload_app_id: str | None, given: Sequence[str]) -> Sender:
        if path_app_id and payload_app_id and path_app_id != payload_app_id:
            raise BadPayload(INVALID_PAYLOAD, "app_id is not the one in the path", "app_id")
        named = path_app_id or payload_app_id
        tenant = named or self._tenant
        if tenant is None:
            raise _unnamed()
        right = not self._secret or any(hmac.compare_digest(one.encode(), self._secret) for one in given)
        return Sender(tenant, named is not None, right, " ".join(map(inbox.digest, given)))


def _given_secrets(environ: Mapping[str, Any]) -> tuple[str, ...]:
    """What was given as the secret. In a query a `+` may be meant as it stands or as a space, a `%41` too: then each
    way to read it."""
    header = environ.get("HTTP_X_WEBHOOK_SECRET")
    if header is not None:
        return (header.encode("latin-1").decode("utf-8", "replace"),) if header else ()
    for name, _, value in (part.partition("=") for part in environ.get("QUERY_STRING", "").split("&")):
        if name == "secret" and value:
            return tuple(dict.fromkeys((value, unquote(value), unquote_plus(value))))
    return ()


def _check_type(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal(415)


def _body(environ: Mapping[str, Any]) -> bytes:
    """All of it, at most `BODY_MAX`; a longer one that announces itself is refused unread."""
    length = request.content_length  # None in a chunked body, and where it is no number
    if length is None and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    if length is not None and length > BODY_MAX:
        raise Refusal(413)
    body = _read(environ["wsgi.input"], BODY_MAX + 1 if length is None else length)
    if len(body) > BODY_MAX:
        raise Refusal(413)
    if length is not None and len(body) < length:
        raise BadPayload(INVALID_JSON, "the body is shorter than announced")
    return body


def _read(stream: Any, size: int) -> bytes:
    try:
        with gevent.Timeout(BODY_S, TimeoutError()):
            return stream.read(size)
    except TimeoutError as error:
        raise BadPayload(INVALID_JSON, f"the body did not come within {BODY_S} seconds") from error
    except Exception as error:  # each server has its own errors for a body that breaks off or is badly chunked
        raise BadPayload(INVALID_JSON, "the body could not be read to its end") from error


def _answer(posted: Posted, sender: Sender, done: Pushed) -> Response:
    webhook, word, position = posted.webhook, done.word, done.position
    if word in REFUSED:
        raise REFUSED[word](sender, {"tenant": sender.tenant, "room": webhook.room})
    # every value is a word or a number already; logs.line would cost as much as the rest of this module
    at = "" if position is None else f" position={position}"
    log.info(f"{webhook.kind} status={word} tenant={sender.tenant} room={webhook.room}{at}")
    if word == "unsorted":  # the tenants are not known now; the worker judges
        word = "queued" if webhook.kind == inbox.ARRIVED else "noted"
    return said(200, {"status": word, "room_id": webhook.room, "position": position})


def _unknown(sender: Sender, ids: dict[str, str]) -> Refusal:
    """Who has no right to post shall not learn which tenants there are."""
    return Refusal(404, "unknown_app", UNKNOWN, **ids) if sender.installation_secret_ok else _denied(sender, ids)


def _denied(sender: Sender, ids: dict[str, str]) -> Refusal:
    return Refusal(404, **ids, field="secret")


def _ambiguous(sender: Sender, ids: dict[str, str]) -> Refusal:
    return _unnamed(**ids)


def _full(sender: Sender, ids: dict[str, str]) -> Refusal:
    return Refusal(503, "queue_unavailable", "too many webhooks wait to be worked on; send it again", **ids, why="full")


def _unnamed(**ids: str) -> Refusal:
    message = f"app_id is missing and can't be guessed here: post to /<app_id>{CAA_PATH} or /<app_id>{SOLVED_PATH}"
    return Refusal(400, "invalid_payload", message, **ids, field="app_id")


REFUSED: dict[str, Callable[[Sender, dict[str, str]], Refusal]] = {
    "unknown": _unknown,
    "denied": _denied,
    "ambiguous": _ambiguous,
    "full": _full,
}
