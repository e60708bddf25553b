"""The agents' REST: login, queue, sessions, search, notes, colleagues. Before it the agent page; after it `login`,
`seats`, `turns` and the `writer`.

The tenant comes from the token and from nowhere else, and every look at the database is of that tenant: another
tenant's ids are unknown here.
"""

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any

from aiohttp import web
from psycopg2.extensions import cursor

import logs
from db import chat, console, payloads
from db.announce import News
from db.chat import Session
from db.logins import LoginLater, LoginRefused, NoTenantNamed
from db.people import Agent
from sidecar.agents.login import Login
from sidecar.agents.presence import AWAY, ONLINE, Presence
from sidecar.agents.seats import Seats
from sidecar.agents.team import Team
from sidecar.files import transcripts
from sidecar.live.parts import Parts
from sidecar.web import answers, fields
from sidecar.web.answers import Refused, answer, answering, keep_pace, taken
from sidecar.web.pace import Paces
from sidecar.web.requests import checked, json_of, message_of, text_of, token_of, whole_number, yes_or_no

log = logging.getLogger("sidecar.console")

RATE, BURST = 50.0, 200.0  # requests of one agent, as frames of one socket
PAGE = 50  # sessions
QUEUE_MOST = 200
FOUND_MOST = 50
SEARCHES_AT_ONCE = 2  # of the store's threads: the rest are for messages
Q_MOST = 200  # characters looked for
NOTE_MOST = 5000
NOTES_MOST = 500  # of one chat: each page that opens it loads them all
TRANSCRIPTS_A_SECOND, TRANSCRIPTS_AT_ONCE = 0.5, 10  # of one agent: one may have 10 MiB
REPLY_MOST, REPLIES_MOST = 4000, 500
STATUSES: Mapping[str, tuple[str, ...] | None] = {
    "": None,
    "all": None,
    "open": console.OPEN,
    "waiting": ("waiting",),
    "active": ("active",),
    "ended": ("ended",),
}
_SHORTCUT = re.compile(r"[^\s/]{1,32}")

Handler = Callable[[Agent, web.Request], Awaitable[web.StreamResponse]]


