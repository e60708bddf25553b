"""`giliran routing` over a real PostgreSQL and Redis: versions of a rules file, and what each of them changes."""

import json
import os
import pwd
import re
import shlex

import pytest
import redis

from db import inbox, line, tickets
from db.ledger import lock
from db.line import NewVisit
from db.turn import Turn
from settings import ROOT
from testbed.simulated import simulator
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
    assert (nobody.exit_code, shop.in_force().version) == (4, 0) and "--yes agrees" in nobody.stderr
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


def test_receivers_know_what_new_rules_ask_as_soon_as_they_are_in_force(shop):
    """No worker runs here that could tell them."""
    shop.apply(RULES)
    assert shop.redis.hget(inbox.NAMED, "shop") == '1:["property.tier"]'
    shop.ok("routing", "reset", "--yes")
    assert shop.redis.hget(inbox.NAMED, "shop") == "2:"


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
    assert [row["room"] for row in routed.json("line", "--queue", "gold")["lines"][0]["waiting"]] == ["r1"]
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
    assert "no rule of version 1 fits: by default" in routed.ok("why", "r2")
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
    assert "ana (name of ana) served it last: if they are online but full, it waits for them until" in routed.ok(
        "why", "r2"
    )
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
    assert "\noutside the hours" in routed.ok("queue") and "not yet by version 2" in routed.ok("queue")


# --- what only the desk knows


@pytest.fixture(scope="module")
def sim():
    with simulator(divisions="Jakarta, Bali", agents=4, offline=1) as started:
        yield started


@pytest.fixture
def desk(ground, sim):
    """The simulated Qiscus as tenant `q`: its state is read by `sim`."""
    ground.sql("INSERT INTO tenants (id, base_url, secret_key) VALUES (%s, %s, %s)", sim.app_id, sim.url, sim.secret)
    return ground


NAMED = """[queues.a]
agents = { divisions = ["jakarta", "Jakrta", "Empty"], ids = [%s, 7] }
[[queues.a.steps]]
after = "1m"
agents = { emails = ["nobody@x.id"] }
[default]
queue = "a"
"""


def test_divisions_and_agents_that_the_desk_does_not_know_are_faults_with_their_line(desk, sim):
    sim.add_division("Empty")
    content = NAMED % sim.agents()[0]["id"]
    path = desk.file(content)
    assert desk.run("routing", "check", path).exit_code == 0, "without a tenant no desk is asked"
    done = desk.run("routing", "check", path, "--tenant", sim.app_id)
    assert (done.exit_code, done.stdout.splitlines()) == (
        2,
        [
            f"{path}:2: queues.a.agents.divisions[2]: the desk has no division 'Jakrta': did you mean 'Jakarta'?",
            f"{path}:2: queues.a.agents.ids[2]: the desk has no agent 7: "
            "`giliran agent list` prints whom Giliran has seen",
            f"{path}:5: queues.a.steps[1].agents.emails[1]: the desk has no agent nobody@x.id: "
            "`giliran agent list` prints whom Giliran has seen",
            f"{path}:2: warning: queues.a.agents.divisions[3]: nobody who may be given chats is in this division: "
            "it serves once the desk has somebody in it",
            f"{path} can't be used: 3 faults",
        ],
    )
    applied = desk.run("routing", "apply", path, "--yes")
    assert (applied.exit_code, applied.stdout, desk.in_force(sim.app_id).version) == (2, done.stdout, 0)
    good = desk.file(
        content.replace('"Jakrta", ', "").replace(", 7]", "]").replace("nobody@x.id", sim.agents()[1]["email"])
    )
    assert desk.run("routing", "check", good, "--tenant", sim.app_id).exit_code == 0
    shown = desk.ok("routing", "apply", good, "--yes")
    assert "warning: queues.a.agents.divisions[2]" in shown and "version 1 is in force" in shown


