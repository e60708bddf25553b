"""Files in a chat: taken in over HTTP, put on the shelf, then written as a message. `downloads` gives them back.

An upload is one multipart form: `client_id` and `body` (a caption), both optional and first, then `file`. It is read in
pieces, a few at a time for each sender and address, and never stands in memory whole.
"""

import asyncio
import logging
import random
import re
import secrets
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple, cast

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    ClientPayloadError,
    MultipartReader,
    StreamReader,
    web,
)
from aiohttp.http import HttpProcessingError
from psycopg2.extensions import cursor

import logs
from db import chat, files, payloads
from db.chat import Attachment, Draft, Message, NotTaken, Session
from db.postgres import LedgerTrouble
from sidecar.files.downloads import Downloads
from sidecar.files.file_tickets import FileTickets
from sidecar.files.incoming import Incoming, TooLarge
from sidecar.files.kinds import NotAllowed
from sidecar.files.previews import Previews
from sidecar.files.quota import Quota
from sidecar.files.shelf import Shelf, ShelfFull
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks
from sidecar.live.visitors import AddressOf, Visitors, Who
from sidecar.web.answers import Refused, answer, answering, keep_pace, not_taken
from sidecar.web.fields import body, clean, client_id
from sidecar.web.pace import Patience, Windows
from sidecar.web.requests import checked
from sidecar.web.slots import NoSlot, Slots
from sidecar.web.strangers import Strangers

log = logging.getLogger("sidecar.attachments")

PIECE_BYTES = 64 * 1024
FORM_BYTES = 64 * 1024  # of a form that are not the file: boundaries, headers, caption
PARTS_MOST = 5
UPLOADS_AT_ONCE = 64
SENDER_AT_ONCE = 2  # of one session's customer, or one agent; a page sends all that was picked at the same time
ADDRESS_AT_ONCE = 8
ADDRESS_HERE = 32  # with those that wait for their turn
FILES_OF_A_CHAT = 500
LARGEST_OF_A_CHAT = 20  # all together: so many times the largest that is taken
FEW_LEFT = 4  # times what is never taken of the disk: from then on it is said at each sweep
TURN_S = 300.0  # a few photos on a slow line, one after the other
MINUTE_S = 60.0
UPLOAD_S = 60.0  # for any upload, and longer for a large one:
SLOWEST_BYTES_S = 32 * 1024
RETRY_S = 5
SWEEP_EVERY_S = 3600.0

# What aiohttp raises of a form, its heads, or its packing.
BROKEN = (ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError)

# Else a sender's text stands on standard error, and Python remembers each of them for ever.
for broken in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.simplefilter("ignore", broken)

CHECKS = {"client_id": client_id, "body": body}

Write = Callable[[Draft], Awaitable[Message | NotTaken]]
Back = Callable[[Session], Awaitable[bool]]  # the customer is here: see `Turns.come_back`


class Form(NamedTuple):
    file: Attachment
    client_id: str | None
    caption: str


