"""One request of the control half: its app, and its body, checked field by field; `control` acts on it."""

from aiohttp import web

from scripts.simulator.app import App
from scripts.simulator.refused import Refused
from scripts.simulator.shapes import Json

MOST_AT_ONCE = 100_000  # customers in one request


class Asked:
    """One control request: its app, its JSON body, its place in the path."""

    def __init__(self, app: App, body: Json, request: web.Request) -> None:
        self.app = app
        self.body = body
        self.room = request.match_info.get("room", "")
        self.agent = request.match_info.get("agent", "")
        self.division = int(request.match_info.get("division", 0))

    def count(self, most: int = MOST_AT_ONCE) -> int:
        value = self.body.get("count", 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            raise Refused(400, f"count: a whole number from 1 to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.body.get(name, default)
        if not isinstance(value, bool):
            raise Refused(400, f"{name}: true or false")
        return value

    def text(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise Refused(400, f"{name}: a text")
        return value

    def channels(self) -> list[int] | None:
        value = self.body.get("channels")
        if value is not None and not (isinstance(value, list) and all(isinstance(v, int) for v in value)):
            raise Refused(400, "channels: a list of channel ids, or null for all")
        return value

    def by(self) -> str | int:
        value = self.body.get("by", "agent")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Refused(400, "by: agent, admin, supervisor or an agent's id")
        return value

    def name(self) -> str | None:
        """Of a division: a text that is not empty."""
        name = self.text("name")
        if name is not None and not name.strip():
            raise Refused(400, "name: a text")
        return name

    def ids(self, field: str) -> list[int] | None:
        value = self.body.get(field)
        if value is not None and not (isinstance(value, list) and all(type(one) is int for one in value)):
            raise Refused(400, f"{field}: a list of ids")
        return value

    def properties(self) -> Json | None:
        value = self.body.get("properties")
        if value is not None and not isinstance(value, dict):
            raise Refused(400, "properties: an object")
        return value
