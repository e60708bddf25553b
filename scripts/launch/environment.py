"""What the children see: everything explicit, so that a default can't turn out differently there than it did here."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from settings import KEYS, Servers, Settings

SIMULATOR_SECRET = "SIMULATOR_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
NOT_FOR_THE_RECEIVER = (*KEYS, "POSTGRES_PASSWORD", "PGPASSWORD", "PGPASSFILE")


def for_children(
    settings: Settings, servers: Servers, inherited: Mapping[str, str], of_the_file: Mapping[str, str]
) -> dict[str, str]:
    """DEMO is said aloud: its default depends on DATABASE_URL, which every child has. `of_the_file`: what `.env` says
    to gunicorn, libpq and other programs; like everywhere, an empty variable does not hide it."""
    unset = {name: value for name, value in of_the_file.items() if not inherited.get(name)}
    explicit = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "DEMO": "1" if settings.demo else "0",
        "GILIRAN_DATA": str(settings.data.parent if settings.demo else settings.data),
        "HOST": settings.host,
        "PORT": str(settings.port),
        "CHAT_PORT": str(settings.chat_port),
        "SIM_PORT": str(settings.sim_port),
        "WORKER_PORT": str(settings.worker_port or ""),
        "LOG_LEVEL": settings.log_level,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",  # a line must come out when it is written, not when 8 KiB are full
    }
    return {**inherited, **unset, **explicit}


def for_one(name: str, shared: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The receiver, which strangers talk to, is given no key that it does not need. The simulator posts webhooks, so it
    needs their secret, and not as an argument, which every user of the machine can read."""
    if name == "receiver":
        return {variable: value for variable, value in shared.items() if variable not in NOT_FOR_THE_RECEIVER}
    if name == "simulator" and settings.webhook_secret:
        return {**shared, SIMULATOR_SECRET: settings.webhook_secret}
    return dict(shared)
