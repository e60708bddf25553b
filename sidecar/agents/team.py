"""Who serves a tenant and how many chats each may have, live on the agents' pages. Beside `presence`, which tells who
is there.

Accounts are made and disabled by the admin tool, limits are set in Redis, and nobody tells a sidecar: so it looks, for
the tenants whose agents are connected here, and tells what has changed.
"""

from typing import Any

from psycopg2.extensions import cursor

from db import console, seats
from db.announce import News
from db.inbox import Inbox
from sidecar.live.hub import Hub
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks, for_each

LOOK_EVERY_S = 3.0
TOLD = ("agent_id", "name", "email", "role", "disabled", "limit", "presence")  # an event of presence may be lost

Member = dict[str, Any]


class Team:
    """Of one sidecar; belongs to one event loop."""

    def __init__(
        self,
        hub: Hub,
        store: Store,
        box: Inbox,
        default_limit: int,
        look_every_s: float = LOOK_EVERY_S,
        tasks: Tasks | None = None,
    ) -> None:
        self._hub, self._store, self._box, self._default_limit = hub, store, box, default_limit
        self._look_every_s, self._tasks = look_every_s, tasks or Tasks()
        self._told: dict[str, dict[str, Member]] = {}  # tenant → agent → what was told of them last

    def start(self) -> None:
        self._tasks.start("team", self._step, self._look_every_s)

    async def stop(self) -> None:
        await self._tasks.end("team")

    def read(self, cur: cursor, tenant: str) -> list[Member]:
        """Everybody with an account, with presence, chats and the limit of this moment."""
        rows = console.agents(cur, tenant)
        in_force = seats.in_force(cur, self._box, tenant, [row.agent for row in rows], self._default_limit)
        named = ("name", "email", "role", "presence", "load", "disabled")
        return [
            {"agent_id": row.agent, **{n: getattr(row, n) for n in named}, "limit": in_force.of(row.agent)}
            for row in rows
        ]

    async def _step(self) -> None:
        watched = self._hub.watched()
        self._told = {tenant: told for tenant, told in self._told.items() if tenant in watched}
        await for_each(watched, self._look)

    async def _look(self, tenant: str) -> None:
        """The first time all of it: a page may have come before, and know what was so then."""
        found = await self._store.run(lambda cur: self.read(cur, tenant))
        team = {one["agent_id"]: {name: one[name] for name in TOLD} for one in found}
        told = self._told.get(tenant, {})
        changed = [member for agent, member in team.items() if told.get(agent) != member]
        self._told[tenant] = team
        if changed:
            self._hub.hear(tenant, [News(None, "chat.agents.changed", {"agents": changed}, "agents")])
