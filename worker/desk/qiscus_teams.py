"""Who may serve a queue of the rules, by Qiscus's lists of divisions and agents: which lists, and how old they may be.

Seats are given by these answers, so they are a moment old at most; only the divisions' names are kept for longer. Many
queues may name the same division at once: threads that want one list at one moment share a request.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from logs import line
from routing import team as rules
from routing.model import Agents
from routing.texts import fold
from worker.desk import qiscus_answers as answers
from worker.desk import qiscus_lists
from worker.desk.base import DeskTrouble, RoomRefused, RosterAgent, Team
from worker.desk.qiscus_answers import Ask
from worker.desk.qiscus_calls import Calls
from worker.desk.qiscus_lists import Division, Listed, NumberedPage
from worker.desk.shared import Known, Shared

MOMENT_S = 1.0  # as old as an answer may be to be used again
ROWS_A_PAGE = 100
PAGES_MAX = 50
ONE_BY_ONE_MAX = 8  # divisions of one queue
IDS_A_CALL = 50  # gateways refuse lines from 4,096 bytes on

DIVISIONS = Ask("divisions", "GET", "/api/v2/divisions")
DIVISION = Ask("division", "GET", "/api/v2/admin/agents/by_division", about_room=True)
BY_IDS = Ask("agents_by_ids", "GET", "/api/v1/admin/agents/get_by_ids", about_room=True)
AGENTS = Ask("agents", "GET", "/api/v2/admin/agents")

log = logging.getLogger(__name__)

Cut = Callable[[dict[str, Any], Ask], NumberedPage]
Rows = list[Listed]
Value = TypeVar("Value")


class Teams:
    """The lists of one desk. May be shared by all threads. Each call ends by `ends_s`, on this process's monotonic
    clock, and raises nothing but `DeskTrouble`."""

    def __init__(self, calls: Calls, names_s: float) -> None:
        self._calls = calls
        self._names_s = names_s
        self._names: Shared[str, list[Division]] = Shared(max(names_s, MOMENT_S))
        self._members: Shared[tuple[str, ...], Rows] = Shared(MOMENT_S)
        self._by_ids: Shared[tuple[str, ...], Rows] = Shared(MOMENT_S)
        self._everybody: Shared[str, Rows] = Shared(MOMENT_S)

    def team(self, who: Agents, channel: Known[list[RosterAgent]] | None, ends_s: float) -> Team:
        """`channel`: whom the desk names for the room, if `who` wants them."""
        with _trouble_only():
            divisions = self._divisions(who.divisions, ends_s)
            lists = [known for members in divisions.values() for known in members]
            lists += self._agents_by_ids(who.ids, ends_s) + self._agents_by_emails(who.emails, ends_s)
        return _made(who, divisions, lists, channel)

    def division_names(self, ends_s: float) -> list[str]:
        with _trouble_only():
            return [one.name for one in self._known_names(MOMENT_S, ends_s)]

    def _divisions(self, wanted: Sequence[str], ends_s: float) -> dict[str, list[Known[Rows]]]:
        """Folded name → members, for those that the desk has. The names may be old: before a division is called gone,
        empty or refused they are read again."""
        names = {fold(name) for name in wanted}
        try:
            found = self._read(names, self._names_s, ends_s)
            if all(_ids(found.get(name, [])) for name in names):
                return found
        except RoomRefused:
            pass
        return self._read(names, MOMENT_S, ends_s)

    def _read(self, names: set[str], young_s: float, ends_s: float) -> dict[str, list[Known[Rows]]]:
        """Each division for itself, so that queues can share it; many of them together, to be read in time."""
        wanted = [one for one in self._known_names(young_s, ends_s) if fold(one.name) in names] if names else []
        members: dict[str, Known[Rows]] = {}
        for part in _parts([one.id for one in wanted], 1 if len(wanted) <= ONE_BY_ONE_MAX else IDS_A_CALL):
            members |= self._members_of(part, ends_s)
        found: dict[str, list[Known[Rows]]] = {}
        for one in wanted:
            found.setdefault(fold(one.name), []).append(members[one.id])
        return found

    def _known_names(self, young_s: float, ends_s: float) -> list[Division]:
        def ask() -> list[Division]:
            return self._listed(DIVISIONS, {}, qiscus_lists.numbered_divisions, qiscus_lists.division, ends_s)

        return self._names.get("", ask, ends_s, young_s).value

    def _members_of(self, divisions: tuple[str, ...], ends_s: float) -> dict[str, Known[Rows]]:
        """Without `is_available`: who is online is for us to judge. Whose row names none of them is in all of them."""

        def ask() -> Rows:
            return self._agents(DIVISION, {"division_ids[]": list(divisions)}, ends_s)

        known, asked = self._members.get(divisions, ask, ends_s), frozenset(divisions)
        return {
            id_: Known([row for row in known.value if id_ in (row.divisions & asked or asked)], known.asked_at)
            for id_ in divisions
        }

    def _agents_by_emails(self, emails: Sequence[str], ends_s: float) -> list[Known[Rows]]:
        """There is no list by e-mails: all agents are read."""
        return [self._all(ends_s)] if emails else []

    def _agents_by_ids(self, ids: Sequence[str], ends_s: float) -> list[Known[Rows]]:
        """What can't be an id of this desk is not asked for: it might be refused, and the others with it. This list is
        of an older make, and its like was seen refused to an account: then all agents are read."""
        numbers = sorted({id_ for id_ in ids if re.fullmatch("[0-9]{1,18}", id_)})
        try:
            return [
                self._by_ids.get(part, partial(self._some, part, ends_s), ends_s)
                for part in _parts(numbers, IDS_A_CALL)
            ]
        except DeskTrouble as trouble:
            if not trouble.permanent:
                raise
            return [self._all(ends_s)]

    def _all(self, ends_s: float) -> Known[Rows]:
        return self._everybody.get("", lambda: self._agents(AGENTS, {}, ends_s), ends_s)

    def _some(self, ids: tuple[str, ...], ends_s: float) -> Rows:
        """Where the desk refuses a list for one unknown id, the others are found by halves."""
        try:
            page = qiscus_lists.numbered_agents(self._once(BY_IDS, {"ids[]": list(ids)}, ends_s), BY_IDS)
            return [row for row in _readable(BY_IDS, page.rows, qiscus_lists.listed) if row]
        except RoomRefused:
            half = len(ids) // 2
            return self._some(ids[:half], ends_s) + self._some(ids[half:], ends_s) if half else []

    def _agents(self, ask: Ask, fields: dict[str, Any], ends_s: float) -> Rows:
        return [
            row for row in self._listed(ask, fields, qiscus_lists.numbered_agents, qiscus_lists.listed, ends_s) if row
        ]

    def _listed(
        self, ask: Ask, fields: dict[str, Any], cut: Cut, read: Callable[[Any], Value], ends_s: float
    ) -> list[Value]:
        """All pages' rows, duplicates included; those that can't be read are counted and left."""
        return _readable(ask, self._rows(ask, fields, cut, ends_s), read)

    def _rows(self, ask: Ask, fields: dict[str, Any], cut: Cut, ends_s: float) -> list[Any]:
        """A desk that knows no pages gives the same one again: then it was all, unless it names another number."""
        rows: list[Any] = []
        last: list[Any] = []
        for number in range(1, PAGES_MAX + 1):
            page = cut(self._once(ask, {**fields, "page": str(number), "limit": str(ROWS_A_PAGE)}, ends_s), ask)
            if page.rows == last and page.is_counted and page.rows:
                raise answers.broken(ask, "the same page twice")
            rows += [] if page.rows == last else page.rows
            if page.rows == last or page.is_last(number, len(rows)):
                return rows
            last = page.rows
        raise answers.broken(ask, f"no end after {PAGES_MAX} pages")

    def _once(self, ask: Ask, fields: dict[str, Any], ends_s: float) -> dict[str, Any]:
        left_s = ends_s - time.monotonic()
        if left_s <= 0:
            raise answers.broken(ask, "no end in time")
        return self._calls.asked(ask, fields, left_s)


def _readable(ask: Ask, rows: Iterable[Any], read: Callable[[Any], Value]) -> list[Value]:
    values, skipped = answers.readable(read, rows)
    if skipped:
        log.warning(line("rows_skipped", desk="qiscus", verb=ask.verb, rows=skipped))
    return values


def _parts(ids: Sequence[str], most: int) -> list[tuple[str, ...]]:
    return [tuple(ids[at : at + most]) for at in range(0, len(ids), most)]


@contextmanager
def _trouble_only() -> Iterator[None]:
    """No answer about the lists says anything about the room for which they are read."""
    try:
        yield
    except RoomRefused as refused:
        raise DeskTrouble(refused.what, maybe_applied=False) from None
    except TimeoutError:
        raise DeskTrouble("team: another thread's request did not end in time", maybe_applied=False) from None


def _made(
    who: Agents,
    divisions: dict[str, list[Known[Rows]]],
    lists: list[Known[Rows]],
    channel: Known[list[RosterAgent]] | None,
) -> Team:
    rows = [row for known in lists for row in known.value]
    on_channel = channel.value if channel else []
    found = rules.who_is_named(
        who,
        [rules.Agent(row.agent.id, row.email) for row in rows],
        {name: _ids(members) for name, members in divisions.items()},
        {agent.id for agent in on_channel},
    )
    best = _best([*(row.agent for row in rows), *on_channel])
    asked_at = [known.asked_at for known in lists] + ([channel.asked_at] if channel else [])
    age_s = time.monotonic() - min(asked_at) if asked_at else 0.0
    return Team(tuple(best[id_] for id_ in sorted(found.agents)), found.missing, age_s)


def _ids(members: Iterable[Known[Rows]]) -> set[str]:
    return {row.agent.id for known in members for row in known.value}


def _best(agents: Iterable[RosterAgent]) -> dict[str, RosterAgent]:
    """Of several rows of one agent the first with a count."""
    best: dict[str, RosterAgent] = {}
    for agent in agents:
        known = best.setdefault(agent.id, agent)
        if known.count is None and agent.count is not None:
            best[agent.id] = agent
    return best
