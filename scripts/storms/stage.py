"""One storm from its first customer to its verdict: the plan is done, then the weather clears, then it is judged.

Everything is its own: servers, folders, ports, processes; several storms can blow on one machine.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db import migrate
from db.inbox import limit_key
from scripts.launch.postgres import Postgres
from scripts.simulator.faults import FAIL_KINDS
from scripts.storms import judge
from scripts.storms.acts import ACTS
from scripts.storms.clocks import Clock
from scripts.storms.deeds import FORGED, ORDINARY, Deeds
from scripts.storms.plan import Step, chat_s
from scripts.storms.watch import Decision, Span, Watch
from testbed import servers
from testbed.house import AS_INSTALLED, House, street
from testbed.servers import OwnServer
from testbed.tenant import Tenant

LAG_S, COUNT_LAG_S = 4, 3  # what we are told of the desk's lateness, and how late its counts are
KNOWN_S = LAG_S + COUNT_LAG_S  # a roster may be a lag old, and what it says COUNT_LAG_S older
REGULARS_EACH = 4  # customers who have been here before, for each agent
WARM_UP_S = 60
CLEAR_S = 180  # after the storm: leases of a minute, looks twice, and the last chats
LATE_WEBHOOKS_S = 7  # until the last copy of a wild webhook has come
CALM_S = 1  # nothing may be open for so long
AGREE_S = 30  # until ledger and desk say the same of everything
ENVIRONMENT = {
    **AS_INSTALLED,
    "DESK_LAG_SECONDS": str(LAG_S),
    "RETRY_SECONDS": "15",
    "IDLE_SECONDS": "4",
    "MAX_AGENT_CHAT": "50",  # would show a limit that was lost: the admin's is in Redis
}
CALM = {"fail_p": 0, "count_lag_s": 0, "room_lag_s": 0, "list_lag_s": 0, "fail_agents": {}, "hang_assign_p": 0}

Show = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Sizes:
    """How large a storm is; `fail`: the share of the desk's calls that fail, `bound_s`: the longest that a customer of
    the second tenant, which always has free seats, may wait."""

    seconds: float
    agents: int = 30
    limit: int = 2
    workers: int = 2
    fail: float = 0.2
    bound_s: float = 5.0


@dataclass
class Verdict:
    """What came of a storm. `broken`: a sentence for each promise that did not hold, the first ones of each kind."""

    broken: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Any] = field(default_factory=dict)

    def find(self, promise: str, wrong: Sequence[str]) -> None:
        self.broken += [f"{promise}: {each}" for each in wrong[:5]]
        self.broken += [f"{promise}: and {len(wrong) - 5} more"] if len(wrong) > 5 else []


def storm(
    seed: int, sizes: Sizes, steps: Sequence[Step], library: Path | None, show: Show, keep: Path | None
) -> Verdict:
    """`library`: libfaketime, where clocks are stepped. `keep`: a folder for logs, histories, the ledger."""
    verdict = Verdict()
    try:
        with servers.own_ports(), _servers(library) as (valkey, postgres, stepped):
            assert isinstance(postgres.server, Postgres)
            migrate.migrate(postgres.url)
            with street(postgres.url, valkey.url, workers=sizes.workers, **ENVIRONMENT) as home:
                home.redis.set(limit_key(), sizes.limit)
                tenant, neighbour = _tenants(home, seed, sizes)
                own = {"redis": valkey, "postgres": postgres}
                deeds = Deeds(home, tenant, neighbour, own, stepped, postgres.server.admin_url)
                watch = Watch(postgres.url)
                _Storm(home, tenant, neighbour, deeds, watch, sizes, verdict, show).blow(steps)
                if keep:
                    _keep(keep, home, (tenant, neighbour))
    except AssertionError as error:  # the house's own: a stack trace, or what does not belong into a log
        verdict.broken.append(f"house: {str(error)[:2000]}")
    return verdict


@contextmanager
def _servers(library: Path | None) -> Iterator[tuple[OwnServer, OwnServer, dict[str, Clock]]]:
    with tempfile.TemporaryDirectory(prefix="giliran-storm-") as folder:
        Path(folder).chmod(0o755)
        names = ("redis", "postgres") if library else ()
        stepped = {name: Clock(library, Path(folder) / name) for name in names if library}
        env = {name: clock.env for name, clock in stepped.items()}
        with (
            servers.running_valkey(fast=False, env=env.get("redis")) as valkey,
            servers.running_postgres(fast=False, env=env.get("postgres")) as postgres,
        ):
            yield valkey, postgres, stepped


def _tenants(home: House, seed: int, sizes: Sizes) -> tuple[Tenant, Tenant]:
    """The first one suffers. The second one has its chats over in about a second, and far more seats than it needs."""
    tenant = home.new_tenant("storm", agents=sizes.agents, offline=3, supervisors=2, page_size=10)
    neighbour = home.new_tenant("neighbour", agents=8, offline=1, supervisors=1)
    always = {"auto_resolve_s": 1, "webhook_retries": 8, "seed": seed}
    late = {"count_lag_s": COUNT_LAG_S, "room_lag_s": 3, "list_lag_s": 1}
    neighbour.sim.faults(**always, **late, auto_resolve_jitter_s=1)
    _warm_up(tenant, REGULARS_EACH * sizes.agents)
    faults = {"fail_p": sizes.fail, "fail_kinds": FAIL_KINDS, "hang_s": 1, "unknown_refused": True}
    tenant.sim.faults(**always, **late, **faults, **ORDINARY, auto_resolve_jitter_s=chat_s(seed))
    return tenant, neighbour


def _warm_up(tenant: Tenant, regulars: int) -> None:
    """Customers who have been here before the storm: served and over, in good weather."""
    tenant.sim.faults(auto_resolve_s=0.1)
    tenant.sim.add_customers(regulars)
    tenant.until(lambda: tenant.all_over(regulars), WARM_UP_S, "the regular customers have been served")


class _Storm:
    """The running of one storm, and its verdict."""

    def __init__(
        self,
        home: House,
        tenant: Tenant,
        neighbour: Tenant,
        deeds: Deeds,
        watch: Watch,
        sizes: Sizes,
        verdict: Verdict,
        show: Show,
    ) -> None:
        self.home, self.tenant, self.neighbour = home, tenant, neighbour
        self.deeds, self.watch, self.sizes, self.verdict, self._show = deeds, watch, sizes, verdict, show
        self.held_up: list[Span] = []
        self._since: dict[int, float] = {}

    def blow(self, steps: Sequence[Step]) -> None:
        self.watch.start()
        self._began = time.monotonic()
        for step in steps:
            self._wait_until(step.at_s)
            self._do(step)
        self._wait_until(self.sizes.seconds)
        self._clear_up()
        self.watch.stop()
        self._judge()

    def _wait_until(self, at_s: float) -> None:
        while True:
            self.verdict.done["a worker had ended by itself"] += self.deeds.supervise()
            left_s = self._began + at_s - time.monotonic()
            self.show("storm")
            if left_s <= 0:
                return
            time.sleep(min(left_s, 0.25))

    def _do(self, step: Step) -> None:
        began = time.monotonic()
        done = self.deeds.do(step.deed, step.how)
        self.verdict.done[step.deed] += 1
        if not done:
            self.verdict.missed[step.deed] += 1
        if step.number and (heals_s := ACTS[step.act].heals_s) is not None:
            since = self._since.setdefault(step.number, began)
            self.held_up.append(Span(since, time.monotonic() + heals_s, step.act))

    def _clear_up(self) -> None:
        """In good weather everything has to be served, resolved, and told alike by ledger and desk."""
        ending = time.monotonic()
        self.deeds.end_all()
        self.deeds.supervise()
        for each in (self.tenant, self.neighbour):
            each.sim.faults(**CALM, **ORDINARY)
        calm_since = time.monotonic() + LATE_WEBHOOKS_S
        while (left := self.open()) or time.monotonic() < calm_since + CALM_S:
            if left:
                calm_since = max(calm_since, time.monotonic())
            if time.monotonic() > ending + CLEAR_S:
                break
            self.verdict.done["a worker had ended by itself"] += self.deeds.supervise()
            time.sleep(0.5)
            self.show("clearing")
        self.verdict.facts["cleared_s"] = round(time.monotonic() - ending, 1)

    def open(self) -> int:
        """Rooms that are not resolved, at a desk or in the ledger; webhooks that are still on their way."""
        found = 0
        for each in (self.tenant, self.neighbour):
            state = each.sim.state()
            ours = sum(count for name, count in each.states().items() if name != "closed")
            found += max(ours, state["waiting_total"] + state["held_total"] + state["queued_webhooks"])
        return found

    # --- the verdict

    def _judge(self) -> None:
        find, decisions = self.verdict.find, list(self.watch.decisions.values())
        if left := self.open():
            states = {each.id: each.states() for each in (self.tenant, self.neighbour)}
            find("P1", [f"{left} rooms are still open {CLEAR_S} s after the storm: {states}, {self._why_open()}"])
        find("P6", judge.other_limits(decisions, self.sizes.limit))
        for each in (self.tenant, self.neighbour):
            self._judge_tenant(each, [d for d in decisions if d.tenant == each.id])
        self._judge_waits()
        self.verdict.facts["healed"] = {each.id: each.drift() for each in (self.tenant, self.neighbour)}
        self.verdict.facts["decisions"] = len(decisions)

    def _judge_tenant(self, each: Tenant, decisions: Sequence[Decision]) -> None:
        find, limit = self.verdict.find, self.sizes.limit
        events = each.happened("arrived", "assigned", "removed", "resolved", "call", "look", "presence", "webhook")
        rooms = [event for event in events if "room" in event and event["kind"] != "webhook"]
        name = each.id.split("-")[0]
        find(f"P1 {name}", judge.lost(rooms))
        find(f"P1 {name}", judge.forgotten(self._accepted(each, events), {visit.room for visit in each.visits()}))
        find(f"P2 {name}", judge.over(rooms, decisions, limit, KNOWN_S))
        find(f"P3 {name}", judge.shared(rooms))
        find(f"P3 {name}", each.strangers())
        find(f"P3 {name}", judge.to_the_absent(events, decisions, KNOWN_S))
        flushed = self.verdict.done["empty Redis"] + self.verdict.done["kill Redis"] > 0
        excepted = each.excepted()
        find(f"P4 {name}", judge.out_of_order(events, decisions, excepted, by_last_copy=flushed))
        ordered = self.verdict.facts.setdefault("judged_for_order", {})
        ordered[name] = len(judge.in_order_of_seats(events, decisions, excepted))
        find(f"P7 {name}", judge.pairs_changed([event for event in events if "room" in event]))
        find(f"P7 {name}", judge.not_read_back(rooms))
        try:
            each.until(lambda: not each.differences(), AGREE_S)
        except AssertionError:
            find(f"P1 {name}", [f"the ledger and its desk disagree: {each.differences()[:5]}"])

    def _accepted(self, each: Tenant, events: Sequence[judge.Event]) -> list[str]:
        """What was forged is nowhere but in Redis until a worker takes it: a loss of Redis may lose it."""
        accepted = [
            e["room"] for e in events if e["kind"] == "webhook" and e["outcome"] == "200" and e["hook"] == "caa"
        ]
        if each is self.tenant and not self.verdict.done["empty Redis"]:
            accepted += [FORGED.format(number) for number in sorted(self.deeds.forged)]
        return accepted

    def _judge_waits(self) -> None:
        """The second tenant always has free seats: whatever the first one suffers, its customers are served at once."""
        events = self.neighbour.happened("arrived", "assigned", "resolved", "webhook")
        held_up = [*self.held_up, *self.watch.stalls]
        waited = judge.waits(events)
        self.verdict.find("P5 neighbour", judge.waited_too_long(waited, held_up, self.sizes.bound_s))
        self.verdict.find("P5 neighbour", judge.turned_away(events, held_up))
        alone = sorted(end - begin for _, begin, end in waited if not judge.covered_s(held_up, begin, end))
        self.verdict.facts["neighbour"] = {
            "customers": len(waited),
            "undisturbed": len(alone),
            "p50_ms": _ms(alone, 50),
            "p99_ms": _ms(alone, 99),
            "most_ms": _ms(alone, 100),
        }
        until = max((span.end for span in held_up), default=self._began)
        self.verdict.facts["disturbed_until_s"] = round(until - self._began, 1)
        self.verdict.facts["stalls_s"] = round(sum(span.end - span.begin for span in self.watch.stalls), 1)

    def _why_open(self) -> list[str]:
        sql = (
            "SELECT room, state, aside, refusals, suspect, look_at IS NOT NULL AS look, parked FROM visits"
            " WHERE state <> 'closed' AND tenant = ANY(%s) ORDER BY id LIMIT 5"
        )
        return [str(tuple(row)) for row in self.home.rows(sql, [self.tenant.id, self.neighbour.id])]

    def show(self, what: str) -> None:
        try:
            states = {each.id.split("-")[0]: each.states() for each in (self.tenant, self.neighbour)}
            told = "  ".join(f"{name} {_short(states[name])}" for name in states)
        except Exception as error:  # noqa: BLE001 - a line of progress must not end the storm
            told = type(error).__name__
        self._show(what, time.monotonic() - self._began, told)


def _short(states: dict[str, int]) -> str:
    return " ".join(f"{states.get(state, 0)} {state}" for state in ("waiting", "reserved", "held", "closed"))


def _ms(ordered: Sequence[float], per_cent: int) -> int | None:
    return round(1000 * ordered[min(len(ordered) - 1, len(ordered) * per_cent // 100)]) if ordered else None


def _keep(folder: Path, home: House, tenants: Sequence[Tenant]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logs").write_text(home.log())
    for each in tenants:
        kinds = (
            "arrived",
            "message",
            "assigned",
            "removed",
            "resolved",
            "call",
            "look",
            "presence",
            "webhook",
            "fault",
        )
        lines = [f"{event}\n" for event in each.happened(*kinds)]
        (folder / f"{each.id}.desk").write_text("".join(lines))
        sql = "SELECT to_jsonb(v) AS visit, to_jsonb(e) AS event FROM visits v LEFT JOIN events e ON e.visit = v.id"
        rows = home.rows(sql + " WHERE v.tenant = %s ORDER BY v.id, e.id", each.id)
        (folder / f"{each.id}.ledger").write_text("".join(f"{row.visit} {row.event}\n" for row in rows))
    sys.stderr.write(f"\nstorm: logs, the desk's history and the ledger are in {folder}\n")
