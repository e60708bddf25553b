"""How much room the files of one tenant may take, all its chats together. Before `attachments` takes one in; whoever
runs this hears of it before it is full.
"""

import logging
import time
from collections import Counter

import logs
from db import files
from db.chat import Session
from sidecar.live.store import Store
from sidecar.web.answers import Refused
from sidecar.web.lately import Lately
from sidecar.web.pace import Repeats

log = logging.getLogger("sidecar.quota")

KEPT_S = 10.0  # a sum over all files of a tenant; what comes in here meanwhile is added
TENANTS_MOST = 1000
NEARLY = 0.8  # of it: from then on it is said
SAID_EVERY_S = 3600.0
MB = 2**20


class Quota:
    """Of one event loop."""

    def __init__(self, store: Store, most_bytes: int) -> None:
        """`most_bytes` 0: no bound."""
        self._store, self._most = store, most_bytes
        self._used: Lately[str, int] = Lately(self._read, KEPT_S, TENANTS_MOST)
        self._added: Counter[str] = Counter()  # since the sum was read
        self._said = Repeats(SAID_EVERY_S)
        self.fullest = 0.0  # share of it that the fullest tenant uses

    async def check(self, session: Session, coming: int) -> None:
        """Whether `coming` bytes more have room. Raises `Refused`, `LedgerTrouble`."""
        if not self._most:
            return
        used = await self._used.get(session.tenant) + self._added[session.tenant]
        self._say(session.tenant, used)
        if used + coming <= self._most:
            return
        most = self._most // MB
        if self._said.is_news(f"full {session.tenant}", True, time.monotonic()):
            log.warning(logs.line("refused", code="storage_full", tenant=session.tenant, max_mb=most))
        raise Refused("storage_full", f"no room for more files: all of this chat's together may have {most} MB")

    def add(self, tenant: str, size: int) -> None:
        """One was stored."""
        self._added[tenant] += size

    async def look(self) -> None:
        """At all tenants. Raises `LedgerTrouble`."""
        used = await self._store.run(files.of_tenants) if self._most else {}
        self.fullest = max(used.values(), default=0) / self._most if self._most else 0.0
        for tenant, size in used.items():
            self._say(tenant, size)

    async def _read(self, tenant: str) -> int:
        self._added.pop(tenant, None)
        return await self._store.run(lambda cur: files.of_tenant(cur, tenant))

    def _say(self, tenant: str, used: int) -> None:
        self.fullest = max(self.fullest, used / self._most)
        if used < NEARLY * self._most or not self._said.is_news(tenant, True, time.monotonic()):
            return
        facts = {"tenant": tenant, "used_mb": used // MB, "max_mb": self._most // MB}
        log.warning(logs.line("files_nearly_full", **facts, setting="FILES_PER_TENANT_MB"))