def test_a_desk_that_does_not_answer_stops_no_change_but_is_said(shop):
    path = shop.file(NAMED % 5)
    checked = shop.run("routing", "check", path, "--tenant", "shop")
    assert checked.exit_code == 1 and "whom it knows was not checked" in checked.stderr
    declined = shop.run("routing", "apply", path, stdin="n\n")
    assert (declined.exit_code, shop.in_force().version) == (4, 0)
    assert "warning: the desk could not be asked" in declined.stdout
    done = shop.apply(NAMED % 5)
    assert (done["applied"], "could not be asked" in done["desk_trouble"]) == (True, True)


def test_a_try_shows_who_may_serve_it_as_the_desk_names_them(desk, sim):
    on, off = sim.agents()[0], next(agent for agent in sim.agents() if not agent["online"])
    desk.apply(f"""[sticky]
within = "30d"
[queues.a]
agents = {{ ids = [{on["id"]}, {off["id"]}] }}
[default]
queue = "a"
""")
    body = desk.file(json.dumps({"room_id": "77", "source": "wa"}), "body.json")
    desk.ok("max", "3")
    desk.sql("INSERT INTO agents (tenant, id, name, available, foreign_est) VALUES (%s, %s, 'x', true, 1)",
             sim.app_id, str(on["id"]))  # fmt: skip
    desk.sql("INSERT INTO visits (tenant, room, arrived_us, state, last_agent, settled_at, closed_at, reason)"
             " VALUES (%s, '77', 1, 'closed', %s, now(), now(), 'resolved')", sim.app_id, str(on["id"]))  # fmt: skip
    found = desk.json("routing", "try", body)
    assert (found["queue"], found["by"], found["version"], found["agents_by"]) == ("a", "default", 1, "desk")
    assert sorted(found["agents"], key=lambda one: not one["online"]) == [
        {"id": str(on["id"]), "name": on["name"], "online": True, "load": 1, "limit": 3},
        {"id": str(off["id"]), "name": off["name"], "online": False, "load": 0, "limit": 3},
    ]
    assert found["served_before_by"] == str(on["id"])
    shown = desk.ok("routing", "try", body)
    assert "agents     as the desk names them now" in shown and "who served it last" in shown
    other = desk.file(f"[queues.b]\nagents = {{ ids = [{off['id']}] }}\n[default]\nqueue = 'b'\n", "other.toml")
    tried = desk.json("routing", "try", body, "--file", other, "--tenant", sim.app_id)
    assert ([one["id"] for one in tried["agents"]], tried["version"]) == ([str(off["id"])], None)


def test_a_try_without_the_desk_shows_whom_a_worker_read_last(routed):
    facts = {"user_properties": [{"key": "tier", "value": "GOLD"}]}
    body = routed.file(
        json.dumps({"room_id": 8, "source": "wa", "channel": {"id": 7}, "extras": json.dumps(facts)}), "b"
    )
    found = routed.json("routing", "try", body)
    assert (found["rule"], found["queue"], found["priority"]) == ("Gold customers", "gold", 20)
    assert (found["agents_by"], found["missing"]) == ("ledger", ["the division 'Sales' is empty"])
    assert found["agents"] == [{"id": "ana", "name": "name of ana", "online": True, "load": 0, "limit": 2}]
    assert "as a worker last read them" in routed.ok("routing", "try", body)
    routed.ok("routing", "reset", "--yes")
    plain = routed.json("routing", "try", body)
    assert (plain["queue"], plain["by"], plain["agents_by"]) == ("channel:7", "channel", "ledger")
    assert [one["id"] for one in plain["agents"]] == ["ana", "bob"]


def test_accounts_of_a_native_chat_are_its_desk(ground):
    ground.ok("tenant", "add", "--native", "chat")
    ground.ok("agent", "add", "ani@x.id", "--name", "Ani", "--password-file", "-", stdin="a long password 7\n")
    ground.sql("UPDATE accounts SET divisions = '{Sales}'")
    rules = "[queues.a]\nagents = { divisions = ['Sels'], emails = ['any@x.id'] }\n[default]\nqueue = 'a'\n"
    done = ground.run("routing", "apply", ground.file(rules), "--yes")
    assert done.exit_code == 2
    assert "the desk has no division 'Sels': did you mean 'Sales'?" in done.stdout
    assert "the desk has no agent any@x.id: did you mean 'ani@x.id'?" in done.stdout
    ground.apply(rules.replace("Sels", "sales").replace("any@", "ANI@"))
    found = ground.json("routing", "try", ground.file('{"room_id": 1, "source": "native"}', "body"))
    assert [(one["name"], one["online"]) for one in found["agents"]] == [("Ani", False)]
    assert ground.run("routing", "hours").exit_code == 4


