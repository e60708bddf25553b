"""Where a server is: on this machine or a private network, or somewhere that the way leads over the internet."""

import ipaddress
import socket


def is_near(host: str | None) -> bool:
    """A socket file, this machine, or a private network. A name that nobody knows is near: nothing can go there."""
    if not host or host.startswith("/"):
        return True
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return True
    return all(ipaddress.ip_address(address.partition("%")[0]).is_private for address in found)
