"""Files in a chat: taken in over HTTP, put on the shelf, then written as a message; and given back to who may see them.

An upload is one multipart form: `client_id` and `body` (a caption), both optional and first, then `file`. It is read in
pieces and never stands in memory whole. What is given back can't run as a page, whatever it is.
"""

import asyncio
import logging
import random
import re
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from aiohttp import BodyPartReader, ClientPayloadError, MultipartReader, web

import logs
from db import chat, files
from db.chat import Attachment, Draft, Message, NotTaken, Session
from db.postgres import LedgerDown
from sidecar.ending import ended
from sidecar.frames import body, clean, client_id
from sidecar.kinds import TEXT, NotAllowed
from sidecar.login import Agent
from sidecar.pace import Paces
from sidecar.refusals import Refused, answer, answering, checked, not_taken
from sidecar.shelf import ID, Shelf, ShelfFull, TooLarge
from sidecar.store import Store

log = logging.getLogger("sidecar.attachments")

PIECE_BYTES = 64 * 1024
FORM_BYTES = 64 * 1024  # of a form that are not the file: boundaries, headers, caption
PARTS_MOST = 5
UPLOADS_AT_ONCE = 64
MINUTE_S = 60.0
UPLOAD_S = 60.0  # for any upload, and longer for a large one:
SLOWEST_BYTES_S = 32 * 1024
RETRY_S = 5
SWEEP_EVERY_S = 3600.0
POLICY = "default-src 'none'; sandbox"

CHECKS = {"client_id": client_id, "body": body}

Write = Callable[[Draft], Awaitable[Message | NotTaken]]
Who = Callable[[str], Awaitable[Agent | None]]


class Form(NamedTuple):
    file: Attachment
    client_id: str | None
    caption: str


