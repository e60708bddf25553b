"""The agents' side of a sidecar, put together. After `app`; before everything else in this room."""

from aiohttp import web

from sidecar.agents.console import Console
from sidecar.agents.login import Login
from sidecar.agents.presence import Presence
from sidecar.agents.seats import Seats
from sidecar.agents.sockets import AgentSockets
from sidecar.agents.team import Team
from sidecar.live.parts import Parts


class Agents:
    def __init__(self, parts: Parts) -> None:
        config, store, turns = parts.config, parts.store, parts.turns
        self.login = Login(store, config.secret_key)
        seats = Seats(turns, parts.box, config.default_limit)
        times = {"retry_s": config.retry_s, "reassign_s": config.reassign_s, "grace_s": config.grace_s}
        self._presence = Presence(store, turns, seats, **times, sidecar=parts.sidecar, tasks=parts.tasks)
        self._team = Team(parts.hub, store, parts.box, config.default_limit, tasks=parts.tasks)
        self._console = Console(parts, self.login, self._presence, seats, self._team)
        self._sockets = AgentSockets(parts, self.login, self._presence)

    def routes(self) -> list[web.RouteDef]:
        return [*self._console.routes(), *self._sockets.routes()]

    async def start(self) -> None:
        """Raises `LedgerTrouble`."""
        await self._presence.start()
        self._team.start()
        self._sockets.start()

    async def stop(self) -> None:
        await self._sockets.stop()
        await self._team.stop()
        await self._presence.stop()
        self.login.close()
