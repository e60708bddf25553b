"""`giliran routing` over a real PostgreSQL and Redis: versions of a rules file, and what each of them changes."""

import json
import os
import pwd

import pytest
import redis

from db import inbox, line, tickets
from db.ledger import lock
from db.line import NewVisit
from db.turn import Turn
from tests.services.test_admin import Ground

RULES = """# whom we know\r
[queues.gold]
agents = { channel = true }
limit = 1
target = "30s"
[queues.rest]
agents = { channel = true }
[[rules]]
name = "Gold customers"
when = { property.tier = "gold" }
queue = "gold"
priority = 20
[default]
queue = "rest"
"""


@pytest.fixture
def ground(database_url, redis_url, tmp_path):
    return Rules(database_url, redis_url, tmp_path)


@pytest.fixture
def shop(ground):
    ground.add_tenant()
    ground.add_agents("ana", "bob")
    return ground


class Rules(Ground):
    def __init__(self, database_url, redis_url, folder) -> None:
        super().__init__(database_url, redis_url)
        self.folder = folder

    def file(self, content: str, name: str = "rules.toml") -> str:
        path = self.folder / name
        path.write_bytes(content.encode())
        return str(path)

    def apply(self, content: str, *more: str) -> dict:
        return self.json("routing", "apply", self.file(content), "--yes", *more)

    def in_force(self, tenant: str = "shop"):
        return self.sql("SELECT rules_version AS version, rerouting FROM tenants WHERE id = %s", tenant)[0]

    def know(self, room: str, **properties: str) -> None:
        facts = {"source": "wa", "channel_id": "7", "properties": properties}
        self.sql("UPDATE visits SET facts = %s WHERE room = %s", json.dumps(facts), room)


def test_a_file_is_applied_shown_to_the_byte_listed_and_taken_away(shop):
    me = pwd.getpwuid(os.getuid()).pw_name
    done = shop.ok("routing", "apply", shop.file(RULES), "--yes")
    assert "queues added    gold, rest" in done and "version 1 is in force" in done
    assert shop.in_force() == (1, True)
    assert tickets.queue(redis.Redis.from_url(shop.redis_url)).count == 1, "a worker is asked to look"
    assert shop.run("routing", "show").stdout_bytes == RULES.encode()

    assert shop.ok("routing", "apply", shop.file(RULES), "--yes").startswith("this file is in force already")
    assert shop.in_force().version == 1
    second = shop.apply(RULES.replace('"30s"', '"1m"').replace("priority = 20", "priority = 30"))
    assert second["queues"] == {"added": [], "removed": [], "changed": {"gold": ["target"]}}
    assert (second["version"], second["changed"]) == (2, ["rules"])

    assert "no rules" in shop.ok("routing", "reset", "--yes") and shop.in_force().version == 3
    assert shop.ok("routing", "reset", "--yes") == "no rules are in force\n"
    shown = shop.run("routing", "show")
    assert (shown.stdout, shown.exit_code) == ("", 0) and "no rules are in force" in shown.stderr
    assert shop.run("routing", "show", "--version", "1").stdout_bytes == RULES.encode()
    assert shop.run("routing", "show", "--version", "9").exit_code == 3
    assert shop.json("routing", "show", "--version", "1") | {"applied_at": 0} == {
        "tenant": "shop", "version": 1, "in_force": False, "applied_at": 0, "applied_by": me, "content": RULES,
    }  # fmt: skip

    found = shop.json("routing", "history")
    sizes = [(each["version"], each["queues"], each["rules"], each["in_force"]) for each in found["versions"]]
    assert sizes == [(3, 0, 0, True), (2, 2, 1, False), (1, 2, 1, False)]
    assert {each["applied_by"] for each in found["versions"]} == {me}
    assert "… and 2 more" in shop.ok("routing", "history", "--rows", "1")


