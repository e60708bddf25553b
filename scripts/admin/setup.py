"""`giliran setup qiscus`: from app id and secret key to webhooks that arrive. `setup_plan.py` is its pure half,
`public_address.py` asks our receiver as Qiscus will.

Everything is asked before anything is changed: what is wrong leaves no half of a set-up.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from addresses import wrong_with_http
from db import inbox
from db.admin import ADMIN
from db.inbox import TENANTS
from db.ledger import LEDGER, NATIVE_DESK
from scripts.admin import public_address, secret, setup_plan
from scripts.admin.errors import CantDo, Refused
from scripts.admin.installation import Installation, as_json, say
from scripts.admin.public_address import Door
from settings import SECRET_MIN
from tenant_ids import RULE, TENANT_ID
from views.words import clean
from worker.desk.base import DeskTrouble
from worker.desk.qiscus import QiscusDesk
from worker.desk.qiscus_hooks import HOOKS, Hook, Registered

RUN_AGAIN = "then restart the processes, and run this again"
TRIED = ", takes the webhook secret and refuses a wrong one"
OPEN = "warning: the demo has no WEBHOOK_SECRET: everybody who reaches its receiver may post webhooks"


@dataclass(frozen=True)
class App:
    """The Qiscus app that is set up. `row`: of the ledger; None: it is not a tenant yet."""

    here: Installation
    tenant: str
    base_url: str
    secret_key: str = field(repr=False)
    public: str
    door: Door
    row: Any = field(repr=False)
    as_json: bool

    def tell(self, text: str) -> None:
        """A step, for a person. A program is told the end."""
        if not self.as_json:
            click.echo(text)

    @property
    def is_settings_own(self) -> bool:
        return self.tenant == self.here.settings.qiscus_app_id

    @property
    def is_known(self) -> bool:
        return self.row is not None and (self.row.base_url, self.row.secret_key) == (self.base_url, self.secret_key)

    def url(self, hook: Hook) -> str:
        return setup_plan.address(self.public, self.tenant, hook, self.door.secret)


@click.group()
def setup() -> None:
    """Connect Giliran to a desk."""


@setup.command()
@click.option("--tenant", metavar="ID", help="The app id (default: QISCUS_APP_ID, else it is asked for).")
@click.option("--public", metavar="URL", help="The public address of the receiver, as https://chat.example.com.")
@click.option(
    "--secret-file",
    "--secret-key-file",
    "key_file",
    metavar="FILE",
    help="A file with the secret key (default: the one that is known, else it is asked for); - reads standard input.",
)
@click.option(
    "--webhook-secret-file",
    metavar="FILE",
    help="A file with the tenant's own webhook secret, where it has one; - reads standard input.",
)
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done; change nothing.")
@click.option("--yes", is_flag=True, help="Register the webhooks without asking.")
@as_json
@click.pass_obj
def qiscus(
    here: Installation,
    tenant: str | None,
    public: str | None,
    key_file: str | None,
    webhook_secret_file: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Set up a Qiscus app: check its credentials, try the public address, register both webhooks.

    Safe to run again: what is right stays as it is. Secrets are never arguments and are not shown.
    """
    if [key_file, webhook_secret_file].count("-") > 1:
        raise click.UsageError("standard input can't hold both secrets")
    app = _app(here, _tenant(here, tenant), public, key_file, webhook_secret_file, as_json)
    with _desk(app) as desk:
        _check_credentials(desk)
        app.tell(f"{app.tenant}: Qiscus accepts its credentials")
        _check_public(app)
        missing, can_read = _missing(desk, app)
        _say_plan(app, missing, dry_run)
        if not dry_run:
            _change(desk, app, missing, can_read, yes)
    _end(app, missing, dry_run)


# --- what is given


def _tenant(here: Installation, given: str | None) -> str:
    tenant = given or here.settings.qiscus_app_id or _ask("app id", "--tenant")
    if not TENANT_ID.fullmatch(tenant):
        raise Refused(f"{clean(tenant)!r} is not a valid id: use {RULE}")
    return tenant


