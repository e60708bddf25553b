"""Pure: whether the desk knows whom a rules file names; each stranger with its line.

Comes after file.py, for whoever can ask a desk: a file is checked without one, too.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from routing.faults import At, Findings, suggestion
from routing.model import Agents, Rules
from routing.team import empty_division, no_agent, no_division
from routing.texts import fold
from routing.toml_lines import lines

SEEN = "`giliran agent list` prints whom Giliran has seen"


@dataclass(frozen=True)
class Desk:
    """What a desk says of those whom the file names. `divisions`: as it writes them, all that it has; `missing`:
    sentences, as team.py has them; `agents`: ids and e-mails that it has, for a hint, where it tells them."""

    divisions: Sequence[str] = ()
    missing: Set[str] = frozenset()
    agents: Sequence[str] = ()


def everybody(rules: Rules) -> Agents:
    """All who are named anywhere in the file; not whom the desk names for a room."""
    parts = [part for _, part in _parts(rules)]
    return Agents(
        divisions=_joined(part.divisions for part in parts),
        ids=_joined(part.ids for part in parts),
        emails=_joined(part.emails for part in parts),
    )


def _joined(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in names for name in part))


def check(content: str, rules: Rules, desk: Desk) -> Findings:
    """Faults: whom the desk doesn't have. Warnings: divisions with nobody in them."""
    found = Findings(lines(content.removeprefix("\ufeff")))
    known = {fold(name) for name in desk.divisions}
    for path, part in _parts(rules):
        at = At(found, path)
        for number, name in enumerate(part.divisions):
            _check_division(name, at / "divisions" / number, known, desk)
        for key, names in (("ids", part.ids), ("emails", part.emails)):
            for number, name in enumerate(names):
                if no_agent(name) in desk.missing:
                    (at / key / number).fault(no_agent(name), _hint(name, desk.agents))
    return found


def _check_division(name: str, at: At, known: Set[str], desk: Desk) -> None:
    if fold(name) not in known:
        at.fault(no_division(name), suggestion(name, desk.divisions))
    elif empty_division(name) in desk.missing:
        at.warn("nobody who may be given chats is in this division", "it serves once the desk has somebody in it")


def _hint(name: str, known: Sequence[str]) -> str:
    alike = [one for one in known if ("@" in one) == ("@" in name)]
    return suggestion(name, alike) if alike else SEEN


def _parts(rules: Rules) -> Iterator[tuple[tuple[str | int, ...], Agents]]:
    for queue in rules.queues.values():
        yield ("queues", queue.name, "agents"), queue.agents
        for number, step in enumerate(queue.steps):
            if step.agents is not None:
                yield ("queues", queue.name, "steps", number, "agents"), step.agents
