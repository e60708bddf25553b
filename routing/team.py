"""Pure: who may serve a queue at a step, from the file's words and what is known of agents and divisions.

Comes after `route`; the worker gives the rooms to those who are found here. A division that is gone, or empty, is said
and not passed over in silence.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from routing.faults import shown
from routing.model import Agents, Rules
from routing.texts import fold


@dataclass(frozen=True, slots=True)
class Agent:
    """One whom the desk knows, online or not."""

    id: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class Team:
    """`agents`: ids. `missing`: what the file names and the desk doesn't have, a sentence each."""

    agents: frozenset[str]
    missing: tuple[str, ...] = ()


def who(rules: Rules, queue: str, step: int) -> Agents:
    """Who may serve a queue after so many steps: all who are named up to then."""
    of = rules.queue(queue)
    parts = [of.agents, *(each.agents for each in of.steps[:step] if each.agents is not None)]
    return Agents(
        divisions=_joined(part.divisions for part in parts),
        ids=_joined(part.ids for part in parts),
        emails=_joined(part.emails for part in parts),
        channel=any(part.channel for part in parts),
    )


def _joined(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in names for name in part))


def may_serve(
    rules: Rules,
    queue: str,
    step: int,
    agents: Iterable[Agent],
    divisions: Mapping[str, Set[str]],
    channel: Set[str] = frozenset(),
) -> Team:
    """After `step` steps of the queue. `divisions`: name → ids of members, as the desk says; two with the same name
    count as one. `channel`: the ids of those whom the desk names for the room."""
    return who_is_named(who(rules, queue, step), agents, divisions, channel)


def who_is_named(
    who: Agents, agents: Iterable[Agent], divisions: Mapping[str, Set[str]], channel: Set[str] = frozenset()
) -> Team:
    """The same of one list of the file. What a desk says of nobody named there may be left out."""
    return _named(who, _Roster(agents), _folded(divisions), channel)


class _Roster:
    def __init__(self, agents: Iterable[Agent]) -> None:
        found = list(agents)
        self.ids = {agent.id for agent in found}
        self.by_email = {fold(agent.email): agent.id for agent in found if agent.email}


def _named(part: Agents, roster: _Roster, members: Mapping[str, Set[str]], channel: Set[str]) -> Team:
    ids = {one for one in part.ids if one in roster.ids}
    by_email = {roster.by_email[fold(one)] for one in part.emails if fold(one) in roster.by_email}
    by_division = set().union(*(members.get(fold(one), frozenset()) for one in part.divisions))
    missing = [
        *(no_division(one) for one in part.divisions if fold(one) not in members),
        *(empty_division(one) for one in part.divisions if members.get(fold(one)) == frozenset()),
        *(no_agent(one) for one in part.ids if one not in roster.ids),
        *(no_agent(one) for one in part.emails if fold(one) not in roster.by_email),
    ]
    return Team(frozenset(ids | by_email | by_division | (channel if part.channel else set())), tuple(missing))


def no_division(name: str) -> str:
    return f"the desk has no division '{shown(name)}'"


def empty_division(name: str) -> str:
    return f"the division '{shown(name)}' is empty"


def no_agent(id_or_email: str) -> str:
    return f"the desk has no agent {shown(id_or_email)}"


def _folded(divisions: Mapping[str, Set[str]]) -> dict[str, Set[str]]:
    found: dict[str, Set[str]] = {}
    for name, ids in divisions.items():
        found[fold(name)] = frozenset(ids | found.get(fold(name), frozenset()))
    return found
