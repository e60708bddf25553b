"""The supervisors' side of a sidecar, put together. After `app`; before everything else in this room."""

from aiohttp import web

from sidecar.agents.login import Login
from sidecar.live.parts import Parts
from sidecar.ops.acts import OpsActs
from sidecar.ops.rest import OpsDoor, OpsRest
from sidecar.ops.rules import OpsRules
from sidecar.ops.sockets import OpsSockets
from sidecar.ops.views import Views
from sidecar.ops.watches import Watches


class Ops:
    def __init__(self, parts: Parts, login: Login) -> None:
        self.views = views = Views(parts.store, parts.box, parts.config)
        self._watches = Watches(views, parts.tasks)
        door = OpsDoor(parts)
        self._rooms = (OpsRest(door, views), OpsActs(parts, door), OpsRules(parts, door))
        self._sockets = OpsSockets(parts, login, self._watches)

    def routes(self) -> list[web.RouteDef]:
        return [*(route for room in self._rooms for route in room.routes()), *self._sockets.routes()]

    def start(self) -> None:
        self._watches.start()
        self._sockets.start()

    async def stop(self) -> None:
        await self._sockets.stop()
        await self._watches.stop()
