"""Files of a chat given back to who may see them: with a ticket, a session's key, or an agent's token. After
`attachments` and `previews`, which put them on the shelf. What is given back can't run as a page, whatever it is.
"""

import time
import urllib.parse
from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from db import files
from db.chat import Attachment
from sidecar.files.file_tickets import LIFE_S, FileTickets
from sidecar.files.kinds import TEXT
from sidecar.files.previews import KIND, NONE, Previews
from sidecar.files.shelf import ID, Shelf
from sidecar.live.store import Store
from sidecar.live.visitors import Visitors
from sidecar.web.answers import Refused, answer, answering
from sidecar.web.requests import json_of

RETRY_S = 5
POLICY = "default-src 'none'; sandbox"
TICKETS_MOST = 1000  # in one request: a chat has 500 files, and some more that came together


class Found(NamedTuple):
    """`left_s`: how long its address opens it, where a ticket does."""

    file: Attachment
    left_s: int | None = None


class Downloads:
    def __init__(
        self, store: Store, visitors: Visitors, shelf: Shelf, previews: Previews, tickets: FileTickets
    ) -> None:
        self._store, self._visitors, self._shelf = store, visitors, shelf
        self._previews, self._tickets = previews, tickets

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/files/{id}", answering(self.file)),
            web.get("/api/v1/files/{id}/preview", answering(self.preview)),
            web.post("/api/v1/public/sessions/{key}/tickets", answering(self.tickets)),
        ]

    async def file(self, request: web.Request) -> web.StreamResponse:
        found = await self._seen_by(request)
        return web.FileResponse(self._shelf.path(found.file.id), headers=_headers(found))

    async def preview(self, request: web.Request) -> web.StreamResponse:
        found = await self._seen_by(request)
        if not files.may_be_shown(found.file):
            raise _no_file()
        path = self._shelf.preview_path(found.file.id)
        if not await self._shelf.exists(path):
            await self._make_late(found.file)
        return web.FileResponse(path, headers={**_headers(found), "Content-Type": KIND})

    async def tickets(self, request: web.Request) -> web.StreamResponse:
        """`{files: [ids]}` → a ticket for each of them that is of this chat, for `?ticket=` of the file's address."""
        wanted = _ids((await json_of(request)).get("files"))
        session = await self._visitors.session(request, request.match_info["key"])
        own = await self._store.run(lambda cur: files.among(cur, session.id, wanted))
        now = time.time()
        told = {"tickets": {one: self._tickets.ticket(one, now) for one in own}, "seconds": LIFE_S}
        return answer(told, headers={"Cache-Control": "no-store"})

    async def _make_late(self, file: Attachment) -> None:
        """It was sent before there were previews, or when too many others came."""
        size = await self._previews.make(file)
        if size is None:
            raise Refused("unavailable", "too many pictures are asked for at the moment", RETRY_S)
        await self._store.run(lambda cur: files.set_preview(cur, file.id, *size))
        if size == NONE:
            raise _no_file()

    async def _seen_by(self, request: web.Request) -> Found:
        """The file that is asked for, where it is there and theirs."""
        own = request.match_info["id"]
        found = await self._found(request, own)
        if found is None or not await self._shelf.exists(self._shelf.path(own)):
            raise _no_file()
        return found

    async def _found(self, request: web.Request, own: str) -> Found | None:
        ticket, key = request.query.get("ticket"), request.query.get("key")
        agent = None if ticket or key else await self._visitors.agent(request)
        if not ID.fullmatch(own):
            return None
        if ticket:
            left_s = self._tickets.left_s(ticket, own, time.time())
            file = await self._store.run(lambda cur: files.by_id(cur, own)) if left_s else None
            return Found(file, left_s) if file else None
        if agent:
            file = await self._store.run(lambda cur: files.for_agent(cur, own, agent.tenant))
        else:
            session = await self._visitors.session(request, key or "")
            file = await self._store.run(lambda cur: files.of_chat(cur, own, session.id))
        return Found(file) if file else None


def _no_file() -> Refused:
    return Refused("not_found", "there is no such file")


def _ids(given: object) -> Sequence[str]:
    if not isinstance(given, list) or len(given) > TICKETS_MOST or not all(isinstance(one, str) for one in given):
        raise Refused("invalid_payload", f"files: must be a list of at most {TICKETS_MOST} ids of files")
    return [one for one in given if ID.fullmatch(one)]


def _headers(found: Found) -> dict[str, str]:
    """Pictures may be shown; everything else is a download. Nothing is run, guessed at, or kept by others. A browser
    that has it asks again at each use, for tokens and keys end; a ticket's address has an end of its own."""
    file = found.file
    how = "inline" if files.may_be_shown(file) else "attachment"
    plain = "".join(c if c.isascii() and c.isalnum() or c in ".-_ " else "_" for c in file.name)
    name = urllib.parse.quote(file.name, safe="")
    kept = "no-cache" if found.left_s is None else f"max-age={min(found.left_s, LIFE_S)}"
    return {
        "Content-Type": f"{TEXT}; charset=utf-8" if file.type == TEXT else file.type,
        "Content-Disposition": f"{how}; filename=\"{plain}\"; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": f"private, {kept}",
        "Vary": "Authorization",
        "Referrer-Policy": "no-referrer",
    }
