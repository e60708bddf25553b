"""PostgreSQL: whether it can be used, keeps what was committed, and has room. Pure."""

from scripts.admin.doctor.check import Check, Finding
from scripts.admin.doctor.facts.at_once import Unread
from scripts.admin.doctor.facts.postgres import Postgres
from views.words import counted, listed

REACHED = Check(
    "postgres_reachable", "PostgreSQL answers", "start it, or correct DATABASE_URL; rooms wait in Redis meanwhile"
)
SCHEMA = Check(
    "schema_version",
    "the database is migrated to this version",
    "run `giliran migrate`, and run the same version everywhere",
)
POOLER = Check(
    "postgres_pooler",
    "each connection has a session of its own",
    "set `pool_mode = session`, or connect to PostgreSQL itself",
)
WRITES = Check("postgres_writes", "PostgreSQL takes writes", "point DATABASE_URL at the primary")
RIGHTS = Check(
    "postgres_rights",
    "our user may write to all tables",
    "make the user of DATABASE_URL the owner of the database and its tables",
)
DISK = Check(
    "postgres_fsync",
    "commits are written to disk",
    "set `fsync = on` and `full_page_writes = on`: a power cut could damage the database",
)
COMMIT = Check(
    "postgres_synchronous_commit",
    "a commit waits for the disk",
    "set `synchronous_commit = on`: a seat must be on disk before Qiscus is called",
)
ROOM = Check(
    "postgres_connections",
    "PostgreSQL has connections left",
    "raise `max_connections`, or find out who has them open: `pg_stat_activity`",
)
LOG = Check(
    "postgres_log",
    "PostgreSQL's log keeps no statements of ours",
    "set `log_min_error_statement = panic`: statements hold names and messages of customers",
)
TLS = Check(
    "postgres_tls",
    "nobody on the way to PostgreSQL can read along",
    "add `sslmode=verify-full` and `sslrootcert=…` to DATABASE_URL",
)
CHECKS = (REACHED, SCHEMA, POOLER, WRITES, RIGHTS, DISK, COMMIT, ROOM, LOG, TLS)

NEEDED = 16  # connections of one worker and one sidecar that come; docs/operations.md has the numbers


def judge(found: Postgres | Unread) -> list[Finding]:
    if isinstance(found, Unread):
        return [REACHED.error(found.why)]
    return [
        REACHED.ok(f"version {found.version}"),
        SCHEMA.error(found.misfit) if found.misfit else SCHEMA.ok(),
        POOLER.error(found.pooled) if found.pooled else POOLER.ok(),
        _writes(found),
        RIGHTS.error(f"our user may not write to {listed(found.denied)}") if found.denied else RIGHTS.ok(),
        _fsync(found),
        _commit(found),
        _room(found),
        _log(found),
        _tls(found),
    ]


def _writes(found: Postgres) -> Finding:
    if found.settings.get("transaction_read_only") == "on":
        return WRITES.error("PostgreSQL is read-only (a standby, or default_transaction_read_only is on)")
    return WRITES.ok()


def _fsync(found: Postgres) -> Finding:
    off = [name for name in ("fsync", "full_page_writes") if found.settings.get(name) == "off"]
    return DISK.error(f"{' and '.join(off)} is off: what is committed may be lost") if off else DISK.ok()


def _commit(found: Postgres) -> Finding:
    """`local`, `remote_write` and `remote_apply` wait for this server's disk, too."""
    if found.settings.get("synchronous_commit") == "off":
        return COMMIT.error("synchronous_commit is off: a crash can forget seats that Qiscus was told of")
    return COMMIT.ok()


def _room(found: Postgres) -> Finding:
    reserved = sum(int(found.settings.get(f"{name}reserved_connections", "0")) for name in ("superuser_", ""))
    left = found.most - reserved - found.connections
    told = f"{counted(max(0, left), 'connection')} of {found.most} left"
    if left <= 0:
        return ROOM.error(told)
    return ROOM.warning(f"{told}: not enough for one more worker and sidecar") if left < NEEDED else ROOM.ok(told)


def _log(found: Postgres) -> Finding:
    level = found.settings.get("log_min_error_statement", "panic")
    return LOG.ok() if level == "panic" else LOG.warning(f"a statement that fails is logged whole ({level})")


def _tls(found: Postgres) -> Finding:
    if found.near or (found.tls and found.verified):
        return TLS.ok("with TLS" if found.tls else "this machine, or a private network")
    if found.tls:
        return TLS.warning("the way to PostgreSQL has TLS, but nobody checks its certificate")
    return TLS.error("the way to PostgreSQL leads over the internet without TLS")
