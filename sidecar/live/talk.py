"""What one socket says, frame by frame. After `connection`, which read it; before `writer`, `receipts` and `feed`.
What a customer and what an agent may say differs: see `sockets` of both rooms.

Messages go to the writer in the order of their coming. Their acknowledgements come back through the hub, in their place
among what the socket hears.
"""

import asyncio
from typing import Any

from db import chat, payloads
from db.announce import News
from db.chat import Message, NotTaken
from db.postgres import LedgerTrouble
from sidecar.live.connection import Connection
from sidecar.live.frames import Frame
from sidecar.live.hub import ACK
from sidecar.live.parts import Parts
from sidecar.web.answers import not_taken, why_not

PENDING_MOST = 256  # messages of one socket that are not acknowledged yet


class Talk:
    """What one socket says. `_session` finds the session that a frame is about, or answers with an error."""

    def __init__(self, parts: Parts, connection: Connection) -> None:
        self._parts, self._connection = parts, connection

    async def heard(self, frame: Frame) -> None:
        try:
            if frame.type == "chat.message.send":
                await self._send(frame.payload)
            elif frame.type == "chat.typing":
                await self._type(frame.payload)
            elif frame.type in ("chat.message.read", "chat.message.delivered"):
                await self._mark(frame.payload, "read" if frame.type == "chat.message.read" else "got")
            elif frame.type == "ping":
                self._connection.say("pong", {})
            else:
                self._connection.refuse("invalid_payload", f"{frame.type}: not now")
        except LedgerTrouble as error:
            client_id = frame.payload.get("client_id")
            self._connection.refuse("unavailable", f"{why_not(error)}: try again", client_id)

    def _types(self, who: str, is_typing: bool) -> bool:
        """Whether that is news: all agents of the tenant would hear each repetition, of twenty pages perhaps."""
        return self._parts.typed.is_news(who, is_typing, self._connection.came)

    async def _send(self, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _type(self, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _mark(self, payload: dict[str, Any], kind: str) -> None:
        raise NotImplementedError

    def _submit(self, room: str, draft: chat.Draft) -> None:
        """In the order of coming. The acknowledgement comes from the hub, in its place; see `_answered`."""
        connection, own = self._connection, (room, draft.client_id)
        if own in connection.pending:
            return  # it is under way: one answer will do
        if len(connection.pending) >= PENDING_MOST:
            connection.refuse("rate_limited", "too many messages are not stored yet", draft.client_id)
            return
        connection.pending[own] = connection.came
        self._parts.writer.submit(draft).add_done_callback(lambda future: self._answered(room, draft, future))

    def _answered(self, room: str, draft: chat.Draft, future: "asyncio.Future[Message | NotTaken]") -> None:
        connection = self._connection
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            connection.pending.pop((room, draft.client_id), None)
            connection.refuse("unavailable", "not stored: try again", draft.client_id, session_id=room)
            return
        answer = future.result()
        if isinstance(answer, NotTaken):
            connection.pending.pop((room, draft.client_id), None)
            connection.refuse(answer.code, str(not_taken(answer)), draft.client_id, session_id=room)
        elif self._is_told(answer) and connection.pending.pop((room, draft.client_id), None) is not None:
            connection.say(ACK, ack_of(answer))

    def _is_told(self, message: Message) -> bool:
        """Its place among what this socket hears has gone by, or will not come."""
        raise NotImplementedError


def ack_of(message: Message) -> dict[str, Any]:
    return {
        "session_id": message.room,
        "client_id": message.client_id,
        "id": message.id,
        "seq": message.seq,
        "created_at": payloads.iso(message.created_at),
    }


def typing_news(room: str, is_typing: bool, by: str, name: str) -> News:
    payload = {"session_id": room, "is_typing": is_typing, "by": by, "name": name}
    return News(room, "chat.typing", payload)
