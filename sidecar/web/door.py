"""Who stands at the door: the client's address behind trusted proxies, and whether a web page may talk to us.

Before every handler of REST and every socket. A request without `Origin` is no page's (a program's) and may pass: what
protects a session is its key, and an agent their token.
"""

import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

import logs
from sidecar.web.answers import Refused
from sidecar.web.pace import Repeats

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

log = logging.getLogger("sidecar.door")

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
IPV6_PREFIX = 64
PORTS = {"http": 80, "https": 443}
UNTRUSTED_EVERY_S = 60.0  # one line for all: anybody can send the header
UNTRUSTED_KEPT_S = 600.0  # `giliran doctor` may ask so late
SAID_EVERY_S = 60.0  # of each address and origin
PUBLIC = ("/api/v1/public/", "/api/v1/files/", "/api/v1/about")  # what the widget asks for from other people's pages
ALLOWED_HEADERS = "Content-Type, Authorization"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Seen(NamedTuple):
    peer: str
    at_s: float  # monotonic


class Door:
    def __init__(self, allowed: Sequence[str], trusted: Sequence[Network], demo: bool) -> None:
        """`allowed`: origins beside our own. In a demo any page of this machine may talk to us."""
        self._allowed, self._trusted, self._demo = frozenset(allowed), tuple(trusted), demo
        self._refused = Repeats(SAID_EVERY_S)
        self._untrusted_at = -UNTRUSTED_EVERY_S  # when it was last said
        self._untrusted = Seen("", -UNTRUSTED_KEPT_S)

    def address(self, request: web.Request) -> str:
        """The client's: the last one that no proxy of ours has."""
        address = request.remote or ""
        named = _listed(request, "X-Forwarded-For")
        while named and self.is_trusted(address):
            address = _without_port(named.pop())
        return address

    def subject(self, request: web.Request) -> str:
        """Whom limits are counted for: the address; of IPv6 its network, of which one household has a whole one."""
        return counted_as(self.address(request))

    def lets_in(self, request: web.Request) -> bool:
        """Whether the page that asks, if it is one, is ours or allowed."""
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        origin = origin.lower()
        if origin in self._allowed:
            return True
        try:
            url = urlsplit(origin)
            place = (url.hostname, url.port or PORTS.get(url.scheme))
        except ValueError:
            return False
        if url.scheme not in PORTS or not url.hostname:
            return False
        if self._demo and url.hostname in LOOPBACK_NAMES:
            return True
        return place in self._own(request, url.scheme)

    def check(self, request: web.Request) -> None:
        """Raises `Refused`."""
        self._see_proxy(request)
        if not self.lets_in(request):
            origin, address = request.headers.get("Origin"), self.address(request)
            if self._refused.is_news(address, origin, time.monotonic()):
                log.warning(logs.line("refused", code="origin_not_allowed", origin=origin, address=address))
            raise Refused("origin_not_allowed", "pages of this origin may not use this chat (see ALLOWED_ORIGINS)")

    def untrusted(self) -> str:
        """Who last sent X-Forwarded-For and is no proxy of ours; '' where that was long ago."""
        return self._untrusted.peer if time.monotonic() - self._untrusted.at_s < UNTRUSTED_KEPT_S else ""

    def _see_proxy(self, request: web.Request) -> None:
        """Behind a proxy that nobody declared all people have one address, and limits by address hit all of them."""
        peer, now = request.remote or "", time.monotonic()
        if "X-Forwarded-For" not in request.headers or self.is_trusted(peer):
            return
        self._untrusted = Seen(peer, now)
        if now - self._untrusted_at >= UNTRUSTED_EVERY_S:
            self._untrusted_at = now
            why = "its X-Forwarded-For is not believed: is it a proxy of yours? Then name it in TRUSTED_PROXIES"
            log.warning(logs.line("proxy_not_trusted", peer=peer, why=why))

    def _own(self, request: web.Request, scheme: str) -> set[tuple[str | None, int | None]]:
        """The places that this request knows us by. The scheme is the page's: a proxy may speak TLS for us."""
        hosts = [request.headers.get("Host", "")]
        if self.is_trusted(request.remote or ""):
            hosts += _listed(request, "X-Forwarded-Host")
        places = set()
        for host in hosts:
            try:
                url = urlsplit(f"//{host.lower()}")
                places.add((url.hostname, url.port or PORTS.get(scheme)))
            except ValueError:
                continue
        return places

    def is_trusted(self, address: str) -> bool:
        """Whether it is a proxy of ours."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)


def _listed(request: web.Request, header: str) -> list[str]:
    """What all lines of this header name: some proxies add one of their own, after the client's."""
    parts = ",".join(request.headers.getall(header, [])).split(",")
    return [part.strip() for part in parts if part.strip()]


def _without_port(address: str) -> str:
    """`192.0.2.1:4711` and `[2001:db8::1]:4711` as some proxies write them."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def counted_as(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.is_loopback:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))


def middleware(door: Door) -> Middleware:
    """Origins are checked for all of REST; what the widget needs answers other origins that are allowed."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        is_public = request.path.startswith(PUBLIC)
        try:
            door.check(request)
            if is_public and request.method == "OPTIONS":
                response: web.StreamResponse = web.Response(status=204)
            else:
                response = await handler(request)
        except Refused as refused:  # readable for the page, so that its developer sees why
            response = refused.response()
        if is_public and not response.prepared:
            _open_to(response, request.headers.get("Origin"))
        return response

    return guard


def _open_to(response: web.StreamResponse, origin: str | None) -> None:
    response.headers["Vary"] = "Origin"
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Expose-Headers"] = "Retry-After, Content-Disposition"
        response.headers["Access-Control-Max-Age"] = "600"
