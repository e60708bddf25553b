"""Pure: is this a URL that the libraries read as it was meant? settings.py asks, before anybody connects.

Each function answers with what is wrong, for the end of a sentence that begins with the setting's name, or with None.
No answer shows a part of the URL but names of its parameters: the rest may hold a password.
"""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined] # missing in typeshed

NOT_SHOWN = "(the value is not shown: it may hold a password)"
ENCODE = f"write @ as %40, / as %2F, ? as %3F, # as %23 and % as %25 in user and password {NOT_SHOWN}"
BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
PROXIES = ("https_proxy", "http_proxy", "all_proxy")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(:(\d{0,5}))?")


# What libpq takes in a URL, from PostgreSQL 12 to 17; a test asks the library itself.
# fmt: off
LIBPQ = frozenset({
    "service", "user", "password", "passfile", "channel_binding", "connect_timeout", "dbname", "host", "hostaddr",
    "port", "client_encoding", "options", "application_name", "fallback_application_name", "keepalives",
    "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslmode", "sslnegotiation",
    "sslcompression", "sslcert", "sslkey", "sslcertmode", "sslpassword", "sslrootcert", "sslcrl", "sslcrldir",
    "sslsni", "requirepeer", "require_auth", "ssl_min_protocol_version", "ssl_max_protocol_version", "gssencmode",
    "krbsrvname", "gsslib", "gssdelegation", "replication", "target_session_attrs", "load_balance_hosts",
})
# fmt: on
# What the two clients of redis-py take as a text; deadlines and pools are ours.
REDIS = frozenset({"db", "username", "password"})
# fmt: off
REDIS_TLS = frozenset({
    "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs",
    "ssl_check_hostname",
})
# fmt: on
CERT_REQS = ("none", "optional", "required")
UNICAST = ipaddress.ip_network("2000::/3")  # all that IPv6 has given to anybody
PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")  # for protocols, whatever a Python's list calls global


def wrong_with_database(url: str) -> str | None:
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres") or not rest:
        return f"must start with postgresql:// {NOT_SHOWN}"
    if not url.isprintable() or " " in url:
        return f"has a blank or a character that can't be seen: write a blank as %20 {NOT_SHOWN}"
    if BROKEN_PERCENT.search(url):
        return f"has a % without two digits of its code: {ENCODE}"
    place, _, query = _without_login(rest).partition("?")
    if "@" in place or "#" in place:
        return f"can't be read, perhaps because of its password: {ENCODE}"
    servers = place.partition("/")[0].split(",")
    if not all(_is_place(server) for server in servers):
        return f"has no host:port that can be read, perhaps because of its password: {ENCODE}"
    return _wrong_with_pairs(query, LIBPQ | {"ssl"})


def wrong_with_redis(url: str) -> str | None:
    scheme, _, rest = url.partition("://")
    if scheme not in ("redis", "rediss", "unix") or (scheme == "unix" and not rest):
        return f"must start with redis://, rediss:// or unix:// {NOT_SHOWN}"
    if not url.isprintable() or " " in url:
        return f"has a blank or a character that can't be seen: write a blank as %20 {NOT_SHOWN}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"can't be read, perhaps because of its password: {ENCODE}"
    if "#" in url or "@" in parts.path or "@" in parts.query:
        return f"can't be read, perhaps because of its password: {ENCODE}"
    if scheme == "unix" and (parts.hostname or port or len(parts.path) < 2):
        return f"must name a socket file, as unix:///run/redis.sock {NOT_SHOWN}"
    return _wrong_with_options(parts)


def wrong_with_http(url: str, keys: bool = True) -> str | None:
    """`keys`: secrets travel there, so plain HTTP may not leave the machine."""
    if not url.startswith(("https://", "http://")):
        return "must start with https:// (the value is not shown)"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "can't be read: write it as https://host or https://host:port (the value is not shown)"
    if not parts.hostname or not url.isprintable() or " " in url or "\\" in url:
        return "can't be read: write it as https://host or https://host:port (the value is not shown)"
    if "@" in parts.netloc or "?" in url or "#" in url:
        return "must not have a user, a query or a fragment: write it as https://host (the value is not shown)"
    if keys and parts.scheme == "http" and not is_loopback(parts.hostname):
        return "must start with https://: over http:// the key would travel in clear (only to this machine may it)"
    return None


