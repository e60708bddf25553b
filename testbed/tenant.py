"""A tenant and its desk: what a test looks at, and how all of it is judged by the desk's own history."""

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from db.inbox import key
from scripts.storms import judge
from testbed.installation import LAG_S, Event, Installation
from testbed.simulated import Sim


class Tenant:
    """One of an installation."""

    def __init__(self, home: Installation, sim: Sim) -> None:
        self.home, self.sim, self.id = home, sim, sim.app_id

    # --- what a test looks at

    def states(self) -> dict[str, int]:
        return self.home.states(self.id)

    def visit(self, room: str) -> Any:
        """The room's latest visit, None where there is none."""
        found = [visit for visit in self.visits() if visit.room == room]
        return found[-1] if found else None

    def visits(self) -> list[Any]:
        """All of them, in the order in which they were written."""
        names = "id, room, state, agent, last_agent, learned, parked, attempt, refusals, aside, reason, suspect"
        return self.home.rows(f"SELECT {names} FROM visits WHERE tenant = %s ORDER BY id", self.id)

    def learned_until(self) -> dict[str, float]:
        """Rooms whose webhook did not come in time to bring their place → when their pause was over, on the clock of
        the simulator's `mono`."""
        sql = "SELECT room, extract(epoch FROM opened_at)::float8 AS s FROM visits WHERE tenant = %s AND learned"
        offset_s = time.monotonic() - time.time()
        return {row.room: row.s + LAG_S + offset_s for row in self.home.rows(sql, self.id)}

    def told(self, room: str) -> list[str]:
        """What happened to the room's visits beside the plain way, in order."""
        visits = "SELECT id FROM visits WHERE tenant = %s AND room = %s"
        found = self.home.rows(f"SELECT what FROM events WHERE visit IN ({visits}) ORDER BY id", self.id, room)
        return [row.what for row in found]

    def drift(self) -> dict[str, int]:
        return self.home.drift(self.id)

    def available(self) -> list[dict[str, Any]]:
        return [agent for agent in self.sim.agents() if agent["online"]]

    def happened(self, *kinds: str) -> list[Event]:
        return self.sim.history(kinds=",".join(kinds))["events"]

    def calls(self, room: str | None = None) -> list[Event]:
        """Assign calls, oldest first."""
        return [event for event in self.happened("call") if room in (None, event["room"])]

    def holder(self, room: str) -> list[int]:
        """The agents in the room, by the desk."""
        return self.sim.holders().get(room, [])

    def resolve(self, room: str, service: int, **more: Any) -> dict[str, Any]:
        """The webhook alone; `sim.resolve` ends the chat at the desk, too."""
        return self.home.resolve(room, service, self.id, **more)

    def until_states(self, within_s: float = 10.0, **wanted: int) -> None:
        """States that are not named may have any number; `closed=0` means none."""
        self.until(lambda: self._has(wanted), within_s, f"{self.id} has {wanted}")

    def until_webhooks(self, count: int, within_s: float = 20.0) -> None:
        """So many were taken with 200. The ledger may not have them yet."""
        self.until(lambda: self._taken() >= count, within_s, f"{count} webhooks are taken")

    def _taken(self) -> int:
        return sum(event["outcome"] == "200" for event in self.happened("webhook"))

    def until_ledger_has_all(self, webhooks: int) -> None:
        """So many were taken with 200, and nothing of them is left in Redis."""
        self.until_webhooks(webhooks)
        self.until(lambda: not self.home.redis.xlen(key(self.id, "inbox")), what="the inbox is taken over")

    def all_over(self, rooms: int, waiting: int = 0) -> bool:
        """Exactly so many visits had an agent and are closed; beside them nothing is open but those that wait. Visits
        that no agent had are left out: a late copy of a webhook may open one, which the desk's word then ends."""
        states = self.states()
        open_states = (states.get("waiting", 0), states.get("reserved", 0), states.get("held", 0))
        served = "SELECT count(*) AS n FROM visits WHERE tenant = %s AND state = 'closed' AND last_agent IS NOT NULL"
        return self.home.rows(served, self.id)[0].n == rooms and open_states == (waiting, 0, 0)

    def _has(self, wanted: dict[str, int]) -> bool:
        states = self.states()
        return all(states.get(state, 0) == count for state, count in wanted.items())

    def until(self, condition: Callable[[], Any], within_s: float = 10.0, what: str = "the condition") -> Any:
        return self.home.until(condition, within_s, what)

    # --- what is judged

    def judge(self, limit: int = 2, *, within_s: float = 10.0, in_order: bool = True) -> None:
        """P2, P3, P4 and P7 by the desk's own history and by the decisions; then the ledger has to agree with the
        desk, within the time given. `in_order=False`: a person or a fault has changed the order."""
        events = self.happened("arrived", "assigned", "removed", "resolved", "call")
        wrong = [*_over(events, limit), *judge.shared(events), *judge.pairs_changed(events)]
        wrong += self.strangers()
        wrong += self.out_of_order() if in_order else []
        assert not wrong, f"{self.id}: {len(wrong)} wrong: {wrong[:20]}"
        self.until(lambda: not self.differences(), within_s, f"the ledger of {self.id} agrees with its desk")

    def differences(self) -> list[str]:
        """What the ledger has otherwise than the desk now, rooms and seats; and seats that were counted wrongly."""
        state = self.sim.state()
        desk = {room: str(agents[0]) for room, agents in _holders(state).items()}
        desk |= {row["room"]: "waiting" for row in state["waiting"]}
        sql = "SELECT room, coalesce(agent, 'waiting') AS who FROM visits WHERE tenant = %s AND state <> 'closed'"
        ours = {row.room: row.who for row in self.home.rows(sql, self.id)}
        rooms = [f"room {r}: {ours.get(r)}, desk {desk.get(r)}" for r in desk | ours if ours.get(r) != desk.get(r)]
        counted = Counter(who for who in ours.values() if who != "waiting")
        agents = self.home.rows("SELECT id, open_seats FROM agents WHERE tenant = %s", self.id)
        return rooms + [f"agent {a.id}: open_seats {a.open_seats}" for a in agents if a.open_seats != counted[a.id]]

    def strangers(self) -> list[str]:
        """Supervisors, and agents who were never online, to whom we gave a room."""
        events = self.happened("presence", "assigned")
        ever = {event["agent"] for event in events if event["kind"] == "presence"}
        ours = {event["agent"] for event in events if event["kind"] == "assigned" and event["by"] == "api"}
        return [
            f"{agent['type']} {agent['id']} was given a room"
            for agent in self.sim.state()["agents"]
            if agent["id"] in ours and (agent["type"] != "agent" or not (agent["online"] or agent["id"] in ever))
        ]

    def out_of_order(self) -> list[str]:
        """First reservations, against the order of arrival: no room was passed over without a reason."""
        line = self._line()
        arrived = [row.room for row in line]
        reserved = [row.room for row in sorted((r for r in line if r.first is not None), key=lambda row: row.first)]
        expected = arrived[: len(reserved)]
        return [f"place {n}: {r} before {e}" for n, (r, e) in enumerate(zip(reserved, expected, strict=True)) if r != e]

    def _line(self) -> list[Any]:
        """Visits without an exception to P4 (learned, verified, refused), in the order of arrival; those that were
        closed while they waited are left out."""
        return self.home.rows(
            "SELECT v.room, d.first FROM visits v"
            " LEFT JOIN (SELECT visit, min(id) AS first FROM decisions GROUP BY visit) d ON d.visit = v.id"
            " WHERE v.tenant = %s AND NOT v.learned AND v.refusals = 0 AND v.aside IS NULL"
            " AND (d.first IS NOT NULL OR (v.state <> 'closed' AND v.look_at IS NULL))"
            " AND NOT EXISTS (SELECT FROM events e WHERE e.visit = v.id AND e.what IN ('refused', 'set aside'))"
            " ORDER BY v.priority DESC, v.arrived_us, v.id",
            self.id,
        )

    def excepted(self) -> set[str]:
        """Rooms that P4 excepts: learned late, refused, set aside, verified by the desk."""
        sql = (
            "SELECT DISTINCT v.room FROM visits v LEFT JOIN events e ON e.visit = v.id WHERE v.tenant = %s"
            " AND (v.learned OR v.refusals > 0 OR v.aside IS NOT NULL OR e.what IN ('refused', 'set aside', 'doubted'))"
        )
        return {row.room for row in self.home.rows(sql, self.id)}

    def next_calls_ms(self, limit: int = 2) -> list[float]:
        """For each resolve: milliseconds from the sending of its webhook to its agent's next assign call. Only where
        all agents were full at the start, a room always waited, and nobody's call failed."""
        sent: dict[str, float] = {}
        freed: dict[int, list[str]] = defaultdict(list)
        calls: dict[int, list[float]] = defaultdict(list)
        for event in self.happened("webhook", "removed", "call"):
            if event["kind"] == "webhook" and event["hook"] == "resolved" and "ms" in event:
                began = event["mono"] - event["ms"] / 1000
                sent[event["room"]] = min(began, sent.get(event["room"], began))
            elif event["kind"] == "removed" and event["by"] == "resolve":
                freed[event["agent"]].append(event["room"])
            elif event["kind"] == "call":
                calls[int(event["agent"])].append(event["mono"])
        return [
            (called - sent[room]) * 1000
            for agent, rooms in freed.items()
            for room, called in zip(rooms, calls[agent][limit:], strict=False)
            if room in sent
        ]


def _holders(state: dict[str, Any]) -> dict[str, list[int]]:
    return {room["room"]: room["agents"] for agent in state["agents"] for room in agent["rooms"]}


def _over(events: Sequence[Event], limit: int) -> list[str]:
    """Assignments of ours (not those by hand) that made one chat too many, at any instant."""
    given = [e for e in events if e["kind"] == "assigned" and e["by"] == "api"]
    return [f"agent {e['agent']} had {e['held']} with {e['room']}" for e in given if e["held"] > limit]


def room_names(count: int, prefix: str = "room") -> list[str]:
    """Ids that no other test has."""
    stem = f"{prefix}-{secrets.token_hex(3)}"
    return [f"{stem}-{n}" for n in range(count)]
