"""Asks a tenant's desk for `giliran routing`: whom it knows of those a file names, who may serve a queue, its hours."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from db.ledger import NATIVE_DESK
from db.native import NATIVE
from routing import at_desk
from routing.file import Checked
from routing.model import Agents
from scripts.admin.installation import Installation
from worker.desk.base import DeskError, Team
from worker.desk.connections import Connections
from worker.desk.native import NativeDesk
from worker.desk.qiscus import QiscusDesk

CALLS = 2


@dataclass(frozen=True)
class Desk:
    """A tenant's. `row`: of the block `rules_in_force`. Each verb raises `DeskError`."""

    here: Installation
    tenant: str
    row: Any

    @property
    def is_native(self) -> bool:
        return bool(self.row.desk == NATIVE_DESK)

    def checked(self, content: str, checked: Checked) -> Checked:
        """With the faults that only the desk knows of. A file that names nobody is not asked about."""
        who = at_desk.everybody(checked.rules) if checked.rules else Agents()
        if checked.rules is None or who == Agents():
            return checked
        found = at_desk.check(content, checked.rules, self._about(who))
        faults = tuple(sorted({*checked.faults, *found.faults}))
        warnings = tuple(sorted({*checked.warnings, *found.warnings}))
        return replace(checked, faults=faults, warnings=warnings)

    def team(self, room: str, who: Agents) -> Team:
        """Who may serve a queue, online or not."""
        with self._native() if self.is_native else self._qiscus() as desk:
            return desk.team(room, who)

    def office_hours(self) -> Any:
        """As Qiscus tells them."""
        with self._qiscus() as desk:
            return desk.office_hours()

    def _about(self, who: Agents) -> at_desk.Desk:
        missing = frozenset(self.team("", who).missing)
        if self.is_native:
            return self._accounts(missing)
        with self._qiscus() as desk:
            return at_desk.Desk(desk.division_names() if who.divisions else (), missing)

    def _accounts(self, missing: frozenset[str]) -> at_desk.Desk:
        with self.here.reading() as cur:
            rows = NATIVE.all(cur, "team", tenant=self.tenant)
        divisions = sorted({name for row in rows for name in row.divisions})
        return at_desk.Desk(divisions, missing, [one for row in rows if row.serves for one in (row.id, row.email)])

    @contextmanager
    def _native(self) -> Iterator[NativeDesk]:
        with closing(Connections(self.here.servers.database_url, most=1)) as connections:
            yield NativeDesk(self.tenant, connections, _tell_nobody)

    @contextmanager
    def _qiscus(self) -> Iterator[QiscusDesk]:
        try:
            desk = QiscusDesk(self.row.base_url, self.tenant, self.row.secret_key, pool_size=CALLS)
        except ValueError:
            raise DeskError("its address or secret key can't be used") from None
        with closing(desk):
            yield desk


def _tell_nobody(*_: Any) -> None:
    """Nothing that is asked here changes a chat."""


def trouble(error: DeskError) -> str:
    return f"the desk could not be asked: {error.what}"
