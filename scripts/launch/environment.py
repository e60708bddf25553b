"""What the children see: everything explicit, so that a default can't turn out differently there than it did here."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from settings import Servers, Settings


def for_children(settings: Settings, servers: Servers, inherited: Mapping[str, str]) -> dict[str, str]:
    """DEMO is said aloud: its default depends on DATABASE_URL, which every child has."""
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
    return {**inherited, **explicit}
