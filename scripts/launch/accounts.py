"""Which account an embedded server runs under: PostgreSQL refuses uid 0, and a folder should keep its owner."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.launch.errors import Refusal
from scripts.launch.spawn import Account, before_exec

SELF = Account()
IN_NAMESPACE = Account(namespace=True)
PROBE_S = 10  # a `--version` takes some milliseconds; a slow network disk takes longer
PROBE = 'test -x "$1" && exec "$2" --version'


@dataclass(frozen=True)
class Place:
    """What the account has to reach: the folder around the data, and the server's binary."""

    folder: Path
    binary: Path


def for_postgres(data: Path, place: Place) -> Account:
    """The owner of data that exists; for new data the first account that can reach both ends of `place`."""
    for account in _candidates(data):
        if _reaches(account, place):
            return account
    raise Refusal(
        f"PostgreSQL does not run as root, no other account here reaches {place.folder} and {place.binary}, and user "
        "namespaces are not allowed: start ./scripts/run as an ordinary user, or set DATABASE_URL to a server of yours"
    )


def owner_of(folder: Path) -> Account:
    """As root: the folder's owner, so that an ordinary user's data stays readable for that user."""
    found = folder.stat()
    if found.st_uid == os.geteuid():
        return SELF
    if os.geteuid() == 0:
        return Account(found.st_uid, found.st_gid)
    raise Refusal(
        f"{folder} belongs to {_name(found.st_uid)}: start as that user, or set GILIRAN_DATA to another folder"
    )


def new_data(account: Account, folder: Path) -> None:
    """Make an empty folder that only the account can enter."""
    folder.mkdir(mode=0o700)
    hand_over(account, folder)


def close_to_others(folder: Path, account: Account) -> None:
    """An account that is not ours has to pass through to its data; it can't list what else is there."""
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700 if account.uid in (None, os.geteuid()) else 0o711)


def hand_over(account: Account, path: Path) -> None:
    if account.uid is not None and account.gid is not None:
        os.chown(path, account.uid, account.gid)


def _candidates(data: Path) -> list[Account]:
    if os.geteuid() != 0:
        return [owner_of(data) if data.exists() else SELF] if _known(os.geteuid()) else [IN_NAMESPACE]
    if data.exists():
        owner = owner_of(data)
        return [IN_NAMESPACE] if owner == SELF else [owner]
    return [*_system_accounts(), IN_NAMESPACE]


def _system_accounts() -> list[Account]:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return [Account(known[name].pw_uid, known[name].pw_gid) for name in ("postgres", "nobody") if name in known]


def _reaches(account: Account, place: Place) -> bool:
    command = ["/bin/sh", "-c", PROBE, "sh", str(place.folder), str(place.binary)]
    try:
        done = subprocess.run(
            command,
            cwd="/",
            capture_output=True,
            timeout=PROBE_S,
            check=False,
            preexec_fn=before_exec(account, None),
            **account.popen(),
        )
    except (OSError, subprocess.SubprocessError):  # the account or the namespace itself is not to be had
        return False
    return done.returncode == 0


def _known(uid: int) -> bool:
    return any(entry.pw_uid == uid for entry in pwd.getpwall())  # initdb wants a name for its uid


def _name(uid: int) -> str:
    return next((entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == uid), f"uid {uid}")
