"""Both sides of a chat for a path test, as asyncio clients that behave as our pages do.

async with People(home) as people:                      # a `chathouse.ChatHouse`
    budi = await people.customer(shop, "Budi")
    ani = await people.agent(shop, "ani")
    await budi.until(lambda: budi.status == "active")
    budi.say("hello")
    await ani.until(lambda: "hello" in ani.bodies(budi.room))

They come back by themselves, resume after the last row that they show, and send again what was not acknowledged, under
the same client id: of each room one message at a time, and after a pause where they are told that it was too much. What
a page may not be told is kept in `wrong`, and fails the test at the end.
"""

import asyncio
import itertools
import json
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

from testbed.chathouse import ChatHouse, Shop

API = "/api/v1"
AGAIN_S = 0.1  # until a page tries again after its socket was lost, or a message was not taken
PASSES = ("rate_limited", "unavailable")  # refusals of a moment

Payload = dict[str, Any]


class Page:
    """A page that stays connected. What it shows: `rows`, by room, in the order in which they were shown."""

    ws_path = "/ws"

    def __init__(self, people: "People") -> None:
        self._people, self._http = people, people.http
        self.frames: list[tuple[str, Payload]] = []
        self.rows: dict[str, list[Payload]] = {}
        self.pending: dict[str, tuple[str, str]] = {}  # client id → room, body
        self.under_way: dict[str, str] = {}  # room → the client id that is to be answered before the next one is sent
        self.acked: dict[str, Payload] = {}  # client id → the acknowledgement
        self.sent: dict[str, tuple[str, str]] = {}
        self.wrong: list[str] = []
        self.closes: list[int | None] = []
        self.connects = 0
        self.held_off = False  # the network is gone: no socket, and no tries
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._live = False
        self._ids = itertools.count(1)
        self._own = secrets.token_hex(3)
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- what a test does

    def say(self, body: str, room: str) -> str:
        """The client id. It is sent at once if there is a socket, else after the reconnect."""
        client_id = f"c{self._own}-{next(self._ids)}"
        self.pending[client_id] = self.sent[client_id] = (room, body)
        if self._live:
            self._people.later(self._send_next(room))
        return client_id

    def tell(self, kind: str, payload: Payload) -> None:
        """Any frame."""
        assert self._socket is not None
        self._people.later(self._socket.send_json({"type": kind, "payload": payload}))

    async def drop(self) -> None:
        """The network goes: the socket ends without a goodbye, and nobody tries until `come_back`."""
        self.held_off = True
        if self._socket is not None:
            connection = self._socket._conn
            if connection is not None and connection.transport is not None:
                connection.transport.abort()
        await self.until(lambda: not self._live)

    def come_back(self) -> None:
        self.held_off = False

    async def until(self, condition: Callable[[], Any], within_s: float = 20.0, what: str = "the page's state") -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            self._moved.clear()
            left = deadline - time.monotonic()
            assert left > 0, (
                f"{self}: {what} not within {within_s} s; wrong: {self.wrong[:5]}; last: {self.frames[-5:]}"
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.2)):  # wait_for may lose a cancellation in Python 3.11
                    await self._moved.wait()

    async def all_acked(self, within_s: float = 30.0) -> None:
        await self.until(lambda: not self.pending, within_s, "every message is acknowledged")

    # --- what a test looks at

    def of(self, kind: str) -> list[Payload]:
        return [payload for type_, payload in self.frames if type_ == kind]

    def bodies(self, room: str) -> list[str]:
        """What people wrote, as this page shows it."""
        return [row["body"] for row in self.rows.get(room, []) if row["sender_type"] != "system"]

    def seqs(self, room: str) -> list[int]:
        return [row["seq"] for row in self.rows.get(room, [])]

    def got(self, room: str) -> int:
        rows = self.rows.get(room)
        return rows[-1]["seq"] if rows else 0

    # --- its life

    def open(self) -> None:
        self._task = asyncio.create_task(self._always())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _always(self) -> None:
        while True:
            if not self.held_off:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await self._connect()
            self._live = False
            self._moved.set()
            await asyncio.sleep(AGAIN_S)

    async def _connect(self) -> None:
        url = await self._people.url() + self._path()
        async with self._http.ws_connect(url, max_msg_size=0, heartbeat=None) as socket:
            self._socket = socket
            self.connects += 1
            await self._greet(socket)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    frame = json.loads(message.data)
                    self.frames.append((frame["type"], frame["payload"]))
                    if frame["type"] == "error":
                        self._refused(frame["payload"])
                    await self.heard(frame["type"], frame["payload"])
                    self._moved.set()
            self.closes.append(socket.close_code)

    def _path(self) -> str:
        return self.ws_path

    async def _greet(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        raise NotImplementedError

    async def heard(self, kind: str, payload: Payload) -> None:
        raise NotImplementedError

    async def _ready(self) -> None:
        """Once for each socket, when it is of use: what was not acknowledged is sent again, in its order."""
        self._live = True
        self.under_way.clear()
        for room in dict.fromkeys(room for room, _ in self.pending.values()):
            await self._send_next(room)

    async def _send_next(self, room: str) -> None:
        first = next((client_id for client_id, sent in self.pending.items() if sent[0] == room), None)
        if first is None or room in self.under_way:
            return
        self.under_way[room] = first
        await self._send(first)

    async def _send(self, client_id: str) -> None:
        if client_id not in self.pending or self._socket is None:
            return
        room, body = self.pending[client_id]
        payload = {"session_id": room, "client_id": client_id, "body": body}
        with suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_json({"type": "chat.message.send", "payload": payload})

    def _refused(self, error: Payload) -> None:
        client_id = error.get("client_id", "")
        if error["code"] in PASSES and client_id in self.under_way.values():
            self._people.later(self._send_after(max(AGAIN_S, error.get("retry_after", 0.0)), client_id))

    async def _send_after(self, pause_s: float, client_id: str) -> None:
        await asyncio.sleep(pause_s)
        if client_id in self.under_way.values():
            await self._send(client_id)

    def _settle(self, client_id: str) -> None:
        """The next one of its room may go."""
        self.pending.pop(client_id, None)
        room = self.sent[client_id][0]
        if self.under_way.get(room) == client_id:
            del self.under_way[room]
            if self._live:
                self._people.later(self._send_next(room))

    # --- what it shows

    def _acknowledged(self, payload: Payload) -> None:
        client_id = payload["client_id"]
        if client_id not in self.sent:
            self.wrong.append(f"an acknowledgement of another's {client_id}")
            return
        known = self.acked.setdefault(client_id, payload)
        if (known["seq"], known["id"]) != (payload["seq"], payload["id"]):
            self.wrong.append(f"{client_id} was acknowledged as {known['seq']} and as {payload['seq']}")
        room, body = self.sent[client_id]
        self._settle(client_id)
        self.show({**payload, "session_id": room, "body": body, "sender_type": "own"}, again=True)

    def show(self, row: Payload, again: bool = False) -> None:
        """`again`: it may be known already."""
        rows = self.rows.setdefault(row["session_id"], [])
        last = rows[-1]["seq"] if rows else 0
        if row["seq"] == last + 1:
            rows.append(row)
        elif row["seq"] > last + 1:
            self.wrong.append(f"{row['session_id']}: {row['seq']} after {last}")
            rows.append(row)
        elif not again:
            self.wrong.append(f"{row['session_id']}: {row['seq']} again, after {last}")
        if row.get("client_id") in self.pending:  # stored, but its acknowledgement was lost
            self.acked[row["client_id"]] = row
            self._settle(row["client_id"])


class Customer(Page):
    """A customer's page. The server alone is trusted with the order: nothing here sorts or drops."""

    def __init__(self, people: "People", started: Payload, name: str, asked_at: float) -> None:
        super().__init__(people)
        self.asked_at = asked_at  # the first place is of some moment between this and `placed_at`
        self.room, self.key, self.name = started["session_id"], started["session_key"], name
        self.started = started
        self.status = started["status"]
        self.places: list[int] = [started["position"]]
        self.placed_at = [time.time()]  # when each was told
        self.waitings: list[int] = []
        self.agent: Payload | None = None

    def __repr__(self) -> str:
        return f"{self.name} in {self.room}"

    def say(self, body: str, room: str = "") -> str:
        return super().say(body, self.room)

    def _path(self) -> str:
        return f"/ws/public/{self.key}?after={self.got(self.room)}"

    async def _greet(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._ready()

    async def heard(self, kind: str, payload: Payload) -> None:
        if payload.get("session_id", self.room) != self.room:
            self.wrong.append(f"{kind} of another room: {payload}")
        if kind == "chat.message.new":
            self.show(payload)
        elif kind == "chat.message.ack":
            self._acknowledged(payload)
        elif kind == "chat.queue.position":
            self.status = "waiting"
            self.places.append(payload["position"])
            self.placed_at.append(time.time())
            self.waitings.append(payload["waiting"])
        elif kind in ("chat.session.assigned", "chat.session.transferred"):
            self.status = "active"
        elif kind == "chat.agent.joined":
            self.agent = payload
        elif kind == "chat.session.ended":
            self.status = "ended"
        elif kind in ("chat.note.new", "chat.presence", "chat.queue.changed"):
            self.wrong.append(f"a customer was told {kind}")

    async def rest(self, method: str, path: str = "", **more: Any) -> tuple[int, Any]:
        return await self._people.rest(method, f"/public/sessions/{self.key}{path}", **more)

    async def end(self) -> None:
        status, answer = await self.rest("POST", "/end")
        assert status == 200, answer


class AgentPage(Page):
    """An agent's page: hears all of its tenant; after a reconnect it asks for what it missed, room by room."""

    def __init__(self, people: "People", shop: Shop, name: str, token: str) -> None:
        super().__init__(people)
        self.shop, self.name, self.token = shop, name, token
        self.id = shop.ids[name]
        self.mine: set[str] = set()
        self.rooms: set[str] = set()  # that it shows
        self._early: list[Payload] | None = None
        self._fetched: dict[str, int] = {}  # room → the last row that came by REST, whose frame may still come

    def __repr__(self) -> str:
        return f"agent {self.name}"

    async def _greet(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._early = []
        await socket.send_json({"type": "auth", "payload": {"token": self.token}})

    async def heard(self, kind: str, payload: Payload) -> None:
        if kind == "auth.ok":
            self._people.later(self._caught_up())
        elif kind == "chat.message.new":
            if self._early is not None:
                self._early.append(payload)
            else:
                self._show_live(payload)
        elif kind == "chat.message.ack":
            if self._early is not None:
                self._early.append(payload)
            else:
                self._acknowledged(payload)
        elif kind in ("chat.session.assigned", "chat.session.transferred", "chat.session.released"):
            self._given(payload["session_id"], payload.get("agent_id") if kind != "chat.session.released" else None)

    def _given(self, room: str, agent: str | None) -> None:
        (self.mine.add if agent == self.id else self.mine.discard)(room)

    def _show_live(self, row: Payload) -> None:
        """A room of which nothing was seen begins with its first row. A row is told after its commit, so REST may have
        brought it already."""
        self.rooms.add(row["session_id"])
        if row["seq"] > self._fetched.get(row["session_id"], 0):
            self.show(row)

    async def _caught_up(self) -> None:
        """The state and the missed rows by REST; then what came over the socket meanwhile, of which a part is known."""
        state = await self.get("/sessions?status=open")
        for session in state["sessions"]:
            self._given(session["session_id"], (session["agent"] or {}).get("agent_id"))
            self.rooms.add(session["session_id"])
        while state.get("next"):
            state = await self.get(f"/sessions?status=open&cursor={state['next']}")
            for session in state["sessions"]:
                self._given(session["session_id"], (session["agent"] or {}).get("agent_id"))
                self.rooms.add(session["session_id"])
        for room in sorted(self.rooms):
            await self._fetch(room)
        self._fetched = {room: self.got(room) for room in self.rooms}
        early, self._early = self._early or [], None
        for row in early:
            if "body" not in row:
                self._acknowledged(row)
            else:
                self._show_live(row)
        await self._ready()

    async def _fetch(self, room: str) -> None:
        more = True
        while more:
            found = await self.get(f"/sessions/{room}/messages?after={self.got(room)}")
            for row in found["messages"]:
                self.show(row)
            more = found["more"]

    async def get(self, path: str) -> Any:
        """Tried until somebody answers: a page does so, too."""
        while True:
            try:
                status, answer = await self.rest("GET", path)
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(AGAIN_S)
                continue
            if status == 503:
                await asyncio.sleep(AGAIN_S)
                continue
            assert status == 200, (path, status, answer)
            return answer

    async def rest(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return await self._people.rest(method, path, headers=headers, **more)

    async def end(self, room: str) -> None:
        status, answer = await self.rest("POST", f"/sessions/{room}/end")
        assert status == 200, answer


class People:
    """Everybody of one story; their pages close at its end, and none of them may have been told anything wrong."""

    def __init__(self, home: ChatHouse, *, judge: bool = True) -> None:
        self.home = home
        self.pages: list[Page] = []
        self._judge = judge
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.http: aiohttp.ClientSession

    async def __aenter__(self) -> "People":
        connector = aiohttp.TCPConnector(limit=0)
        self.http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await asyncio.gather(*(page.close() for page in self.pages))
        for task in self._tasks:
            task.cancel()
        await self.http.close()
        if kind is None and self._judge:
            wrong = {str(page): page.wrong[:3] for page in self.pages if page.wrong}
            assert not wrong, wrong

    def later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            for page in self.pages:
                page.wrong.append(repr(task.exception()))

    async def url(self) -> str:
        """Sidecars in turn, as a balancer in front of them would choose."""
        sidecars = self.home.sidecars
        return sidecars[next(self._turn) % len(sidecars)].url

    async def rest(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self.http.request(method, f"{await self.url()}{API}{path}", **more) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.text())

    async def start(self, shop: Shop, name: str, message: str | None = None, **more: Any) -> Customer:
        """A session, its page not yet connected."""
        mail = f"{re.sub('[^a-z0-9]+', '.', name.lower())}@mail.test"
        body = {"tenant_id": shop.id, "name": name, "email": mail, **({"message": message} if message else {}), **more}
        asked_at = time.time()
        status, answer = await self.rest("POST", "/public/sessions", json=body)
        assert status == 201, answer
        made = Customer(self, answer, name, asked_at)
        self.pages.append(made)
        return made

    async def customer(self, shop: Shop, name: str, message: str | None = None, **more: Any) -> Customer:
        made = await self.start(shop, name, message, **more)
        made.open()
        await made.until(lambda: made._live)
        return made

    async def agent(self, shop: Shop, name: str, token: str | None = None) -> AgentPage:
        made = AgentPage(self, shop, name, token or shop.token(name))
        self.pages.append(made)
        made.open()
        await made.until(lambda: made._live)
        return made

    def judge(self, shop: Shop, customers: list[Customer], agents: list[AgentPage]) -> None:
        """P8: of every room, every page shows exactly what is stored, in its order; and what was acknowledged is stored
        once, as it was sent."""
        for customer in customers:
            stored = shop.rows(customer.room)
            seqs = [row.seq for row in stored]
            assert seqs == list(range(1, len(stored) + 1)), f"{customer}: gaps in the database: {seqs}"
            for page in (customer, *agents):
                assert page.seqs(customer.room) == seqs, f"{page} of {customer.room}: {page.seqs(customer.room)}"
                shown = [row["body"] for row in page.rows[customer.room]]
                assert shown == [row.body for row in stored], f"{page} of {customer.room}"
        self._judge_sends(shop, [*customers, *agents], {customer.room for customer in customers})

    def _judge_sends(self, shop: Shop, pages: list[Any], rooms: set[str]) -> None:
        stored = {room: shop.rows(room) for room in rooms}
        for page in pages:
            for client_id, (room, body) in page.sent.items():
                found = [row for row in stored.get(room, []) if row.client_id == client_id]
                assert len(found) <= 1, f"{page}: {client_id} is stored {len(found)} times"
                if client_id in page.acked:
                    assert found, f"{page}: {client_id} was acknowledged and is not stored"
                    assert (found[0].body, found[0].seq) == (body, page.acked[client_id]["seq"])
            for room in rooms:
                own = [row.client_id for row in stored[room] if row.client_id in page.sent]
                order = [client_id for client_id, sent in page.sent.items() if sent[0] == room and client_id in own]
                assert own == order, f"{page} in {room}: stored in another order than sent"
