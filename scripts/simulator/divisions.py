"""The divisions of one simulated desk, and who belongs to them. The model owns them; the shells change and list them.

Pure. Each change is told with the members after it, so that whoever reads the journal knows them at every instant.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from scripts.simulator.journal import Instant, Journal
from scripts.simulator.refused import Refused


@dataclass(eq=False)
class Division:
    """Two may have one name, as nothing forbids it at the real desk."""

    id: int
    name: str
    members: set[int] = field(default_factory=set)  # ids of agents and supervisors, deleted ones too
    is_default: bool = False


class Divisions:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._next = 1
        self._known: dict[int, Division] = {}

    def add(self, now: Instant, name: str, members: Iterable[int] = (), *, is_default: bool = False) -> Division:
        made = Division(self._next, name, set(members), is_default)
        self._next += 1
        self._known[made.id] = made
        self._note(now, made, "added")
        return made

    def change(self, now: Instant, id_: int, name: str | None = None, members: Iterable[int] | None = None) -> Division:
        found = self.get(id_)
        found.name = found.name if name is None else name
        found.members = found.members if members is None else set(members)
        self._note(now, found)
        return found

    def remove(self, now: Instant, id_: int) -> None:
        self._note(now, self.get(id_), "deleted")
        del self._known[id_]

    def move(self, now: Instant, agent: int, ids: Iterable[int]) -> None:
        """The agent belongs to these and no others."""
        wanted = {self.get(id_).id for id_ in ids}
        for division in self.all():
            if (agent in division.members) != (division.id in wanted):
                division.members ^= {agent}
                self._note(now, division)

    def of(self, agent: int) -> list[Division]:
        return [division for division in self.all() if agent in division.members]

    def all(self) -> list[Division]:
        return list(self._known.values())

    def get(self, id_: int) -> Division:
        if found := self._known.get(id_):
            return found
        raise Refused(404, "Division not found")

    def _note(self, now: Instant, division: Division, change: str = "changed") -> None:
        members = sorted(division.members)
        self._journal.add(now, "division", division=division.id, name=division.name, members=members, change=change)