class Attachments:
    """The three routes. `write`: as `Writer.write`; `who`: as `Login.who`."""

    def __init__(self, store: Store, write: Write, who: Who, shelf: Shelf, uploads_a_minute: int) -> None:
        self._store, self._write, self._who, self._shelf = store, write, who, shelf
        self._paces = Paces(uploads_a_minute / MINUTE_S, uploads_a_minute)
        self._at_once = 0
        self._sweeping: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/public/sessions/{key}/attachments", answering(self.from_customer)),
            web.post("/api/v1/sessions/{room}/attachments", answering(self.from_agent)),
            web.get("/api/v1/files/{id}", answering(self.file)),
        ]

    def start(self) -> None:
        """Nobody waits for a sweep."""
        self._sweeping = asyncio.create_task(self._sweep_always())

    async def stop(self) -> None:
        if self._sweeping:
            await ended(self._sweeping)

    async def _sweep_always(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_EVERY_S * random.uniform(0.9, 1.1))

    async def sweep(self) -> None:
        """Files without a row: a crash left them, or their chat was forgotten."""
        try:
            gone = await self._shelf.sweep(self._known)
        except (LedgerDown, OSError) as error:
            log.warning(logs.line("shelf_not_swept", why=error))
            return
        if gone:
            log.info(logs.line("shelf_swept", files=gone))

    async def _known(self, ids: list[str]) -> set[str]:
        return await self._store.run(lambda cur: files.known(cur, ids))

    # --- in

    async def from_customer(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        session = await self._store.run(lambda cur: chat.by_key(cur, key))
        if session is None:
            raise not_taken(NotTaken("not_found"))
        form = await self._received(request, session, session.room)
        draft = chat.draft(
            session.id,
            "customer",
            form.caption,
            sender_name=session.customer_name,
            client_id=form.client_id,
            attachments=[form.file],
        )
        return await self._stored(session, draft)

    async def from_agent(self, request: web.Request) -> web.StreamResponse:
        agent = await self._agent(request)
        room = request.match_info["room"]
        session = await self._store.run(lambda cur: chat.by_room(cur, agent.tenant, room))
        if session is None:
            raise not_taken(NotTaken("not_found"))
        if session.status != "ended" and session.agent != agent.agent_id and not agent.is_supervisor:
            raise not_taken(NotTaken("not_yours"))
        form = await self._received(request, session, agent.agent_id)
        draft = chat.draft(
            session.id,
            "agent",
            form.caption,
            sender_id=agent.agent_id,
            sender_name=agent.name,
            client_id=form.client_id,
            attachments=[form.file],
            anywhere=agent.is_supervisor,
        )
        return await self._stored(session, draft)

    async def _received(self, request: web.Request, session: Session, subject: str) -> Form:
        """The form, its file on the shelf; refused as early as can be told."""
        if session.status == "ended":
            raise not_taken(NotTaken("session_ended"))
        if request.content_type != "multipart/form-data":
            raise Refused("unsupported_media_type", "send a multipart/form-data form with a part named file")
        if (request.content_length or 0) > self._shelf.most_bytes + FORM_BYTES:
            raise self._too_large()
        wait_s = self._paces.take(f"{session.tenant} {subject}", time.monotonic())
        if wait_s:
            raise Refused("rate_limited", "too many files in a minute", wait_s)
        if self._at_once >= UPLOADS_AT_ONCE:
            raise Refused("unavailable", "too many files are coming in at the moment", RETRY_S)
        self._at_once += 1
        try:
            return await self._taken(request, session)
        finally:
            self._at_once -= 1

    async def _taken(self, request: web.Request, session: Session) -> Form:
        limit_s = UPLOAD_S + self._shelf.most_bytes / SLOWEST_BYTES_S
        try:
            async with asyncio.timeout(limit_s):
                return await self._form(await request.multipart())
        except NotAllowed as error:
            log.info(logs.line("file_refused", tenant=session.tenant, room=session.room, what=error.looks_like))
            raise Refused("unsupported_media_type", str(error)) from error
        except TooLarge as error:
            raise self._too_large() from error
        except TimeoutError as error:
            raise Refused("invalid_payload", "file: it came too slowly") from error
        except (ConnectionError, ClientPayloadError) as error:
            raise Refused("invalid_payload", "file: the connection ended before it did") from error
        except (ShelfFull, OSError) as error:
            log.error(logs.line("file_not_stored", room=session.room, why=error or type(error).__name__))
            raise Refused("unavailable", "the file can't be stored at the moment", RETRY_S) from error
        except (ValueError, AssertionError) as error:  # what aiohttp says of a broken form
            raise Refused("invalid_payload", "file: the form is broken or incomplete") from error

    def _too_large(self) -> Refused:
        most = self._shelf.most_bytes // (1024 * 1024)
        return Refused("payload_too_large", f"a file may have {most} MB at most")

    async def _form(self, reader: MultipartReader) -> Form:
        texts = {"client_id": "", "body": ""}
        for _ in range(PARTS_MOST):
            part = await reader.next()
            if part is None:
                break
            if not isinstance(part, BodyPartReader):
                raise Refused("invalid_payload", "file: a form in a form")
            if part.name == "file":
                stored = await self._shelf.take(_pieces(part), _named(part))
                return Form(stored, texts["client_id"] or None, texts["body"])
            if part.name in CHECKS and (text := await _text(part)):
                texts[part.name] = checked(part.name, text, CHECKS[part.name])
        raise Refused("invalid_payload", "file: the form has no part of this name")

    async def _stored(self, session: Session, draft: Draft) -> web.Response:
        """The message of a file that is on the shelf already."""
        [file] = draft.attachments
        stored = await self._write(draft)  # LedgerDown: its row may have been written, so the sweep decides
        if isinstance(stored, NotTaken):
            await self._shelf.remove(file.id)
            raise not_taken(stored)
        fresh = stored.fresh
        if not fresh:  # sent again after a lost answer: the first file is the one
            await self._shelf.remove(file.id)
            before = stored.seq - 1
            [stored] = (await self._store.run(lambda cur: chat.page_after(cur, session, before, 1))).rows
        ids = {"tenant": session.tenant, "room": session.room, "sender": draft.sender_type}
        log.info(logs.line("file_stored", **ids, type=file.type, bytes=file.size))
        return answer(chat.payload_of(stored, with_client_id=True), 201 if fresh else 200)

    # --- out

    async def file(self, request: web.Request) -> web.StreamResponse:
        found = await self._seen_by(request)
        path = self._shelf.path(found.id) if found else None
        if found is None or path is None or not await self._shelf.exists(found.id):
            raise Refused("not_found", "there is no such file")
        return web.FileResponse(path, headers=_headers(found))

    async def _seen_by(self, request: web.Request) -> Attachment | None:
        own = request.match_info["id"]
        key = request.query.get("key")
        agent = None if key else await self._agent(request)
        if not ID.fullmatch(own):
            return None
        if agent:
            return await self._store.run(lambda cur: files.for_agent(cur, own, agent.tenant))
        return await self._store.run(lambda cur: files.for_customer(cur, own, chat.digest(key or "")))

    async def _agent(self, request: web.Request) -> Agent:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        agent = await self._who(token.strip()) if kind.lower() == "bearer" and token.strip() else None
        if agent is None:
            raise Refused("unauthorized", "log in first")
        return agent


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(PIECE_BYTES):
        yield piece


def _named(part: BodyPartReader) -> str:
    """Browsers write these three so in a form, and nothing else."""
    return re.sub("%22|%0D|%0A", " ", part.filename or "")


async def _text(part: BodyPartReader) -> str:
    """A small text field; its beginning where it is too long for any check to pass."""
    found = b""
    while (piece := await part.read_chunk(PIECE_BYTES)) and len(found) <= FORM_BYTES:
        found += piece
    return clean(found.decode("utf-8", "replace")).strip()


def _headers(file: Attachment) -> dict[str, str]:
    """Pictures may be shown; everything else is a download. Nothing is run, guessed at, or kept by others."""
    how = "inline" if file.type.startswith("image/") else "attachment"
    plain = "".join(c if c.isascii() and c.isalnum() or c in ".-_ " else "_" for c in file.name)
    name = urllib.parse.quote(file.name, safe="")
    return {
        "Content-Type": f"{TEXT}; charset=utf-8" if file.type == TEXT else file.type,
        "Content-Disposition": f"{how}; filename=\"{plain}\"; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "private, max-age=3600",
        "Referrer-Policy": "no-referrer",
    }
