"""A storm over a tenant with rules, from its first customer to its verdict; `ruled_judge` judges.

Real processes, servers of its own, a simulated desk. A trigger of the storm's own keeps each change of a visit.
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from db import migrate
from db.inbox import limit_key
from scripts.launch.postgres import Postgres
from scripts.simulator.model import CHANNELS
from scripts.storms import judge, ruled_judge, ruled_plan, ruled_world
from scripts.storms.ruled_file import File
from scripts.storms.ruled_plan import Step
from scripts.storms.ruled_record import Change, Desk, Member, Record, reserved, stays_of
from scripts.storms.ruled_world import DIVISIONS, PREFIX, Sizes
from scripts.storms.stage import Show, Verdict
from testbed import servers
from testbed.house import House, street

RETRY_S, LAG_S = 5, 4
KNOWN_S = RETRY_S + LAG_S  # how old what is known of a division may be
CLEAR_S = 180
APPLY_S = 120  # a second on a machine that has nothing else to do
CHAT_S = (2.0, 6.0)
ENVIRONMENT = {
    "DESK_LAG_SECONDS": str(LAG_S),
    "RETRY_SECONDS": str(RETRY_S),
    "IDLE_SECONDS": "4",
    "MAX_AGENT_CHAT": "50",
}
KINDS = ("arrived", "assigned", "removed", "resolved", "call", "look", "presence", "webhook", "division", "said")
COLUMNS = """NEW.id, NEW.tenant, NEW.room, NEW.state, NEW.agent, NEW.queue, NEW.rule, NEW.rules_version, NEW.step,
    NEW.priority, NEW.base_priority, NEW.arrived_us, NEW.serve_from, NEW.sticky_agent, NEW.sticky_until,
    NEW.look_at IS NULL AND NEW.aside IS NULL AND NEW.retry_at IS NULL, NEW.learned, NEW.class"""
KEEP_CHANGES = f"""
CREATE TABLE storm_changes (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tx bigint DEFAULT txid_current(),
    at timestamptz DEFAULT clock_timestamp(), visit bigint, tenant text, room text, state text, agent text, queue text,
    rule text, rules_version integer, step integer, priority integer, base_priority integer, arrived_us bigint,
    serve_from timestamptz, sticky_agent text, sticky_until timestamptz, ready boolean, learned boolean, class text);
CREATE TABLE storm_reads (tenant text, class text, at timestamptz);
CREATE FUNCTION keep_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO storm_changes (visit, tenant, room, state, agent, queue, rule, rules_version, step, priority,
        base_priority, arrived_us, serve_from, sticky_agent, sticky_until, ready, learned, class) VALUES ({COLUMNS});
    RETURN NULL; END $$;
CREATE TRIGGER storm_keeps AFTER INSERT OR UPDATE ON visits FOR EACH ROW EXECUTE FUNCTION keep_change();
CREATE FUNCTION keep_read() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO storm_reads VALUES (NEW.tenant, NEW.class, NEW.read_at); RETURN NULL; END $$;
CREATE TRIGGER storm_keeps AFTER INSERT OR UPDATE OF read_at ON rosters FOR EACH ROW
    WHEN (isfinite(NEW.read_at)) EXECUTE FUNCTION keep_read();
"""  # noqa: S608 -- no value of anybody's
CHANGES = """
SELECT seq, tx, extract(epoch FROM at)::float8 AS at, visit, room, state, agent, queue, rule, rules_version, step,
       priority, base_priority, arrived_us, extract(epoch FROM serve_from)::float8 AS serve_from, sticky_agent,
       extract(epoch FROM sticky_until)::float8 AS sticky_until, ready, learned, class AS class_
  FROM storm_changes WHERE tenant = %s ORDER BY seq
