"""The second half of a decision: seats for the oldest rooms, abandoned reservations claimed, the desk's questions.

Runs after the inbox was taken over, in the same transaction, under the tenant's row lock.
"""

import heapq
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any

from psycopg2.errors import CheckViolation

import logs
from db import line, routes
from db.ledger import WORKER_LOCK_CLASS
from db.rules import Book
from db.turn import Turn
from routing.model import Rules as RoutingRules
from routing.team import who as who_serves
from worker import doubts as doubt
from worker.calls import LookAt, Pair
from worker.choose import (
    NO_DOUBTS,
    NO_QUEUE_LIMITS,
    Answer,
    Doubts,
    Place,
    QueueLimits,
    Seats,
    Waiting,
    all_full,
    choose,
)
from worker.decision import LEASE_S, Decision, Question, Terms
from worker.rules import UPSTREAM_ASK_S

log = logging.getLogger("worker.decide")

SEATS_BATCH = 500
FIRST = 20  # rooms for which a decision reads agents at first; for more only where there are more
NO_RULES = RoutingRules()
RUNNERS_UP = 20  # candidates that a round keeps beside the chosen
CLAIMS = 50
LOOK_LEASE_S = 30.0  # two desk requests, and some time in the callers' queue
ROOMS_ASKED = 50  # for one roster at once, the oldest and the newest: as many as one tenant may call at once
ROSTER_LEASE_S = 4.0  # a reader who takes longer is not waited for: rooms stand still without a roster


class Team:
    """The agents who may be given rooms. Of each class those who come first by the policy, at least `most`: as long as
    no more rooms are chosen, nobody else can be. `everybody`: all who are online."""

    def __init__(self, rows: Sequence[Any], classes: Iterable[str], most: int, everybody: bool) -> None:
        self.most, self.everybody = most, everybody
        self.seats = [Seats(row.id, row.load, row.max_load, row.idle_since_s, row.owed) for row in rows]
        self._of: dict[str, set[str]] = {class_: set() for class_ in classes}
        for row in rows:
            for class_ in row.classes:
                self._of[class_].add(row.id)
        self._seats = {seat.agent: seat for seat in self.seats}
        self._doubtful = {row.id for row in rows if row.open_seats < row.max_load <= row.load}

    def of(self, class_: str) -> Set[str]:
        return self._of[class_]

    def free(self, class_: str) -> Set[str]:
        return {agent for agent in self._of[class_] if self._seats[agent].free}

    def free_seats(self, classes: Iterable[str]) -> int:
        """At least so many as can be chosen at once, where there are more agents than were read."""
        free = [self.free(class_) for class_ in classes]
        if not self.everybody and any(len(agents) >= self.most for agents in free):
            return SEATS_BATCH
        return sum(self._seats[agent].free for agent in set().union(*free))

    def has_doubtful(self, class_: str) -> bool:
        """Whether a seat is closed by an estimate only."""
        return not self._doubtful.isdisjoint(self._of[class_])


