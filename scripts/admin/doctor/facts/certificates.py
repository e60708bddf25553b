"""When certificates end: of the servers at DATABASE_URL, REDIS_URL and public addresses, and of files named there.

A certificate is read whether or not it is trusted: trust is judged where it is used.
"""

import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, urlsplit

from settings import Servers

WAIT_S = 3.0
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # of PostgreSQL's protocol: "do you speak TLS?"
FILES = ("sslcert", "sslrootcert", "ssl_certfile", "ssl_ca_certs")
SEQUENCE, CONTEXT_0 = 0x30, 0xA0
UTC_TIME = 0x17
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Certificate:
    """`ends_at` None: `trouble` says why it could not be read."""

    name: str
    ends_at: datetime | None
    trouble: str = ""


class Place(NamedTuple):
    name: str
    host: str
    port: int
    of_postgres: bool = False


def read(servers: Servers, tls_of_postgres: bool, public: tuple[str, ...]) -> list[Certificate]:
    """`tls_of_postgres`: whether the way to it has TLS."""
    database, redis = urlsplit(servers.database_url), urlsplit(servers.redis_url)
    places = [Place(url, *_address(urlsplit(url), 443)) for url in public]
    if tls_of_postgres and database.hostname and "," not in database.netloc:
        places.append(Place("DATABASE_URL", *_address(database, 5432), of_postgres=True))
    if redis.scheme == "rediss":
        places.append(Place("REDIS_URL", *_address(redis, 6379)))
    return [*map(_shown, places), *_files("DATABASE_URL", database), *_files("REDIS_URL", redis)]


def _address(url: SplitResult, port: int) -> tuple[str, int]:
    return url.hostname or "localhost", url.port or port


def _shown(place: Place) -> Certificate:
    """What the server shows. One that wants a certificate of ours may end the connection; it has shown its own then."""
    try:
        with socket.create_connection((place.host, place.port), WAIT_S) as raw:
            raw.settimeout(WAIT_S)
            if place.of_postgres:
                raw.sendall(SSL_REQUEST)
                if raw.recv(1) != b"S":
                    return Certificate(place.name, None, "it does not speak TLS")
            with _anybody().wrap_socket(raw, server_hostname=place.host) as tls:
                return Certificate(place.name, ends_at(tls.getpeercert(binary_form=True) or b""))
    except (OSError, ValueError, IndexError) as error:
        return Certificate(place.name, None, f"its certificate can't be read ({type(error).__name__})")


def _anybody() -> ssl.SSLContext:
    """Reads a certificate that nobody trusts, too: nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _files(setting: str, url: SplitResult) -> Iterator[Certificate]:
    for option, (path, *_) in parse_qs(url.query).items():
        if option in FILES and path != "system":
            yield _file(f"{option} in {setting}", Path(path))


def _file(name: str, path: Path) -> Certificate:
    """Of several in one file the one that ends first counts."""
    try:
        parts = path.read_text().split(BEGIN)[1:]
        ends = [ends_at(ssl.PEM_cert_to_DER_cert(f"{BEGIN}{part.partition(END)[0]}{END}")) for part in parts]
        return Certificate(name, min(ends))
    except (OSError, ValueError, IndexError) as error:
        return Certificate(name, None, f"the file can't be read ({type(error).__name__})")


def ends_at(der: bytes) -> datetime:
    """The end of a certificate's validity (RFC 5280, 4.1). Raises `ValueError` or `IndexError` for what is none.

    The standard library reads it only of certificates that it trusts.
    """
    fields = _parts(_parts(_parts(der)[0][1])[0][1])
    after_version = fields[1:] if fields[0][0] == CONTEXT_0 else fields
    validity = after_version[3]  # after serial number, signature and issuer
    if validity[0] != SEQUENCE:
        raise ValueError("not a certificate")
    kind, text = _parts(validity[1])[1]
    form = "%y%m%d%H%M%SZ" if kind == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The elements of a DER value: tag and content."""
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            length = size & 0x7F
            size, at = int.from_bytes(data[at : at + length], "big"), at + length
        found.append((tag, data[at : at + size]))
        at += size
    return found
