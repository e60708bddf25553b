"""Who a request is of: a session's customer by its key, an agent by their token. Before the handlers of all rooms."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from db import chat
from db.chat import Session
from db.people import Agent
from sidecar.live.store import Store
from sidecar.web.answers import Refused
from sidecar.web.requests import token_of
from sidecar.web.strangers import Strangers

AddressOf = Callable[[web.Request], str]
Who = Callable[[str], Awaitable[Agent | None]]


class Visitors(NamedTuple):
    """`who`: whose token it is; `address_of`: as `Door.subject`. Every method raises `Refused` and `LedgerTrouble`."""

    store: Store
    strangers: Strangers
    who: Who
    address_of: AddressOf

    async def session(self, request: web.Request, key: str) -> Session:
        async def find(key: str) -> Session | None:
            return await self.store.run(lambda cur: chat.by_key(cur, key))

        refused = Refused("not_found", "no such session")
        return await self.strangers.known(self.address_of(request), key, find, refused, "key")

    async def agent(self, request: web.Request, token: str | None = None) -> Agent:
        """As `anyone`, of a tenant with a chat of our own."""
        found = await self.anyone(request, token)
        if not found.has_chats:
            whose = "operators have no chats" if found.is_operator else "the chats of this tenant are in Qiscus"
            raise Refused("forbidden", f"{whose}: use /ops")
        return found

    async def anyone(self, request: web.Request, token: str | None = None) -> Agent:
        """`token`: where it does not stand in the request's head."""
        token = token_of(request) if token is None else token
        refused = Refused("unauthorized", "log in first")
        if not token:
            raise refused
        return await self.strangers.known(self.address_of(request), token, self.who, refused, "token")