class Console:
    def __init__(self, parts: Parts, login: Login, presence: Presence, seats: Seats, team: Team) -> None:
        self._parts, self._store = parts, parts.store
        self._login, self._presence, self._seats, self._team = login, presence, seats, team
        self._paces = Paces(RATE, BURST)
        self._transcripts = Paces(TRANSCRIPTS_A_SECOND, TRANSCRIPTS_AT_ONCE)
        self._searches = asyncio.Semaphore(SEARCHES_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        one = "/api/v1/sessions/{room:[0-9A-Za-z_-]{1,64}}"
        agents: list[tuple[str, str, Handler]] = [
            ("PUT", "/api/v1/me/presence", self.wish),
            ("POST", "/api/v1/me/here", self.here),
            ("GET", "/api/v1/agents", self.agents),
            ("GET", "/api/v1/queue", self.queue),
            ("POST", "/api/v1/queue/{room:[0-9A-Za-z_-]{1,64}}/pick", self.pick),
            ("GET", "/api/v1/sessions", self.sessions),
            ("GET", one, self.session),
            ("GET", f"{one}/messages", self.messages),
            ("POST", f"{one}/messages", self.send),
            ("POST", f"{one}/assign", self.assign),
            ("POST", f"{one}/transfer", self.assign),
            ("POST", f"{one}/end", self.end),
            ("GET", f"{one}/notes", self.notes),
            ("POST", f"{one}/notes", self.note),
            ("POST", f"{one}/read", self.read),
            ("GET", f"{one}/transcript", self.transcript),
            ("GET", "/api/v1/search", self.search),
            ("GET", "/api/v1/canned", self.canned),
            ("PUT", "/api/v1/canned", self.put_canned),
        ]
        login = web.post("/api/v1/auth/login", answering(self.log_in))
        who = self._parts.visitors.anyone
        anyone = [
            web.post("/api/v1/auth/logout", self._for(who, self.logout)),
            web.get("/api/v1/me", self._for(who, self.me)),
        ]
        rest = [web.route(method, path, self._for_agents(handler)) for method, path, handler in agents]
        return [login, *anyone, *rest]

    def _for_agents(self, handler: Handler) -> answers.Handler:
        return self._for(self._parts.visitors.agent, handler)

    def _for(self, known: Callable[[web.Request], Awaitable[Agent]], handler: Handler) -> answers.Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            agent = await known(request)
            keep_pace(self._paces, f"{agent.tenant} {agent.agent_id}", "too many requests")
            return await handler(agent, request)

        return answering(answered)

    # --- who

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        found = await json_of(request)
        tenant = text_of(found, "tenant_id", 64) if found.get("tenant_id") is not None else None
        email, password = text_of(found, "email", 254), found.get("password")
        if not isinstance(password, str) or not 0 < len(password) <= 1024:
            raise Refused("invalid_payload", "password: must be a string of 1 to 1024 characters")
        try:
            entry = await self._login.login(tenant, email, password, self._parts.visitors.address_of(request))
        except LoginRefused:
            raise Refused("unauthorized", "wrong e-mail or password") from None
        except LoginLater as later:
            raise Refused("rate_limited", "too many failed logins: try again later", later.wait_s) from None
        except NoTenantNamed:
            why = "tenant_id: must be given here, unless the e-mail or password is wrong"
            raise Refused("invalid_payload", why) from None
        if entry.was_away:
            await self._presence.wish(entry.agent, ONLINE)  # it is already: colleagues and the line hear of it
        about = {"token": entry.token, "expires_at": payloads.iso(entry.expires_at)}
        return answer({**about, "agent": await self._shown(entry.agent)})

    async def logout(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        await self._login.logout(token_of(request))
        return answer({})

    async def me(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        return answer({"agent": await self._shown(agent)})

    async def wish(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        wish = (await json_of(request)).get("presence")
        if wish not in (ONLINE, AWAY):
            raise Refused("invalid_payload", f"presence: must be {ONLINE} or {AWAY}")
        presence = await self._presence.wish(agent, wish)
        return answer({"agent": _own(agent, presence)})

    async def here(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        """For pages that no socket reaches: they say so each time they ask."""
        await self._presence.polled(agent)
        return await self.me(agent, request)

    async def agents(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        read = self._team.read
        return answer({"agents": await self._store.run(lambda cur: read(cur, agent.tenant))})

    async def _shown(self, agent: Agent) -> dict[str, Any]:
        presence = await self._presence.of(agent) if agent.has_chats else None
        return _own(agent, presence)

    # --- lists

    async def queue(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        shown, waiting = await self._store.run(lambda cur: console.queue(cur, agent.tenant, QUEUE_MOST))
        return answer({"sessions": shown, "waiting": waiting})

    async def sessions(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        status = request.query.get("status", "")
        if status not in STATUSES:
            raise Refused("invalid_payload", f"status: must be one of {', '.join(filter(None, STATUSES))}")
        values: dict[str, Any] = {
            "statuses": STATUSES[status],
            "agent": agent.agent_id if yes_or_no(request, "mine") else None,
            "q": fields.clean(request.query.get("q", "")).strip()[:Q_MOST] or None,
            "before": whole_number(request, "cursor"),
        }
        async with self._searches if values["q"] else nullcontext():
            rows = await self._store.run(lambda cur: console.sessions(cur, agent.tenant, PAGE + 1, **values))
        following = str(rows[PAGE - 1].id) if len(rows) > PAGE else None
        return answer({"sessions": [payloads.session_payload(row) for row in rows[:PAGE]], "next": following})

    async def search(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        q = fields.clean(request.query.get("q", "")).strip()
        if not 0 < len(q) <= Q_MOST:
            raise Refused("invalid_payload", f"q: must have 1 to {Q_MOST} characters")
        async with self._searches:
            results, more = await self._store.run(lambda cur: console.search(cur, agent.tenant, q, FOUND_MOST))
        return answer({"results": results, "more": more})

    # --- one session

    async def session(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]

        def look(cur: cursor) -> dict[str, Any] | None:
            view = payloads.session_view(cur, agent.tenant, room)
            if view is None:
                return None
            visits = console.earlier(cur, agent.tenant, view["customer"]["id"], room)
            return {**view, "notes": console.notes(cur, agent.tenant, room), "visits": visits}

        return answer(_known(await self._store.run(look)))

    async def messages(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        room, after = request.match_info["room"], whole_number(request, "after") or 0

        def look(cur: cursor) -> chat.Page:
            return chat.page_after(cur, _session(cur, agent, room), after)

        rows, more = await self._store.run(look)
        own = agent.agent_id
        shown_rows = [payloads.payload_of(row, with_client_id=row.sender_id == own) for row in rows]
        return answer({"messages": shown_rows, "more": more})

    async def send(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        (body, client_id), room = await message_of(request), request.match_info["room"]
        session = await self._store.run(lambda cur: _session(cur, agent, room))
        stored = taken(await self._parts.writer.write(chat.from_agent(session.id, agent, body, client_id)))
        return answer(payloads.payload_of(stored, with_client_id=True), 201 if stored.fresh else 200)

    async def read(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        up_to = checked("up_to_seq", (await json_of(request)).get("up_to_seq"), fields.seq)
        room = request.match_info["room"]
        session = await self._store.run(lambda cur: _session(cur, agent, room))
        if session.agent != agent.agent_id and not agent.is_supervisor:
            raise Refused("forbidden", "this chat has another agent")
        if session.agent == agent.agent_id:  # what a supervisor has seen, the customer's own agent has not
            self._parts.receipts.put(session.id, "agent_read", up_to)
        return answer({"session_id": session.room, "up_to_seq": min(up_to, session.last_seq)})

    async def transcript(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        keep_pace(self._transcripts, f"{agent.tenant} {agent.agent_id}", "too many transcripts")
        return await transcripts.download(request, self._store, agent.tenant, request.match_info["room"])

    # --- turns

    async def pick(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]
        await self._seats.pick(agent.tenant, room, agent)
        return await self._as_it_is(agent, room)

    async def assign(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        room, to = request.match_info["room"], text_of(await json_of(request), "agent_id", 64)
        await self._seats.assign(agent.tenant, room, to, agent)
        return await self._as_it_is(agent, room)

    async def end(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]

        def may(session: Any) -> bool:
            return session.status == "waiting" or session.agent == agent.agent_id or agent.is_supervisor

        await self._parts.turns.end(agent.tenant, room, f"agent:{agent.agent_id}", agent.name, may)
        return await self._as_it_is(agent, room)

    async def _as_it_is(self, agent: Agent, room: str) -> web.Response:
        view = await self._store.run(lambda cur: payloads.session_view(cur, agent.tenant, room))
        return answer({"session": _known(view)})

    # --- notes and canned replies

    async def notes(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]

        def look(cur: cursor) -> list[dict[str, Any]]:
            return console.notes(cur, agent.tenant, _session(cur, agent, room).room)

        return answer({"notes": await self._store.run(look)})

    async def note(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        """Told to agents only; it is no row of the chat, so that nothing of the customer's ever reads it."""
        room, body = request.match_info["room"], text_of(await json_of(request), "body", NOTE_MOST)
        add = functools.partial(_add_note, agent=agent, room=room, body=body)
        stored = _known(await self._store.run(add))
        self._parts.tell(agent.tenant, [News(room, "chat.note.new", {"session_id": room, "note": stored}, "agents")])
        return answer({"note": stored}, 201)

    async def canned(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        return answer({"canned": await self._store.run(lambda cur: console.canned(cur, agent.tenant))})

    async def put_canned(self, agent: Agent, request: web.Request) -> web.StreamResponse:
        if not agent.is_supervisor:
            raise Refused("forbidden", "canned replies are changed by supervisors")
        replies = _replies(await json_of(request))
        await self._store.run(lambda cur: console.replace_canned(cur, agent.tenant, replies))
        log.info(logs.line("canned_replaced", tenant=agent.tenant, agent=agent.agent_id, number=len(replies)))
        changed = {"agent_id": agent.agent_id, "name": agent.name}
        self._parts.tell(agent.tenant, [News(None, "chat.canned.changed", changed, "agents")])
        return await self.canned(agent, request)


def shown(agent: Agent) -> dict[str, Any]:
    """An agent as the API names them, without the presence."""
    return {"agent_id": agent.agent_id, "name": agent.name, "email": agent.email, "role": agent.role}


def _own(agent: Agent, presence: str | None) -> dict[str, Any]:
    """To themselves. An operator has no tenant; whoever has no chats, no presence."""
    return {**shown(agent), "presence": presence, "tenant_id": agent.tenant or None}


def _add_note(cur: cursor, agent: Agent, room: str, body: str) -> dict[str, Any] | None:
    """Agents who write at one moment may get one more in."""
    if console.count_notes(cur, agent.tenant, room) >= NOTES_MOST:
        raise Refused("invalid_payload", f"body: this chat has {NOTES_MOST} notes, and no more are kept of one")
    return console.add_note(cur, agent.tenant, room, agent.agent_id, agent.name, body)


def _session(cur: cursor, agent: Agent, room: str) -> Session:
    return _known(chat.by_room(cur, agent.tenant, room))


def _known(found: Any) -> Any:
    if found is None:
        raise Refused("not_found", "no such session")
    return found


def _replies(found: Mapping[str, Any]) -> dict[str, str]:
    rows = found.get("canned")
    if not isinstance(rows, list) or len(rows) > REPLIES_MOST or not all(isinstance(row, dict) for row in rows):
        raise Refused("invalid_payload", f"canned: must be a list of at most {REPLIES_MOST} objects")
    replies = {}
    for row in rows:
        shortcut, body = text_of(row, "shortcut", 33).removeprefix("/"), text_of(row, "body", REPLY_MOST)
        if not _SHORTCUT.fullmatch(shortcut):
            raise Refused("invalid_payload", "shortcut: 1 to 32 characters without spaces and slashes")
        replies[shortcut] = body
    return replies