def wrong_with_hook(url: str, private: bool) -> str | None:
    """Of a receiver's address; its path or query may be a secret, so neither is shown. `private`: also of a network of
    one's own, where plain HTTP is usual."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "can't be read: write it as https://host/path"
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        return "must start with https:// (with HOOKS_ALLOW_PRIVATE=1 also http://)"
    if not parts.hostname or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return "can't be read: write it as https://host/path, in ASCII without blanks"
    if "@" in parts.netloc or "#" in url:
        return "must not have a user or a fragment: the receiver is told by the signature who posts"
    return None


def is_public(address: str) -> bool:
    """Whether the address may be one of anybody's in the internet: not private, of this machine, of its network, shared
    (100.64.0.0/10), multicast, reserved; nor an IPv6 address that leads to an IPv4 address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found not in UNICAST or found.sixtofour is not None or found.teredo is not None:
            return False
    elif found in PROTOCOLS:
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def is_loopback(host: str) -> bool:
    """Of an address of this machine alone, or a name that can't mean another machine."""
    name = host.lower().strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def socks_proxy(environ: Mapping[str, str], host: str) -> str | None:
    """The variable that would send calls to this host through a SOCKS proxy."""
    bypassed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if is_loopback(host) or proxy_bypass_environment(host, {"no": bypassed}):
        return None
    proxies = {name: value for name, value in environ.items() if name.lower() in PROXIES}
    return next((name for name, value in proxies.items() if value.lower().startswith("socks")), None)


def is_host(text: str) -> bool:
    """A name or an address to listen on: no port, no brackets."""
    try:
        return bool(HOST_NAME.fullmatch(text)) or bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _without_login(rest: str) -> str:
    """libpq looks for the first @ before any /."""
    login, at, place = rest.partition("@")
    return place if at and "/" not in login else rest


def _is_place(server: str) -> bool:
    found = HOST_AND_PORT.fullmatch(server)
    return found is not None and (not found[3] or 0 < int(found[3]) < 65536)


def _wrong_with_options(parts: SplitResult) -> str | None:
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    number = pairs.get("db") if parts.scheme == "unix" else parts.path.strip("/") or pairs.get("db")
    if number is not None and not (number.isascii() and number.isdigit() and len(number) < 6):
        return "must end with the number of a database, such as /0, or with none"
    if parts.scheme != "unix" and parts.path.strip("/") and pairs.get("db") not in (None, parts.path.strip("/")):
        return "names two databases: keep the number after the host, or ?db="
    if parts.scheme != "rediss" and (tls := sorted(REDIS_TLS & set(pairs))):
        return f"has {tls[0]} after its ?, which is for TLS: start it with rediss://"
    if pairs.get("ssl_cert_reqs", "required") not in CERT_REQS:
        return f"has a wrong ssl_cert_reqs: use one of {', '.join(CERT_REQS)}"
    return _wrong_with_pairs(parts.query, REDIS | REDIS_TLS)


def _wrong_with_pairs(query: str, known: frozenset[str]) -> str | None:
    for pair in query.split("&") if query else []:
        name, equals, value = pair.partition("=")
        if name not in known:
            shown = name if re.fullmatch("[a-z_]{1,40}", name) and "@" not in query else "a parameter"
            alike = difflib.get_close_matches(name, known, 1)
            return f"has {shown} after its ?, which is unknown: " + (
                f"did you mean {alike[0]}?"
                if alike
                else f"remove it, or see docs/operations.md for what may stand there {NOT_SHOWN}"
            )
        if not equals or "=" in value:
            return f"has {name} after its ? without one value: write it as {name}=value"
    return None


def origin(value: str) -> str | None:
    """As browsers write it: in lower case, without the port that the scheme has anyway. None: it is none."""
    try:
        parts = urlsplit(value.lower())
        port = parts.port
    except ValueError:
        return None
    bare = parts.netloc and "@" not in parts.netloc and parts.path in ("", "/") and not (parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not bare or not parts.hostname or not value.isascii() or "*" in value:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
