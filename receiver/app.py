"""The receiver's entry point: `create_app()` puts the thin Flask door together; gunicorn.conf.py says how it is served.

It knows Redis and nothing else: not the allocation, not Qiscus, not PostgreSQL.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

import settings as house
from receiver import answers, health
from receiver.door import Door
from receiver.webhooks import Webhooks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def create_app(settings: house.Settings | None = None, door: Door | None = None) -> Flask:
    """Raises `SettingsError`. Connects to nothing: Redis may come later. Tests bring settings, or a door of theirs."""
    values = settings or house.load(keys=False)
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # a redirect would be neither JSON nor followed
    door = door or Door(house.redis_url(values))
    answers.set_up(app)
    Webhooks(door, values.webhook_secret, values.qiscus_app_id).routes(app)
    health.routes(app, door)
    app.wsgi_app = _single_slashes(app.wsgi_app)  # type: ignore[assignment,method-assign]  # Flask's way
    return app


def _single_slashes(inner: "WSGIApplication") -> "WSGIApplication":
    """Serves `//allocate-agent/webhook` as `/allocate-agent/webhook`: somebody's base URL ends in a slash."""

    def outer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if "//" in environ["PATH_INFO"]:
            environ["PATH_INFO"] = re.sub("//+", "/", environ["PATH_INFO"])
        return inner(environ, start_response)

    return outer