def _ask(name: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask for the {name}: give {option}")
    typed: str = click.prompt(name, err=True)
    return typed.strip()


def _app(
    here: Installation, tenant: str, public: str | None, key_file: str | None, word_file: str | None, as_json: bool
) -> App:
    with here.reading() as cur:
        rows = {row.id: row for row in LEDGER.all(cur, "tenants")}
    row = rows.get(tenant)
    if row is not None and row.desk == NATIVE_DESK:
        raise Refused(f"{tenant} is a chat of our own: `giliran tenant list`")
    address = _public(public or _ask("public address of the receiver", "--public"))
    door = _door(here, tenant, row, word_file, is_first=not rows)
    key = _key(here, tenant, row, key_file)
    base_url = row.base_url if row else here.settings.qiscus_url
    return App(here, tenant, base_url, key, address, door, row, as_json)


def _public(text: str) -> str:
    if wrong := wrong_with_http(text):
        raise Refused(f"the public address {wrong}".replace("the key would", "the webhook secret would"))
    return text.rstrip("/")


def _key(here: Installation, tenant: str, row: Any, file: str | None) -> str:
    """That of the settings or of the ledger, where none is given."""
    if file is None and tenant == here.settings.qiscus_app_id and here.settings.qiscus_secret_key:
        return here.settings.qiscus_secret_key
    return row.secret_key if file is None and row else secret.read("secret key", file)


def _door(here: Installation, tenant: str, row: Any, file: str | None, is_first: bool) -> Door:
    """Of a tenant's own secret only the digest is kept: it must be given again, and be the same."""
    if file is None and not (row and row.webhook_digest):
        _need_secret(here, tenant, is_first)
        return Door(tenant, here.settings.webhook_secret, is_own=False)
    word = secret.read("webhook secret", file, SECRET_MIN)
    if row is None or inbox.digest(word) != row.webhook_digest:
        raise Refused(f"{tenant} has another webhook secret, or none: set it by `giliran tenant add`")
    return Door(tenant, word, is_own=True)


def _need_secret(here: Installation, tenant: str, is_first: bool) -> None:
    """A demo may do without: it is of this machine."""
    if here.settings.webhook_secret:
        return
    if not here.settings.demo:
        lines = setup_plan.env_lines(tenant, is_first and not here.settings.qiscus_app_id)
        raise _Wrong(["everybody who knows the address could post webhooks. Put into .env:", lines, RUN_AGAIN])
    click.echo(OPEN, err=True)


class _Wrong(click.ClickException):
    """Several lines: what is wrong, exactly."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__("\n".join(wrong))

    def show(self, file: Any = None) -> None:
        click.echo(f"giliran: not done: {self.message}", file=file, err=True)


# --- what is asked before anything changes


@contextmanager
def _desk(app: App) -> Iterator[QiscusDesk]:
    try:
        desk = QiscusDesk(app.base_url, app.tenant, app.secret_key, pool_size=1)
    except ValueError as error:
        raise Refused(f"{clean(app.base_url, 200)} can't be used as a desk") from error
    with closing(desk):
        yield desk


def _check_credentials(desk: QiscusDesk) -> None:
    try:
        desk.probe()
    except DeskTrouble as error:
        if error.permanent:
            raise Refused(f"Qiscus refuses these credentials ({error.what}); nothing was changed") from error
        raise CantDo(f"Qiscus could not be asked ({error.what}); nothing was changed") from error


def _check_public(app: App) -> None:
    if not app.here.redis.exists(TENANTS):
        raise CantDo("no worker has published its tenants yet: start a worker, then run this again")
    if wrong := public_address.problems(app.public, app.door):
        raise _Wrong([*wrong, "nothing was changed"])
    tried = app.door.secret and not app.door.is_own
    app.tell(f"{clean(app.public, 200)}: our receiver answers there{TRIED if tried else ''}")


def _missing(desk: QiscusDesk, app: App) -> tuple[list[Hook], bool]:
    """What is to be registered, and whether Qiscus lets us read what is: a secret key may not be enough for that."""
    try:
        known = desk.webhooks()
    except DeskTrouble as error:
        if not error.permanent:
            raise CantDo(f"Qiscus could not be asked ({error.what}); nothing was changed") from error
        app.tell(f"Qiscus does not let a secret key read the webhooks ({error.what}): both are registered again")
        return list(HOOKS), False
    return setup_plan.missing(known, app.public, app.tenant, app.door.secret), True


def _say_plan(app: App, missing: list[Hook], dry_run: bool) -> None:
    when = "would be" if dry_run else "will be"
    if not app.is_known:
        app.tell(f"{app.tenant} {when} {'updated' if app.row else 'added'} as a tenant")
    if not missing:
        app.tell("both webhooks are registered already")
        return
    app.tell(f"webhooks that {when} registered at Qiscus:")
    app.tell("\n".join(setup_plan.planned(missing, app.public, app.tenant, app.door.secret)))


def _agree(yes: bool) -> None:
    try:
        if yes or click.confirm("Do it?", err=True):
            return
    except click.Abort:  # nobody is there to be asked, or Ctrl-C
        click.echo(err=True)
    raise Refused("nothing was changed; --yes agrees beforehand")


# --- the changes


def _change(desk: QiscusDesk, app: App, missing: list[Hook], can_read: bool, yes: bool) -> None:
    if missing or not app.is_known:
        _agree(yes)
    _keep(app)
    if wrong := _register(desk, app, missing, can_read):
        raise _Wrong(wrong)


def _keep(app: App) -> None:
    """As `giliran tenant add` does."""
    if app.is_known:
        return
    values = {"base_url": app.base_url, "secret_key": app.secret_key, "digest": None}
    with app.here.writing() as cur:
        if ADMIN.one(cur, "put_tenant", tenant=app.tenant, **values) is None:
            raise Refused(f"{app.tenant} is a chat of our own: `giliran tenant list`")
        after = {"added": app.row is None, "base_url": app.base_url, "secret_key": "set"}
        app.here.audit(cur, app.tenant, "setup qiscus", app.tenant, after=after)


def _register(desk: QiscusDesk, app: App, hooks: list[Hook], can_read: bool) -> list[str]:
    """What is wrong with which webhook afterwards. The audit has an entry for each that Qiscus took."""
    wrong = {hook: _set(desk, app, hook) for hook in hooks}
    known = _read_back(desk, app) if can_read and hooks else []
    lost = [hook for hook in hooks if wrong[hook] is None and setup_plan.contradicts(known, hook, app.url(hook))]
    return [*filter(None, wrong.values()), *map(_lost, lost)]


def _read_back(desk: QiscusDesk, app: App) -> list[Registered]:
    try:
        return desk.webhooks()
    except DeskTrouble as error:
        app.tell(f"the webhooks could not be read back ({error.what}): Qiscus's answers to the registrations count")
        return []


def _set(desk: QiscusDesk, app: App, hook: Hook) -> str | None:
    try:
        if not desk.set_webhook(hook, app.url(hook)):
            return f"{setup_plan.NAMES[hook.kind]}: Qiscus's answer does not have the address; run this again"
    except DeskTrouble as error:
        hand = setup_plan.by_hand(hook, app.base_url, app.tenant, app.public, app.door.secret)
        return f"Qiscus did not register a webhook ({error.what}).\n{hand}"
    with app.here.writing() as cur:
        after = setup_plan.address(app.public, app.tenant, hook, None)
        app.here.audit(cur, app.tenant, "setup qiscus", hook.kind, after={"url": after})
    return None


def _lost(hook: Hook) -> str:
    name = setup_plan.NAMES[hook.kind]
    return f"{name}: Qiscus accepted it, but lists another address, or has it off; run this again"


def _end(app: App, missing: list[Hook], dry_run: bool) -> None:
    if not dry_run and app.is_settings_own and app.secret_key != app.here.settings.qiscus_secret_key:
        app.tell("Put this secret key into .env as QISCUS_SECRET_KEY, too: a worker takes that one at its start.")
    kinds = [hook.kind for hook in missing]
    about = {"tenant": app.tenant, "public": app.public, "dry_run": dry_run, "put_tenant": not app.is_known}
    changed = bool(kinds) or not app.is_known
    done = (
        "nothing was changed: --dry-run"
        if dry_run
        else "done: " + ("both webhooks are registered" if changed else "nothing had to be changed")
    )
    say(app.as_json, {**about, "webhooks": kinds}, done)
