"""The customers' side of a sidecar, put together. After `app`; before everything else in this room."""

from collections.abc import Callable

from aiohttp import web

from sidecar.customers.attendance import Attendance
from sidecar.customers.reception import Reception
from sidecar.customers.sessions import Sessions
from sidecar.customers.sockets import CustomerSockets
from sidecar.live.parts import Parts


class Customers:
    def __init__(self, parts: Parts, left: Callable[[], None]) -> None:
        """`left`: told of each who leaves the line."""
        self.attendance = Attendance(parts, left)
        self._doors = (Sessions(parts, self.attendance), Reception(parts), CustomerSockets(parts, self.attendance))

    def routes(self) -> list[web.RouteDef]:
        return [route for door in self._doors for route in door.routes()]