def test_what_a_file_changes_is_shown_and_asked_before(shop):
    shop.add_rooms("r1", "r2", "r3")
    shop.know("r1", tier="GOLD")
    file = shop.file(RULES)
    asked = shop.run("routing", "apply", file, stdin="n\n")
    assert (asked.exit_code, shop.in_force().version) == (4, 0)
    assert "3 of 3 would move" in asked.stdout and "Apply it to shop as version 1? [y/N]" in asked.stdout
    assert "not known yet: property.tier" in asked.stdout
    lines = [line.split() for line in asked.stdout.splitlines()]
    assert ["2", "channel", "7", "rest"] in lines and ["1", "channel", "7", "gold"] in lines
    nobody = shop.run("routing", "apply", file)
    assert (nobody.exit_code, shop.in_force().version) == (4, 0) and "say --yes" in nobody.stderr
    planned = shop.run("routing", "apply", file, "--json")
    assert (planned.exit_code, json.loads(planned.stdout)["applied"], shop.in_force().version) == (4, False, 0)
    assert "version 1 is in force; no worker is running" in shop.ok("routing", "apply", file, stdin="y\n")

    shop.sql("UPDATE visits SET queue = CASE room WHEN 'r1' THEN 'gold' ELSE 'rest' END")
    moved = shop.apply(RULES.replace('"Gold customers"', '"VIP"').replace('queue = "rest"', 'queue = "gold"')
                       .replace("[queues.rest]\nagents = { channel = true }\n", ""))  # fmt: skip
    assert (moved["moves"], moved["waiting"]) == ([{"from": "rest", "to": "gold", "rooms": 2}], 3)
    assert moved["queues"]["removed"] == ["rest"] and moved["unknown"] == []


def test_a_file_with_faults_ends_with_2_and_changes_nothing(shop):
    done = shop.run("routing", "apply", shop.file(RULES.replace("limit", "limt")), "--yes")
    assert (done.exit_code, shop.in_force()) == (2, (0, False))
    assert "rules.toml:4: queues.gold.limt: unknown key: did you mean 'limit'?" in done.stdout
    assert shop.run("routing", "apply", str(shop.folder / "none")).exit_code == 1


def test_of_several_tenants_the_one_that_is_meant_has_to_be_named(shop):
    shop.add_tenant("bank")
    for command in (["apply", shop.file(RULES), "--yes"], ["show"], ["history"], ["reset", "--yes"]):
        assert shop.run("routing", *command).exit_code == 2
        assert shop.run("routing", *command, "--tenant", "none").exit_code == 3
    shop.apply(RULES, "--tenant", "bank")
    assert (shop.in_force("bank").version, shop.in_force("shop").version) == (1, 0)


def test_without_redis_rules_are_applied_all_the_same(shop):
    nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    assert "version 1 is in force" in shop.ok("routing", "apply", shop.file(RULES), "--yes", **nowhere)
    assert shop.in_force() == (1, True) and not shop.redis.exists(inbox.key("shop", "ticket"))


# --- where rooms wait: `queue` and `why`


STEPS = """
[[queues.gold.steps]]
after = "2h"
agents = { divisions = ["Support"] }
[[queues.gold.steps]]
after = "3h"
priority = 50
"""


@pytest.fixture
def routed(shop):
    """r1 in `gold` by its rule, r2 in `rest` by default, r3 in its channel's own queue; a worker lives."""
    shop.apply(RULES + STEPS)
    now_us = int(shop.sql("SELECT extract(epoch FROM now()) * 1e6 AS us")[0].us) - 10_000_000
    facts = {"source": "wa", "channel_id": "7", "properties": {"tier": "gold"}}
    new = [NewVisit("r3", now_us, "7", "wa"), NewVisit("r2", now_us + 1, "7", "wa")]
    new += [NewVisit("r1", now_us + 2, "7", "wa", facts=facts)]
    shop.in_line(lambda cur: line.open_visits(Turn(cur, "shop", lock(cur, "shop")), new))
    shop.sql("UPDATE visits SET queue = NULL, class = 'channel:7' WHERE room = 'r3'")
    shop.sql("INSERT INTO rosters (tenant, class, read_at, due_at) SELECT 'shop', class, now(), now() FROM visits")
    shop.sql("INSERT INTO eligible SELECT 'shop', class, 'ana' FROM visits WHERE queue IS NOT NULL")
    shop.sql("UPDATE rosters SET missing = ARRAY['the division ''Sales'' is empty'] WHERE class = '1/gold/0/7'")
    with shop.a_worker():
        yield shop


