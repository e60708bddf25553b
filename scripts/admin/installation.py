"""The installation that a command works on: settings, PostgreSQL, Redis, opened when first needed.

Every command starts here: `reading` gives one consistent picture, `writing` one transaction; `one` and `some` say
which tenant is meant.
"""

import contextlib
import json
import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import click
import psycopg2
import redis
from psycopg2.extensions import cursor
from rq import Queue

from db import audit, inbox, installation, migrate, postgres, tickets
from db.inbox import Inbox, InboxDown, Named
from db.ledger import LEDGER, roster_s
from db.postgres import Ledger
from db.redis_why import why
from db.upkeep import Upkeep
from db.views import VIEWS
from scripts.admin import troubles
from scripts.admin.errors import CantDo, NotFound
from settings import Servers, Settings, load
from settings import servers as find_servers
from views.source import Source
from views.words import clean, listed

REDIS_S = 1.5  # less than PostgreSQL lets a transaction be idle
REDIS_CONNECTIONS = 2


class Installation:
    """Nothing is opened before it is used, so that `--help` and a wrong argument need no server."""

    @cached_property
    def settings(self) -> Settings:
        return load()

    @cached_property
    def servers(self) -> Servers:
        return find_servers(self.settings)

    @cached_property
    def _client(self) -> redis.Redis:
        try:
            client = inbox.connect(self.servers.redis_url, REDIS_S, REDIS_CONNECTIONS)
            client.connection_pool.make_connection()  # not connected: its options are looked at
            return client
        except (ValueError, TypeError) as error:  # its text can quote the URL
            raise CantDo("REDIS_URL can't be used: it is not a URL of a Redis") from error

    @cached_property
    def upkeep(self) -> Upkeep:
        """Of Redis, whosever it is."""
        return Upkeep(self._client)

    @property
    def redis(self) -> redis.Redis:
        """Raises `CantDo` where it is another installation's, `InboxDown` where it can't be reached. A Redis that can
        be read but not written to is told on standard error."""
        if self._away:
            raise InboxDown(self._away)
        if not self._checked:
            self._check_redis()
            self._checked = True
        return self._client

    @property
    def inbox(self) -> Inbox:
        assert self.redis
        return self.upkeep

    def ask_for_a_look(self, tenant: str) -> bool:
        """At what was just committed; whether Redis took it. If not, a worker's sweep finds it."""
        try:
            with self.inbox.guarded():
                tickets.ask(self._tickets, tenant, due=True)
        except (InboxDown, CantDo):
            return False
        return True

    def tell_receivers(self, tenant: str, named: Named) -> None:
        """What the rules ask about a customer. Redis away: a worker's sweep tells them."""
        with contextlib.suppress(InboxDown, CantDo):
            self.inbox.name(tenant, named)

    def source(self) -> Source:
        """Inside `reading`: whether Redis could be asked is known then."""
        return self.source_with(self.upkeep, self._away)

    def source_with(self, box: Inbox, away: str | None) -> Source:
        return Source(
            inbox=box,
            away=away,
            policy=self.settings.allocation_policy,
            default_limit=self.settings.max_agent_chat,
            believe_s=roster_s(self.settings.desk_lag_seconds),
            target_s=self.settings.service_level_seconds,
        )

    @cached_property
    def _tickets(self) -> Queue:
        return tickets.queue(inbox.connect(self.servers.redis_url, REDIS_S, 1, text=False))

    def redis_away(self) -> str | None:
        """Why Redis could not be asked when `reading` began, None where it could: for what can do without it."""
        return self._away

    _away: str | None = None
    _checked = False

    def _why_away(self) -> str | None:
        self._away = None
        try:
            self.redis.ping()
        except InboxDown as error:
            return str(error)
        except redis.RedisError as error:
            return why(error)
        return None

    def _check_redis(self) -> None:
        with self._aside.transaction() as cur:
            row = LEDGER.one(cur, "installation")
        holder = self.upkeep.owner()
        if row and holder is not None and holder != row.id:
            raise CantDo(installation.not_ours(holder))
        if row and holder == row.id:
            try:
                self.upkeep.own(row.id)  # changes nothing, and says whether it could
                if policy := self.upkeep.evicts():
                    _warn(f"Redis may throw away webhooks (maxmemory-policy {policy}): set it to noeviction")
            except InboxDown as error:
                _warn(str(error))

    @cached_property
    def _aside(self) -> Ledger:
        """Beside a transaction that is open."""
        assert self._ledger
        return Ledger(self.servers.database_url, "admin")

    @cached_property
    def _ledger(self) -> Ledger:
        url = self.servers.database_url
        try:
            with closing(postgres.connect(url, "admin")) as conn:
                problem = migrate.misfit(conn)
        except (postgres.LedgerTrouble, psycopg2.Error) as error:
            raise CantDo(troubles.postgres(error)) from error
        if problem:
            raise CantDo(problem)
        return Ledger(url, "admin")

    @contextmanager
    def reading(self) -> Iterator[cursor]:
        self._away = self._why_away()  # before: a transaction that waits for Redis is ended by PostgreSQL
        with self._ledger.transaction() as cur:
            cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cur

    def audit(
        self, cur: cursor, tenant: str | None, what: str, subject: str = "", before: Any = None, after: Any = None
    ) -> None:
        """What a person changed by this command, in its transaction."""
        audit.write(cur, tenant, f"giliran:{typing_user()}", what, subject, before, after)

    @contextmanager
    def writing(self) -> Iterator[cursor]:
        with self._ledger.transaction() as cur:
            yield cur


def typing_user() -> str:
    """The user of this machine who types."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in containers
        return f"uid {os.getuid()}"


def _warn(text: str) -> None:
    click.echo(f"giliran: warning: {clean(text, 200)}", err=True)


def one(cur: cursor, wanted: str | None) -> str:
    """The tenant that is meant: the only one, or the one named."""
    known = _known(cur)
    if wanted is None and len(known) > 1:
        raise click.UsageError(f"there are several tenants: say --tenant with one of {listed(known)}")
    return _checked(known, wanted) if wanted is not None else _only(known)


def some(cur: cursor, wanted: str | None) -> list[str]:
    """The tenants that a table is about: the one named, else all."""
    known = _known(cur)
    return known if wanted is None else [_checked(known, wanted)]


def _known(cur: cursor) -> list[str]:
    return [row.id for row in VIEWS.all(cur, "tenant_ids")]


def _checked(known: Sequence[str], wanted: str) -> str:
    if wanted not in known:
        names = f"known: {listed(known)}" if known else "there is none yet: see `giliran tenant add --help`"
        raise NotFound(f"no tenant {wanted!r} ({names})")
    return wanted


def _only(known: Sequence[str]) -> str:
    if not known:
        raise NotFound("no tenant yet: see `giliran tenant add --help`")
    return known[0]


def say(as_json: bool, data: Any, text: str) -> None:
    """The answer, for a program or for a person. JSON escapes everything but plain ASCII, control characters too."""
    click.echo(json.dumps(data, default=_plain) if as_json else text)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


as_json = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
tenant_option = click.option("--tenant", metavar="TENANT", help="Which tenant; needed where there are several.")
tenant_filter = click.option("--tenant", metavar="TENANT", help="Only this tenant (default: all).")
