"""Which refusals does a decision have to respect? Reads them from the ledger, for `seating` to choose by.

H13 (docs/algorithm.md): an agent under doubt is tried with one room at a time; where all agents of a class are, that
is the desk's trouble, and one room of the class is tried at a time. Written by `refusals`.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

from db.turn import Turn
from worker.choose import Doubts, Waiting


def read(turn: Turn, eligible: Mapping[str, Set[str]]) -> Doubts:
    rows = turn.all("doubted")
    unproved = {row.agent for row in rows if row.unproved}
    trial = {(row.class_, row.agent) for row in rows}
    trial |= {(class_, agent) for class_, agents in eligible.items() for agent in unproved & agents}
    refused: dict[int, set[str]] = {}
    for row in turn.all("refused"):
        refused.setdefault(row.visit, set()).add(row.agent)
    return Doubts(
        out={(row.class_, row.agent) for row in rows if row.is_out},
        trial=trial,
        tried={row.agent for row in rows if row.busy},
        refused=refused,
    )


def stopped(turn: Turn, eligible: Mapping[str, Set[str]], doubts: Doubts) -> dict[str, bool]:
    """Classes of which one room is tried at a time → whether its time has not come. An agent who came since is not
    under doubt, and serves."""
    found = {row.class_: row.waits for row in turn.all("stopped")}
    return {
        class_: waits
        for class_, waits in found.items()
        if all((class_, agent) in doubts.trial for agent in eligible.get(class_, ()))
    }


def one_each(rooms: Sequence[Waiting], classes: Iterable[str], doubts: Doubts) -> list[Waiting]:
    """Of these classes only the room that was refused least, the oldest of those; it shows most."""
    ones = set(classes)
    kept = [room for room in rooms if room.class_ not in ones]
    for class_ in ones:
        mine = [room for room in rooms if room.class_ == class_]
        kept += sorted(mine, key=lambda room: (len(doubts.refused.get(room.visit, ())), room.place))[:1]
    return kept
