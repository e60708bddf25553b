"""The second half of a decision: seats for the oldest rooms, abandoned reservations claimed, the desk's questions.

Runs after the inbox was taken over, in the same transaction, under the tenant's row lock.
"""

import heapq
import logging
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from psycopg2.errors import CheckViolation
from psycopg2.extensions import cursor

import logs
from db import line
from db.ledger import LEDGER, WORKER_LOCK_CLASS
from db.limits import Limits
from db.line import LINE
from worker import doubts as doubt
from worker.calls import LookAt
from worker.choose import NO_DOUBTS, Answer, Doubts, Seats, Waiting, choose
from worker.decision import LEASE_S, Decision, Question, Reserved
from worker.rules import UPSTREAM_ASK_S, Rules

log = logging.getLogger("worker.decide")

SEATS_BATCH = 500
RUNNERS_UP = 20  # candidates that a round keeps beside the chosen
CLAIMS = 50
LOOK_LEASE_S = 30.0  # two desk requests, and some time in the callers' queue
ROOMS_ASKED = 50  # for one roster at once, the oldest and the newest: as many as one tenant may call at once
ROSTER_LEASE_S = 4.0  # a reader who takes longer is not waited for: rooms stand still without a roster


class Seating:
    """What the steps share; `decision` is what they fill in."""

    def __init__(
        self,
        cur: cursor,
        tenant: str,
        rules: Rules,
        owner: int,
        agents: Sequence[Any],
        in_force: Limits,
        decision: Decision,
        doubted: bool,
    ) -> None:
        self._cur, self._tenant, self._rules, self._owner = cur, tenant, rules, owner
        self._agents, self._in_force, self._decision = agents, in_force, decision
        self._doubted = doubted  # some refusal is not judged yet

    def claim(self, gone: Collection[int] | None) -> None:
        """Reservations to finish and visits to look at. `gone`: see `decide`."""
        decision, tenant = self._decision, self._tenant
        dead = {"gone": None if gone is None else list(gone), "lock_class": WORKER_LOCK_CLASS}
        claim = {"tenant": tenant, "owner": self._owner, **dead}
        most = min(CLAIMS, decision.calls_left)
        pairs = LEDGER.all(self._cur, "claim_seats", most=most, lease_s=LEASE_S, **claim)
        for row in pairs:
            log.info(logs.line("claimed", tenant=tenant, room=row.room, agent=row.agent, attempt=row.attempt))
            decision.reserved.append(Reserved(row.id, row.attempt, row.room, row.agent, row.unclear_s))
        most = min(CLAIMS, decision.calls_left)
        looks = LEDGER.all(self._cur, "claim_looks", most=most, lease_s=LOOK_LEASE_S, **claim)
        decision.looks = [LookAt(*row) for row in looks]

    def seat(self) -> None:
        """Seats for the oldest rooms of the classes whose roster is young enough; the others' are read first (H16)."""
        self._mark_limits()
        classes = LINE.all(
            self._cur, "classes", tenant=self._tenant, roster_s=self._rules.roster_s, retry_s=self._rules.retry_s
        )
        believed = [c for c in classes if self._is_believed(c)]
        answer = self._reserve(believed, self._turns_elsewhere(classes)) if believed else Answer()
        self._ask_rosters(classes, answer)
        if self._rules.policy == "upstream":
            self._ask_suggestions(believed, answer)

    def _is_believed(self, of: Any) -> bool:
        return of.age_s is not None and of.age_s <= self._rules.roster_s

    def _turns_elsewhere(self, classes: Sequence[Any]) -> list[tuple[Waiting, Set[str]]]:
        """Oldest rooms of classes whose roster is read first, with the free agents whom it names: no later room of
        another class takes these meanwhile (P4). A roster that can't be read for long holds nobody up."""
        longest_s = self._rules.retry_s + 2 * self._rules.roster_s
        old, free = [c for c in classes if c.age_s is not None and not self._is_believed(c)], self._free()
        return [
            (Waiting(c.visit, c.room, c.class_, c.arrived_us, c.priority), free.intersection(c.eligible))
            for c in old
            if min(c.age_s, c.waited_s or 0.0) <= longest_s
        ]

    def _free(self) -> frozenset[str]:
        return frozenset(a.id for a in self._agents if a.available and a.load < self._in_force.of(a.id))

    def _mark_limits(self) -> None:
        in_force = {agent.id: self._in_force.of(agent.id) for agent in self._agents}
        changed = [agent.id for agent in self._agents if agent.max_load != in_force[agent.id]]
        if changed:
            values = [in_force[name] for name in changed]
            LINE.run(self._cur, "mark_limits", tenant=self._tenant, agents=changed, values=values)

    def _reserve(self, classes: Sequence[Any], elsewhere: Sequence[tuple[Waiting, Set[str]]]) -> Answer:
        seats = [
            Seats(a.id, a.load, self._in_force.of(a.id), a.idle_since_s, a.owed) for a in self._agents if a.available
        ]
        online = {seat.agent for seat in seats}
        eligible = {c.class_: online.intersection(c.eligible) for c in classes}
        most = min(SEATS_BATCH, self._decision.calls_left, sum(seat.free for seat in seats))
        if most <= 0:
            return Answer()
        doubts = doubt.read(self._cur, self._tenant, eligible) if self._doubted else NO_DOUBTS
        rooms = _in_turn(self._heads(eligible, most, doubts), eligible, elsewhere)
        suggested = {c.class_: c.suggested for c in classes if c.suggested}
        answer = choose(rooms, seats, eligible, self._rules.policy, most, suggested, doubts)
        if answer.picks:
            self._write(answer, seats)
        if suggested:
            used = sorted({pick.waiting.class_ for pick in answer.picks})
            asked = {"used": used, "classes": sorted(suggested), "wait_s": UPSTREAM_ASK_S}
            LINE.run(self._cur, "use_suggestions", tenant=self._tenant, **asked)
        return answer

    def _heads(self, eligible: Mapping[str, Set[str]], most: int, doubts: Doubts) -> list[Waiting]:
        """The oldest rooms of each class, and so many more as may have to be stepped over. Of a class whose agents are
        all refused alike one room, when its time has come."""
        stopped = doubt.stopped(self._cur, self._tenant, eligible, doubts) if self._doubted else {}
        classes = [class_ for class_ in eligible if not stopped.get(class_)]
        more = most + len(doubts.refused)
        rows = LINE.all(self._cur, "heads", tenant=self._tenant, classes=classes, most=more)
        rooms = [Waiting(*row) for row in rows]
        return doubt.one_each(rooms, [class_ for class_ in classes if class_ in stopped], doubts) if stopped else rooms

    def _write(self, answer: Answer, seats: Sequence[Seats]) -> None:
        """The picks into the ledger, with who was considered. The seat guard has the last word."""
        tenant, decision = self._tenant, self._decision
        chosen = [line.Seat(p.waiting.visit, p.agent, p.load_before, p.limit) for p in answer.picks]
        self._cur.execute("SAVEPOINT seats")
        try:
            attempts = line.reserve(self._cur, tenant, chosen, self._owner, LEASE_S)
        except CheckViolation as error:  # a seat taken by another code path: decide again on what it left
            self._cur.execute("ROLLBACK TO SAVEPOINT seats")
            log.error(logs.line("seat_refused", tenant=tenant, why=str(error).splitlines()[0]))
            decision.more = True
            return
        candidates = considered(seats, {seat.agent for seat in chosen})
        taken = [seat for seat in chosen if seat.visit in attempts]
        crew = counted(seats, len(self._agents))
        held = line.record(self._cur, tenant, self._rules.policy, candidates, crew, answer.passed_over, taken)
        decision.seats.update(held)
        rooms = {pick.waiting.visit: pick.waiting.room for pick in answer.picks}
        for seat in taken:
            decision.reserved.append(Reserved(seat.visit, attempts[seat.visit], rooms[seat.visit], seat.agent))
        logs.each(log, [_reserved_line(tenant, rooms[seat.visit], seat) for seat in taken])
        decision.more |= len(answer.picks) == SEATS_BATCH

    def _ask_rosters(self, classes: Sequence[Any], answer: Answer) -> None:
        """Rosters that are due; those too old to go by, though they name somebody with a free seat; and those that were
        just used and soon will be too old: while rooms keep coming, none of them waits for a roster."""
        doubtful = {a.id for a in self._agents if a.available and a.open_seats < self._in_force.of(a.id) <= a.load}
        hasten = [c.class_ for c in classes if c.age_s is not None and doubtful & set(c.eligible)]
        if hasten:
            LINE.run(self._cur, "hasten_rosters", tenant=self._tenant, classes=hasten, after_s=self._rules.lag_s)
        used = {pick.waiting.class_ for pick in answer.picks}
        free = self._free()
        wanted = {c.class_: c for c in classes if c.due or self._is_wanted(c, c.class_ in used, free)}
        self._decision.rosters = self._claim_questions(wanted, roster=True)

    def _is_wanted(self, of: Any, used: bool, free: Set[str]) -> bool:
        if used:
            return bool(of.age_s > self._rules.roster_s / 2)
        return not self._is_believed(of) and not free.isdisjoint(of.eligible)

    def _ask_suggestions(self, classes: Sequence[Any], answer: Answer) -> None:
        """Policy upstream: ask the desk for a candidate wherever a room waits and none is at hand."""
        served = {pick.waiting.class_ for pick in answer.picks}
        asked = {question.class_ for question in self._decision.rosters}
        wanted = {c.class_: c for c in classes if c.class_ in served or (not c.suggested and c.may_ask)}
        wanted = {k: c for k, c in wanted.items() if k not in asked}
        self._decision.suggestions = self._claim_questions(wanted, roster=False)

    def _claim_questions(self, wanted: Mapping[str, Any], roster: bool) -> list[Question]:
        """One reader at a time for each class: what another asks already is left out."""
        classes = sorted(wanted)[: max(0, self._decision.calls_left)]
        if not classes:
            return []
        leased = {"owner": self._owner, "lease_s": ROSTER_LEASE_S, "lock_class": WORKER_LOCK_CLASS}
        asked = {"tenant": self._tenant, "classes": classes, "roster": roster}
        rows = LINE.all(self._cur, "claim_rosters", **asked, **leased)
        claimed = [row.class_ for row in rows]
        many = self._rooms_to_ask(claimed) if roster else {}
        return [Question(c, many.get(c) or (wanted[c].room,), wanted[c].source) for c in claimed]

    def _rooms_to_ask(self, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Where the desk does not know some rooms of a class, several others at once: none of them is to keep the next
        one waiting (H19)."""
        most = min(ROOMS_ASKED // 2, self._decision.calls_left // 2)
        rows = LINE.all(self._cur, "rooms_to_ask", tenant=self._tenant, classes=list(classes), most=most)
        return {row.class_: tuple(dict.fromkeys(row.rooms)) for row in rows}


def considered(seats: Sequence[Seats], chosen: Set[str]) -> list[dict[str, Any]]:
    """The candidates that a round keeps: the chosen and the next best. Of a small team everybody."""
    others = [seat for seat in seats if seat.agent not in chosen]
    if len(others) > RUNNERS_UP:
        others = heapq.nsmallest(RUNNERS_UP, others, key=lambda seat: (seat.free == 0, seat.load, seat.idle_since_s))
    kept = chosen | {seat.agent for seat in others}
    return [{"agent": s.agent, "load": s.load, "limit": s.limit} for s in seats if s.agent in kept]


def counted(seats: Sequence[Seats], agents: int) -> dict[str, int]:
    """How many agents there were when a round began."""
    paused = sum(seat.limit == 0 for seat in seats)
    full = sum(seat.free == 0 for seat in seats) - paused
    return {"online": len(seats), "full": full, "paused": paused, "offline": agents - len(seats)}


def _in_turn(
    rooms: list[Waiting], eligible: Mapping[str, Set[str]], elsewhere: Sequence[tuple[Waiting, Set[str]]]
) -> list[Waiting]:
    """Without the rooms that come after one of `elsewhere` and could take an agent of its."""
    for first, agents in elsewhere:
        shared = {class_ for class_, names in eligible.items() if not agents.isdisjoint(names)}
        rooms = [room for room in rooms if room.class_ not in shared or room.place < first.place]
    return rooms


def _reserved_line(tenant: str, room: str, seat: line.Seat) -> str:
    return logs.line("reserved", tenant=tenant, room=room, agent=seat.agent, load=seat.load_before)