class Seating:
    """What the steps share; `decision` is what they fill in."""

    def __init__(self, turn: Turn, terms: Terms, decision: Decision, book: Book) -> None:
        self._turn, self._terms, self._decision = turn, terms, decision
        self._rules = book.rules or NO_RULES
        self._limits = NO_QUEUE_LIMITS

    def claim(self) -> None:
        """Reservations to finish and visits to look at."""
        gone = None if self._terms.gone is None else list(self._terms.gone)
        dead = {"owner": self._terms.owner, "gone": gone, "lock_class": WORKER_LOCK_CLASS}
        pairs = self._turn.all("claim_seats", most=self._claims(), lease_s=LEASE_S, **dead)
        for row in pairs:
            words = {"room": row.room, "agent": row.agent, "attempt": row.attempt}
            log.info(self._turn.line("claimed", **words))
            unclear_s = self._surely_s(row.unclear_s)
            self._reserve_for(row.id, row.attempt, row.room, row.agent, unclear_s=unclear_s)
        looks = self._turn.all("claim_looks", most=self._claims(), lease_s=LOOK_LEASE_S, **dead)
        surely_s = self._surely_s
        self._decision.looks = [
            LookAt(*row._replace(age_s=surely_s(row.age_s), waited_s=surely_s(row.waited_s))) for row in looks
        ]

    def _claims(self) -> int:
        return min(CLAIMS, self._decision.calls_left)

    def _reserve_for(self, visit: int, attempt: int, room: str, agent: str, **since: float | None) -> None:
        """The deadline is that of a lease that began with the turn: a frozen process is never late."""
        deadline = self._turn.began_s + LEASE_S
        self._decision.reserved.append(Pair(visit, attempt, room, agent, deadline, **since))

    def _surely_s(self, age_s: float | None) -> float | None:
        return None if age_s is None else self._terms.rules.surely_s(age_s)

    def seat(self) -> None:
        """Seats for the oldest rooms of the classes whose roster is young enough; the others' are read first (H16)."""
        classes = self._turn.all("classes", roster_s=self._terms.rules.roster_s, retry_s=self._terms.rules.retry_s)
        if not classes:
            return
        believed = [c for c in classes if self._is_believed(c)]
        self._limits = self._queue_limits(classes)
        team = self._team([c.class_ for c in classes], some_believed=0 < len(believed) < len(classes))
        answer = self._reserve(believed, team, self._turns_elsewhere(classes, team)) if believed else Answer()
        self._ask_rosters(classes, team, answer)
        if self._terms.rules.policy.asks_desk:
            self._ask_suggestions(believed, answer)

    def _is_believed(self, of: Any) -> bool:
        return of.age_s is not None and of.age_s <= self._terms.rules.roster_s

    def _team(self, classes: Sequence[str], some_believed: bool) -> Team:
        """Who may be given rooms of these classes: all who are online where a refusal, the desk's candidate or a class
        whose roster is too old may make any of them matter; else those who come first."""
        everybody = self._turn.row.doubted or self._terms.rules.policy.asks_desk or some_believed
        return self._read_team(classes, FIRST, everybody)

    def _read_team(
        self, classes: Sequence[str], most: int, everybody: bool = False, also: Collection[str] = ()
    ) -> Team:
        """`also`: agents whom rooms wait for. Who has as many chats of a queue as one may is nobody for it."""
        policy, shut = self._terms.rules.policy, self._limits.shut()
        rows = line.candidates(self._turn, policy, classes, most + RUNNERS_UP, everybody, also, shut)
        return Team(rows, classes, most, everybody)

    def _turns_elsewhere(self, classes: Sequence[Any], team: Team) -> list[tuple[Place, Set[str]]]:
        """Oldest rooms of classes whose roster is read first, with the free agents whom it names: no later room of
        another class takes these meanwhile (P4). A roster that can't be read for long holds nobody up. Of a queue's
        step that has just come nothing was read yet: it may name anybody."""
        longest_s = self._terms.rules.retry_s + 2 * self._terms.rules.roster_s
        old = [c for c in classes if not self._is_believed(c) and (c.age_s is not None or c.queue is not None)]
        return [
            (Waiting(c.visit, c.room, c.class_, c.arrived_us, c.priority).place, self._who_may_be_named(c, team))
            for c in old
            if min(c.age_s if c.age_s is not None else longest_s, self._waited_s(c)) <= longest_s
        ]

    def _who_may_be_named(self, of: Any, team: Team) -> Set[str]:
        return team.free(of.class_) if of.age_s is not None else {seat.agent for seat in team.seats if seat.free}

    def _waited_s(self, of: Any) -> float:
        """How long the oldest room of a class has been in it."""
        if of.queue is None or of.serve_from is None:
            return of.waited_s or 0.0
        after_s = self._rules.queue(of.queue).steps[of.step - 1].after_s if of.step else 0
        return float((routes.now_of(self._turn) - of.serve_from).total_seconds()) - after_s

    def _reserve(self, classes: Sequence[Any], team: Team, elsewhere: Sequence[tuple[Place, Set[str]]]) -> Answer:
        names = [c.class_ for c in classes]
        most = min(SEATS_BATCH, self._decision.calls_left, team.free_seats(names))
        if most <= 0:
            return Answer()
        eligible = {class_: team.of(class_) for class_ in names}
        doubts = doubt.read(self._turn, eligible) if self._turn.row.doubted else NO_DOUBTS
        heads = self._heads(eligible, most, doubts)
        sticky = {room.sticky for room in heads if room.sticky is not None}
        if not team.everybody and (min(most, len(heads)) > team.most or sticky):
            team = self._read_team(names, max(team.most, min(most, len(heads))), also=sticky)
            eligible = {class_: team.of(class_) for class_ in names}
        suggested = {c.class_: c.suggested for c in classes if c.suggested}
        answer = choose(
            heads, team.seats, eligible, self._terms.rules.policy, most, suggested, doubts, self._limits, elsewhere
        )
        if answer.picks:
            self._write(answer, team)
        if suggested:
            used = sorted({pick.waiting.class_ for pick in answer.picks})
            asked = {"used": used, "classes": sorted(suggested), "wait_s": UPSTREAM_ASK_S}
            self._turn.run("use_suggestions", **asked)
        return answer

    def _heads(self, eligible: Mapping[str, Set[str]], most: int, doubts: Doubts) -> list[Waiting]:
        """The oldest rooms of each class, and so many more as may have to be stepped over. Of a class whose agents are
        all refused alike one room, when its time has come."""
        stopped = doubt.stopped(self._turn, eligible, doubts) if self._turn.row.doubted else {}
        classes = [class_ for class_ in eligible if not stopped.get(class_)]
        more = most + len(doubts.refused)
        if self._rules.sticky is not None:
            more += self._turn.one("waiting_for_one").rooms
        rows = self._turn.all("heads", classes=classes, most=more)
        rooms = [Waiting(*row) for row in rows]
        return doubt.one_each(rooms, [class_ for class_ in classes if class_ in stopped], doubts) if stopped else rooms

    def _queue_limits(self, classes: Sequence[Any]) -> QueueLimits:
        """Of the queues that have one and rooms that wait."""
        limits = {name: queue.limit for name, queue in self._rules.queues.items() if queue.limit is not None}
        most = {c.class_: (c.queue, limits[c.queue]) for c in classes if c.queue in limits}
        if not most:
            return NO_QUEUE_LIMITS
        rows = self._turn.all("seats_of_queues", queues=sorted({queue for queue, _ in most.values()}))
        return QueueLimits(most, {(row.agent, row.queue): row.seats for row in rows})

    def _write(self, answer: Answer, team: Team) -> None:
        """The picks into the ledger, with who was considered. The seat guard has the last word."""
        turn, decision = self._turn, self._decision
        chosen = [line.Seat(p.waiting.visit, p.agent, p.load_before, p.limit) for p in answer.picks]
        candidates = self._considered(team, {seat.agent for seat in chosen})
        crew = turn.one("crew")._asdict()
        why = line.Why(self._terms.rules.policy.name, candidates, crew, self._passed_over(answer, team))
        turn.cur.execute("SAVEPOINT seats")
        try:
            attempts = line.reserve(turn, chosen, self._terms.owner, LEASE_S)
        except CheckViolation as error:  # a seat taken by another code path: decide again on what it left
            turn.cur.execute("ROLLBACK TO SAVEPOINT seats")
            log.error(turn.line("seat_refused", why=str(error).splitlines()[0]))
            decision.more = True
            return
        taken = [seat for seat in chosen if seat.visit in attempts]
        line.record(turn, why, taken)
        rooms = {pick.waiting.visit: pick.waiting.room for pick in answer.picks}
        idle_s, now = line.freed(turn, taken), time.monotonic()
        for seat in taken:
            freed_at = now - idle_s[seat.visit] if seat.visit in idle_s else None
            self._reserve_for(seat.visit, attempts[seat.visit], rooms[seat.visit], seat.agent, freed_at=freed_at)
        logs.each(log, [_reserved_line(turn.tenant, rooms[seat.visit], seat) for seat in taken])
        decision.more |= len(answer.picks) == SEATS_BATCH

    def _considered(self, team: Team, chosen: Set[str]) -> list[dict[str, Any]]:
        """The candidates that a round keeps: the chosen and the next best. Of a small team everybody."""
        others = heapq.nsmallest(
            RUNNERS_UP,
            (seat for seat in team.seats if seat.agent not in chosen),
            key=lambda seat: (seat.free == 0, seat.load, seat.idle_since_s),
        )
        kept = [seat for seat in team.seats if seat.agent in chosen] + others
        found = {seat.agent: (seat.load, seat.limit) for seat in kept}
        if len(others) < RUNNERS_UP:
            for row in self._turn.all("full_agents", most=RUNNERS_UP):
                found.setdefault(row.id, (row.load, row.max_load))
        return [{"agent": agent, "load": load, "limit": limit} for agent, (load, limit) in sorted(found.items())]

    def _passed_over(self, answer: Answer, team: Team) -> Mapping[str, str]:
        if team.everybody or not answer.passed_over:
            return answer.passed_over
        rows = self._turn.all("online_for", classes=list(answer.passed_over))
        online = {row.class_: row.agents for row in rows}
        return {class_: all_full(online.get(class_, 0)) for class_ in answer.passed_over}

    def _ask_rosters(self, classes: Sequence[Any], team: Team, answer: Answer) -> None:
        """Rosters that are due; those too old to go by, though they name somebody with a free seat; and those that were
        just used and soon will be too old: while rooms keep coming, none of them waits for a roster."""
        hasten = [c.class_ for c in classes if c.age_s is not None and team.has_doubtful(c.class_)]
        if hasten:
            self._turn.run("hasten_rosters", classes=hasten, after_s=self._terms.rules.lag_s)
        used = {pick.waiting.class_ for pick in answer.picks}
        wanted = {c.class_: c for c in classes if c.due or self._is_wanted(c, c.class_ in used, team)}
        self._decision.rosters = self._claim_questions(wanted, roster=True)

    def _is_wanted(self, of: Any, used: bool, team: Team) -> bool:
        if used:
            return bool(of.age_s > self._terms.rules.roster_s / 2)
        return not self._is_believed(of) and bool(team.free(of.class_))

    def _ask_suggestions(self, classes: Sequence[Any], answer: Answer) -> None:
        """Ask the desk for a candidate wherever a room waits and none is at hand. It knows nothing of our queues."""
        classes = [c for c in classes if c.queue is None]
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
        leased = {"owner": self._terms.owner, "lease_s": ROSTER_LEASE_S, "lock_class": WORKER_LOCK_CLASS}
        asked = {"classes": classes, "roster": roster}
        rows = self._turn.all("claim_rosters", **asked, **leased)
        claimed = [row.class_ for row in rows]
        many = self._rooms_to_ask(claimed) if roster else {}
        return [self._question(wanted[c], many.get(c) if roster else None) for c in claimed]

    def _question(self, of: Any, rooms: tuple[str, ...] | None) -> Question:
        who = who_serves(self._rules, of.queue, of.step) if of.queue is not None else None
        return Question(of.class_, rooms or (of.room,), of.source, who, of.channel)

    def _rooms_to_ask(self, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Where the desk does not know some rooms of a class, several others at once: none of them is to keep the next
        one waiting (H19)."""
        most = min(ROOMS_ASKED // 2, self._decision.calls_left // 2)
        rows = self._turn.all("rooms_to_ask", classes=list(classes), most=most)
        return {row.class_: tuple(dict.fromkeys(row.rooms)) for row in rows}


def _reserved_line(tenant: str, room: str, seat: line.Seat) -> str:
    return logs.line("reserved", tenant=tenant, room=room, agent=seat.agent, load=seat.load_before)