def test_office_hours_of_qiscus_are_printed_as_a_part_of_a_file(desk, sim):
    rows = [{"day": day, "starttime": "08:00", "endtime": "17:00"} for day in range(1, 6)]
    sim.control("PUT", "office_hours", {"timezone": "+07:00", "office_hours": rows})
    section = desk.ok("routing", "hours")
    assert section == '[hours]\ntimezone = "Asia/Jakarta"\nopen = [\n    "mon-fri 08:00-17:00",\n]\n'
    assert desk.json("routing", "hours") == {"tenant": sim.app_id, "hours": section}
    assert desk.run("routing", "check", "-", stdin=section + RULES.replace("\r", "")).exit_code == 0
    sim.control("PUT", "office_hours", {"timezone": "+07:00", "office_hours": []})
    none = desk.run("routing", "hours")
    assert (none.exit_code, none.stderr) == (1, "giliran: no office hours are set at the desk\n")


def test_every_command_of_the_docs_does_what_it_says(desk, sim):
    """In their order, with the whole file of the page; its division is there."""
    docs = (ROOT / "docs/routing.md").read_text()
    (whole,) = re.findall(r"^## A whole file\n+```toml\n(.*?)^```", docs, re.M | re.S)
    (block,) = re.findall(r"^## Commands\n+```bash\n(.*?)^```", docs, re.M | re.S)
    for name in ("Sales", "Support"):
        sim.add_division(name, sim.agents()[0]["id"])
    room = sim.add_customers(1)[0]
    new = [NewVisit(room, 1, "7", "wa")]
    desk.in_line(lambda cur: line.open_visits(Turn(cur, sim.app_id, lock(cur, sim.app_id)), new))
    sim.control("PUT", "office_hours", {"office_hours": [{"day": 1, "starttime": "08:00", "endtime": "17:00"}]})
    words = {
        "rules.toml": desk.file(whole),
        "payload.json": desk.file(json.dumps({"room_id": room, "source": "wa"}), "payload.json"),
        "my-app": sim.app_id,
        "ROOM": room,
    }
    told = [re.split(r" +[#>] ", line)[0].strip() for line in block.splitlines()]
    lines = [shlex.split(each.removeprefix("./scripts/giliran ")) for each in told]
    shown = []
    for each in lines:
        shown.append(desk.ok(*(words.get(word, word) for word in each), stdin="y\n"))
        if each[1] == "apply":
            desk.decide(sim.app_id)
    assert [each[1] for each in lines if each[0] == "routing"] == [
        *("check", "check", "try", "apply", "try", "show", "show", "history", "hours", "reset"),
    ]
    assert "can be used: 1 queue, 1 rule, 1 topic" in shown[1] and "version 1 is in force" in shown[3]
    assert "as the desk names them now" in shown[4] and shown[5] == shown[6] == whole
    assert "in force" in shown[7] and "mon 08:00-17:00" in shown[8] and "sales" in shown[9]
    assert "rerouted: from the channel's queue to queue sales" in shown[10]
    assert "version 2 is in force: no rules" in shown[11]


def test_of_two_who_apply_at_the_same_time_the_second_is_refused(shop, monkeypatch):
    """Between what the first one was shown and their yes, somebody else applies."""
    first, other = shop.file(RULES), shop.file(RULES + STEPS, "other.toml")

    def agree_late(*_: object, **__: object) -> bool:
        monkeypatch.undo()
        shop.ok("routing", "apply", other, "--yes")
        return True

    monkeypatch.setattr("click.confirm", agree_late)
    done = shop.run("routing", "apply", first)
    assert (done.exit_code, shop.in_force().version) == (4, 1)
    assert "version 1 was applied meanwhile" in done.stderr
    assert shop.run("routing", "show").stdout_bytes == (RULES + STEPS).encode()