class Attachments:
    """The routes of files. `write`: as `Writer.write`; `who`, `address_of`: as `Visitors` has them."""

    def __init__(
        self,
        store: Store,
        write: Write,
        who: Who,
        back: Back,
        shelf: Shelf,
        uploads_a_minute: int,
        address_of: AddressOf,
        patience_s: float = UPLOAD_S,
        tasks: Tasks | None = None,
        tickets: FileTickets | None = None,
        strangers: Strangers | None = None,
        quota: Quota | None = None,
    ) -> None:
        self._store, self._write, self._back, self._shelf = store, write, back, shelf
        self._address_of, self._patience_s, self._tasks = address_of, patience_s, tasks or Tasks()
        self.quota = quota or Quota(store, 0)
        self._rates = Windows(uploads_a_minute, MINUTE_S)
        self._here = Slots(ADDRESS_HERE, ADDRESS_HERE)
        self._of_sender = Slots(SENDER_AT_ONCE, ADDRESS_HERE)
        self._of_address = Slots(ADDRESS_AT_ONCE, ADDRESS_HERE)
        self._of_all = Slots(UPLOADS_AT_ONCE, UPLOADS_AT_ONCE)
        self._previews = Previews(shelf)
        self._visitors = Visitors(store, strangers or Strangers(), who, address_of)
        tickets = tickets or FileTickets(secrets.token_urlsafe())
        self._downloads = Downloads(store, self._visitors, shelf, self._previews, tickets)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/public/sessions/{key}/attachments", answering(self.from_customer)),
            web.post("/api/v1/sessions/{room:[0-9A-Za-z_-]{1,64}}/attachments", answering(self.from_agent)),
            *self._downloads.routes(),
        ]

    def start(self) -> None:
        """Nobody waits for a sweep."""
        self._tasks.start("files", self._sweep_step)

    async def stop(self) -> None:
        await self._tasks.end("files")

    def close(self) -> None:
        self._shelf.close()

    async def _sweep_step(self) -> None:
        await self.sweep()
        await asyncio.sleep(SWEEP_EVERY_S * random.uniform(0.9, 1.1))

    async def sweep(self) -> None:
        """Takes away files without a row: a crash left them, or their chat was forgotten. Says it when a disk fills."""
        try:
            gone, left = await self._shelf.sweep(self._known), await self._shelf.free_bytes()
            await self.quota.look()
        except (LedgerTrouble, OSError) as error:
            log.warning(logs.line("shelf_not_swept", why=error))
            return
        if left < FEW_LEFT * self._shelf.spare_bytes:
            log.warning(logs.line("disk_nearly_full", folder=self._shelf.folder, left_mb=left // 2**20))
        if gone:
            log.info(logs.line("shelf_swept", files=gone))

    async def disk_left(self) -> int:
        """Bytes. Raises `OSError`."""
        return await self._shelf.free_bytes()

    async def _known(self, ids: list[str]) -> set[str]:
        return await self._store.run(lambda cur: files.known(cur, ids))

    # --- in

    async def from_customer(self, request: web.Request) -> web.StreamResponse:
        session = await self._visitors.session(request, request.match_info["key"])
        await self._back(session)
        form = await self._received(request, session, session.room)
        return await self._stored(session, chat.from_customer(session, form.caption, form.client_id, [form.file]))

    async def from_agent(self, request: web.Request) -> web.StreamResponse:
        agent = await self._visitors.agent(request)
        room = request.match_info["room"]
        session = await self._store.run(lambda cur: chat.by_room(cur, agent.tenant, room))
        if session is None:
            raise not_taken(NotTaken("not_found"))
        if session.status != "ended" and session.agent != agent.agent_id and not agent.is_supervisor:
            raise not_taken(NotTaken("not_yours"))
        form = await self._received(request, session, agent.agent_id)
        draft = chat.from_agent(session.id, agent, form.caption, form.client_id, [form.file])
        return await self._stored(session, draft)

    async def _received(self, request: web.Request, session: Session, subject: str) -> Form:
        """The form, its file on the shelf; refused as early as can be told."""
        if session.status == "ended":
            raise not_taken(NotTaken("session_ended"))
        if request.content_type != "multipart/form-data":
            raise Refused("unsupported_media_type", "send a multipart/form-data form with a part named file")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused("unsupported_media_type", "send the form as it is, without Content-Encoding")
        if (request.content_length or 0) > self._shelf.most_bytes + FORM_BYTES:
            raise self._too_large()
        sender = f"{session.tenant} {subject}"
        keep_pace(self._rates, sender, "too many files in a minute")
        if not await self._store.run(lambda cur: self._has_room(cur, session)):
            log.warning(logs.line("refused", code="too_many_files", tenant=session.tenant, room=session.room))
            raise Refused("too_many_files", "this chat has as many files as a chat may have")
        await self.quota.check(session, request.content_length or 0)
        async with self._turn(sender, self._address_of(request)):
            form = await self._taken(request, session)
            return form._replace(file=await self._previewed(form.file))

    def _has_room(self, cur: cursor, session: Session) -> bool:
        """Nobody fills the disk out of one chat. Those that are under way at the same time are let in."""
        number, size = files.of_session(cur, session.id)
        return number < FILES_OF_A_CHAT and size < LARGEST_OF_A_CHAT * self._shelf.most_bytes

    async def _previewed(self, file: Attachment) -> Attachment:
        """With its preview, whose size goes out with the message: pages know how much room it takes."""
        size = await self._previews.make(file) if file.type.startswith("image/") else None
        return file._replace(preview_width=size.width, preview_height=size.height) if size else file

    @asynccontextmanager
    async def _turn(self, sender: str, address: str) -> AsyncIterator[None]:
        """A few of this sender and of this address, and so many of all: whoever is slow is slow at their own cost.
        Raises `Refused`."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(TURN_S):
                    await held.enter_async_context(self._here.one(address))
                    await held.enter_async_context(self._of_sender.one(sender))
                    await held.enter_async_context(self._of_address.one(address))
            except (NoSlot, TimeoutError) as error:
                log.warning(logs.line("refused", code="rate_limited", what="files at once", address=address))
                raise Refused("rate_limited", "too many files at once: send a few at a time", RETRY_S) from error
            try:
                await held.enter_async_context(self._of_all.one("all"))
            except NoSlot as error:
                raise Refused("unavailable", "too many files are coming in at the moment", RETRY_S) from error
            yield

    async def _taken(self, request: web.Request, session: Session) -> Form:
        most_bytes = self._shelf.most_bytes + FORM_BYTES
        incoming = Incoming(request.content, most_bytes, Patience(self._patience_s, SLOWEST_BYTES_S))
        try:
            async with asyncio.timeout(UPLOAD_S + most_bytes / SLOWEST_BYTES_S):
                return await self._form(MultipartReader(request.headers, cast(StreamReader, incoming)))
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
            log.error(logs.line("file_not_stored", room=session.room, why=str(error) or type(error).__name__))
            raise Refused("unavailable", "the file can't be stored at the moment", RETRY_S) from error
        except BROKEN as error:
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
        stored = await self._write(draft)  # LedgerTrouble: its row may have been written, so the sweep decides
        if isinstance(stored, NotTaken):
            await self._shelf.remove(file.id)
            raise not_taken(stored)
        fresh = stored.fresh
        if fresh:
            self.quota.add(session.tenant, file.size)
        else:  # sent again after a lost answer: the first file is the one
            await self._shelf.remove(file.id)
            before = stored.seq - 1
            [stored] = (await self._store.run(lambda cur: chat.page_after(cur, session, before, 1))).rows
        ids = {"tenant": session.tenant, "room": session.room, "sender": draft.sender_type}
        log.info(logs.line("file_stored", **ids, type=file.type, bytes=file.size))
        return answer(payloads.payload_of(stored, with_client_id=True), 201 if fresh else 200)


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    """Raises `ValueError` where the form ends before the file does."""
    while piece := await part.read_chunk(PIECE_BYTES):
        yield piece
    if not part.at_eof():
        raise ValueError("no boundary after the file")


def _named(part: BodyPartReader) -> str:
    """Browsers write these three so in a form, and nothing else."""
    return re.sub("%22|%0D|%0A", " ", part.filename or "")


async def _text(part: BodyPartReader) -> str:
    """A small text field; its beginning where it is too long for any check to pass."""
    found = b""
    while (piece := await part.read_chunk(PIECE_BYTES)) and len(found) <= FORM_BYTES:
        found += piece
    return clean(found.decode("utf-8", "replace")).strip()