def test_the_queue_is_shown_in_the_order_of_service_with_the_queues_of_the_rules(routed):
    rows = [line.split() for line in routed.ok("queue").splitlines()]
    shown = [(row[1], *row[4:6]) for row in rows if row[:1] and row[0] in ("1", "2", "3")]
    assert shown == [("r1", "gold", "priority"), ("r3", "channel", "7"), ("r2", "rest", "2")]
    assert "gold: the division 'Sales' is empty" in routed.ok("queue")
    found = routed.json("queue")["lines"][0]
    assert [(row["room"], row["queue"]) for row in found["waiting"]] == [
        ("r1", "gold"), ("r3", "channel:7"), ("r2", "rest"),
    ]  # fmt: skip
    assert (found["rules_version"], found["outside_hours"]) == (1, False)
    for name, room in (("REST", "r2"), ("7", "r3"), ("channel:7", "r3"), ("channel 7", "r3")):
        assert [row["room"] for row in routed.json("queue", "--queue", name)["lines"][0]["waiting"]] == [room]
    assert routed.ok("line", "--queue", "gold") == routed.ok("queue", "--queue", "gold")
    wrong = routed.run("queue", "--queue", "gould")
    assert (wrong.exit_code, "did you mean 'gold'?" in wrong.stderr) == (3, True)
    routed.sql("UPDATE visits SET queue = 'gold' WHERE room = 'r2'")
    assert "nobody waits in this queue" in routed.ok("queue", "--queue", "rest")


def test_why_tells_rule_version_queue_steps_and_what_is_missing(routed):
    shown = routed.ok("why", "r1")
    assert "queue gold, priority 20" in shown and "1/gold" not in shown
    assert "by the rule 'Gold customers' of version 1 of the rules" in shown
    assert "step 0 of 2; the next one in 1h 59m" in shown and "(after 2h): also division Support" in shown
    assert "  the division 'Sales' is empty" in shown
    found = routed.json("why", "r1")["stories"][0]
    assert (found["visits"][0]["queue"], found["routing"]["missing"]) == ("gold", ["the division 'Sales' is empty"])
    known = {name: found["routing"][name] for name in ("rule", "version", "queue", "step", "steps", "limit")}
    assert known == {"rule": "Gold customers", "version": 1, "queue": "gold", "step": 0, "steps": 2, "limit": 1}
    assert "by its topic, or by default" in routed.ok("why", "r2")
    assert "channel 7" in routed.ok("why", "r3") and "in the queue of its channel" in routed.ok("why", "r3")


def test_why_tells_whom_a_room_waits_for_and_the_limit_of_its_queue(routed):
    routed.sql(
        "UPDATE visits SET sticky_agent = 'ana', sticky_until = now() + interval '90 min 30 s' WHERE room = 'r2'"
    )
    routed.ok("max", "1", "--agent", "ana")
    routed.sql("UPDATE visits SET state = 'held', agent = 'ana' WHERE room = 'r1'")
    routed.sql("INSERT INTO eligible VALUES ('shop', '1/rest/0/7', 'bob')")
    waits = routed.json("why", "r2")["stories"][0]
    assert waits["waiting"]["why"].startswith("waits for ana, who served it last and is full; in 1h 30m")
    assert (waits["routing"]["sticky_agent"], waits["routing"]["waits_for_sticky"]) == ("ana", True)
    assert "ana (name of ana) served it last: if they are online but full, it waits for them" in routed.ok("why", "r2")
    routed.ok("max", "2", "--agent", "ana")
    routed.add_rooms("r4")
    routed.sql("UPDATE visits SET queue = 'gold', class = '1/gold/0/7', rules_version = 1 WHERE room = 'r4'")
    assert "at that of its queue (1)" in routed.json("why", "r4")["stories"][0]["waiting"]["why"]


def test_outside_the_hours_each_room_says_when_they_open(routed):
    closed = (
        RULES
        + """[hours]
timezone = "UTC"
open = ["sun 00:00-00:01"]
closed = ["2020-01-01..2099-12-31"]
"""
    )
    routed.apply(closed)
    assert "outside the hours" in routed.json("why", "r1")["stories"][0]["waiting"]["why"]
    found = routed.json("queue")["lines"][0]
    assert (found["outside_hours"], found["rules_version"]) == (True, 2)
    assert "outside the hours" in routed.ok("queue").splitlines()[1]
