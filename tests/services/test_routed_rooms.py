"""Rooms that rules lead, over a real ledger and a real inbox: queues, steps, hours, the same agent again, limits of
queues, new versions while rooms wait.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db import rules
from db.acts import ACTS
from db.admin import ADMIN
from db.inbox import ARRIVED, limit_key
from db.postgres import Ledger
from db.push import Webhook
from testbed.deadlines import eventually
from tests.services.line_of import TENANT, Line, line_of
from worker.calls import Roster
from worker.decision import Decision
from worker.desk.base import RosterAgent
from worker.follow import MOST

TWO_TEAMS = """
[queues.bali]
agents = { divisions = ["Bali"] }
[[queues.bali.steps]]
after = "3m"
agents = { divisions = ["Jakarta"] }
[[queues.bali.steps]]
after = "5m"
priority = 10
[queues.rest]
agents = { divisions = ["Jakarta"] }
[[rules]]
name = "Bali"
when = { property.city = ["Denpasar", "Ubud"] }
queue = "bali"
[default]
queue = "rest"
"""
MEMBERS = {"Bali": ("wayan",), "Jakarta": ("budi",)}


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator["Ruled"]:
    with line_of(database_url, redis_url) as made:
        made.__class__ = Ruled
        yield made  # type: ignore[misc]


class Ruled(Line):
    """A line whose desk knows divisions."""

    def apply(self, content: str) -> int:
        """As `giliran routing apply` does."""
        with self.ledger.transaction() as cur:
            version = int(ACTS.one(cur, "add_rules", tenant=self.tenant, content=content, who="test").version)
        self.publish_all()
        return version

    def publish_all(self) -> None:
        """As the sweeper does."""
        with self.ledger.transaction() as cur:
            named = rules.named(cur)
        for tenant, asked in named.items():
            self.inbox.name(tenant, asked)

    def come(self, room: str, channel: str = "7", source: str = "wa", **properties: str) -> None:
        """What the receiver pushes of it."""
        facts = {"source": source, "channel_id": channel, "properties": properties}
        self.push(Webhook(ARRIVED, room, channel, source, facts=json.dumps(facts), named="*"))

    def ask(self, made: Decision, members: dict[str, tuple[str, ...]] = MEMBERS) -> list[str]:
        """The desk answers all rosters that the decision asks for; the classes."""
        for question in made.rosters:
            self.settle(self.answer(question, members))
        return [question.class_ for question in made.rosters]

    def answer(
        self, question: Any, members: dict[str, tuple[str, ...]], offline: frozenset[str] = frozenset()
    ) -> Roster:
        named = ["ani"] if question.who is None or question.who.channel else []
        divisions = question.who.divisions if question.who else ()
        named += [name for division in divisions for name in members.get(division, ())]
        missing = tuple(f"the desk has no division '{d}'" for d in divisions if d not in members)
        agents = tuple(RosterAgent(n, n, n not in offline, self.seats().get(n, 0)) for n in dict.fromkeys(named))
        return Roster(question.class_, question.room, agents, missing=missing)

    def go(self, members: dict[str, tuple[str, ...]] = MEMBERS) -> dict[str, str]:
        """Decisions until nothing changes; room → agent of all that were reserved."""
        given: dict[str, str] = {}
        for _ in range(6):
            made = self.decide()
            asked = self.ask(made, members)
            given |= {pair.room: pair.agent for pair in made.reserved}
            self.settle(*self.held(made))
            if not asked and not made.reserved and not made.more:
                return given
        return given

    def end(self, room: str, service: int) -> None:
        """The agent resolves it, and the desk, if asked, says so."""
        self.aged(20, room)
        self.resolve(room, service)
        self.look(self.decide(), "resolved")

    def earlier(self, seconds: float) -> None:
        """As if all that waits had come so much earlier: steps, waits for one agent and rosters with it."""
        times = ("opened_at", "serve_from", "change_at", "sticky_until")
        sets = ", ".join(f"{name} = {name} - {float(seconds)} * interval '1 second'" for name in times)
        self.run(f"UPDATE visits SET {sets}, arrived_us = arrived_us - {int(seconds * 1e6)} WHERE state = 'waiting'")

    def now_in(self, zone: str = "UTC") -> datetime:
        return self.one("SELECT clock_timestamp() AS at").at.astimezone(UTC)


def test_a_room_goes_to_the_team_that_the_rules_name(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1", city="denpasar")
    line.come("r2", city="Bandung")
    line.come("r3")
    assert line.go() == {"r1": "wayan", "r2": "budi", "r3": "budi"}
    bali, rest = line.visit("r1"), line.visit("r3")
    assert (bali.queue, bali.rule, bali.rules_version, bali.channel) == ("bali", "Bali", 1, "7")
    assert (rest.queue, rest.rule) == ("rest", None)


def test_what_is_known_of_a_customer_is_kept_only_while_the_room_waits(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    line.redis.set(limit_key(TENANT), 1)
    line.come("r1", city="Ubud")
    made = line.decide()
    assert line.visit("r1").facts["properties"] == {"city": "ubud"}
    line.ask(made)
    line.go()
    assert (line.visit("r1").state, line.visit("r1").facts) == ("held", None)
    line.come("r2", city="Ubud")
    line.decide()
    line.end("r2", 7)
    assert (line.visit("r2").state, line.visit("r2").facts) == ("closed", None)


def test_a_step_lets_more_agents_serve_and_then_lifts_the_room(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    nobody = {"Bali": (), "Jakarta": ("budi",)}
    line.come("r1", city="Ubud")
    assert line.go(nobody) == {}
    place = line.visit("r1").arrived_us
    line.earlier(179)
    assert line.go(nobody) == {}
    line.earlier(2)
    assert line.go(nobody) == {"r1": "budi"}
    assert line.visit("r1").step == 1
    assert line.visit("r1").arrived_us == place - 181_000_000
    assert "step" in line.events("r1")


def test_a_room_that_was_lifted_goes_before_older_ones(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    team = {"Bali": (), "Jakarta": ("budi",)}
    line.redis.set(limit_key(TENANT), 1)
    line.come("older", city="Jakarta")
    line.come("lifted", city="Ubud")
    line.ask(line.decide(), team)
    line.earlier(301)
    given = line.go(team)
    assert line.visit("lifted").priority == 10
    assert line.reserved_order()[0] == "lifted"
    assert given["lifted"] == "budi"


def test_a_later_webhook_with_other_facts_moves_the_room_and_keeps_its_place(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1")
    line.decide()
    before = line.visit("r1")
    line.come("r1", city="Ubud")
    line.decide()
    after = line.visit("r1")
    assert (before.queue, after.queue) == ("rest", "bali")
    assert (before.arrived_us, before.id) == (after.arrived_us, after.id)
    assert line.events("r1") == ["rerouted"]


def test_a_new_version_moves_rooms_that_wait_and_keeps_their_times(line: Ruled) -> None:
    for n in range(MOST + 20):
        line.come(f"r{n}", city="Ubud" if n % 2 else "Solo")
    while line.decide().more:
        pass
    places = {row.room: row.arrived_us for row in line.rows("SELECT room, arrived_us FROM visits")}
    assert {row.class_ for row in line.rows("SELECT DISTINCT class FROM visits")} == {"7"}
    line.apply(TWO_TEAMS)
    while line.decide().more:
        pass
    queues = {row.queue: row.n for row in line.rows("SELECT queue, count(*) n FROM visits GROUP BY 1")}
    assert queues == {"bali": 260, "rest": 260}
    assert not line.tenant_row().rerouting
    line.apply("")
    while line.decide().more:
        pass
    assert {row.class_ for row in line.rows("SELECT DISTINCT class FROM visits")} == {"7"}
    assert {row.room: row.arrived_us for row in line.rows("SELECT room, arrived_us FROM visits")} == places
    line.roster("ani", class_="7")
    assert not line.rows("SELECT FROM rosters WHERE class <> '7'"), "nobody is asked for classes of old versions"


def test_a_pair_under_way_is_finished_though_the_rules_changed_and_goes_by_the_new_ones_if_it_comes_back(
    line: Ruled,
) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1", city="Ubud")
    line.ask(line.decide())
    made = line.decide()
    assert [pair.agent for pair in made.reserved] == ["wayan"]
    line.apply(TWO_TEAMS.replace('"Denpasar", "Ubud"', '"Denpasar"'))
    line.decide()
    assert line.visit("r1").state == "reserved"
    line.run(
        "UPDATE visits SET state = 'waiting', agent = NULL, lease_until = NULL, answered = attempt,"
        " change_at = clock_timestamp()"
    )  # as `give_back` leaves it
    line.decide()
    assert (line.visit("r1").queue, line.visit("r1").rules_version) == ("rest", 2)


def test_a_new_version_that_names_other_agents_is_not_served_by_those_of_the_old_one(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1", city="Ubud")
    line.ask(line.decide())
    line.apply(TWO_TEAMS.replace('agents = { divisions = ["Bali"] }', 'agents = { divisions = ["Jakarta"] }'))
    assert line.go() == {"r1": "budi"}


def test_nobody_is_seated_by_the_old_version_while_many_rooms_are_moved_to_the_new_one(line: Ruled) -> None:
    line.redis.set(limit_key(TENANT), 1)
    line.apply(TWO_TEAMS)
    line.come("before", city="Ubud")
    assert line.go() == {"before": "wayan"}
    for n in range(MOST + 20):
        line.come(f"r{n}", city="Ubud")
    while line.decide().more:
        pass
    line.end("before", 7)  # wayan is free again, and the roster of the old version is young
    line.run("UPDATE rosters SET read_at = clock_timestamp()")
    line.run("UPDATE visits SET priority = 5 WHERE room = %s", f"r{MOST + 10}")
    line.apply(TWO_TEAMS.replace('agents = { divisions = ["Bali"] }', 'agents = { divisions = ["Jakarta"] }'))
    made = line.decide()
    assert not made.reserved
    assert made.more
    assert set(line.go().values()) == {"budi"}


def test_outside_the_hours_nobody_is_seated_and_the_room_counts_from_the_opening(line: Ruled) -> None:
    now = line.now_in()
    opens = (now + timedelta(hours=2)).strftime("%H:%M")
    day = (now + timedelta(hours=2)).strftime("%a").lower()
    hours = f'[hours]\ntimezone = "UTC"\nopen = ["{day} {opens}-24:00"]\n'
    line.apply(hours + TWO_TEAMS)
    line.come("r1", city="Ubud")
    assert line.go() == {}
    row = line.tenant_row()
    assert timedelta(minutes=118) < row.shut_until - now < timedelta(hours=2, minutes=1)
    assert line.visit("r1").serve_from == row.shut_until
    assert not line.rows("SELECT FROM rosters"), "nobody asks who would serve"
    line.apply(TWO_TEAMS)
    assert line.go() == {"r1": "wayan"}
    assert line.tenant_row().shut_until is None


def test_a_room_waits_for_the_agent_who_knew_it_and_then_for_anybody(line: Ruled) -> None:
    content = '[sticky]\nwithin = "30d"\nwait = "2m"\n' + TWO_TEAMS
    line.apply(content)
    both = {"Bali": ("wayan", "ketut"), "Jakarta": ("budi",)}
    line.come("back", city="Ubud")
    first = line.go(both)["back"]
    other = ({"wayan", "ketut"} - {first}).pop()
    line.end("back", 7)
    line.redis.set(limit_key(TENANT, first), 1)
    line.redis.set(limit_key(TENANT, other), 5)
    for n in range(2):
        line.come(f"full{n}", city="Ubud")
    given = line.go(both)
    assert first in given.values()
    line.push(
        Webhook(
            ARRIVED,
            "back",
            "7",
            "wa",
            latest="7",
            facts=json.dumps({"source": "wa", "properties": {"city": "ubud"}}),
            named="*",
        )
    )
    line.come("behind", city="Ubud")
    given = line.go(both)
    assert given == {"behind": other}, "others pass while it waits"
    assert line.visit("back").sticky_agent == first
    line.redis.set(limit_key(TENANT, first), 5)
    line.earlier(121)
    line.roster(RosterAgent(other, other, True, 0), class_="1/bali/0")
    assert line.go(both)["back"] in {first, other}


def test_nobody_goes_before_a_room_whose_team_is_being_read_for_the_first_time(line: Ruled) -> None:
    line.apply(TWO_TEAMS.replace('agents = { divisions = ["Bali"] }', 'agents = { divisions = ["Jakarta"] }'))
    line.redis.set(limit_key(TENANT), 2)
    line.come("before", city="Solo")
    assert line.go() == {"before": "budi"}
    line.come("first", city="Ubud")
    line.come("second", city="Solo")
    asked = line.decide()
    assert [question.class_ for question in asked.rosters] == ["1/bali/0"]
    again = line.decide()
    assert not asked.reserved
    assert not again.reserved, "the answer is still under way, and may name the one free agent"
    line.ask(asked)
    assert [pair.room for pair in line.decide().reserved] == ["first"]


def test_an_agent_has_no_more_chats_of_a_queue_than_its_limit(line: Ruled) -> None:
    line.apply(TWO_TEAMS.replace("[queues.bali]\n", "[queues.bali]\nlimit = 1\n"))
    for n in range(3):
        line.come(f"b{n}", city="Ubud")
    assert line.go() == {"b0": "wayan"}
    line.end("b0", 1)
    assert line.go() == {"b1": "wayan"}


def test_what_the_desk_does_not_have_is_remembered_with_the_queue(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1", city="Ubud")
    assert line.go({"Jakarta": ("budi",)}) == {}
    [row] = line.rows("SELECT missing FROM rosters")
    assert row.missing == ["the desk has no division 'Bali'"]
    assert line.visit("r1").state == "waiting"


def test_a_customer_who_comes_back_before_the_resolve_is_routed_by_what_the_overtaking_webhook_said(
    line: Ruled,
) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1")
    assert line.go() == {"r1": "budi"}
    line.come("r1", city="Ubud")
    line.decide()
    assert line.visit("r1").again_facts["properties"] == {"city": "ubud"}
    line.end("r1", 7)
    assert (line.visit("r1").state, line.visit("r1").queue) == ("waiting", "bali")


def test_the_receiver_s_script_says_when_the_rules_ask_about_something_else_and_stores_nothing(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    said = line.push(Webhook(ARRIVED, "r1", "7", "wa"))
    assert (said.word, said.named) == ("renamed", '1:["property.city"]')
    assert line.inbox_size() == 0
    again = line.push(Webhook(ARRIVED, "r1", "7", "wa", facts="{}", named=said.named))
    assert (again.word, line.inbox_size()) == ("queued", 1)


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", "{", '{"properties": 7}', '{"properties": {"city": {"a": 1}}}', "9" * 5000]
)
def test_facts_that_nobody_can_read_lose_no_room(line: Ruled, text: str) -> None:
    line.apply(TWO_TEAMS)
    line.push(Webhook(ARRIVED, "r1", "7", "wa", facts=text, named="*"))
    assert line.go() == {"r1": "budi"}


def test_a_file_that_this_release_can_not_read_serves_rooms_as_without_one(line: Ruled, caplog: Any) -> None:
    line.apply('[queues.x]\nstrange = "word of another release"\n')
    line.come("r1")
    assert line.go() == {"r1": "ani"}
    assert "rules_unreadable" in caplog.text


def test_an_agent_whose_queue_nobody_waits_for_stays_online_over_a_new_version(line: Ruled) -> None:
    line.apply(TWO_TEAMS)
    line.come("r1", city="Ubud")
    line.come("r2")
    line.go()
    line.apply(TWO_TEAMS + "\n")
    line.come("r3")
    assert line.go() == {"r3": "budi"}
    assert {row.class_ for row in line.rows("SELECT class FROM rosters")} == {"2/rest/0"}
    assert line.agent("wayan").available


def test_a_decision_that_waits_while_rules_are_applied_goes_by_the_new_ones(line: Ruled) -> None:
    """Its row is read anew when the lock is free, what stands beside the row is not."""
    line.apply(TWO_TEAMS)
    line.come("r1", city="Ubud")
    line.ask(line.decide())
    with ThreadPoolExecutor(1) as other:
        with closing(Ledger(line.database_url, "apply")) as ledger, ledger.transaction() as cur:
            ADMIN.one(cur, "lock_tenant", tenant=TENANT)
            ACTS.one(cur, "add_rules", tenant=TENANT, content=TWO_TEAMS + "# new\n", who="test")
            deciding = other.submit(line.decide)
            eventually(lambda: line.one("SELECT count(*) AS n FROM pg_locks WHERE NOT granted").n)
        deciding.result(10)
    assert (line.visit("r1").queue, line.visit("r1").rules_version) == ("bali", 2)


def test_a_room_of_which_nothing_is_known_any_more_keeps_queue_and_priority_over_a_new_version(line: Ruled) -> None:
    first = TWO_TEAMS.replace('queue = "bali"\n[default]', 'queue = "bali"\npriority = 20\n[default]')
    line.apply(first)
    line.come("r1", city="Ubud")
    line.ask(line.decide())
    line.run("UPDATE visits SET facts = NULL")
    line.apply(first + "# new\n")
    line.decide(free=0)
    visit = line.visit("r1")
    assert (visit.queue, visit.rule, visit.priority, visit.rules_version) == ("bali", "Bali", 20, 2)


def test_two_tenants_go_by_their_own_rules(line: Ruled, database_url: str, redis_url: str) -> None:
    line.apply(TWO_TEAMS)
    with line_of(database_url, redis_url, tenant="warung") as other:
        other.__class__ = Ruled
        other.come("r1", city="Ubud")  # type: ignore[attr-defined]
        line.come("r1", city="Ubud")
        assert other.go() == {"r1": "ani"}  # type: ignore[attr-defined]
        assert line.go() == {"r1": "wayan"}
