"""The customers' REST: start a session, look at it, write, end, rate, keep a transcript. Before `turns` and `writer`.

What opens a session is its key, and nothing else: it is in the path, unguessable, and only its digest is stored. Also
the way for pages where no socket works.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from psycopg2.extensions import cursor

import logs
from db import chat, payloads, people, rules
from db.announce import News
from db.chat import Session
from db.sessions import Who
from db.turn import TurnRefused
from sidecar.bot.answers import LANGUAGES
from sidecar.customers.attendance import Attendance
from sidecar.customers.properties import are_proved, is_right, properties_of, topic_of
from sidecar.customers.state import State, state
from sidecar.files import transcripts
from sidecar.live.parts import Parts
from sidecar.live.positions import eta
from sidecar.live.turns import Started
from sidecar.web import fields
from sidecar.web.answers import Refused, answer, answering, keep_pace, taken
from sidecar.web.pace import Paces, Windows
from sidecar.web.requests import checked, json_of, message_of, text_of, whole_number

log = logging.getLogger("sidecar.sessions")

COMMENT_MOST = 2000
LANGUAGE_MOST = 35  # characters of a name of a language
LOOKS_A_SECOND, LOOKS_AT_ONCE = 20.0, 200.0  # of one session: a page that polls asks every two seconds
TRANSCRIPT_EVERY_S, TRANSCRIPTS_AT_ONCE = 3.0, 5.0
MINUTE_S = 60.0
ID_BYTES = 6  # of a number that every JSON reader keeps whole

Handler = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]


class Sessions:
    def __init__(self, parts: Parts, attendance: Attendance) -> None:
        self._parts, self._store, self._attendance = parts, parts.store, attendance
        self._new = Windows(parts.config.sessions_a_minute, MINUTE_S)
        self._looks = Paces(LOOKS_A_SECOND, LOOKS_AT_ONCE)
        self._transcripts = Paces(1 / TRANSCRIPT_EVERY_S, TRANSCRIPTS_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        one = "/api/v1/public/sessions/{key}"
        return [
            web.post("/api/v1/public/sessions", answering(self.start)),
            web.get(one, self._of_key(self.look)),
            web.post(f"{one}/messages", self._of_key(self.send)),
            web.post(f"{one}/read", self._of_key(self.read)),
            web.post(f"{one}/end", self._of_key(self.end)),
            web.post(f"{one}/rating", self._of_key(self.rate)),
            web.get(f"{one}/transcript", self._of_key(self.transcript)),
        ]

    def _of_key(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answered(request: web.Request) -> web.StreamResponse:
            session = await self._parts.visitors.session(request, request.match_info["key"])
            await self._parts.turns.come_back(session)
            return await handler(request, session)

        return answering(answered)

    async def start(self, request: web.Request) -> web.StreamResponse:
        """What is refused for another reason counts for no limit."""
        self._let_in(request, self._new.wait_s)
        found = await json_of(request)
        name, email = _name(found), _email(found)
        first = found.get("message")
        message = None if first is None or first == "" else checked("message", first, fields.body)
        language = _language(found)
        properties = properties_of(found)
        tenant = await self._store.run(lambda cur: _tenant(cur, found))
        beside = await self._store.run(lambda cur: _beside(cur, tenant, email, properties, found))
        self._let_in(request, self._new.take)
        who = Who(email, name, origin=self._origin(request), language=language, properties=properties, **beside)
        try:
            started = await self._parts.turns.start(tenant, who, message)
        except TurnRefused as refused:
            if refused.code == "too_many_open":
                raise Refused("rate_limited", "too many chats of yours are open: end one first", MINUTE_S) from None
            raise Refused("invalid_payload", "tenant_id: there is no such chat") from None
        if message:
            self._parts.writer.heard(tenant, started.room, message, 0)
        return answer(_started(started, self._customer_id(started, tenant, who.proved)), 201)

    def _customer_id(self, started: Started, tenant: str, proved: bool) -> int:
        """The same for each chat of who proved their address. Of others it tells nothing: a running number, the same
        for one address, would tell any stranger who writes that address whether somebody ever chatted with it."""
        who = ("customer", tenant, str(started.customer), "" if proved else started.room)
        return int.from_bytes(people.login_subject(self._parts.config.secret_key, *who)[:ID_BYTES])

    def _origin(self, request: web.Request) -> bytes:
        """Of the address, so that who reads the database can't tell it."""
        return people.login_subject(self._parts.config.secret_key, "address", self._parts.door.subject(request))

    def _let_in(self, request: web.Request, wait_s_of: Callable[[str, float], float]) -> None:
        subject = self._parts.door.subject(request)
        wait_s = wait_s_of(subject, time.monotonic())
        if wait_s:
            self._parts.strangers.say(subject, "rate_limited", "sessions")
            raise Refused("rate_limited", "too many new chats from your network: try again soon", wait_s)

    async def look(self, request: web.Request, session: Session) -> web.StreamResponse:
        """A page that says what it has, has got it."""
        keep_pace(self._looks, session.room, "too many requests")
        self._attendance.polled(session)
        after, key = whole_number(request, "after") or 0, request.match_info["key"]

        def read(cur: cursor) -> tuple[State, chat.Page]:
            found = state(cur, key)
            if found is None:  # forgotten a moment ago
                raise Refused("not_found", "no such session")
            start = after if after <= found.view["last_seq"] else 0
            return found, chat.page_after(cur, session, start)

        found, page = await self._store.run(read)
        if 0 < after <= found.view["last_seq"]:
            self._parts.receipts.put(session.id, "customer_got", after)
        place = self._parts.positions.place(found.line, session.room, found.position) if found.position else None
        return answer(_shown(found, page, place), headers={"Cache-Control": "no-store"})

    async def send(self, request: web.Request, session: Session) -> web.StreamResponse:
        keep_pace(self._parts.messages, session.room, "too many messages")
        body, client_id = await message_of(request)
        stored = taken(await self._parts.writer.write(chat.from_customer(session, body, client_id)))
        payload = payloads.payload_of(stored, with_client_id=True)
        return answer({**payload, "message": payload}, 201 if stored.fresh else 200)

    async def read(self, request: web.Request, session: Session) -> web.StreamResponse:
        up_to = checked("up_to_seq", (await json_of(request)).get("up_to_seq"), fields.seq)
        self._parts.receipts.put(session.id, "customer_read", up_to)
        return answer({})

    async def end(self, request: web.Request, session: Session) -> web.StreamResponse:
        await self._parts.turns.end(session.tenant, session.room, "customer", session.customer_name)
        return answer({"session_id": session.room, "status": "ended"})

    async def rate(self, request: web.Request, session: Session) -> web.StreamResponse:
        """As often as they change their mind."""
        keep_pace(self._parts.messages, session.room, "too many ratings")
        found = await json_of(request)
        rating = found.get("rating")
        if isinstance(rating, bool) or not isinstance(rating, int) or not 1 <= rating <= 5:
            raise Refused("invalid_payload", "rating: must be a whole number from 1 to 5")
        comment = text_of(found, "comment", COMMENT_MOST) if found.get("comment") else None
        row = await self._store.run(lambda cur: chat.rate(cur, session.id, rating, comment))
        payload = {"session_id": row.room, "rating": row.rating, "rating_comment": row.rating_comment}
        self._parts.tell(session.tenant, [News(row.room, "chat.session.rated", payload)])
        log.info(logs.line("session_rated", tenant=session.tenant, room=session.room, rating=rating))
        return answer(payload)

    async def transcript(self, request: web.Request, session: Session) -> web.StreamResponse:
        keep_pace(self._transcripts, session.room, "too many transcripts")
        return await transcripts.download(request, self._store, session.tenant, session.room)


