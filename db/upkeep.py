"""Redis itself, beside what stands in it: whose it is, whether it can be written to, whether our keys are ours still.

Of a worker's watch (`worker/redis_watch.py`), a sidecar's readiness and the admin tool.
"""

from collections.abc import Sequence

from redis.exceptions import ResponseError

from db.inbox import INSTALLATION, TENANTS, UNSORTED, Inbox, key
from db.push import NOBODY, PROBE, push_call

TYPES = {"epoch": "string", "inbox": "stream", "ticket": "string", "rev": "string"}
TYPES |= {"line": "zset", "held": "set", "seats": "hash"}


class Upkeep(Inbox):
    """Raises `InboxDown` for all that Redis does wrong."""

    def owner(self) -> str | None:
        """The id of the installation that has this database number; None: nobody has, or Redis was emptied."""
        with self.guarded() as client:
            held: str | None = client.get(INSTALLATION)
        return held

    def own(self, installation: str, take: bool = False) -> str:
        """The id that has it now: ours where nobody had it, or with `take`. Raises `InboxDown` also where Redis can be
        read but not written to."""
        return str(self._run("own", [INSTALLATION, TENANTS, UNSORTED], [installation, "1" if take else "0"]))

    def evicts(self) -> str | None:
        """Its maxmemory-policy where that may throw away what nobody has seen yet; None: it does not, or does not say
        (a user of few rights may not ask)."""
        with self.guarded() as client:
            try:
                policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
            except ResponseError:
                return None
        return policy if policy != "noeviction" else None

    def mend(self, tenants: Sequence[str]) -> list[str]:
        """Keys of ours that are of another type than we make them: somebody else wrote there, and every script that
        meets one fails. They are removed, for nothing of ours is in them; which they were."""
        wanted = {TENANTS: "hash", UNSORTED: "stream"}
        wanted |= {key(tenant, name): kind for tenant in tenants for name, kind in TYPES.items()}
        with self.guarded() as client:
            pipe = client.pipeline(transaction=False)
            for name in wanted:
                pipe.type(name)
            found = zip(wanted.items(), pipe.execute(), strict=True)
            wrong = [name for (name, kind), is_kind in found if is_kind not in (kind, "none")]
            if wrong:
                client.unlink(*wrong)
        return wrong

    def try_to_store(self) -> None:
        """As a webhook is stored, but nothing stays. Raises `InboxDown`."""
        keys, args, _ = push_call(PROBE, NOBODY)
        self._run("push", keys, args)