"""
READS = "SELECT class AS class_, extract(epoch FROM at)::float8 AS at FROM storm_reads WHERE tenant = %s ORDER BY at"
FILES = (
    "SELECT version, extract(epoch FROM applied_at)::float8 AS at, content FROM rule_files"
    " WHERE tenant = %s ORDER BY version"
)


def storm(seed: int, seconds: float, sizes: Sizes, workers: int, fail: float, show: Show, keep: Path | None) -> Verdict:
    """On servers of its own."""
    verdict = Verdict()
    try:
        with (
            servers.own_ports(),
            servers.running_valkey(fast=False) as valkey,
            servers.running_postgres(fast=False) as postgres,
        ):
            assert isinstance(postgres.server, Postgres)
            migrate.migrate(postgres.url)
            with street(postgres.url, valkey.url, workers=workers, **ENVIRONMENT) as home:
                over = Ruled(home, seed, seconds, sizes, verdict, show, fail)
                try:
                    over.blow(ruled_plan.plan(seed, seconds, sizes, kills=True))
                finally:
                    if keep:
                        over.keep(keep)
    except AssertionError as error:  # the house's own: a stack trace, or what does not belong into a log
        verdict.broken.append(f"house: {str(error)[:2000]}")
    return verdict


class Ruled:
    """The running of one storm, and its verdict."""

    def __init__(
        self, home: House, seed: int, seconds: float, sizes: Sizes, verdict: Verdict, show: Show, fail: float = 0.0
    ) -> None:
        self.home, self.seed, self.seconds, self.sizes, self.verdict = home, seed, seconds, sizes, verdict
        self._show = show
        home.run(KEEP_CHANGES)
        self.tenant = home.new_tenant("ruled", agents=sizes.agents, offline=0, supervisors=2, divisions=" ")
        home.redis.set(limit_key(), sizes.limit)
        self._hire()
        faults = {"auto_resolve_s": CHAT_S[0], "auto_resolve_jitter_s": CHAT_S[1] - CHAT_S[0], "webhook_retries": 8}
        self.tenant.sim.faults(**faults, seed=seed, fail_p=fail, hang_s=1)
        self._changed: dict[int, str] = {}

    def _hire(self) -> None:
        sim, self.agents = self.tenant.sim, self.tenant.sim.agents()
        made = ruled_world.members(self.seed, len(self.agents))
        self.divisions = [
            sim.add_division(name, *(a["id"] for a, m in zip(self.agents, made, strict=True) if number in m.divisions))
            for number, name in enumerate(DIVISIONS)
        ]
        for agent, member in zip(self.agents, made, strict=True):
            if member.channels is not None:
                sim.only_channels(agent["id"], list(member.channels))
        self._members = [
            Member(str(a["id"]), a["email"], None if m.channels is None else frozenset(map(str, m.channels)))
            for a, m in zip(self.agents, made, strict=True)
        ]

    # --- running

    def blow(self, steps: Sequence[Step]) -> None:
        self._begin()
        for step in steps:
            self._wait_until(step.at_s)
            self._do(step)
            self._late(step.at_s)
        self._wait_until(self.seconds)
        self._clear_up()
        self._judge()

    def _begin(self) -> None:
        begins = ruled_plan.begins_at(ruled_plan.now(), self.seconds)
        self._files = [
            ruled_world.file(
                self.seed,
                version,
                self.sizes,
                [(agent["id"], agent["email"]) for agent in self.agents],
                ruled_plan.times(begins, self.seconds, version),
                last=version == 3,
            )
            for version in (1, 2, 3)
        ]
        self._apply({"version": 1})
        wait_s = (begins - ruled_plan.now()).total_seconds()
        self._began = time.monotonic() + max(0.0, wait_s)
        self._wait_until(0.0)

    def _wait_until(self, at_s: float) -> None:
        while (left_s := self._began + at_s - time.monotonic()) > 0:
            self._supervise()
            self.show("storm")
            time.sleep(min(left_s, 0.25))

    def _late(self, at_s: float) -> None:
        """On a busy machine deeds follow one another without a pause: that is shown, too."""
        late_s = time.monotonic() - self._began - at_s
        if late_s > self.verdict.facts.get("late_s", 0.0) + 1:
            self.verdict.facts["late_s"] = round(late_s, 1)
            self.show("storm")

    def _do(self, step: Step) -> None:
        self.verdict.done[step.deed] += 1
        deeds: dict[str, Callable[[dict[str, Any]], object]] = {
            "customer": lambda how: self.tenant.sim.add_customers(**how),
            "customer returns": lambda _: self.tenant.sim.control("POST", "returns", {"count": 1}),
            "apply": self._apply,
            "agent moved": self._move,
            "presence": self._flicker,
            "division renamed": lambda how: self._change(how, name="Lain"),
            "division emptied": lambda how: self._change(how, members=[]),
            "division back": self._change_back,
            "worker killed": self._kill,
        }
        deeds[step.deed](step.how)

    def _apply(self, how: dict[str, Any]) -> None:
        """As an admin does, while workers are at it."""
        path = Path(self.home.env["GILIRAN_DATA"]) / f"rules-{how['version']}.toml"
        path.write_text(self._files[how["version"] - 1])
        for number in list(self._changed):  # a file that names a division which is renamed just now is refused
            self._restore(number)
        words = ("routing", "apply", str(path), "--yes", "--tenant", self.tenant.id)
        done = self.home.giliran(*words, within_s=APPLY_S)
        assert done.returncode == 0, f"apply: {done.returncode} {done.stdout[-1500:]} {done.stderr[-1500:]}"

    def _move(self, how: dict[str, Any]) -> None:
        agent = self.agents[int(how["pick"] * len(self.agents))]
        self.tenant.sim.move(agent["id"], self.divisions[ruled_plan.division(how["other"])])

    def _flicker(self, how: dict[str, Any]) -> None:
        agent = self.agents[int(how["pick"] * len(self.agents))]
        self.tenant.sim.online(agent["id"], how["other"] < 0.5)

    def _change(self, how: dict[str, Any], **change: Any) -> None:
        number = ruled_plan.division(how["pick"])
        if number not in self._changed:
            state = self.tenant.sim.state()["divisions"]
            self._changed[number] = next(each["members"] for each in state if each["id"] == self.divisions[number])
            self.tenant.sim.change_division(self.divisions[number], **change)

    def _change_back(self, how: dict[str, Any]) -> None:
        self._restore(ruled_plan.division(how["pick"]))

    def _restore(self, number: int) -> None:
        members = self._changed.pop(number, None)
        if members is not None:
            self.tenant.sim.change_division(self.divisions[number], name=DIVISIONS[number], members=members)

    def _kill(self, how: dict[str, Any]) -> None:
        running = [n for n, process in enumerate(self.home.workers) if process is not None and process.poll() is None]
        if running:
            number = running[int(how["pick"] * len(running))]
            self.home.kill_worker(number)
            self.home.start_worker(number)

    def _supervise(self) -> None:
        for number, process in enumerate(self.home.workers):
            if process is not None and process.poll() is not None:
                self.verdict.done["a worker had ended by itself"] += 1
                self.home.start_worker(number)

    def _clear_up(self) -> None:
        """Everybody is there again: every room has to be served and resolved."""
        ending = time.monotonic()
        for number in list(self._changed):
            self._restore(number)
        for agent in self.agents:
            self.tenant.sim.online(agent["id"])
        self.tenant.sim.faults(fail_p=0)
        calm_since = time.monotonic()
        while time.monotonic() < min(calm_since + 1, ending + CLEAR_S):
            if self.open():
                calm_since = time.monotonic()
            self._supervise()
            self.show("clearing")
            time.sleep(0.5)
        self.verdict.facts["cleared_s"] = round(time.monotonic() - ending, 1)

    def open(self) -> int:
        state = self.tenant.sim.state()
        ours = sum(count for name, count in self.tenant.states().items() if name != "closed")
        return int(max(ours, state["waiting_total"] + state["held_total"] + state["queued_webhooks"]))

    # --- judging

    def record(self) -> Record:
        events = self.tenant.happened(*KINDS)
        assert len(events) < 195_000, "the simulator has forgotten how it began"
        rows = self.home.rows(CHANGES, self.tenant.id)
        read: dict[str, list[float]] = defaultdict(list)
        for row in self.home.rows(READS, self.tenant.id):
            read[row.class_].append(row.at)
        names = {channel.id: channel.name for channel in CHANNELS.values()}
        return Record(
            events,
            [Change(*row) for row in rows],
            [
                File(0, 0.0, ""),
                *(File(row.version, row.at, row.content) for row in self.home.rows(FILES, self.tenant.id)),
            ],
            Desk(events, self._members, [member.id for member in self._members]),
            stays_of(events, names),
            self.sizes.limit,
            KNOWN_S,
            read,
            RETRY_S + 2 * LAG_S,
        )

    def _judge(self) -> None:
        record, find = self.record(), self.verdict.find
        if left := self.open():
            find("P1", [f"{left} rooms are still open: {self._why_open()}"])
        rooms = [event for event in record.events if "room" in event and event["kind"] not in ("webhook", "said")]
        accepted = [e["room"] for e in record.events if e["kind"] == "webhook" and e["outcome"] == "200"]
        find("P1", judge.lost(rooms))
        find("P1", judge.forgotten(accepted, {change.room for change in record.changes}))
        find("P3", judge.shared(rooms))
        find("P7", judge.pairs_changed(rooms))
        find("limits", ruled_judge.over(record))
        find("limits of queues", ruled_judge.over_in_queue(record))
        find("version", ruled_judge.by_other_rules(record))
        find("queue", ruled_judge.elsewhere(record))
        find("step", ruled_judge.out_of_step(record))
        find("team", ruled_judge.to_strangers(record))
        find("hours", ruled_judge.outside_hours(record))
        find("arrival", ruled_judge.moved_in_time(record))
        passed = ruled_judge.out_of_order(record)
        find("order", passed.wrong)
        told, crossed = ruled_judge.told_though_served(record)
        find("messages", [*ruled_judge.told_too_often(record), *told, *ruled_judge.told_of_others(record)])
        find("log", [line for line in self.home.log().splitlines() if PREFIX in line.lower()])
        self._tell(record, passed.why, crossed)

    def _tell(self, record: Record, why: Counter[str], crossed: int) -> None:
        seats = [seat for seat, _ in reserved(record.changes)]
        said = Counter(event["text"][0] for event in record.events if event["kind"] == "said")
        self.verdict.facts |= {
            "rooms": len(record.stays),
            "stays": sum(map(len, record.stays.values())),
            "seats": len(seats),
            "by_version": dict(Counter(seat.rules_version for seat in seats)),
            "by_rule": sum(seat.rule is not None for seat in seats),
            "of_channels": sum(seat.queue is None for seat in seats),
            "after_a_step": sum(seat.step > 0 for seat in seats),
            "to_who_served_before": sum(seat.sticky_agent == seat.agent for seat in seats),
            "learned": sum(seat.learned for seat in seats),
            "passed_over": dict(why),
            "told": {"place": said["Q"], "closed": said["C"], "crossed": crossed},
            "longest_beside_a_free_seat": list(ruled_judge.beside_a_free_seat(record)),
            "oldest_membership_s": round(ruled_judge.oldest_known_s(record), 1),
        }

    def _why_open(self) -> list[str]:
        sql = (
            "SELECT room, state, queue, step, rules_version, aside, look_at, retry_at, agent FROM visits"
            " WHERE state <> 'closed' AND tenant = %s ORDER BY id LIMIT 5"
        )
        return [str(tuple(row)) for row in self.home.rows(sql, self.tenant.id)]

    def show(self, what: str) -> None:
        try:
            states = self.tenant.states()
            told = " ".join(f"{states.get(state, 0)} {state}" for state in ("waiting", "reserved", "held", "closed"))
        except Exception as error:  # noqa: BLE001 - a line of progress must not end the storm
            told = type(error).__name__
        self._show(what, time.monotonic() - self._began, told)

    def keep(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "logs").write_text(self.home.log())
        (folder / "desk").write_text("".join(f"{event}\n" for event in self.tenant.happened(*KINDS)))
        rows = self.home.rows(CHANGES, self.tenant.id)
        (folder / "ledger").write_text("".join(f"{tuple(row)}\n" for row in rows))
        for number, text in enumerate(self._files, 1):
            (folder / f"rules-{number}.toml").write_text(text)
        sys.stderr.write(f"\nstorm: logs, the desk's history, the ledger and the rules are in {folder}\n")
