"""`/ws/public/<key>`, a customer's way into one session. Before `live`, where what is said goes on.

A socket first gets the present state, then the rows after `?after=`, then what happens.
"""

import asyncio
import functools
import logging
from collections.abc import Sequence
from typing import Any

from aiohttp import web

import logs
from db import chat, payloads
from db.announce import News
from db.chat import Message, Session
from db.postgres import LedgerTrouble
from sidecar.customers.attendance import Attendance
from sidecar.customers.state import First, first_of, page_of, state_frames
from sidecar.live.connection import NO_SESSION, POLICY, TRY_AGAIN, Connection
from sidecar.live.frames import Frame
from sidecar.live.hub import ACK
from sidecar.live.parts import CUSTOMER_BURST, Parts
from sidecar.live.talk import Talk, ack_of, typing_news
from sidecar.live.tasks import ended
from sidecar.web.answers import Refused, why_not

log = logging.getLogger("sidecar.sockets")

SOCKETS_A_SESSION = 20  # pages of one customer, in this sidecar
OPENINGS_AT_ONCE = 200  # sockets that ask the database for their beginning; others stand in line for it
ROUNDS_MOST = 50  # of catching up with a room that goes on meanwhile


class CustomerSockets:
    def __init__(self, parts: Parts, attendance: Attendance) -> None:
        self._parts, self._attendance = parts, attendance
        self._openings = asyncio.Semaphore(OPENINGS_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/public/{key}", self.socket)]

    async def socket(self, request: web.Request) -> web.StreamResponse:
        rate = float(self._parts.config.messages_a_second)
        connection = Connection(rate, rate * CUSTOMER_BURST)
        return await self._parts.sockets.serve(request, connection, self._customer, request.match_info["key"])

    async def _customer(self, request: web.Request, connection: Connection) -> None:
        parts, key = self._parts, request.match_info["key"]
        try:
            async with self._openings:
                session = await parts.visitors.session(request, key)
        except Refused as refused:
            connection.refuse(refused.code, str(refused))
            connection.close(NO_SESSION if refused.code == "not_found" else TRY_AGAIN, str(refused))
            return
        await parts.turns.come_back(session)
        place = session.tenant, session.room
        if parts.sockets.number(place) >= SOCKETS_A_SESSION:
            connection.refuse("rate_limited", "this chat is open on too many pages")
            connection.close(POLICY, "too many pages")
            return
        with parts.sockets.counted(place, "customer"):
            await self._live(connection, session, key, _after(request))

    async def _live(self, connection: Connection, session: Session, key: str, after: int) -> None:
        parts = self._parts
        parts.hub.enter(session.tenant, session.room, connection)
        self._attendance.came(session)
        await parts.feed.open(session.tenant)
        talk = CustomerTalk(parts, connection, session, after)
        resume = asyncio.create_task(self._resume(connection, session, key, after))
        try:
            await connection.listen(talk.heard)
        finally:
            parts.hub.leave(session.tenant, session.room, connection)
            self._attendance.went(session)
            await ended(resume)
            await parts.feed.close(session.tenant)

    async def _resume(self, connection: Connection, session: Session, key: str, after: int) -> None:
        """State, then the rows that were missed, then live. What happens meanwhile is fetched, not kept."""
        try:
            async with self._openings:
                line = self._parts.positions.line(session.tenant)
                first = await self._parts.store.run(lambda cur: first_of(cur, key, after, line))
            if first is None:  # forgotten a moment ago
                connection.close(NO_SESSION, "no such session")
                return
            found = first.state
            place = self._parts.positions.place(found.line, session.room, found.position) if found.position else None
            for kind, payload in state_frames(found, place):
                connection.say(kind, payload)
            if place:
                self._parts.positions.begun(session.tenant, place)
            await self._send_rest(connection, first)
        except LedgerTrouble as error:
            log.warning(logs.line("socket_closed", room=None, why=error))
            connection.close(TRY_AGAIN, f"{why_not(error)}: come back")
        except Exception:
            log.exception(logs.line("resume_failed"))
            connection.close(TRY_AGAIN, "come back")

    async def _send_rest(self, connection: Connection, first: First) -> None:
        hub, found = self._parts.hub, first.state
        session, got, page = found.session, first.after, first.page
        for _ in range(ROUNDS_MOST):
            for row, news in page.rows:
                self._send(connection, row, news)
                got = connection.history = row.seq
            await connection.taken()
            is_open = found.view["status"] != "ended"
            if not page.more and hub.catch_up(session.tenant, session.room, connection, got, is_open):
                return
            page = await self._parts.store.run(functools.partial(page_of, found=found, after=got))
        connection.close(TRY_AGAIN, "come back")

    def _send(self, connection: Connection, row: Message, news: Sequence[News]) -> None:
        """A row of the history; what this socket sent itself meanwhile is acknowledged with it."""
        payload = payloads.payload_of(row, with_client_id=row.sender_type == "customer")
        connection.say(chat.NEW, payload)
        for one in news:
            if one.to != "agents" and one.type != chat.NEW:
                connection.say(one.type, one.payload)
        if connection.pending.pop((row.room, row.client_id), None) is not None:
            connection.say(ACK, ack_of(row))


class CustomerTalk(Talk):
    """Its frames need no `session_id`; one that names another session is about nothing that is known here."""

    def __init__(self, parts: Parts, connection: Connection, session: Session, after: int) -> None:
        """`after`: what the page has seen before it came."""
        super().__init__(parts, connection)
        self._session, self._after = session, after

    async def heard(self, frame: Frame) -> None:
        named = frame.payload.get("session_id")
        if named is None or named == self._session.room:
            await super().heard(frame)
        else:
            client_id = frame.payload.get("client_id")
            self._connection.refuse("not_found", "no such session", client_id, session_id=named)

    async def _send(self, payload: dict[str, Any]) -> None:
        session = self._session
        self._parts.typed.forget(f"{session.room} customer")  # who hears the message takes the typing to be over
        wait_s = self._parts.messages.take(session.room, self._connection.came)
        if wait_s:
            self._connection.refuse(
                "rate_limited", "too many messages", payload["client_id"], retry_after=round(wait_s, 2)
            )
            return
        self._submit(session.room, chat.from_customer(session, payload["body"], payload["client_id"]))

    async def _type(self, payload: dict[str, Any]) -> None:
        session = self._session
        if not self._types(f"{session.room} customer", payload["is_typing"]):
            return
        typing = typing_news(session.room, payload["is_typing"], "customer", session.customer_name)
        self._parts.feed.tell(session.tenant, [typing], but=self._connection)

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        self._parts.receipts.put(self._session.id, f"customer_{kind}", payload["up_to_seq"])

    def _is_told(self, message: Message) -> bool:
        """While the history is being sent, a row that is still to come brings its acknowledgement with it."""
        got, history = self._connection.got, self._connection.history
        return message.seq <= (max(self._after, history) if got is None else got)


def _after(request: web.Request) -> int:
    value = request.query.get("after", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else 0