def _name(found: dict[str, Any]) -> str:
    given = found.get("name")
    name = people.shown_name(given) if isinstance(given, str) else None
    if name is None:
        most = people.NAME_MOST
        raise Refused("invalid_payload", f"name: must be 1 to {most} characters that can be shown, on one line")
    return name


def _email(found: dict[str, Any]) -> str:
    email = text_of(found, "email", people.EMAIL_MOST)
    if not people.is_email(email):
        raise Refused("invalid_payload", "email: must be an e-mail address")
    return email


def _tenant(cur: cursor, found: dict[str, Any]) -> str:
    """The one that is named, else the only one there is."""
    named = found.get("tenant_id")
    known = [row.id for row in chat.tenants(cur)]
    if named is None or named == "":
        if len(known) == 1:
            return str(known[0])
        raise Refused("invalid_payload", "tenant_id: must be given here")
    if not isinstance(named, str) or named not in known:
        raise Refused("invalid_payload", "tenant_id: there is no such chat")
    return named


def _beside(cur: cursor, tenant: str, email: str, properties: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Of `Who`, what the tenant's secret proves, and what its rules know."""
    is_signed = found.get("user_hash") or found.get("properties_hash")
    secret = chat.proof_key(cur, tenant) if is_signed else None
    return {
        "proved": _proved(email, secret, found.get("user_hash")),
        "vouched": are_proved(email, properties, secret, found.get("properties_hash")),
        "topic": topic_of(found, rules.of(cur, tenant)[0].rules if found.get("topic") else None),
    }


def _proved(email: str, secret: str | None, given: object) -> bool:
    """Whether the site that embeds the widget vouches for the address: HMAC-SHA256 of it with the tenant's secret."""
    if given is None or given == "" or secret is None:
        return False
    if not is_right(email, secret, given):
        raise Refused("forbidden", "user_hash: does not prove this e-mail address")
    return True


def _language(found: dict[str, Any]) -> str | None:
    """As browsers name it (`id-ID`). One that nothing here speaks is as none."""
    given = found.get("language")
    if given is None:
        return None
    if not isinstance(given, str) or len(given) > LANGUAGE_MOST:
        raise Refused("invalid_payload", "language: must be a short text such as en or id")
    first = given.lower().partition("-")[0]
    return first if first in LANGUAGES else None


def _started(started: Started, customer_id: int) -> dict[str, Any]:
    return {
        "session_id": started.room,
        "session_key": started.key,
        "customer_id": customer_id,
        "status": "waiting",
        "position": started.position,
    }


def _shown(found: State, page: chat.Page, place: dict[str, Any] | None) -> dict[str, Any]:
    view = found.view
    line = found.line
    nowhere: dict[str, Any] = {"position": None, "waiting": line.waiting, **eta(None), "agents_online": line.online}
    nowhere["closed"] = line.rules.closed
    return {
        "session_id": view["session_id"],
        "status": view["status"],
        **(place or nowhere),
        "agent": view["agent"],
        "customer": {"name": view["customer"]["name"], "email": view["customer"]["email"]},
        "ended_by": (view["ended_by"] or "").partition(":")[0] or None,
        "last_seq": view["last_seq"],
        "agent_read": view["agent_read"],
        "agent_got": found.agent_got,
        "rating": view["rating"],
        "messages": [payloads.payload_of(row, with_client_id=row.sender_type == "customer") for row in page.rows],
        "more": page.more,
    }
