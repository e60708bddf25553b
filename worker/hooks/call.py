"""One event to one receiver: its name is resolved, the address checked, and the request posted to that very address.

No redirect is followed and no proxy asked, for both would connect to an address that nobody checked. Nothing of the
answer is read but its status.
"""

import http.client
import ipaddress
import socket
import time
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from addresses import is_public
from version import VERSION
from worker.desk.qiscus_http import BoundedPool, BoundedTlsPool, cause
from worker.hooks import signature

POST_S, CONNECT_S = 10.0, 5.0  # for one try as a whole, and for its connection
PORTS = {"http": 80, "https": 443}


class NotDelivered(Exception):
    """The receiver has not accepted it. The text says why, and quotes neither the URL nor the answer."""


def post(url: str, secret: str, event: str, body: str, private: bool) -> None:
    """Raises `NotDelivered`. `private`: also to addresses that are not public."""
    parts = urlsplit(url)
    address = checked(parts, private)
    signed = signature.headers(secret, event, int(time.time()), body)
    try:
        with closing(_pool(parts, address, _trusted(url))) as pool:
            status = _status(pool, parts, dict(signed), body)
    except (HTTPError, http.client.HTTPException, OSError) as error:
        raise NotDelivered(cause(error)) from None
    if not 200 <= status < 300:
        raise NotDelivered(f"answered {status}" + (": redirects are not followed" if 300 <= status < 400 else ""))


def checked(parts: SplitResult, private: bool) -> str:
    """The address to connect to. A name that has any address which isn't public is refused, since who has it could mean
    any of them. Raises `NotDelivered`."""
    try:
        found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotDelivered("the name of its host can't be resolved") from None
    addresses = [str(each[4][0]) for each in found]
    if not private and (wrong := [address for address in addresses if not is_public(address)]):
        raise NotDelivered(f"its host has the address {wrong[0]}, which is not public (see HOOKS_ALLOW_PRIVATE)")
    return addresses[0]


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]


def _pool(parts: SplitResult, address: str, trusted: Any) -> BoundedPool | BoundedTlsPool:
    """The certificate is still that of the name."""
    host = f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
    bounds: Any = {"port": _port(parts), "timeout": Timeout(total=POST_S, connect=CONNECT_S)}
    if parts.scheme == "http":
        return BoundedPool(host, **bounds)
    ca = {"ca_certs": trusted, "cert_reqs": "CERT_REQUIRED"}
    return BoundedTlsPool(host, server_hostname=parts.hostname, **ca, **bounds)


def _trusted(url: str) -> str:
    """The CA bundle that calls to the desk go by: REQUESTS_CA_BUNDLE, else that of requests."""
    with requests.Session() as session:
        found: Any = session.merge_environment_settings(url, {}, None, None, None)["verify"]
    return found if isinstance(found, str) else DEFAULT_CA_BUNDLE_PATH


def _status(pool: Any, parts: SplitResult, headers: dict[str, str], body: str) -> int:
    headers |= {"Host": parts.netloc, "Content-Type": "application/json", "User-Agent": f"Giliran/{VERSION}"}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = {"redirect": False, "retries": False, "preload_content": False}
    response = pool.urlopen("POST", target, body=body.encode(), headers=headers, **kept)
    response.close()
    return int(response.status)
