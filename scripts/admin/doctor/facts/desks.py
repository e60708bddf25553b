"""Asks each tenant's desk: does it take our credentials, how quickly, and whom do the rules name that it lacks?"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from db.postgres import LedgerTrouble
from routing import file
from scripts.admin.doctor.facts.at_once import Unread, at_once
from scripts.admin.errors import CantDo
from scripts.admin.installation import Installation
from scripts.admin.routing_desk import Desk
from worker.desk.base import DeskError, DeskTrouble
from worker.desk.qiscus import QiscusDesk

DESKS_MOST = 20  # asked at once; the others are not


class Answered(NamedTuple):
    """`trouble`: in the desk's words, None: it works. `refused`: our credentials are."""

    took_s: float
    trouble: str | None = None
    refused: bool = False


class Strangers(NamedTuple):
    """What a rules file names and the desk does not have, a sentence each; or why it could not be asked."""

    faults: tuple[str, ...] = ()
    trouble: str | None = None


def ask(
    here: Installation, doors: Sequence[Any], rules: Mapping[str, Any], within_s: float
) -> tuple[dict[str, Answered | Unread], dict[str, Strangers | Unread]]:
    """Both by tenant. `doors`: rows of the block `doors_of_tenants`; `rules`: tenant → of `rules_in_force`."""
    named = [Desk(here, tenant, row) for tenant, row in rules.items() if row.content]
    reads: dict[str, Callable[[], Any]] = {f"answer {row.id}": partial(_probe, row) for row in doors[:DESKS_MOST]}
    reads |= {f"rules {desk.tenant}": partial(_strangers, desk) for desk in named[:DESKS_MOST]}
    found = at_once(reads, within_s)
    return _under("answer ", found), _under("rules ", found)


def _under(kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(kind): value for name, value in found.items() if name.startswith(kind)}


def _probe(row: Any) -> Answered:
    began = time.monotonic()
    try:
        desk = QiscusDesk(row.base_url, row.id, row.secret_key, pool_size=1)
    except ValueError:
        return Answered(0.0, "its address or secret key can't be used", True)
    try:
        desk.probe()
    except DeskTrouble as error:
        return Answered(time.monotonic() - began, error.what, error.permanent)
    except DeskError as error:
        return Answered(time.monotonic() - began, error.what)
    finally:
        desk.close()
    return Answered(time.monotonic() - began)


def _strangers(desk: Desk) -> Strangers:
    checked = file.check(desk.row.content)
    if checked.rules is None:
        return Strangers(trouble="this version can't read the rules file in force, and serves as without rules")
    try:
        found = desk.checked(desk.row.content, checked)
    except DeskError as error:
        return Strangers(trouble=error.what)
    except (CantDo, LedgerTrouble) as error:  # of a native chat PostgreSQL is asked
        return Strangers(trouble=str(error))
    known = {*checked.faults, *checked.warnings}  # what needs no desk was said when the file was applied
    faults = sorted({*found.faults, *found.warnings} - known)
    return Strangers(tuple(f"line {fault.line}: {fault}" for fault in faults))
