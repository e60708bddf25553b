"""Our own chat as a desk: the verbs over PostgreSQL, where the sessions are. Called by the pool of desk callers.

The answers are exact, not seconds late. `assign` gives a waiting session to its agent in one transaction, and tells the
sidecars after the commit. The ledger's visit is settled by the worker afterwards, as with any desk.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import redis
from psycopg2.extensions import cursor
from redis.exceptions import RedisError

import logs
from db import announce, chat, payloads
from db.announce import News
from db.native import NATIVE
from db.postgres import LedgerTrouble, why
from room_ids import ROOM_ID
from routing import team as rules
from routing.model import Agents
from routing.texts import fold
from worker.desk.base import Assigned, DeskTrouble, RoomRefused, RoomTaken, RoomView, RosterAgent, Team, UnservedRoom
from worker.desk.connections import AllBusy, Connections

log = logging.getLogger(__name__)

Tell = Callable[[str, Sequence[News]], None]


def publisher(client: redis.Redis, scope: str) -> Tell:
    """News to this installation's sidecars. Lost while Redis is away: they find stored rows by themselves."""

    def tell(tenant: str, news: Sequence[News]) -> None:
        try:
            client.publish(announce.channel(tenant, scope), announce.packed(news))
        except RedisError as error:
            log.warning(logs.line("news_lost", tenant=tenant, why=type(error).__name__))

    return tell


class NativeDesk:
    """The verbs of `base.Desk` for one tenant. May be shared by all threads."""

    def __init__(self, tenant: str, connections: Connections, tell: Tell) -> None:
        self._tenant = tenant
        self._connections = connections
        self._tell = tell

    def roster(self, room: str) -> list[RosterAgent]:
        """No counts: whoever gives a chat, also by hand, takes a seat in the ledger, so nothing is foreign to it."""
        with self._asked("roster") as cur:
            rows = NATIVE.all(cur, "roster", tenant=self._tenant)
        return [RosterAgent(row.id, row.name, row.available, None) for row in rows]

    def team(self, room: str, who: Agents, channel: str = "") -> Team:
        """Exact, as the roster is; the desk names all its agents for every room."""
        with self._asked("team") as cur:
            rows = NATIVE.all(cur, "team", tenant=self._tenant)
        serving = {row.id: RosterAgent(row.id, row.name, row.available, None) for row in rows if row.serves}
        agents = [rules.Agent(row.id, row.email) for row in rows if row.serves]
        found = rules.who_is_named(who, agents, _members(rows), serving.keys())
        return Team(tuple(serving[id_] for id_ in sorted(found.agents)), found.missing)

    def say(self, room: str, text: str) -> None:
        """A row of the chat that its customer and the agents read; no answer to anybody, and counted as none."""
        with self._asked("say", changes=True) as cur:
            if self._session(cur, "session", _checked(room)).status == "ended":
                raise RoomRefused("the session has ended")
            message = chat.add_event(cur, self._tenant, room, {"type": "notice"}, text)
            news = payloads.happened(cur, message)
        self._tell(self._tenant, news)

    def assign(self, room: str, agent: str) -> Assigned:
        """The same pair again is the same answer."""
        with self._asked("assign", changes=True) as cur:
            news = self._give(cur, _checked(room), agent)
        if news:
            self._tell(self._tenant, news)
        return Assigned(None)

    def look(self, room: str) -> RoomView:
        with self._asked("look") as cur:
            row = self._session(cur, "look", _checked(room))
        return RoomView(waiting=row.status == "waiting", resolved=row.status == "ended")

    def agents_in(self, room: str) -> list[str]:
        with self._asked("agents_in") as cur:
            row = self._session(cur, "look", _checked(room))
        return [row.agent] if row.status == "active" else []

    def unserved(self) -> list[UnservedRoom]:
        """A session that stands in the line is never without its visit; one that is would be found by this."""
        with self._asked("unserved") as cur:
            rows = NATIVE.all(cur, "unserved", tenant=self._tenant)
        return [UnservedRoom(row.room, chat.CLASS, row.created_s, chat.CLASS) for row in rows]

    def suggest(self, source: str) -> RosterAgent | None:
        with self._asked("suggest") as cur:
            row = NATIVE.one(cur, "suggest", tenant=self._tenant)
        return RosterAgent(row.id, row.name, True, None) if row else None

    def _give(self, cur: cursor, room: str, agent: str) -> list[News]:
        """What is to be told after the commit; nothing where the agent has the room already."""
        seat = NATIVE.one(cur, "seat", tenant=self._tenant, room=room)
        session = self._session(cur, "session", room)
        if session.status == "ended":
            raise RoomRefused("the session has ended")
        if session.status == "active":
            if session.agent != agent:
                raise RoomTaken("another agent has the session")
            return []
        if seat is not None and seat.agent != agent:  # decided otherwise while this caller was frozen
            raise RoomRefused("the seat is not this agent's any more")
        account = NATIVE.one(cur, "account", tenant=self._tenant, agent=agent)
        if account is None:
            raise RoomRefused("no such agent, or disabled")
        NATIVE.run(cur, "give", session=session.id, agent=agent)
        event = {"type": "assigned", "agent_id": agent, "name": account.name}
        message = chat.add_event(cur, self._tenant, room, event, f"{account.name} joined the chat")
        return payloads.happened(cur, message)

    def _session(self, cur: cursor, block: str, room: str) -> Any:
        row = NATIVE.one(cur, block, tenant=self._tenant, room=room)
        if row is None:
            raise RoomRefused("no such session")
        return row

    @contextmanager
    def _asked(self, verb: str, changes: bool = False) -> Iterator[cursor]:
        """One transaction. A commit whose answer was lost may have been applied."""
        try:
            with self._connections.transaction() as cur:
                yield cur
        except AllBusy as error:
            raise DeskTrouble(f"{verb}: {error}", maybe_applied=False) from None
        except LedgerTrouble as error:
            raise DeskTrouble(f"{verb}: PostgreSQL: {error}"[:120], maybe_applied=changes) from None
        except psycopg2.Error as error:
            raise DeskTrouble(f"{verb}: PostgreSQL: {why(error)}"[:120], maybe_applied=False) from None


def _members(rows: Iterable[Any]) -> dict[str, set[str]]:
    """Division → who of it may be given chats; nobody, perhaps."""
    members: dict[str, set[str]] = {}
    for row in rows:
        for name in row.divisions:
            members.setdefault(fold(name), set()).update({row.id} if row.serves else ())
    return members


def _checked(room: str) -> str:
    """PostgreSQL's texts hold no NUL, and ours nothing strange."""
    if not ROOM_ID.fullmatch(room):
        raise RoomRefused("not an id of this desk")
    return room
